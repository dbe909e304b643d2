"""Weights: a blob's shape and its numbers, which have to be as many as the shape says."""

from __future__ import annotations

import math

import numpy as np

from ..._base.array_types import Floats
from ...errors import ModelError
from ..protobuf.schema import Message

_LEGACY = ("num", "channels", "height", "width")
_MOST_DIMS = 32
_LARGEST_DIM = 2**31 - 1

# How NVIDIA's Caffe stores numbers that are no float32, by its number for each type.
_RAW = {0: "<f8", 1: "<f4", 2: "<f2"}


def dims_of(blob: Message, what: str) -> tuple[int, ...]:
    """The blob's shape, or the four numbers that old files have instead.

    what: begins the words of an error.
    """
    if "shape" in blob:
        dims = blob.message("shape").all("dim")
    else:
        dims = [blob.get(name, 0) for name in _LEGACY]
    if len(dims) > _MOST_DIMS or not all(1 <= one <= _LARGEST_DIM for one in dims):
        raise ModelError(f"{what} has the shape {_shown(dims[:_MOST_DIMS])}, which no weights have")
    return tuple(dims)


def numbers_of(blob: Message, dims: tuple[int, ...], what: str) -> Floats:
    """The blob's numbers as float32 in the shape that `checked_dims` gave."""
    if "raw_data" in blob:
        dtype = _RAW.get(blob.get("raw_data_type", 0))
        raw = blob.get("raw_data")
        if dtype is None or len(raw) % np.dtype(dtype).itemsize:
            raise ModelError(
                f"{what} has {len(raw):,} bytes of type {blob.get('raw_data_type')}, which are no "
                "float64, float32 or float16"
            )
        numbers = np.frombuffer(raw, dtype)
    else:
        numbers = blob.array("double_data" if "double_data" in blob else "data")
    if len(numbers) != math.prod(dims):
        raise ModelError(
            f"{what} has the shape {_shown(dims)}, which are {math.prod(dims):,} numbers, and "
            f"{len(numbers):,} are there"
        )
    with np.errstate(over="ignore"):  # as in `Message.array`
        return np.require(numbers, np.float32, ["C", "ALIGNED"]).reshape(dims)


def checked_dims(blob: Message, wanted: tuple[int | None, ...], what: str) -> tuple[int, ...]:
    """The blob's shape, held to the wanted one, in which None stands for any number.

    Dimensions of 1 in front do not count. ModelError where the two differ.
    """
    dims = dims_of(blob, what)
    while len(dims) > len(wanted) and dims[0] == 1:
        dims = dims[1:]
    if len(dims) != len(wanted) or any(
        need is not None and have != need for have, need in zip(dims, wanted)
    ):
        need = "×".join("any" if one is None else str(one) for one in wanted)
        raise ModelError(
            f"{what} has the shape {_shown(dims)}, and its layer's settings need {need}"
        )
    return dims


def _shown(dims: tuple[int, ...] | list[int]) -> str:
    return "×".join(map(str, dims)) or "of a single number"
