"""A training step's loss that is still being computed."""

from __future__ import annotations

import operator
from typing import Any

from . import _core


class PendingLoss:
    """The loss of a step on a GPU: a number that is waited for when it is first looked at.

    It can be converted, compared, printed and computed with like a float. What went wrong on the
    device is raised then, as DeviceError.
    """

    def __init__(self, step: _core.PendingStep) -> None:
        self._step = step

    def __float__(self) -> float:
        return self._step.wait()[0]

    def __repr__(self) -> str:
        return repr(float(self))

    def __format__(self, spec: str) -> str:
        return format(float(self), spec)

    def __hash__(self) -> int:
        return hash(float(self))

    def __bool__(self) -> bool:
        return bool(float(self))


def _forward(name: str) -> None:
    compute = getattr(operator, name)

    def method(self: PendingLoss, other: Any) -> Any:
        return compute(float(self), float(other) if isinstance(other, PendingLoss) else other)

    setattr(PendingLoss, f"__{name}__", method)


def _forward_reflected(name: str) -> None:
    compute = getattr(operator, name)
    setattr(PendingLoss, f"__r{name}__", lambda self, other: compute(other, float(self)))


for _name in ("eq", "ne", "lt", "le", "gt", "ge", "add", "sub", "mul", "truediv"):
    _forward(_name)
for _name in ("add", "sub", "mul", "truediv"):
    _forward_reflected(_name)
