"""What a message may hold, by number and by name, and a message that was read.

A schema has only the fields that somebody asks for. Fields that are left out are passed over, and
a message remembers that it had some.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Union

import numpy as np

from ..._base.array_types import Floats

# Whoever writes a network has some hundreds of layers of a few dozen fields; a message of this many
# would take 100 MB.
MOST_FIELDS = 1 << 18

# What a field may be said to be: a word below, an enum's names with their numbers, a message, or a
# list of one message for a field that may be repeated.
#     "int", "float", "bool", "text", "bytes"      one value; with "*" after it, any number of them
#     "floats", "doubles"                          any number of them, as an array
#     "skip"                                       known, and of no interest
Kind = Union[str, Mapping[str, int], "Schema", "list[Schema]"]


@dataclasses.dataclass(frozen=True)
class Field:
    """A field of a message. schema: of a message. enum: number -> name."""

    number: int
    name: str
    kind: str
    repeated: bool = False
    schema: Schema | None = None
    enum: Mapping[int, str] = dataclasses.field(default_factory=dict)


class Schema:
    """The fields of a message: `Schema(num_output=(1, "int"), pad=(3, "int*"))`."""

    def __init__(self, **fields: tuple[int, Kind]) -> None:
        made = [_field(name, number, kind) for name, (number, kind) in fields.items()]
        self.by_number = {field.number: field for field in made}
        self.by_name = {field.name: field for field in made}


def _field(name: str, number: int, kind: Kind) -> Field:
    if isinstance(kind, str):
        repeated = kind[-1] == "*" or kind in ("floats", "doubles", "skip")
        return Field(number, name, kind.rstrip("*"), repeated)
    if isinstance(kind, Schema):
        return Field(number, name, "message", schema=kind)
    if isinstance(kind, list):
        return Field(number, name, "message", True, kind[0])
    return Field(number, name, "enum", enum={value: word for word, value in kind.items()})


class Message:
    """A message that was read.

    unknown: a field that the schema does not have, or None: its number or its name.
    """

    __slots__ = ("_values", "unknown")

    def __init__(self) -> None:
        self._values: dict[str, list[Any]] = {}
        self.unknown: str | None = None

    def put(self, field: Field, value: Any) -> bool:
        """Adds a value; False where the field has one already and cannot be repeated."""
        values = self._values.setdefault(field.name, [])
        values.append(value)
        return field.repeated or len(values) == 1

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def get(self, name: str, default: Any = None) -> Any:
        """The field's value."""
        values = self._values.get(name)
        return default if values is None else values[-1]

    def all(self, name: str) -> list[Any]:
        """All values of a field that may be repeated."""
        return self._values.get(name, [])

    def message(self, name: str) -> Message:
        """The message in this field; an empty one where there is none."""
        return self.get(name) or _EMPTY

    def array(self, name: str) -> Floats:
        """The values of a field of kind "floats" or "doubles", in one array of float32.

        Doubles beyond float32 become infinite, as in a program that reads them as float32.
        """
        with np.errstate(over="ignore"):
            parts = [np.asarray(part, np.float32) for part in self.all(name)]
        return parts[0] if len(parts) == 1 else np.concatenate([*parts, np.empty(0, np.float32)])


_EMPTY = Message()
