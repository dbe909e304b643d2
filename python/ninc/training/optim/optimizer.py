"""What all optimisers share: settings that are checked whenever one is set, and groups by name.

An optimiser tells the core its rule, which `ninc/optimizer.h` there defines, and the rate and the
decay of each parameter. Before a rule is applied, where clip_norm is given and the Euclidean norm n
of all gradients together is larger, each gradient is scaled by clip_norm / n.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from ..._base.arguments import listed, not_negative, shown
from ..._base.array_types import Floats
from ...errors import ArgumentError

if TYPE_CHECKING:  # the command line loads this room before the core
    from ... import _core

_GROUP_KEYS = frozenset({"lr_mult", "weight_decay"})

Groups = Sequence[tuple[str, Mapping[str, float]]]
Check = Callable[[str, str, Any], Any]  # (where, name, value) -> the value as it is kept
_Self = TypeVar("_Self", bound="Optimizer")


class Optimizer:
    """What `SGD`, `Adam` and `AdamW` have in common; a dataclass for each says its settings.

    CHECKS: of each setting, by name; SETTINGS: their names.
    """

    CHECKS: ClassVar[dict[str, Check]]
    SETTINGS: ClassVar[frozenset[str]]

    lr: float
    weight_decay: float
    groups: Groups
    clip_norm: float | None

    def __setattr__(self, name: str, value: Any) -> None:
        kind = type(self).__name__
        if name not in self.CHECKS:  # a misspelt name would do nothing
            raise ArgumentError(
                f"{kind}: {name!r} is no setting and would change nothing; what can be set is "
                f"{', '.join(self.CHECKS)}"
            )
        checked = self.CHECKS[name](kind, name, value)
        self._check_together({**vars(self), name: checked})
        object.__setattr__(self, name, checked)

    def _check_together(self, settings: dict[str, Any]) -> None:
        """Raises ArgumentError for settings, or those of them that are known yet, at odds."""

    # ---- What each optimiser says of itself ------------------------------------------------------

    def rule(self) -> _core.SgdRule | _core.AdamRule:
        """What the core is told beside rates and decays."""
        raise NotImplementedError

    def own_words(self) -> dict[str, str]:
        """The settings that not all optimisers have, in words, as a run's folder keeps them."""
        raise NotImplementedError

    def own_row(self) -> dict[str, float]:
        """The same as columns of a history."""
        raise NotImplementedError

    # ---- What follows ----------------------------------------------------------------------------

    def words(self) -> dict[str, str]:
        """All settings in words: a run may be resumed with the same ones alone."""
        return {
            "optimizer": type(self).__name__,
            "rate": str(self.lr),
            **self.own_words(),
            "weight decay": str(self.weight_decay),
            "parameter groups": str(self.groups),
            "clip_norm": str(self.clip_norm),
        }

    def row(self) -> dict[str, float]:
        """The columns of a history that tell of these settings, but for the rate."""
        return {**self.own_row(), "weight_decay": self.weight_decay}

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
        kind = type(self).__name__
        names = listed(f"{kind}.vectors", "names", names, "a list of parameters' names")
        if not all(isinstance(name, str) for name in names):
            raise ArgumentError(f"{kind}.vectors: names must be texts, got {shown(names)}")
        lr = np.full(len(names), self.lr, np.float32)
        weight_decay = np.full(len(names), self.weight_decay, np.float32)
        for pattern, settings in _checked_groups(kind, "groups", self.groups):
            chosen = [i for i, name in enumerate(names) if fnmatch.fnmatchcase(name, pattern)]
            if not chosen:
                raise ArgumentError(
                    f"{kind}: group {pattern!r} matches none of the network's parameters "
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

    def replaced(self: _Self, **settings: Any) -> _Self:
        """The same settings with some changed, by name."""
        kind = type(self)
        for name in settings:
            if name not in self.SETTINGS:
                raise ArgumentError(
                    f"{kind.__name__}.replaced: {name!r} is no setting; there are "
                    f"{', '.join(self.CHECKS)}"
                )
        return kind(**{**self.settings(), **settings})


class Rates:
    """An optimiser's rate and decay for each parameter, computed anew when they have changed.

    names: the trainable parameters', in the core's order.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        # What `rates_key` gave and the vectors it belongs to, exchanged as one: a thread that sets
        # a trainer's optimizer comes here beside the one that trains.
        self._known: tuple[Any, tuple[Floats, Floats] | None] = None, None

    def of(self, optimizer: Optimizer) -> tuple[Floats, Floats]:
        """(lr, weight_decay) as its `vectors` gives them now; the arrays are not to be changed."""
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


def checks_of(**own: Check) -> dict[str, Check]:
    """The checks of an optimiser's own settings, and of those that all have, by name."""
    return {**own, "groups": _checked_groups, "clip_norm": _norm_or_none}
