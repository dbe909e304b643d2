"""Adam, and AdamW, which takes the decay of the weights themselves."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from ..._base.arguments import listed, not_negative, share_below_1, shown
from ...errors import ArgumentError
from .optimizer import Groups, Optimizer, checks_of

if TYPE_CHECKING:  # the command line loads this room before the core
    from ... import _core

_BETAS = "two numbers in 0..1, 1 excluded"


def _betas(where: str, name: str, value: tuple[float, float]) -> tuple[float, float]:
    pair = listed(where, name, value, _BETAS)
    if len(pair) != 2:
        raise ArgumentError(f"{where}: {name} must be {_BETAS}, got {shown(value)}")
    first, second = (share_below_1(where, name, beta) for beta in pair)
    return first, second


@dataclasses.dataclass(repr=False, eq=False)
class Adam(Optimizer):
    """Adam (Kingma, Ba 2015, algorithm 1), as PyTorch defines it.

        g = gradient + weight_decay * w
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g^2
        w = w - lr * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)

    t counts each parameter's own steps from 1: one that was frozen meanwhile was not counted.

    lr: the learning rate, which the trainer's schedule multiplies
    betas: (beta1, beta2), of how much the means of gradients and of their squares keep in a step.
    eps: added to the root, so that a gradient that was always 0 moves nothing.
    weight_decay: added to the gradient, and so divided by the root as well; AdamW's is not.
    groups, clip_norm: as for `SGD`.

        Adam(1e-3, weight_decay=1e-4, groups=[("*.bias", dict(weight_decay=0))])

    Every setting is an attribute and may be set between two steps; each step uses what is set then.
    Raises ArgumentError for a value that makes no sense, and for a name that is no setting.
    """

    CHECKS = checks_of(
        lr=not_negative,
        betas=_betas,
        eps=not_negative,
        weight_decay=not_negative,
    )
    SETTINGS = frozenset(CHECKS)
    _DECOUPLED_DECAY: ClassVar[bool] = False

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    groups: Groups = ()
    clip_norm: float | None = None

    def rule(self) -> _core.AdamRule:
        from ... import _core

        return _core.AdamRule(*self.betas, self.eps, self._DECOUPLED_DECAY)

    def own_words(self) -> dict[str, str]:
        return {"betas": str(self.betas), "eps": str(self.eps)}

    def own_row(self) -> dict[str, float]:
        return {"beta1": self.betas[0], "beta2": self.betas[1]}

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(lr={self.lr:g}, betas={self.betas}, eps={self.eps:g}, "
            f"weight_decay={self.weight_decay:g}, groups={self.groups}, "
            f"clip_norm={self.clip_norm})"
        )


@dataclasses.dataclass(repr=False, eq=False)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov, Hutter 2019), as PyTorch defines it.

        w = w - lr * weight_decay * w
        m = beta1 * m + (1 - beta1) * gradient
        v = beta2 * v + (1 - beta2) * gradient^2
        w = w - lr * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)

    The arguments are those of `Adam`; weight_decay is 0.01 where none is given.
    """

    _DECOUPLED_DECAY: ClassVar[bool] = True

    weight_decay: float = 1e-2
