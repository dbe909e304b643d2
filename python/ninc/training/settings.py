"""The settings that a `Trainer` is given, checked whenever one is set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._base.arguments import LARGEST_SEED, real, whole
from ..errors import ArgumentError
from .augment import Augmentation
from .averages import EMA, SWA
from .optim import SGD, Rates, not_negative
from .schedules import Schedule


class Settings:
    """Attributes that may be set between two steps; each step uses what is set then.

    lr_factor: what the optimiser's rates are multiplied by. `fit` sets it by the schedule before
    every step; a loop of one's own around `step` may set it too.
    """

    optimizer: SGD
    schedule: Schedule
    augment: Augmentation | None
    average: EMA | SWA | None
    seed: int
    lr_factor: float

    def __init__(self, rates: Rates, label_smoothing: float) -> None:
        self._rates, self._label_smoothing, self._fitting = rates, label_smoothing, False
        self.lr_factor = 1.0

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            value = self._checked(name, value)
        object.__setattr__(self, name, value)

    def _checked(self, name: str, value: Any) -> Any:
        """The setting's value where steps can use it; raises ArgumentError otherwise."""
        if name in ("network", "label_smoothing"):
            raise ArgumentError(f"Trainer: {name} is given once; make another Trainer to change it")
        if name in SGD.SETTINGS:
            raise ArgumentError(f"Trainer: {name} is the optimizer's; set trainer.optimizer.{name}")
        if name == "average" and self._fitting:
            raise ArgumentError("Trainer: average cannot be changed while fit is under way")
        if name == "seed":
            return whole("Trainer", name, value, 0, LARGEST_SEED)
        if name == "lr_factor":
            return not_negative("Trainer", name, value)
        if name == "optimizer":
            if not isinstance(value, SGD):
                raise ArgumentError(f"Trainer: optimizer must be a ninc.SGD, got {value!r:.80}")
            self._rates.of(value)  # raises for a group's pattern that matches nothing
        wanted = {
            "schedule": (callable, "a function (epoch, epochs) -> factor"),
            "augment": (_none_or(callable), "a function (batch, rng) -> batch, or None"),
            "average": (_none_or(_is_average), "ninc.averages.EMA or SWA, or None"),
        }
        if name in wanted and not wanted[name][0](value):
            raise ArgumentError(f"Trainer: {name} must be {wanted[name][1]}, got {value!r:.80}")
        return value

    @property
    def label_smoothing(self) -> float:
        """The label smoothing that the loss was made with."""
        return self._label_smoothing


def checked_smoothing(label_smoothing: float) -> float:
    """A share below 1; ArgumentError for others."""
    smoothing = real("Trainer", "label_smoothing", label_smoothing)
    if not 0.0 <= smoothing < 1.0:
        raise ArgumentError(f"Trainer: label_smoothing must lie in 0..1, got {label_smoothing}")
    return smoothing


def _is_average(value: Any) -> bool:
    return hasattr(value, "rate") and hasattr(value, "norm_batches")


def _none_or(is_wanted: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or is_wanted(value)
