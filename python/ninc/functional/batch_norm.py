"""Batch normalisation."""

from __future__ import annotations

from typing import cast

import numpy as np

from .. import _core
from .._base.arguments import flag, real, shown
from .._base.array_types import Floats, FloatsLike
from .._base.arrays import as_numpy, plain
from ..errors import ArgumentError, DTypeError


def batch_norm2d(
    x: FloatsLike,
    mean: FloatsLike | None,
    var: FloatsLike | None,
    weight: FloatsLike,
    bias: FloatsLike,
    *,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Floats:
    """y[n, c] = weight[c] * (x[n, c] - m[c]) / sqrt(v[c] + eps) + bias[c] (Ioffe, Szegedy 2015).

    x: N×C×H×W
    mean, var, weight, bias: C

    In inference m and v are mean and var. In training they are the batch's, over N, H and W, v with
    divisor N * H * W, and mean and var are running ones, updated IN PLACE as in PyTorch, var with
    divisor N * H * W - 1; None leaves that out:

        mean = (1 - momentum) * mean + momentum * m

    A batch of none has no statistics and moves none; one value a channel is a ShapeError.
    """
    momentum, eps = real("batch_norm2d", "momentum", momentum), real("batch_norm2d", "eps", eps)
    if not flag("batch_norm2d", "training", training):
        return _core.batch_norm2d(x, _told(mean), _told(var), weight, bias, eps)
    x, weight = plain("batch_norm2d: x", x), plain("batch_norm2d: weight", weight)
    running = mean is not None or var is not None
    if running:
        mean, var = _updated("mean", mean), _updated("var", var)
    else:
        mean, var = _neutral_statistics(weight)
    if _is_empty(x):
        return _core.batch_norm2d(x, mean, var, weight, bias, eps)
    y, new_mean, new_var, _, _ = _core.batch_norm2d_training(
        x, mean, var, weight, bias, momentum, eps
    )
    if running:
        mean[...] = new_mean
        var[...] = new_var
    return y


def batch_norm2d_backward(
    dy: FloatsLike,
    x: FloatsLike,
    mean: FloatsLike | None,
    var: FloatsLike | None,
    weight: FloatsLike,
    *,
    training: bool = False,
    eps: float = 1e-5,
) -> tuple[Floats, Floats, Floats]:
    """(dx, dweight, dbias) of `batch_norm2d`.

    In inference mean and var are constants. In training they are not looked at: dx counts how x
    moves the batch's statistics, which are computed once more.
    """
    eps = real("batch_norm2d_backward", "eps", eps)
    x, weight = plain("batch_norm2d_backward: x", x), plain("batch_norm2d_backward: weight", weight)
    if flag("batch_norm2d_backward", "training", training):
        mean, var = _neutral_statistics(weight)
        if not _is_empty(x):
            _, _, _, batch_mean, batch_inv_std = _core.batch_norm2d_training(
                x, mean, var, weight, mean, 0.0, eps
            )
            return _core.batch_norm2d_training_backward(dy, x, weight, batch_mean, batch_inv_std)
    return _core.batch_norm2d_backward(dy, x, _told(mean), _told(var), weight, eps)


def _told(statistics: FloatsLike | None) -> FloatsLike:
    """The statistics as they are; where there are none, the core says that it needs them."""
    return cast(FloatsLike, statistics)


def _updated(name: str, value: FloatsLike | None) -> Floats:
    """Running statistics as an array that shares their memory, which training writes to."""
    # Others' `__array__` may be a copy, which would take the update and be lost.
    if not isinstance(value, np.ndarray) and not hasattr(value, "__dlpack__"):
        raise DTypeError(f"batch_norm2d: {name}: expected a numpy array, got {shown(value)}")
    array = as_numpy(f"batch_norm2d: {name}", value, "float32")
    if not array.flags.writeable:
        raise ArgumentError(f"batch_norm2d: {name} is read-only; training updates it")
    return array


def _is_empty(x: FloatsLike) -> bool:
    return isinstance(x, np.ndarray) and x.ndim == 4 and len(x) == 0


def _neutral_statistics(weight: FloatsLike) -> tuple[Floats, Floats]:
    """Running mean 0 and variance 1 where none are kept, as many as weight has channels."""
    channels = weight.size if isinstance(weight, np.ndarray) else 0  # the core tells what it is
    return np.zeros(channels, np.float32), np.ones(channels, np.float32)
