"""The settings that a `Trainer` is given, checked whenever one is set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._base.arguments import LARGEST_SEED, not_negative, whole
from ..errors import ArgumentError
from .augment import Augmentation
from .averages import EMA, SWA
from .optim import OPTIMIZERS, Optimizer, Rates
from .schedules import Schedule

if TYPE_CHECKING:
    from ..distributed.team import Team


class Settings:
    """Attributes that may be set between two steps; each step uses what is set then.

    lr_factor: what the optimiser's rates are multiplied by. `fit` sets it by the schedule before
    every step; a loop of one's own around `step` may set it too.
    """

    optimizer: Optimizer
    schedule: Schedule
    augment: Augmentation | None
    average: EMA | SWA | None
    seed: int
    shards: int
    sync_batch_norm: bool
    lr_factor: float

    def __init__(self, rates: Rates, label_smoothing: float, team: Team | None = None) -> None:
        self._rates, self._label_smoothing, self._fitting = rates, label_smoothing, False
        self._team = team
        self.lr_factor = 1.0

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            value = self._checked(name, value)
        object.__setattr__(self, name, value)

    def _checked(self, name: str, value: Any) -> Any:
        """The setting's value where steps can use it; raises ArgumentError otherwise."""
        if name in ("network", "label_smoothing"):
            raise ArgumentError(f"Trainer: {name} is given once; make another Trainer to change it")
        if any(name in kind.SETTINGS for kind in OPTIMIZERS.values()):
            raise ArgumentError(f"Trainer: {name} is the optimizer's; set trainer.optimizer.{name}")
        if name in ("average", "shards", "sync_batch_norm") and self._fitting:
            raise ArgumentError(f"Trainer: {name} cannot be changed while fit is under way")
        if name == "seed":
            return whole("Trainer", name, value, 0, LARGEST_SEED)
        if name == "shards":
            shards = whole("Trainer", name, value)
            if self._team is not None:
                self._team.check_shards(shards)
            return shards
        if name == "lr_factor":
            return not_negative("Trainer", name, value)
        none = value is None
        is_average = hasattr(value, "rate") and hasattr(value, "norm_batches")
        fits, wanted = {
            "optimizer": (isinstance(value, Optimizer), "a ninc.SGD, Adam or AdamW"),
            "schedule": (callable(value), "a function (epoch, epochs) -> factor"),
            "augment": (none or callable(value), "a function (batch, rng) -> batch, or None"),
            "sync_batch_norm": (isinstance(value, bool), "True or False"),
            "average": (none or is_average, "ninc.averages.EMA or SWA, or None"),
        }.get(name, (True, ""))
        if not fits:
            raise ArgumentError(f"Trainer: {name} must be {wanted}, got {value!r:.80}")
        if name == "optimizer":
            self._rates.of(value)  # raises for a group's pattern that matches nothing
        return value

    @property
    def label_smoothing(self) -> float:
        """The label smoothing that the loss was made with."""
        return self._label_smoothing
