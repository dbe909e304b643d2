"""Local response normalization."""

from __future__ import annotations

from .. import _core
from .._base.arguments import response_norm_settings
from .._base.array_types import Floats, FloatsLike


def local_response_norm(
    x: FloatsLike, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Floats:
    """y[c] = x[c] / s[c]**beta, s[c] = k + alpha / size * the sum of x[i]**2 around channel c.

    x: N×C×H×W
    size: how many channels are summed, an odd number; those that would lie outside count as 0

    Krizhevsky, Sutskever, Hinton 2012, section 3.3, where alpha is not divided by the size.
    """
    where = "local_response_norm"
    return _core.local_response_norm(x, *response_norm_settings(where, size, alpha, beta, k))


def local_response_norm_backward(
    dy: FloatsLike,
    x: FloatsLike,
    size: int,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
) -> Floats:
    """dx of `local_response_norm` of the same settings."""
    where = "local_response_norm_backward"
    settings = response_norm_settings(where, size, alpha, beta, k)
    return _core.local_response_norm_backward(dy, x, *settings)
