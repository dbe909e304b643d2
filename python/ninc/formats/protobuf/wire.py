"""Reads messages as programs store them, in the wire format.

message = (tag value)*,   tag = varint of number << 3 | type
type 0: varint; 1: 8 bytes; 2: varint n, then n bytes; 5: 4 bytes
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import ModelError
from .schema import MOST_FIELDS, Field, Message, Schema

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_WIDTHS = {FIXED64: 8, FIXED32: 4}

# kind -> how one value of it stands there. Packed, several of them are bytes.
_TYPES = {
    "int": VARINT,
    "bool": VARINT,
    "enum": VARINT,
    "float": FIXED32,
    "floats": FIXED32,
    "doubles": FIXED64,
    "text": BYTES,
    "bytes": BYTES,
    "message": BYTES,
}
_DTYPES = {"float": "<f4", "floats": "<f4", "doubles": "<f8"}


def read_message(content: bytes, schema: Schema, where: str) -> Message:
    """The message that all of `content` is; `where` is the file's name, for errors.

    Arrays are views of `content`. Raises ModelError, with the place, where it is no such message.
    """
    return _Reader(content, where).message(schema, 0, len(content))


class _Reader:
    """Reads one file's content.

    fields: how many were read. path: the messages that what is read now lies in, such as "layer 3".
    """

    def __init__(self, content: bytes, where: str) -> None:
        self.content = content
        self.where = where
        self.fields = 0
        self.path: list[str] = []

    def message(self, schema: Schema, at: int, end: int) -> Message:
        """The message from `at` to `end`. It nests no deeper than schemas do."""
        found = Message()
        while at < end:
            self._count(at)
            start = at
            tag, at = self._varint(at, end)
            number, wire_type = tag >> 3, tag & 7
            field = schema.by_number.get(number)
            if number < 1 or wire_type not in (VARINT, FIXED64, BYTES, FIXED32):
                raise self._damaged(start, "what stands there begins no field")
            stop, at = self._extent(at, end, wire_type)  # the value's own bytes
            if field is None:
                found.unknown = found.unknown or f"field {number}"
            elif field.kind in ("floats", "doubles") and wire_type == _TYPES[field.kind]:
                stop = self._run(found, field, start, at, end)
            elif field.kind != "skip":
                self._take(found, field, wire_type, at, stop)
            at = stop
        return found

    def _extent(self, at: int, end: int, wire_type: int) -> tuple[int, int]:
        """(where the value ends, where it begins), which both lie in the message."""
        if wire_type == VARINT:
            return self._varint(at, end)[1], at
        if wire_type == BYTES:
            length, at = self._varint(at, end)
        else:
            length = _WIDTHS[wire_type]
        if length > end - at:
            raise self._damaged(
                at, f"{length:,} bytes are to follow, and {end - at:,} are there; the file is cut "
                "off or damaged"
            )  # fmt: skip
        return at + length, at

    def _take(self, found: Message, field: Field, wire_type: int, at: int, stop: int) -> None:
        """Puts into the message the value, or the packed values, from `at` to `stop`."""
        wanted = _TYPES[field.kind]
        packed = wire_type == BYTES and wanted != BYTES and field.repeated
        if wire_type != wanted and not packed:
            raise self._damaged(at, f"{field.name} is of type {wire_type} instead of {wanted}")
        if field.kind == "message":
            self.path.append(f"{field.name} {len(found.all(field.name)) + 1}")
            values: list[Any] = [self.message(field.schema or Schema(), at, stop)]
            self.path.pop()
        elif wanted == BYTES:
            content = self.content[at:stop]
            values = [content if field.kind == "bytes" else content.decode("utf-8", "replace")]
        elif wanted == VARINT:
            values = []
            while at < stop:
                self._count(at)
                number, at = self._varint(at, stop)
                values.append(_of_kind(field, number))
        else:
            values = [self._array(field, at, stop)]
            if field.kind == "float":
                self._count(at, len(values[0]))
                values = values[0].tolist()
        for value in values:
            if not found.put(field, value):
                raise self._damaged(at, f"there are two {field.name} where one may be")

    def _array(self, field: Field, at: int, stop: int) -> Any:
        dtype = np.dtype(_DTYPES[field.kind])
        if (stop - at) % dtype.itemsize:
            raise self._damaged(
                at, f"{field.name} has {stop - at:,} bytes, no multiple of {dtype.itemsize}"
            )
        return np.frombuffer(self.content, dtype, (stop - at) // dtype.itemsize, at)

    def _run(self, found: Message, field: Field, start: int, at: int, end: int) -> int:
        """Takes values that stand one after another, each after its tag; returns where they end.

        Old files have millions of them. Blocks that are looked at double in size, so that the time
        is that of the run and not of all that follows.
        """
        tag = np.frombuffer(self.content, np.uint8, at - start, start)
        dtype = np.dtype(_DTYPES[field.kind])
        step = len(tag) + dtype.itemsize
        most = (end - start) // step
        table = np.frombuffer(self.content, np.uint8, most * step, start).reshape(most, step)
        count, block = 1, 64
        while count < most:
            same = (table[count : count + block, : len(tag)] == tag).all(axis=1)
            run = len(same) if same.all() else int(same.argmin())
            count += run
            if run < len(same):
                break
            block *= 2
        found.put(field, np.ascontiguousarray(table[:count, len(tag) :]).view(dtype).ravel())
        return start + count * step

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = shift = 0
        while at < end and shift < 70:
            byte = self.content[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFF_FFFF_FFFF_FFFF, at
            shift += 7
        raise self._damaged(at, "a number does not end")

    def _count(self, at: int, fields: int = 1) -> None:
        self.fields += fields
        if self.fields > MOST_FIELDS:
            raise self._damaged(at, f"there are more than {MOST_FIELDS:,} fields up to there")

    def _damaged(self, at: int, what: str) -> ModelError:
        inside = f" in {', '.join(self.path)}" if self.path else ""
        return ModelError(f"{self.where}: at byte {at:,}{inside} {what}")


def _of_kind(field: Field, number: int) -> Any:
    """A varint as its field's kind has it; an enum's number without a name is its digits."""
    if field.kind == "bool":
        return bool(number)
    if field.kind == "enum":
        return field.enum.get(number, str(number))
    return number - (1 << 64) if number >> 63 else number  # a negative number has all 64 bits
