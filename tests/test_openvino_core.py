"""One Core for the process: who interrupts after networks came and went is heard."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from kerastl.errors import InputError
from kerastl.openvino_core import core, runtime

ENGINES = """
import signal

import keras
import numpy as np

from kerastl.engines import choose_engine

x = keras.Input((8, 8, 3))
model = keras.Model(x, keras.layers.Conv2D(2, 3)(x))
images = np.zeros((4, 8, 8, 3), "uint8")
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
first = choose_engine(model, "openvino", images, 1)
second = choose_engine(model, "openvino", images, 1)
del first
del second
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("heard")
"""


def test_an_interruption_is_heard_after_two_engines_whose_lives_overlapped():
    done = subprocess.run([sys.executable, "-c", ENGINES], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr


def test_threads_that_ask_together_get_the_same():
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: core(), range(64)))
    assert all(one is found[0] for one in found)


def test_without_the_package_both_say_how_it_is_installed(monkeypatch):
    core()
    monkeypatch.setitem(sys.modules, "openvino", None)
    for call in (runtime, core):
        with pytest.raises(InputError, match=r"Run: pip install 'kerastl\[fast\]'"):
            call()
