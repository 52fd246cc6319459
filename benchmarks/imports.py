"""Import times: kerastl, keras, and the command line's help.

    python benchmarks/imports.py --rounds 5

Each in a fresh interpreter, whose own start counts on both sides; the median of the
rounds, which take turns. Prints a Markdown table.
"""

import argparse
import os
import statistics
import subprocess
import sys

from measuring import row, seconds, show

WAYS = {
    "python": ["-c", "pass"],
    "import kerastl": ["-c", "import kerastl"],
    "kerastl --help": ["-c", "from kerastl.cli.main import main; main()", "--help"],
    "import keras": ["-c", "import keras"],
}


def once(arguments):
    env = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return seconds(
        lambda: subprocess.run([sys.executable, *arguments], env=env, check=True, **quiet)
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()

    rounds = [{name: once(way) for name, way in WAYS.items()} for _ in range(args.rounds)]
    taken = {name: statistics.median(r[name] for r in rounds) for name in WAYS}
    keras = taken["import keras"]
    show(
        [
            row(f"`{name}`, against `import keras`", f"{taken[name]:.2f} s", f"{keras:.2f} s",
                keras / taken[name])
            for name in ("import kerastl", "kerastl --help")
        ],
        f"Medians of {args.rounds} fresh interpreters, {taken['python']:.2f} s of it Python's.",
    )  # fmt: skip


if __name__ == "__main__":
    main()
