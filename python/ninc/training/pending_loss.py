"""A training step's loss that is still being computed."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Union

import numpy as np
import numpy.typing as npt

from .. import _core


class PendingLoss:
    """The loss of a step on a GPU: a number that is waited for when it is first looked at.

    It can be converted, compared, printed and computed with like a float. If something went wrong
    on the device, DeviceError is raised at that first look.
    """

    def __init__(self, step: _core.PendingStep) -> None:
        self._step = step

    def __float__(self) -> float:
        return self._step.wait()[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(float(self), dtype)

    def __reduce__(self) -> tuple[type[float], tuple[float]]:
        return float, (float(self),)  # a copy or a pickle is the plain number

    if TYPE_CHECKING:  # what is made below, for those who cannot see it being made

        def __bool__(self) -> bool: ...
        def __int__(self) -> int: ...
        def __round__(self, digits: int = 0, /) -> float: ...
        def __lt__(self, other: Number, /) -> bool: ...
        def __le__(self, other: Number, /) -> bool: ...
        def __gt__(self, other: Number, /) -> bool: ...
        def __ge__(self, other: Number, /) -> bool: ...
        def __neg__(self) -> float: ...
        def __pos__(self) -> float: ...
        def __abs__(self) -> float: ...
        def __add__(self, other: Number, /) -> float: ...
        def __radd__(self, other: Number, /) -> float: ...
        def __sub__(self, other: Number, /) -> float: ...
        def __rsub__(self, other: Number, /) -> float: ...
        def __mul__(self, other: Number, /) -> float: ...
        def __rmul__(self, other: Number, /) -> float: ...
        def __truediv__(self, other: Number, /) -> float: ...
        def __rtruediv__(self, other: Number, /) -> float: ...
        def __floordiv__(self, other: Number, /) -> float: ...
        def __rfloordiv__(self, other: Number, /) -> float: ...
        def __mod__(self, other: Number, /) -> float: ...
        def __rmod__(self, other: Number, /) -> float: ...
        def __pow__(self, other: Number, /) -> float: ...
        def __rpow__(self, other: Number, /) -> float: ...


Number = Union[float, PendingLoss]


def _forward(name: str, compute: Callable[..., Any]) -> None:
    def method(self: PendingLoss, *others: Any) -> Any:
        numbers = (float(x) if isinstance(x, PendingLoss) else x for x in others)
        return compute(float(self), *numbers)

    setattr(PendingLoss, f"__{name}__", method)


def _reflected(compute: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda own, other: compute(other, own)


for _name in ("repr", "format", "hash", "bool", "int", "round"):
    _forward(_name, getattr(builtins, _name))
_ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")
for _name in ("eq", "ne", "lt", "le", "gt", "ge", "neg", "pos", "abs", *_ARITHMETIC):
    _forward(_name, getattr(operator, _name))
for _name in _ARITHMETIC:
    _forward(f"r{_name}", _reflected(getattr(operator, _name)))
