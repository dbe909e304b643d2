"""The format of torch.save before PyTorch 1.6: pickles in a row, then the storages' bytes.

    pickle       0x1950a86a20f9469cfc6c
    pickle       1001, the version
    pickle       {"little_endian": ..., ...}, the machine that wrote it
    pickle       the object, in which storages are named by keys
    pickle       [key, ...]
    for each key, 8 bytes with its number of elements, and the elements' bytes

Numbers are little endian, whatever machine wrote them.
"""

from __future__ import annotations

import struct
from typing import Any

from ...errors import ModelError
from .arrays import Arrays, item_size
from .content import Content
from .machine import Machine
from .records import Storage

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001


def read_legacy(content: Content) -> tuple[Any, Arrays]:
    """The object in the file, with records of tensors, and what makes arrays of these."""
    content.file.seek(0)
    magic = _pickle(content).run()
    if type(magic) is not int or magic != _MAGIC:
        raise ModelError(
            "is a pickle that torch.save did not write; a file of torch.save(state_dict, path) is "
            "needed"
        )
    version, machine = _pickle(content).run(), _pickle(content).run()
    if type(version) is not int or version != _VERSION:
        raise ModelError(f"is of another version of torch.save's format than {_VERSION}")
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise ModelError(
            "was written on a machine of another byte order (big endian); load and save it in a "
            "PyTorch of today"
        )
    pickled = _pickle(content)
    value = pickled.run()
    keys = _pickle(content).run()
    if not isinstance(keys, list) or not all(isinstance(key, (str, int)) for key in keys):
        raise ModelError("has no list of storages behind its pickle")
    return value, Arrays(content, _places(content, list(map(_text, keys)), pickled.storages))


def _pickle(content: Content) -> Machine:
    return Machine(content.file, content.size)


def _text(key: str | int) -> str:
    # An integer of endless digits is no key; writing it out would take long.
    return key if isinstance(key, str) else str(key) if abs(key) < 1 << 64 else ""


def _places(
    content: Content, keys: list[str], storages: dict[str, Storage]
) -> dict[str, tuple[int, int]]:
    """Key -> (first byte, number of bytes), from the end of the pickles on."""
    places: dict[str, tuple[int, int]] = {}
    at = content.file.tell()
    for key in keys:
        storage = storages.get(key)
        if storage is None or key in places:
            raise ModelError(f"has bytes of storage {key[:80]!r}, which no tensor names, or twice")
        (count,) = struct.unpack("<q", content.read(at, 8))
        if count != storage.count:
            raise ModelError(
                f"has {count:,} elements of storage {key[:80]!r}, and its pickle names "
                f"{storage.count:,}"
            )
        size = count * item_size(storage)
        content.check(at + 8, size)
        places[key] = at + 8, size
        at += 8 + size
    return places
