"""Stochastic gradient descent."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from ..._base.arguments import flag, not_negative
from ...errors import ArgumentError
from .optimizer import Groups, Optimizer, checks_of

if TYPE_CHECKING:  # the command line loads this room before the core
    from ... import _core


@dataclasses.dataclass(repr=False, eq=False)
class SGD(Optimizer):
    """Stochastic gradient descent with momentum, as PyTorch defines it.

        g = gradient + weight_decay * w
        v = momentum * v + g
        w = w - lr * v,   with nesterov   w - lr * (g + momentum * v)

    lr: the learning rate, which the trainer's schedule multiplies
    clip_norm: the largest norm of all gradients together; None for no limit.
    groups: ``[(pattern, settings), ...]`` for parameters whose names match a shell-style pattern;
        settings hold ``lr_mult`` (multiplies the rate) and ``weight_decay`` (replaces it). Of
        several groups that match, a later one overrides an earlier one, setting by setting.

        SGD(0.1, momentum=0.9, weight_decay=1e-4, groups=[("*.bias", dict(weight_decay=0))])

    Every setting is an attribute and may be set between two steps; each step uses what is set then.
    Raises ArgumentError for a value that makes no sense, and for a name that is no setting.
    """

    CHECKS = checks_of(
        lr=not_negative,
        momentum=not_negative,
        nesterov=flag,
        weight_decay=not_negative,
    )
    SETTINGS = frozenset(CHECKS)

    lr: float
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    groups: Groups = ()
    clip_norm: float | None = None

    def _check_together(self, settings: dict[str, Any]) -> None:
        if settings.get("nesterov") and settings["momentum"] == 0:
            raise ArgumentError(
                "SGD: nesterov needs a momentum above 0; set nesterov to False first to go without"
            )

    def rule(self) -> _core.SgdRule:
        from ... import _core

        return _core.SgdRule(self.momentum, self.nesterov)

    def own_words(self) -> dict[str, str]:
        return {"momentum": f"{self.momentum}{' (Nesterov)' if self.nesterov else ''}"}

    def own_row(self) -> dict[str, float]:
        return {"momentum": self.momentum}

    def __repr__(self) -> str:
        return (
            f"SGD(lr={self.lr:g}, momentum={self.momentum:g}, nesterov={self.nesterov}, "
            f"weight_decay={self.weight_decay:g}, groups={self.groups}, "
            f"clip_norm={self.clip_norm})"
        )
