"""Reads safetensors of any origin: numbers of all the types that numpy has, and bfloat16.

    8 bytes      L, the header's length, little endian
    L bytes      {"name": {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]}, ...}
    the rest     the arrays' bytes, without gaps; offsets count from here

The core reads model files of ninc's own by itself, which hold float32 alone.
"""

from __future__ import annotations

import json
import math
import struct
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..._base.memory import check_free
from ...errors import ModelError
from ..foreign import LONGEST_HEADER
from .arrays import as_known
from .content import Content
from .records import MOST_DIMENSIONS

_DTYPES = {
    "F64": "f8", "F32": "f4", "F16": "f2", "BF16": "u2", "C64": "c8",
    "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1",
    "U64": "u8", "U32": "u4", "U16": "u2", "U8": "u1", "BOOL": "u1",
}  # fmt: skip
_KNOWN_AS = {"BF16": "bfloat16", "BOOL": "bool"}

_MEMORY_PER_BYTE = 32  # of a header as Python has it: three bytes of JSON make a list
_MOST_DIGITS = 20


class _Place(NamedTuple):
    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def is_safetensors(content: Content) -> bool:
    """Whether the file begins as one: with the length of a header, and then the header."""
    if content.size < 10:
        return False
    length, brace = struct.unpack("<Qc", content.read(0, 9))
    return brace == b"{" and 2 <= length <= content.size - 8


def read_safetensors(content: Content) -> dict[str, npt.NDArray[Any]]:
    """Name -> array, in the order in which the header has them."""
    (length,) = struct.unpack("<Q", content.read(0, 8))
    if length > LONGEST_HEADER:
        raise ModelError(f"has a header of {length:,} bytes; at most {LONGEST_HEADER:,} are read")
    check_free(content.name, _MEMORY_PER_BYTE * length)
    places = [_place(*item) for item in _header(content.read(8, length)).items()]
    data, at = 8 + length, 0
    for place in sorted(places, key=lambda place: (place.begin, place.end)):
        if place.begin != at:
            raise ModelError(
                f"{place.name[:80]!r} begins at byte {place.begin:,} of the data, and the array "
                f"before it ends at {at:,}"
            )
        at = place.end
    if data + at != content.size:
        raise ModelError(
            f"its arrays take {at:,} bytes, and {content.size - data:,} are there: it is cut off "
            "or damaged"
        )
    return {place.name: _array(content, place, data) for place in places}


def _array(content: Content, place: _Place, data: int) -> npt.NDArray[Any]:
    check_free(content.name, place.end - place.begin)
    stored = np.empty(place.shape, f"<{_DTYPES[place.dtype]}")
    content.fill(data + place.begin, stored)
    # Numbers in the machine's own order of bytes, as numpy makes them.
    native = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    return as_known(content.name, _KNOWN_AS.get(place.dtype, ""), native)


def _header(raw: bytes) -> dict[str, Any]:
    try:
        header = json.loads(raw, object_pairs_hook=_once, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        words = str(error) or type(error).__name__
        raise ModelError(f"has a header that is no JSON of safetensors ({words[:200]})") from None
    if not isinstance(header, dict):
        raise ModelError("has a header that is no JSON object")
    header.pop("__metadata__", None)
    return header


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name that stands there twice")
    return found


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError("an integer of more than 64 bits")
    return int(digits)


def _place(name: str, entry: Any) -> _Place:
    fields: dict[str, Any] = entry if isinstance(entry, dict) else {}
    dtype, shape, ends = (fields.get(key, 0) for key in ("dtype", "shape", "data_offsets"))
    if not (_are_counts(shape) and _are_counts(ends) and len(ends) == 2 and isinstance(dtype, str)):
        raise ModelError(f"the entry of {name[:80]!r} needs a dtype, a shape and two data_offsets")
    if dtype not in _DTYPES:
        known = ", ".join(_DTYPES)
        raise ModelError(f"{name[:80]!r} is of {dtype[:20]}; what numpy has a type for is {known}")
    if len(shape) > MOST_DIMENSIONS:
        raise ModelError(f"{name[:80]!r} has {len(shape)} dimensions, at most {MOST_DIMENSIONS}")
    size = math.prod(shape) * np.dtype(_DTYPES[dtype]).itemsize
    if ends[1] - ends[0] != size or math.prod(filter(None, shape)) >= 1 << 59:
        raise ModelError(
            f"{name[:80]!r} takes {ends[1] - ends[0]:,} bytes; its shape and dtype need {size:,}"
        )
    return _Place(name, dtype, tuple(shape), *ends)


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(one) is int and one >= 0 for one in values)
