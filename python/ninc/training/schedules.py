"""Schedules: how the learning rate changes over a run.

A schedule is a callable ``(epoch, epochs) -> factor``: `epoch` is the place in the run as a real
number (2.5 = half of the third epoch done), `epochs` the run's length, and the optimiser's rate is
multiplied by the factor. The trainer calls it before every step. All except `Plateau` depend on
nothing else; that one watches the history, and a checkpoint holds what it remembers.

`extendable` tells whether the factor is the same for any number of epochs, so that a run may be
given more of them later. A callable of one's own is taken to be extendable only where it has this
attribute and the attribute is true.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from .._base import arguments as check
from ..errors import ArgumentError
from .monitor import MONITORS, improves, load_state, observe, state_of

__all__ = ["Constant", "Cosine", "OneCycle", "Plateau", "Schedule", "Step", "Warmup"]

Schedule = Callable[[float, int], float]


class Constant:
    """factor = 1."""

    extendable = True

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
        milestones = tuple(check.listed("Step", "milestones", milestones, "rising numbers"))
        places = [check.real("Step", "milestones", milestone) for milestone in milestones]
        if places != sorted(places):
            raise ArgumentError(f"Step: milestones must rise, got {list(milestones)}")
        self.milestones = milestones
        self.gamma = check.not_negative("Step", "gamma", gamma)
        self.relative = check.flag("Step", "relative", relative)

    @property
    def extendable(self) -> bool:
        return not self.relative

    def __call__(self, epoch: float, epochs: int) -> float:
        epoch, length = _place("Step", epoch, epochs)
        unit = length if self.relative else 1.0
        # The comparison leaves room for rounding: 200/260 of 260 epochs may be 199.99999999999997.
        passed = sum(epoch >= milestone * unit - 1e-9 for milestone in self.milestones)
        return self.gamma**passed

    def __repr__(self) -> str:
        relative = ", relative=True" if self.relative else ""
        return f"Step({list(self.milestones)}, gamma={self.gamma:g}{relative})"


class Cosine:
    """factor = floor + (1 - floor) * (1 + cos(pi * t)) / 2,  t = epoch / epochs."""

    extendable = False

    def __init__(self, floor: float = 0.0) -> None:
        self.floor = check.share("Cosine", "floor", floor)

    def __call__(self, epoch: float, epochs: int) -> float:
        epoch, length = _place("Cosine", epoch, epochs)
        return _half_cosine(min(epoch / length, 1.0), self.floor)

    def __repr__(self) -> str:
        return f"Cosine(floor={self.floor:g})"


class OneCycle:
    """Goes up in a straight line, then down; short runs bear a higher rate this way (Smith, 2018).

    With t = epoch / epochs:

        t <  warmup:   factor = start + (1 - start) * t / warmup
        t >= warmup:   factor = 1 + (end - 1) * s,  s = (t - warmup) / (1 - warmup)      "linear"
                       factor = end + (1 - end) * (1 + cos(pi * s)) / 2                  "cosine"
    """

    extendable = False

    def __init__(
        self, warmup: float = 0.25, start: float = 0.1, end: float = 0.0, anneal: str = "linear"
    ) -> None:
        self.warmup = check.share_below_1("OneCycle", "warmup", warmup)
        self.start = check.not_negative("OneCycle", "start", start)
        self.end = check.not_negative("OneCycle", "end", end)
        self.anneal = check.one_of("OneCycle", "anneal", anneal, ("linear", "cosine"))

    def __call__(self, epoch: float, epochs: int) -> float:
        epoch, length = _place("OneCycle", epoch, epochs)
        t = min(epoch / length, 1.0)
        if t < self.warmup:
            return self.start + (1.0 - self.start) * t / self.warmup
        s = (t - self.warmup) / (1.0 - self.warmup)
        if self.anneal == "linear":
            return 1.0 + (self.end - 1.0) * s
        return _half_cosine(s, self.end)

    def __repr__(self) -> str:
        return (
            f"OneCycle(warmup={self.warmup:g}, start={self.start:g}, end={self.end:g}, "
            f"anneal={self.anneal!r})"
        )


class Plateau:
    """factor = gamma^k, k = how often the run has stopped improving.

    After each epoch `monitor`, a column of the history, is looked at: "val_loss", "val_accuracy",
    "loss" or "accuracy". It has improved where it is better than the best so far by more than
    `min_delta`; after `patience` epochs in a row that have not, the rate falls and the count starts
    anew. The factor does not fall below `floor`.
    """

    extendable = True

    _factor: float
    _best: float | None
    _stale: int

    def __init__(
        self,
        gamma: float = 0.1,
        patience: int = 3,
        min_delta: float = 0.0,
        monitor: str = "val_loss",
        floor: float = 0.0,
    ) -> None:
        self.gamma = check.share_between("Plateau", "gamma", gamma)
        self.min_delta = check.real("Plateau", "min_delta", min_delta)
        if not self.min_delta >= 0.0:
            raise ArgumentError(f"Plateau: min_delta must be 0 or more, got {min_delta}")
        self.floor = check.share("Plateau", "floor", floor)
        self.patience = check.whole("Plateau", "patience", patience)
        self.monitor = check.one_of("Plateau", "monitor", monitor, MONITORS)
        self.load_state({})

    def __call__(self, epoch: float, epochs: int) -> float:
        return self._factor

    def observe(self, row: Mapping[str, float]) -> None:
        """Looks at a finished epoch's row of the history."""
        if not isinstance(row, Mapping) or self.monitor not in row:
            raise ArgumentError(
                f"observe: a row of the history with {self.monitor} is needed, got "
                f"{check.shown(row)}"
            )
        value = check.real("Plateau.observe", self.monitor, row[self.monitor])
        if improves(self.monitor, value, self._best, self.min_delta):
            self._best, self._stale = value, 0
            return
        self._stale += 1
        if self._stale == self.patience:
            self._factor = max(self.floor, self._factor * self.gamma)
            self._stale = 0

    def state(self) -> dict[str, Any]:
        """What it remembers, for `load_state`."""
        return {"factor": self._factor, "best": self._best, "stale": self._stale}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continues from `state`; from the beginning where that is empty."""
        where = "Plateau.load_state"
        if not isinstance(state, Mapping):
            raise ArgumentError(
                f"{where}: state must be what `state` gave, got {check.shown(state)}"
            )
        best = state.get("best")
        self._factor = check.real(where, "factor", state.get("factor", 1.0))
        self._best = None if best is None else check.real(where, "best", best)
        self._stale = check.whole(where, "stale", state.get("stale", 0), 0)

    def __repr__(self) -> str:
        return (
            f"Plateau(gamma={self.gamma:g}, patience={self.patience}, "
            f"min_delta={self.min_delta:g}, monitor={self.monitor!r}, floor={self.floor:g})"
        )


class Warmup:
    """Another schedule that begins with a straight line up: its factor times min(1, r).

        r = start + (1 - start) * epoch / epochs_up

    `epochs_up` may be a fraction. The other schedule counts its epochs from the run's beginning.
    """

    def __init__(self, epochs_up: float, then: Schedule | None = None, start: float = 0.1) -> None:
        self.epochs_up = check.real("Warmup", "epochs_up", epochs_up)
        if not self.epochs_up > 0.0:
            raise ArgumentError(f"Warmup: epochs_up must be above 0, got {epochs_up}")
        self.start = check.share("Warmup", "start", start)
        self.then = Constant() if then is None else then
        check.function("Warmup", "then", then, "a function (epoch, epochs) -> factor")

    @property
    def extendable(self) -> bool:
        return bool(getattr(self.then, "extendable", False))

    def __call__(self, epoch: float, epochs: int) -> float:
        epoch, length = _place("Warmup", epoch, epochs)
        ramp = self.start + (1.0 - self.start) * epoch / self.epochs_up
        given = self.then(epoch, cast(int, length))
        factor = check.real("Warmup", "what the other schedule gives", given)
        return min(1.0, ramp) * factor

    @property
    def monitor(self) -> str | None:
        return getattr(self.then, "monitor", None)

    def observe(self, row: Mapping[str, float]) -> None:
        observe(self.then, row)

    def state(self) -> dict[str, Any]:
        return state_of(self.then)

    def load_state(self, state: Mapping[str, Any]) -> None:
        load_state(self.then, state)

    def __repr__(self) -> str:
        return f"Warmup({self.epochs_up:g}, then={self.then!r}, start={self.start:g})"


def _place(where: str, epoch: float, epochs: int) -> tuple[float, float]:
    """The place in a run and the run's length, as numbers that can be computed with."""
    place, length = check.real(where, "epoch", epoch), check.real(where, "epochs", epochs)
    if not (math.isfinite(place) and 0.0 < length < math.inf):
        raise ArgumentError(
            f"{where}: there is no epoch {check.shown(epoch)} of {check.shown(epochs)}"
        )
    return place, length


def _half_cosine(t: float, end: float) -> float:
    """From 1 at t = 0 down to `end` at t = 1, flat at both."""
    return end + (1.0 - end) * 0.5 * (1.0 + math.cos(math.pi * t))
