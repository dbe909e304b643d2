"""SGD's settings; the arithmetic runs in the core, inside the training step.

As PyTorch defines it, for each parameter w with gradient g:

    g' = g + weight_decay * w
    v  = momentum * v + g'
    w  = w - lr * (g' + momentum * v)   with nesterov,   w - lr * v   without

Before that, where clip_norm is given and the Euclidean norm n of all gradients together is larger,
each g is scaled by clip_norm / n.
"""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from .._base.arguments import flag, listed, not_negative, shown
from .._base.array_types import Floats
from ..errors import ArgumentError

_GROUP_KEYS = frozenset({"lr_mult", "weight_decay"})

Groups = Sequence[tuple[str, Mapping[str, float]]]


@dataclasses.dataclass(repr=False, eq=False)
class SGD:
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

    SETTINGS: ClassVar[frozenset[str]]  # their names

    lr: float
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    groups: Groups = ()
    clip_norm: float | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _CHECKS:  # a misspelt name would do nothing
            raise ArgumentError(
                f"SGD: {name!r} is no setting and would change nothing; what can be set is "
                f"{', '.join(_CHECKS)}"
            )
        checked = _CHECKS[name]("SGD", name, value)
        settings = {**vars(self), name: checked}
        if settings.get("nesterov") and settings["momentum"] == 0:
            raise ArgumentError(
                "SGD: nesterov needs a momentum above 0; set nesterov to False first to go without"
            )
        object.__setattr__(self, name, checked)

    def rates_key(self) -> Any:
        """A key that is equal for settings with equal `vectors`, and cheap enough for every step.

        It is None where the groups were changed into something that is none; `vectors` then tells
        what is wrong.
        """
        try:
            groups = tuple((pattern, *settings.items()) for pattern, settings in self.groups)
        except (TypeError, ValueError, AttributeError):
            return None
        return self.lr, self.weight_decay, groups

    def vectors(self, names: Sequence[str]) -> tuple[Floats, Floats]:
        """(lr, weight_decay), float32, one entry for each parameter name.

        Raises ArgumentError where a pattern matches no name, since nobody would notice that a
        misspelt one changes nothing.
        """
        names = listed("SGD.vectors", "names", names, "a list of parameters' names")
        if not all(isinstance(name, str) for name in names):
            raise ArgumentError(f"SGD.vectors: names must be texts, got {shown(names)}")
        lr = np.full(len(names), self.lr, np.float32)
        weight_decay = np.full(len(names), self.weight_decay, np.float32)
        for pattern, settings in _checked_groups("SGD", "groups", self.groups):
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

    def settings(self) -> dict[str, Any]:
        """All arguments by name, as they are now."""
        return dict(vars(self))

    def replaced(self, **settings: Any) -> SGD:
        """The same settings with some changed, by name."""
        for name in settings:
            if name not in self.SETTINGS:
                raise ArgumentError(
                    f"SGD.replaced: {name!r} is no setting; there are {', '.join(_CHECKS)}"
                )
        return SGD(**{**self.settings(), **settings})

    def __repr__(self) -> str:
        return (
            f"SGD(lr={self.lr:g}, momentum={self.momentum:g}, nesterov={self.nesterov}, "
            f"weight_decay={self.weight_decay:g}, groups={self.groups}, "
            f"clip_norm={self.clip_norm})"
        )


class Rates:
    """An optimiser's rate and decay for each parameter, computed anew when they have changed.

    names: the trainable parameters', in the core's order.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        # What `rates_key` gave and the vectors it belongs to, exchanged as one: a thread that sets
        # a trainer's optimizer comes here beside the one that trains.
        self._known: tuple[Any, tuple[Floats, Floats] | None] = None, None

    def of(self, optimizer: SGD) -> tuple[Floats, Floats]:
        """(lr, weight_decay) as `SGD.vectors` gives them now; the arrays are not to be changed."""
        key = optimizer.rates_key()
        known, vectors = self._known
        if vectors is None or key is None or key != known:
            vectors = optimizer.vectors(self.names)
            self._known = key, vectors
        return vectors


def _norm_or_none(where: str, name: str, value: float | None) -> float | None:
    if value is None:
        return None
    if not_negative(where, name, value) == 0:
        raise ArgumentError(f"{where}: {name} must be above 0, or None for no limit, got {value}")
    return float(value)


def _checked_groups(where: str, name: str, groups: Groups) -> list[tuple[str, dict[str, float]]]:
    wanted = "pairs (pattern, settings)"
    checked = []
    for group in listed(where, name, groups, wanted):
        if not (
            isinstance(group, (tuple, list))
            and len(group) == 2
            and isinstance(group[0], str)
            and isinstance(group[1], Mapping)
        ):
            raise ArgumentError(f"{where}: {name} must be {wanted}, got {shown(group)}")
        pattern, settings = group
        unknown = [str(key) for key in settings if key not in _GROUP_KEYS]
        if unknown:
            raise ArgumentError(
                f"{where}: group {pattern!r} knows lr_mult and weight_decay, "
                f"got {', '.join(sorted(unknown))}"
            )
        of_group = f"{where}: group {pattern!r}"
        settings = {key: not_negative(of_group, key, value) for key, value in settings.items()}
        checked.append((pattern, settings))
    return checked


_CHECKS: dict[str, Callable[[str, str, Any], Any]] = {
    "lr": not_negative,
    "momentum": not_negative,
    "nesterov": flag,
    "weight_decay": not_negative,
    "groups": _checked_groups,
    "clip_norm": _norm_or_none,
}

SGD.SETTINGS = frozenset(_CHECKS)
