"""Files as torch.save writes them, made by hand: torch is not needed, and any byte can be wrong."""

import dataclasses
import io
import struct
import tracemalloc
import zipfile
from typing import Any

import numpy as np
import pytest

import ninc
from ninc._base.arrays import is_array
from ninc.errors import ModelError

MAGIC = 0x1950A86A20F9469CFC6C

STORAGES = {
    "f8": "DoubleStorage", "f4": "FloatStorage", "f2": "HalfStorage", "i8": "LongStorage",
    "i4": "IntStorage", "i2": "ShortStorage", "i1": "CharStorage", "u1": "ByteStorage",
    "b1": "BoolStorage", "c8": "ComplexFloatStorage", "c16": "ComplexDoubleStorage",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Global:
    """module.name, which a pickle imports."""

    module: str
    name: str


@dataclasses.dataclass
class Call:
    """What function(*arguments) gives; with a state, an object that is then built."""

    function: Any
    arguments: Any = ()
    state: Any = None


@dataclasses.dataclass
class Persistent:
    """What a persistent id stands for."""

    pid: Any


@dataclasses.dataclass
class Raw:
    """Opcodes as they are."""

    opcodes: bytes


def opcodes(value):
    """The opcodes, of protocol 2, that make a value; without memo."""
    if isinstance(value, Raw):
        return value.opcodes
    if isinstance(value, Global):
        return f"c{value.module}\n{value.name}\n".encode()
    if isinstance(value, Call):
        made = opcodes(value.function) + opcodes(value.arguments) + b"R"
        return made if value.state is None else made + opcodes(value.state) + b"b"
    if isinstance(value, Persistent):
        return opcodes(value.pid) + b"Q"
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, int):
        size = value.bit_length() // 8 + 1
        return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, str):
        text = value.encode("utf-8", "surrogatepass")
        return b"X" + struct.pack("<I", len(text)) + text
    if isinstance(value, bytes):
        return b"B" + struct.pack("<I", len(value)) + value
    if isinstance(value, dict):
        items = b"".join(opcodes(key) + opcodes(item) for key, item in value.items())
        return b"}(" + items + b"u"
    items = b"".join(map(opcodes, value))
    return b"(" + items + b"t" if isinstance(value, tuple) else b"](" + items + b"e"


def pickled(value):
    return b"\x80\x02" + opcodes(value) + b"."


def storage(kind, key, count, view=False):
    """A storage as the zip format names it, and with a sixth entry as the older one does."""
    pid = ("storage", Global("torch", kind), key, "cpu", count)
    return Persistent((*pid, None) if view else pid)


def tensor(stored, offset, shape, strides, function="_rebuild_tensor_v2"):
    arguments = (stored, offset, tuple(shape), tuple(strides), False, ordered())
    return Call(Global("torch._utils", function), arguments[: 4 if function[-1] == "r" else 6])


def ordered():
    return Call(Global("collections", "OrderedDict"))


class Storages:
    """Makes tensors of arrays and keeps their bytes: key -> (number of elements, bytes)."""

    def __init__(self, legacy=False, order="<"):
        self.kept, self._legacy, self._order = {}, legacy, order

    def add(self, array, kind=None, count=None):
        """A storage with the array's elements in their order in memory."""
        key = str(len(self.kept))
        plain = np.ascontiguousarray(array).reshape(-1)
        stored = plain.astype(plain.dtype.newbyteorder(self._order))
        count = plain.size if count is None else count
        self.kept[key] = (count, stored.tobytes())
        return storage(kind or STORAGES[plain.dtype.str[1:]], key, count, self._legacy)

    def tensor(self, array, kind=None):
        array = np.asarray(array)
        strides = [s // array.itemsize for s in np.empty(array.shape, array.dtype).strides]
        return tensor(self.add(array, kind), 0, array.shape, strides)

    def of(self, value):
        """The value with tensors in the place of its arrays."""
        if isinstance(value, dict):
            return {key: self.of(item) for key, item in value.items()}
        if isinstance(value, list):
            return list(map(self.of, value))
        return self.tensor(value) if is_array(value) else value


def zip_file(value, kept=None, prefix="archive/", compression=zipfile.ZIP_STORED, **entries):
    """The zip format. entries: others beside data.pkl; names have __ for a dot."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr(f"{prefix}data.pkl", value if isinstance(value, bytes) else pickled(value))
        for key, (_, content) in (kept or {}).items():
            archive.writestr(f"{prefix}data/{key}", content)
        for name, content in {"version": "3\n", **entries}.items():
            archive.writestr(prefix + name.replace("__", "."), content)
    return file.getvalue()


def legacy_file(value, kept=None, little=True, magic=MAGIC, version=1001):
    """The format before PyTorch 1.6."""
    kept = kept or {}
    machine = {"protocol_version": version, "little_endian": little, "type_sizes": {"int": 4}}
    parts = [pickled(magic), pickled(version), pickled(machine)]
    parts += [value if isinstance(value, bytes) else pickled(value), pickled(list(kept))]
    for count, content in kept.values():
        parts += [struct.pack("<q", count), content]
    return b"".join(parts)


def saved(value, legacy=False):
    """torch.save of a value with arrays for tensors, as bytes."""
    storages = Storages(legacy)
    tensors = storages.of(value)
    return (legacy_file if legacy else zip_file)(tensors, storages.kept)


# Bytes that reading a small file may take, ninc's own modules included, and for each byte of a
# larger one: an opcode of one byte makes a dict or a mark.
MOST_MEMORY, MOST_PER_BYTE = 4 << 20, 100


def refused(content, words):
    """The message with which a file is refused: one line, not endless, and without much memory."""
    tracemalloc.start()
    try:
        with pytest.raises(ModelError, match=words) as told:
            ninc.load_torch(content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MOST_MEMORY + MOST_PER_BYTE * len(content), f"{peak:,} bytes"
    assert str(told.value).startswith("bytes: ") and len(str(told.value)) < 1500
    assert "\n" not in str(told.value)
    return str(told.value)
