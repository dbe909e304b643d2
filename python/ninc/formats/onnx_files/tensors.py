"""Numbers of ONNX files: each tensor's are as many as its shape says, and lie in the file.

Those of external data lie in files beside the model, in its folder or below it and nowhere else.
"""

from __future__ import annotations

import math
import os
import stat
from typing import Any

import numpy as np

from ..._base.files import reading
from ...errors import ModelError
from ..names import shown_name
from .sizes import Unsupported, dims_shown
from .steps import Array

# ONNX's number of each type that is read: its name, how raw data has it, and the field that has it
# otherwise. float16 and bfloat16 lie in int32_data as the bits that they are.
_TYPES = {
    1: ("float32", "<f4", "float_data"),
    2: ("uint8", "u1", "int32_data"),
    3: ("int8", "i1", "int32_data"),
    4: ("uint16", "<u2", "int32_data"),
    5: ("int16", "<i2", "int32_data"),
    6: ("int32", "<i4", "int32_data"),
    7: ("int64", "<i8", "int64_data"),
    9: ("bool", "u1", "int32_data"),
    10: ("float16", "<u2", "int32_data"),
    11: ("float64", "<f8", "double_data"),
    12: ("uint32", "<u4", "uint64_data"),
    13: ("uint64", "<u8", "uint64_data"),
    16: ("bfloat16", "<u2", "int32_data"),
}
_MOST_DIMS = 32
_LARGEST_EXTENT = 2**48
_EXTERNAL = 1  # TensorProto.EXTERNAL

# Memory that a file may take besides a multiple of its own size: what small files need.
_BASE_BYTES = 64 << 20
_TIMES_FILE = 8

# Floats that a network's numbers may have been stored as; here all are float32 or float64.
FLOATS = frozenset((1, 10, 11, 16))


def type_told(number: int) -> str:
    """ONNX's name of a type of elements, "ONNX's type int64"."""
    import onnx

    try:
        return f"ONNX's type {onnx.TensorProto.DataType.Name(number).lower()}"
    except ValueError:  # newer than the package, or of no version
        return f"ONNX's type {number}"


class Budget:
    """How many bytes constants may still take: a small file cannot ask for much memory."""

    def __init__(self, where: str, size: int) -> None:
        self._where = where
        self.most = self.left = _TIMES_FILE * size + _BASE_BYTES

    def take(self, count: int, what: str) -> None:
        """ModelError where `what` would go beyond what is left."""
        if count > self.left:
            raise ModelError(
                f"{self._where}: {what} takes {count:,} bytes, and of the {self.most:,} that "
                f"constants and weights of a file of its size may take {self.left:,} are left"
            )
        self.left -= count

    def renew(self) -> None:
        """The file is read from the beginning, and nothing is left of what was taken."""
        self.left = self.most


class Tensors:
    """Reads tensors. where: the file, for messages. folder: of external data, None for none."""

    def __init__(self, where: str, folder: str | None, size: int) -> None:
        self.where = where
        self._folder = folder
        self._size = size
        self._files: dict[str, int] = {}
        self.budget = Budget(where, size)

    def read(self, tensor: Any, name: str) -> Array:
        """The tensor's numbers; floats of 16 bits as float32. name: for messages.

        Raises ModelError where they are not what its shape says, Unsupported for a type that no
        network of ninc's has.
        """
        what = f"{self.where}: the tensor {shown_name(name)!r}"
        dims = tuple(tensor.dims)
        # One that is empty by one axis may claim any size along the others.
        extent = math.prod(max(1, one) for one in dims[:_MOST_DIMS])
        if len(dims) > _MOST_DIMS or any(one < 0 for one in dims) or extent > _LARGEST_EXTENT:
            raise ModelError(f"{what} has the shape {dims_shown(dims[:_MOST_DIMS])}, which is none")
        if tensor.data_type not in _TYPES:
            raise Unsupported(f"its {shown_name(name)!r} is of {type_told(tensor.data_type)}")
        kind, stored, field = _TYPES[tensor.data_type]
        if tensor.HasField("segment"):
            raise Unsupported(f"its {shown_name(name)!r} is a segment of a tensor")
        count = math.prod(dims)
        if tensor.data_location == _EXTERNAL:
            raw = self._external(tensor, count * np.dtype(stored).itemsize, what)
            numbers = np.frombuffer(raw, stored)
        elif tensor.HasField("raw_data"):
            raw = tensor.raw_data
            if len(raw) != count * np.dtype(stored).itemsize:
                raise ModelError(
                    f"{what} has the shape {dims_shown(dims)}, which are "
                    f"{count * np.dtype(stored).itemsize:,} bytes of {kind}, and {len(raw):,} are "
                    "there"
                )
            numbers = np.frombuffer(raw, stored)
        else:
            numbers = np.array(getattr(tensor, field)).astype(stored)
            if numbers.size != count:
                raise ModelError(
                    f"{what} has the shape {dims_shown(dims)}, which are {count:,} numbers, and "
                    f"{numbers.size:,} are there"
                )
        self.budget.take(numbers.nbytes, what)
        return _as_numbers(numbers, kind).reshape(dims)

    # ---- External data ---------------------------------------------------------------------------

    def _external(self, tensor: Any, needed: int, what: str) -> bytes:
        if self._folder is None:
            raise ModelError(
                f"{what} has its numbers in a file of its own; load_onnx finds it where it is "
                "given the model's path"
            )
        told = {one.key: one.value for one in tensor.external_data}
        place = self._place(told.get("location", ""), what)
        begin, length = (_whole(told.get(key), what, key) for key in ("offset", "length"))
        begin = begin or 0
        with reading(place), open(place, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ModelError(f"{what}: {place} is no regular file")
            length = status.st_size - begin if length is None else length
            if length != needed or begin + length > status.st_size:
                raise ModelError(
                    f"{what} needs {needed:,} bytes, and is to have {length:,} from byte {begin:,} "
                    f"on of {place}, which has {status.st_size:,}"
                )
            if place not in self._files:  # each file counts once, however many tensors are in it
                self._files[place] = status.st_size
                self.budget.left += _TIMES_FILE * status.st_size
                self.budget.most += _TIMES_FILE * status.st_size
            file.seek(begin)
            content = file.read(needed)
        if len(content) != needed:
            raise ModelError(f"{what}: {place} became shorter while it was read")
        return content

    def _place(self, location: str, what: str) -> str:
        """The file's path, which has to lie in the model's folder, links followed."""
        folder = os.path.realpath(str(self._folder))
        if not location or "\0" in location or os.path.isabs(location):
            raise ModelError(f"{what} names no file of the model's folder: {location[:200]!r}")
        place = os.path.realpath(os.path.join(folder, location))
        parts = location.replace("\\", "/").split("/")
        if ".." in parts or os.path.commonpath([folder, place]) != folder:
            raise ModelError(
                f"{what} is to be read from {location[:200]!r}, which leads out of the model's "
                "folder"
            )
        return place


def _whole(text: str | None, what: str, key: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ModelError(f"{what}: the {key} of its external data is {text[:40]!r}, no number")
    return int(text)


def _as_numbers(numbers: Array, kind: str) -> Array:
    if kind == "bool":
        return numbers.astype(bool)
    if kind == "float16":
        return numbers.view(np.float16).astype(np.float32)
    if kind == "bfloat16":
        return (numbers.astype(np.uint32) << 16).view(np.float32)
    return numbers
