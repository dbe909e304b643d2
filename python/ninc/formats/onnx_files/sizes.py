"""Sizes of axes, of which some are not known before there is a picture."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Union


class Unsupported(Exception):
    """Something that ninc does not have; the words follow the node's name."""


class Unknown:
    """A size that the file leaves open: a whole number times names of such sizes.

    Two of the same number and names are the same size. Arithmetic is what shapes need; what
    cannot be said as such a product is `Unsupported`.
    """

    __slots__ = ("factor", "names")

    def __init__(self, names: Iterable[str], factor: int = 1) -> None:
        self.names = tuple(sorted(names))
        self.factor = factor

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unknown) and (self.names, self.factor) == (
            other.names,
            other.factor,
        )

    def __hash__(self) -> int:
        return hash((self.names, self.factor))

    def __mul__(self, other: Any) -> Size:
        if isinstance(other, Unknown):
            return _checked(Unknown((*self.names, *other.names), self.factor * other.factor))
        return _checked(Unknown(self.names, self.factor * int(other))) if int(other) else 0

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Size:
        quotient = divided(self, other if isinstance(other, Unknown) else int(other))
        if quotient is None:
            raise Unsupported(f"it divides {self}, a size that is not known, by {other}")
        return quotient

    __truediv__ = __floordiv__

    def _unsaid(self, *others: Any) -> Any:
        raise Unsupported(f"it computes with {self}, a size that is not known")

    # Comparing, too: a file that asks how large something is gets no answer.
    __rfloordiv__ = __rtruediv__ = __add__ = __radd__ = __sub__ = __rsub__ = _unsaid
    __mod__ = __rmod__ = __pow__ = __rpow__ = __neg__ = __abs__ = _unsaid
    __lt__ = __le__ = __gt__ = __ge__ = __int__ = __float__ = __index__ = __bool__ = _unsaid

    def __repr__(self) -> str:
        return "*".join(([str(self.factor)] if self.factor != 1 else []) + list(self.names))


Size = Union[int, Unknown]

_MOST_FACTORS = 8  # of a product of unknown sizes; no shape has more, and hostile ones would grow


def _checked(size: Unknown) -> Unknown:
    if len(size.names) > _MOST_FACTORS or size.factor.bit_length() > 63:
        raise Unsupported("it multiplies more sizes than a shape has")
    return size


def product(sizes: Iterable[Size]) -> Size:
    """All of them multiplied; 1 for none."""
    total: Size = 1
    for size in sizes:
        total = total * size
    return total


def divided(size: Size, by: Size) -> Size | None:
    """The quotient where it is whole, whatever the unknown sizes are; else None."""
    if isinstance(by, int) and isinstance(size, int):
        return size // by if by > 0 and size % by == 0 else None
    names = list(size.names) if isinstance(size, Unknown) else []
    factor = size.factor if isinstance(size, Unknown) else size
    for name in by.names if isinstance(by, Unknown) else ():
        if name not in names:
            return None
        names.remove(name)
    over = by.factor if isinstance(by, Unknown) else by
    if over <= 0 or factor % over:
        return None
    return Unknown(names, factor // over) if names else factor // over


def dims_shown(dims: Iterable[Any]) -> str:
    """ "N×3×224×224" """
    return "×".join(map(str, dims)) or "a scalar"
