"""Makes numpy arrays of the tensors of a file; each storage is read once, when first needed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..._base.memory import check_free, size_text
from ...errors import ModelError
from .content import Content
from .records import Storage, Tensor, Unreadable

# torch's dtype -> how its numbers lie in a file, which numpy has under another name or not at all.
_STORED = {
    "float64": "f8", "float32": "f4", "float16": "f2", "bfloat16": "u2",
    "int64": "i8", "int32": "i4", "int16": "i2", "int8": "i1",
    "uint64": "u8", "uint32": "u4", "uint16": "u2", "uint8": "u1", "bool": "u1",
    "complex64": "c8", "complex128": "c16",
}  # fmt: skip

_OF_STORAGE = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16", "LongStorage": "int64", "IntStorage": "int32",
    "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8", "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64", "ComplexDoubleStorage": "complex128",
    "UntypedStorage": "uint8",
}  # fmt: skip

# Bytes of an element of what numpy has no type for: an old file is read past it all the same.
_OTHER_SIZES = {
    "QInt8Storage": 1, "QUInt8Storage": 1, "QInt32Storage": 4, "QUInt4x2Storage": 1,
    "QUInt2x4Storage": 1,
}  # fmt: skip

# A view that repeats elements of a small storage costs nothing until someone copies it, who then is
# to find no more than this.
_MOST_REPEATED = 1 << 30


def item_size(storage: Storage) -> int:
    """Bytes of an element of a storage; ModelError for one of an unknown kind."""
    return _OTHER_SIZES.get(storage.kind) or np.dtype(_STORED[_dtype(storage)]).itemsize


def _dtype(storage: Storage) -> str:
    found = _OF_STORAGE.get(storage.kind)
    if found is None:
        raise ModelError(
            f"storage {storage.key[:80]!r} is a {storage.kind[:80]}, which numpy has no type for"
        )
    return found


class Arrays:
    """Tensors of a file as arrays.

    places: storage's key -> (its first byte in the file, how many bytes). order: of an element's
    bytes, "<" or ">". check: raises ModelError where a storage's bytes are damaged.
    """

    def __init__(
        self,
        content: Content,
        places: Mapping[str, tuple[int, int]],
        order: str = "<",
        check: Callable[[str, npt.NDArray[Any]], None] | None = None,
    ) -> None:
        self._content, self._places, self._order, self._check = content, places, order, check
        self._read: dict[tuple[str, str], npt.NDArray[Any]] = {}

    def array(self, tensor: Tensor | Unreadable) -> npt.NDArray[Any]:
        """The tensor's array, a view of its storage as in torch."""
        if isinstance(tensor, Unreadable):
            raise ModelError(f"is {tensor.what}, which numpy has no array for; a dense copy is one")
        storage, dtype = tensor.storage, tensor.dtype or _dtype(tensor.storage)
        if dtype not in _STORED:
            raise ModelError(f"is of {dtype[:80]}, which numpy has no type for; .float() is one")
        width = np.dtype(_STORED[dtype]).itemsize
        # Only bytes without a type are read as another type than their storage's.
        length = storage.length * item_size(storage) // width
        first = storage.first * item_size(storage)
        if tensor.dtype is not None and (storage.kind != "UntypedStorage" or first):
            raise ModelError(f"is of {dtype} in a {storage.kind}, which torch does not write")
        _check_view(tensor, length, width)
        flat = self._flat(storage, dtype)[storage.first :]
        return _view(flat, tensor)

    def _flat(self, storage: Storage, dtype: str) -> npt.NDArray[Any]:
        found = self._read.get((storage.key, dtype))
        if found is None:
            found = self._read_storage(storage, dtype)
            self._read[storage.key, dtype] = found
        return found

    def _read_storage(self, storage: Storage, dtype: str) -> npt.NDArray[Any]:
        place = self._places.get(storage.key)
        if place is None:
            raise ModelError(f"storage {storage.key[:80]!r} is missing from the file")
        start, available = place
        needed = storage.count * item_size(storage)
        if needed > available:
            raise ModelError(
                f"storage {storage.key[:80]!r} has {available:,} bytes, and {storage.count:,} "
                f"elements of a {storage.kind} are {needed:,}"
            )
        self._content.check(start, available)
        check_free(self._content.name, available)
        raw = np.empty(available, np.uint8)
        self._content.fill(start, raw)
        if self._check is not None:
            self._check(storage.key, raw)
        stored = np.dtype(_STORED[dtype])
        whole = raw[: needed // stored.itemsize * stored.itemsize].view(stored)
        if self._order == ">":
            whole = whole.byteswap(inplace=True)
        return as_known(self._content.name, dtype, whole)


def as_known(name: str, dtype: str, stored: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The numbers in a type that numpy has: bfloat16, the upper half of a float32, becomes one."""
    if dtype == "bool":
        return stored != 0  # any other byte than 0 and 1 would be no bool to numpy
    if dtype != "bfloat16":
        return stored
    check_free(name, 2 * stored.nbytes)
    wide = stored.astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32)


def _check_view(tensor: Tensor, length: int, width: int) -> None:
    """Raises ModelError unless all of the tensor's elements lie in its storage, of `length`."""
    shape, strides = tensor.shape, tensor.strides
    count = math.prod(shape)
    if math.prod(filter(None, shape)) >= 1 << 59:
        raise ModelError(f"has the sizes {_few(shape)}, which no memory holds")
    if count and tensor.offset + sum((n - 1) * s for n, s in zip(shape, strides)) >= length:
        raise ModelError(
            f"has the sizes {_few(shape)}, strides {_few(strides)} and offset {tensor.offset:,}, "
            f"which reach beyond its storage of {length:,} elements"
        )
    if count > length and count * width > _MOST_REPEATED:
        raise ModelError(
            f"repeats a storage of {length:,} elements to {size_text(count * width)}; "
            f"at most {size_text(_MOST_REPEATED)} are read"
        )


def _view(flat: npt.NDArray[Any], tensor: Tensor) -> npt.NDArray[Any]:
    shape, count = tensor.shape, math.prod(tensor.shape)
    if not count:
        return np.empty(shape, flat.dtype)
    flat = flat[tensor.offset :]
    step, rows = 1, True  # whether elements lie row after row, as numpy lays them
    for size, stride in zip(reversed(shape), reversed(tensor.strides)):
        rows = rows and (size == 1 or stride == step)
        step *= size
    if rows:
        return flat[:count].reshape(shape)
    strides = [stride * flat.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(flat, shape, strides)


def _few(numbers: tuple[int, ...]) -> str:
    return "×".join(map(str, numbers[:8])) + ("×..." if len(numbers) > 8 else "")
