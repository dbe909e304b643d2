"""How the learning rate moves over a run.

A schedule is a callable ``(epoch, epochs) -> factor``: `epoch` is the place in the run as a real
number (2.5 = half of the third epoch done), `epochs` the run's length, and the optimiser's rate is
multiplied by the factor. Asked before every step; it keeps no state, so a run can start anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from .errors import ArgumentError

Schedule = Callable[[float, int], float]


class Constant:
    """factor = 1."""

    def __call__(self, epoch: float, epochs: int) -> float:
        return 1.0

    def __repr__(self) -> str:
        return "Constant()"


class Step:
    """factor = gamma^k, k = how many of the milestones lie at or before this epoch.

    milestones: epochs; or, with `relative`, fractions of the run, so that a shorter run falls in
    proportion.
    """

    def __init__(
        self, milestones: Sequence[float], gamma: float = 0.1, relative: bool = False
    ) -> None:
        if list(milestones) != sorted(milestones):
            raise ArgumentError(f"Step: milestones must rise, got {list(milestones)}")
        self.milestones = tuple(milestones)
        self.gamma = float(gamma)
        self.relative = relative

    def __call__(self, epoch: float, epochs: int) -> float:
        unit = epochs if self.relative else 1
        # A hair of room: 200/260 of 260 epochs is 199.99999999999997 or 200, as floats please.
        passed = sum(epoch >= milestone * unit - 1e-9 for milestone in self.milestones)
        return self.gamma**passed

    def __repr__(self) -> str:
        relative = ", relative=True" if self.relative else ""
        return f"Step({list(self.milestones)}, gamma={self.gamma:g}{relative})"


class Cosine:
    """factor = floor + (1 - floor) * (1 + cos(pi * t)) / 2,  t = epoch / epochs."""

    def __init__(self, floor: float = 0.0) -> None:
        if not 0.0 <= floor <= 1.0:
            raise ArgumentError(f"Cosine: floor must lie in 0..1, got {floor}")
        self.floor = float(floor)

    def __call__(self, epoch: float, epochs: int) -> float:
        t = min(epoch / epochs, 1.0)
        return self.floor + (1.0 - self.floor) * 0.5 * (1.0 + math.cos(math.pi * t))

    def __repr__(self) -> str:
        return f"Cosine(floor={self.floor:g})"


class OneCycle:
    """Up in a straight line, then down: short runs bear a higher rate this way (Smith, 2018).

    With t = epoch / epochs:

        t <  warmup:   factor = start + (1 - start) * t / warmup
        t >= warmup:   factor = 1 + (end - 1) * s,  s = (t - warmup) / (1 - warmup)      "linear"
                       factor = end + (1 - end) * (1 + cos(pi * s)) / 2                  "cosine"
    """

    def __init__(
        self,
        warmup: float = 0.25,
        start: float = 0.1,
        end: float = 0.0,
        anneal: str = "linear",
    ) -> None:
        if not 0.0 <= warmup < 1.0:
            raise ArgumentError(f"OneCycle: warmup must lie in 0..1, 1 excluded, got {warmup}")
        if anneal not in ("linear", "cosine"):
            raise ArgumentError(f"OneCycle: anneal must be 'linear' or 'cosine', got {anneal!r}")
        self.warmup, self.start, self.end = float(warmup), float(start), float(end)
        self.anneal = anneal

    def __call__(self, epoch: float, epochs: int) -> float:
        t = min(epoch / epochs, 1.0)
        if t < self.warmup:
            return self.start + (1.0 - self.start) * t / self.warmup
        s = (t - self.warmup) / (1.0 - self.warmup)
        if self.anneal == "linear":
            return 1.0 + (self.end - 1.0) * s
        return self.end + (1.0 - self.end) * 0.5 * (1.0 + math.cos(math.pi * s))

    def __repr__(self) -> str:
        return (
            f"OneCycle(warmup={self.warmup:g}, start={self.start:g}, end={self.end:g}, "
            f"anneal={self.anneal!r})"
        )
