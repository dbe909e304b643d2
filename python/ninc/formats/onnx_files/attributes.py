"""What a node is told: its attributes, each asked for by name and type.

An attribute that nobody asked for may mean anything, so a node that has one is `Unsupported`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...errors import ModelError
from ..names import shown_name
from .sizes import Unsupported

# AttributeProto's numbers for types, and the fields that have the values.
_FLOAT, _INT, _STRING, _TENSOR, _FLOATS, _INTS = 1, 2, 3, 4, 6, 7
_FIELDS = {_FLOAT: "f", _INT: "i", _STRING: "s", _TENSOR: "t", _FLOATS: "floats", _INTS: "ints"}
_KINDS = {
    _FLOAT: "a float",
    _INT: "an integer",
    _STRING: "a text",
    _TENSOR: "a tensor",
    _FLOATS: "floats",
    _INTS: "integers",
}
_MOST_NUMBERS = 64  # of a list; a shape has no more


class Attributes:
    """what: begins the words of an error, the file and the node."""

    def __init__(self, protos: Sequence[Any], what: str) -> None:
        self._what = what
        self._protos = {one.name: one for one in protos}
        self._asked: set[str] = set()
        if len(self._protos) != len(protos):
            raise ModelError(f"{what}: has an attribute twice")

    def __contains__(self, name: str) -> bool:
        return name in self._protos

    def number(self, name: str, default: float) -> float:
        value = self.any_number(name, default)
        if not math.isfinite(value):
            raise Unsupported(f"its {name} is {value:g}")
        return value

    def any_number(self, name: str, default: float) -> float:
        """A float that may be infinite or NaN."""
        return float(self._value(name, _FLOAT, default))

    def integer(self, name: str, default: int) -> int:
        return int(self._value(name, _INT, default))

    def flag(self, name: str, default: bool) -> bool:
        """0 or 1; programs do not agree on what other numbers mean."""
        value = self.integer(name, int(default))
        if value not in (0, 1):
            raise Unsupported(f"its {name} is {value}, only 0 and 1 are known")
        return bool(value)

    def integers(self, name: str, default: Sequence[int] | None = None) -> list[int] | None:
        value = self._value(name, _INTS, default)
        if value is None:
            return None
        if len(value) > _MOST_NUMBERS:
            raise Unsupported(f"its {name} has {len(value):,} numbers")
        return [int(one) for one in value]

    def numbers(self, name: str) -> list[float] | None:
        value = self._value(name, _FLOATS, None)
        return None if value is None else [float(one) for one in value]

    def text(self, name: str, default: str) -> str:
        value = self._value(name, _STRING, default.encode())
        return bytes(value).decode("utf-8", "replace")

    def tensor(self, name: str) -> Any:
        return self._value(name, _TENSOR, None)

    def ignore(self, *names: str) -> None:
        """These change nothing of what the node computes."""
        self._asked.update(names)

    def check_all_asked(self) -> None:
        """Raises Unsupported for an attribute that was not asked for."""
        for name in self._protos:
            if name not in self._asked:
                raise Unsupported(f"its attribute {shown_name(name)} is not known")

    def _value(self, name: str, kind: int, default: Any) -> Any:
        self._asked.add(name)
        proto = self._protos.get(name)
        if proto is None:
            return default
        if proto.ref_attr_name:
            raise Unsupported(f"its {name} is the argument of a function")
        # Old files leave the type out where the field itself tells.
        if proto.type not in (kind, 0):
            found = _KINDS.get(proto.type, f"of ONNX's type {proto.type}")
            raise ModelError(f"{self._what}: its {name} must be {_KINDS[kind]}, got {found}")
        return getattr(proto, _FIELDS[kind])
