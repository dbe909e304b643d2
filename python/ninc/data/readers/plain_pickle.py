"""Reads pickles of plain data without running anything that is in them.

A pickle is a program: it may call any function it can name. Here it can name none; the few names
that numpy writes stand for inert records, from which arrays are built afterwards, so that not even
numpy's own unpickling sees what a stranger wrote.
"""

from __future__ import annotations

import io
import os
import pickle
import re
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ...errors import FileError
from ..labels import as_text
from ..part import read_bytes

# A dtype's name in a pickle: numbers of 1 to 8 bytes.
_NUMBER = re.compile(r"[biuf][1248]")


def read_plain_pickle(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The dict in a pickle, with keys as str.

    Values are dicts, lists, tuples, str, bytes, int, float, bool, None and numpy arrays of numbers,
    and nothing else: FileError where the pickle asks for more, or is damaged.
    """
    place = os.fspath(path)
    content = read_bytes(path)
    try:
        # Strings of Python 2 become bytes, since they hold names as well as pixels.
        value = _Unpickler(io.BytesIO(content), encoding="bytes").load()
        found = _plain(value, [_MOST_VALUES])
    except _ForbiddenError as error:
        raise FileError(f"{place}: refused, the pickle asks for {error}") from error
    # Damaged pickles may raise nearly every exception there is.
    except Exception as error:
        raise FileError(f"{place}: not a pickle, or a damaged one ({error!r})") from error
    if not isinstance(found, dict):
        raise FileError(f"{place}: the pickle holds a {type(found).__name__}, not a dict")
    return {as_text(key): value for key, value in found.items()}


class _ForbiddenError(Exception):
    """Something that is no plain data."""


class _DType:
    """numpy.dtype("u1", align, copy), then __setstate__((version, byte order, ...))."""

    def __init__(self, name: Any = "", *_: Any) -> None:
        self.name, self.order = as_text(name), "|"

    def __setstate__(self, state: Any) -> None:
        self.order = as_text(state[1])

    def to_numpy(self) -> np.dtype[Any]:
        if not _NUMBER.fullmatch(self.name) or self.order not in ("|", "<", ">", "="):
            raise _ForbiddenError(f"an array of {self.name!r}, which are no numbers")
        return np.dtype(self.order + self.name)


class _Array:
    """numpy.ndarray as _reconstruct makes it empty and __setstate__ fills it."""

    def __init__(self, *_: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def to_numpy(self) -> npt.NDArray[Any]:
        _, shape, dtype, fortran, data = self.state
        if not isinstance(dtype, _DType) or not isinstance(data, (bytes, bytearray)):
            raise _ForbiddenError("an array of what are no numbers")
        order: Literal["F", "C"] = "F" if fortran else "C"
        return np.frombuffer(bytes(data), dtype.to_numpy()).reshape(shape, order=order)


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    """Protocol 5's way to write an array."""
    array = _Array()
    array.state = (1, shape, dtype, order == "F", data)
    return array


def _encode(text: Any, encoding: Any) -> bytes:
    """Python 3's way to write bytes in the protocols of Python 2."""
    if not isinstance(text, str) or encoding != "latin1":
        raise _ForbiddenError("a codec")
    return text.encode("latin1")


_NAMES = {
    ("numpy", "dtype"): _DType,
    ("numpy", "ndarray"): _Array,
    ("_codecs", "encode"): _encode,
}
for _package in ("numpy.core", "numpy._core"):
    _NAMES[f"{_package}.multiarray", "_reconstruct"] = _Array
    _NAMES[f"{_package}.numeric", "_frombuffer"] = _from_buffer


# A pickle may hold at most so many values; a batch of CIFAR has 20,000, labels and file names.
_MOST_VALUES = 1_000_000


# The unpickler written in Python is used: the one in C fills gigabytes when a few bytes name a high
# place in its memo. CIFAR's batches have only some ten thousand opcodes each.
class _Unpickler(pickle._Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _NAMES[as_text(module), as_text(name)]
        except KeyError:
            raise _ForbiddenError(f"{as_text(module)}.{as_text(name)}") from None

    def persistent_load(self, pid: Any) -> Any:
        raise _ForbiddenError("an object outside of it")

    def get_extension(self, code: int) -> Any:
        raise _ForbiddenError("an object by its registered number")


def _plain(value: Any, left: list[int]) -> Any:
    """The value with arrays in the place of their records; raises _ForbiddenError for all else.

    left: how many values may still be looked at, since a few bytes can hold a list that contains
    itself or doubles again and again.
    """
    left[0] -= 1
    if left[0] < 0:
        raise _ForbiddenError(f"more than {_MOST_VALUES:,} values")
    kind = type(value)
    if kind is _Array:
        return value.to_numpy()
    if kind in (str, bytes, int, float, bool, type(None)):
        return value
    if kind in (list, tuple):
        return kind(_plain(item, left) for item in value)
    if kind is dict:
        return {_plain_key(key): _plain(item, left) for key, item in value.items()}
    raise _ForbiddenError(f"a value of type {kind.__name__.lstrip('_')}")


def _plain_key(key: Any) -> Any:
    if type(key) not in (str, bytes, int):
        raise _ForbiddenError(f"a key of type {type(key).__name__}")
    return key
