"""Arithmetic of two arrays, whose sizes of 1 stand for any as in numpy, and what is made of it.

a, b: up to four dimensions, such as N×C×H×W with N×C×1×1, 1×C×1×1 or N×1×H×W; dimensions that are
missing in front count as 1. Shapes that do not go together are a ShapeError. A backward function
gives both gradients, each of its operand's shape.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import _core
from .._base.arguments import integer, shown
from .._base.array_types import Floats, FloatsLike
from .._base.arrays import plain
from ..errors import ShapeError


def add(a: FloatsLike, b: FloatsLike) -> Floats:
    """y = a + b"""
    return _core.binary("add", a, b)


def add_backward(
    dy: FloatsLike, a_shape: FloatsLike | Sequence[int], b_shape: FloatsLike | Sequence[int]
) -> tuple[Floats, Floats]:
    """da = dy, db = dy, each summed over what its operand has one of.

    a_shape, b_shape: the operands' shapes, or the operands, which are arrays of floats.
    """
    where = "add_backward"
    a_dims, b_dims = _shape(where, "a_shape", a_shape), _shape(where, "b_shape", b_shape)
    return _core.sum_to(where, dy, a_dims), _core.sum_to(where, dy, b_dims)


def sub(a: FloatsLike, b: FloatsLike) -> Floats:
    """y = a - b"""
    return _core.binary("sub", a, b)


def sub_backward(
    dy: FloatsLike, a_shape: FloatsLike | Sequence[int], b_shape: FloatsLike | Sequence[int]
) -> tuple[Floats, Floats]:
    """da = dy, db = -dy, each summed over what its operand has one of."""
    where = "sub_backward"
    a_dims, b_dims = _shape(where, "a_shape", a_shape), _shape(where, "b_shape", b_shape)
    return _core.sum_to(where, dy, a_dims), _core.sum_to(where, dy, b_dims, -1.0)


def mul(a: FloatsLike, b: FloatsLike) -> Floats:
    """y = a * b"""
    return _core.binary("mul", a, b)


def mul_backward(dy: FloatsLike, a: FloatsLike, b: FloatsLike) -> tuple[Floats, Floats]:
    """da = dy * b, db = dy * a, each summed over what its operand has one of."""
    where = "mul_backward"
    da = _core.binary(where, dy, b, "dy", "b")
    db = _core.binary(where, dy, a, "dy", "a")
    return _core.sum_to(where, da, np.shape(a)), _core.sum_to(where, db, np.shape(b))


def div(a: FloatsLike, b: FloatsLike) -> Floats:
    """y = a / b"""
    return _core.binary("div", a, b)


def div_backward(dy: FloatsLike, a: FloatsLike, b: FloatsLike) -> tuple[Floats, Floats]:
    """da = dy / b, db = -dy * a / b**2, each summed over what its operand has one of."""
    where = "div_backward"
    da, y = _core.binary(where, dy, b, "dy", "b"), _core.binary(where, a, b)
    db = _core.binary("mul", da, y)
    return _core.sum_to(where, da, np.shape(a)), _core.sum_to(where, db, np.shape(b), -1.0)


def prelu(x: FloatsLike, slope: FloatsLike) -> Floats:
    """y = x where x > 0, else slope * x (He, Zhang, Ren, Sun 2015).

    x: N×C×H×W; slope: of C numbers, one for each channel, or of one number.
    """
    return _core.prelu(x, slope)


def prelu_backward(dy: FloatsLike, x: FloatsLike, slope: FloatsLike) -> tuple[Floats, Floats]:
    """dx = dy where x > 0, else slope * dy; dslope: the sums of dy * x where x <= 0."""
    return _core.prelu_backward(dy, x, slope)


def _shape(where: str, name: str, x: FloatsLike | Sequence[int]) -> tuple[int, ...]:
    """The shape of an operand, which is given by itself or by its shape."""
    x = plain(f"{where}: {name}", x)
    if isinstance(x, np.ndarray) and (x.ndim != 1 or x.dtype.kind == "f"):
        shape = x.shape
    elif isinstance(x, (Sequence, np.ndarray)) and not isinstance(x, (str, bytes)):
        shape = tuple(x)
    else:
        raise ShapeError(f"{where}: {name}: expected an array or its shape, got {shown(x)}")
    if len(shape) > 4:
        raise ShapeError(
            f"{where}: {name}: expected at most 4 dimensions, got shape {shown(shape)}"
        )
    return tuple(integer(where, name, size, 0, 2**40) for size in shape)
