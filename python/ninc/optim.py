"""SGD's settings; the arithmetic runs in the core, inside the training step.

As PyTorch defines it, for each parameter w with gradient g:

    g' = g + weight_decay * w
    v  = momentum * v + g'
    w  = w - lr * (g' + momentum * v)   with nesterov,   w - lr * v   without

Before that, where clip_norm is given and the Euclidean norm n of all gradients together is larger,
each g is scaled by clip_norm / n.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence

import numpy as np

from .arguments import real
from .errors import ArgumentError

_GROUP_KEYS = frozenset({"lr_mult", "weight_decay"})


class SGD:
    """Stochastic gradient descent with momentum.

    clip_norm: the largest norm of all gradients together; None for no limit.
    groups: ``[(pattern, settings), ...]`` for parameters whose names match a shell-style pattern;
    settings hold ``lr_mult`` (multiplies the rate) and ``weight_decay`` (replaces it). Of several
    groups that match, a later one overrides an earlier one, setting by setting.

        SGD(0.1, momentum=0.9, weight_decay=1e-4, groups=[("*.bias", dict(weight_decay=0))])
    """

    def __init__(
        self,
        lr: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        groups: Sequence[tuple[str, Mapping[str, float]]] = (),
        clip_norm: float | None = None,
    ) -> None:
        self.lr = _not_negative("SGD", "lr", lr)
        self.momentum = _not_negative("SGD", "momentum", momentum)
        self.weight_decay = _not_negative("SGD", "weight_decay", weight_decay)
        self.clip_norm = None if clip_norm is None else _not_negative("SGD", "clip_norm", clip_norm)
        if self.clip_norm == 0:
            raise ArgumentError(f"SGD: clip_norm must be above 0, got {clip_norm}")
        if nesterov and momentum == 0:
            raise ArgumentError("SGD: nesterov needs a momentum above 0")
        for pattern, settings in groups:
            unknown = set(settings) - _GROUP_KEYS
            if unknown:
                raise ArgumentError(
                    f"SGD: group {pattern!r} knows lr_mult and weight_decay, "
                    f"got {', '.join(sorted(unknown))}"
                )
            for name, value in settings.items():
                _not_negative(f"SGD: group {pattern!r}", name, value)
        self.nesterov = bool(nesterov)
        self.groups = [(pattern, dict(settings)) for pattern, settings in groups]

    def vectors(self, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """(lr, weight_decay), float32, one entry for each parameter name.

        ArgumentError where a pattern matches no name: a misspelt one would change nothing, unseen.
        """
        lr = np.full(len(names), self.lr, np.float32)
        weight_decay = np.full(len(names), self.weight_decay, np.float32)
        for pattern, settings in self.groups:
            chosen = [i for i, name in enumerate(names) if fnmatch.fnmatchcase(name, pattern)]
            if not chosen:
                raise ArgumentError(
                    f"SGD: group {pattern!r} matches none of the network's parameters "
                    f"({', '.join(names[:4])}, ...)"
                )
            if "lr_mult" in settings:
                lr[chosen] = self.lr * settings["lr_mult"]
            if "weight_decay" in settings:
                weight_decay[chosen] = settings["weight_decay"]
        return lr, weight_decay

    def replaced(self, **settings: float) -> SGD:
        """The same with some arguments changed, by name."""
        kept = {
            "lr": self.lr,
            "momentum": self.momentum,
            "nesterov": self.nesterov,
            "weight_decay": self.weight_decay,
            "groups": self.groups,
            "clip_norm": self.clip_norm,
        }
        return SGD(**{**kept, **settings})

    def __repr__(self) -> str:
        return (
            f"SGD(lr={self.lr:g}, momentum={self.momentum:g}, nesterov={self.nesterov}, "
            f"weight_decay={self.weight_decay:g}, groups={self.groups}, "
            f"clip_norm={self.clip_norm})"
        )


def _not_negative(where: str, name: str, value: float) -> float:
    number = real(where, name, value)
    if not (np.isfinite(number) and number >= 0):
        raise ArgumentError(f"{where}: {name} must be a number of 0 or more, got {value}")
    return number
