"""The format of torch.save since PyTorch 1.6, a zip archive, and that of TorchScript.

    name/data.pkl        the object, in which storages are named by keys
    name/data/KEY        a storage's bytes
    name/byteorder       "little" or "big"; little where it is missing
    name/constants.pkl   in TorchScript alone, and so is name/code/

Entries are stored, not compressed; so a storage is read where it lies.
"""

from __future__ import annotations

import io
from typing import Any

import numpy.typing as npt

from ...errors import ModelError
from .arrays import Arrays
from .content import Content
from .machine import LONGEST_PICKLE, Machine
from .zip_entries import ZipEntries


def read_archive(content: Content) -> tuple[Any, Arrays, bool]:
    """The object in the file, what makes arrays of its tensors, and whether it is TorchScript."""
    entries = ZipEntries(content)
    prefix = _prefix(entries)
    pickled = entries.read(f"{prefix}data.pkl", LONGEST_PICKLE)
    order = b"little"
    if f"{prefix}byteorder" in entries:
        order = entries.read(f"{prefix}byteorder", 16).strip()
    if order not in (b"little", b"big"):
        raise ModelError(f"has the byte order {order!r}; 'little' or 'big' is needed")
    machine = Machine(io.BytesIO(pickled), len(pickled))
    value = machine.run()
    names = {key: f"{prefix}data/{key}" for key in machine.storages}
    places = {key: entries.place(name) for key, name in names.items() if name in entries}

    def check(key: str, raw: npt.NDArray[Any]) -> None:
        entries.check_sum(names[key], raw.data)

    arrays = Arrays(content, places, "<" if order == b"little" else ">", check)
    return value, arrays, f"{prefix}constants.pkl" in entries


def _prefix(entries: ZipEntries) -> str:
    """What stands before the names that torch gives, with a slash at its end where it has one."""
    found = [name[: -len("data.pkl")] for name in entries if name.endswith("data.pkl")]
    found = [prefix for prefix in found if prefix.count("/") <= 1 and prefix[-1:] in ("", "/")]
    if len(found) == 1:
        return found[0]
    if found:
        raise ModelError(f"holds {len(found)} files data.pkl; torch.save writes one")
    inside = [name for name in entries if name.endswith((".pt", ".pth", ".th", ".safetensors"))]
    if inside:
        raise ModelError(f"is a zip archive around {inside[0][:80]!r}, which has to be unpacked")
    raise ModelError("is a zip archive without a data.pkl, so torch.save did not write it")
