"""Dropout, of arrays of any number of dimensions."""

from __future__ import annotations

from .. import _core
from .._base.arguments import LARGEST_SEED, integer, share_below_1
from .._base.array_types import Floats, FloatsLike


def dropout(x: FloatsLike, p: float, *, seed: int, step: int, layer: int = 0) -> Floats:
    """y[i] = x[i] / (1 - p) with probability 1 - p, else 0 (Srivastava et al. 2014, inverted).

    x: any number of dimensions.

    The choice for the i-th element in C order is a function of (seed, step, layer, i) alone, by the
    counter-based generator Philox (Salmon et al. 2011): the same arguments drop the same elements.
    """
    return _core.dropout(x, *_dropout_settings("dropout", p, seed, step, layer))


def dropout_backward(dy: FloatsLike, p: float, *, seed: int, step: int, layer: int = 0) -> Floats:
    """dx[i] = dy[i] / (1 - p) where `dropout` of the same arguments kept x[i], else 0."""
    return _core.dropout(dy, *_dropout_settings("dropout_backward", p, seed, step, layer))


def _dropout_settings(
    where: str, p: float, seed: int, step: int, layer: int
) -> tuple[float, int, int, int]:
    return (
        share_below_1(where, "p", p),
        integer(where, "seed", seed, 0, LARGEST_SEED),
        integer(where, "step", step, 0, LARGEST_SEED),
        integer(where, "layer", layer, 0, 2**32 - 1),
    )
