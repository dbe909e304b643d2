"""Max and average pooling, of windows and of whole maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import _core
from .._base.arguments import Pair, flag, integer, pair, shown
from .._base.array_types import Floats, FloatsLike
from .._base.arrays import plain
from ..errors import ShapeError


def max_pool2d(
    x: FloatsLike,
    kernel_size: Pair,
    *,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
) -> Floats:
    """y[n, c, p, q] = the largest x[n, c, i, j] in a window; NaN where one is among them.

    x: N×C×H×W
    kernel_size: how large a window is, an int or (h, w)
    stride: how far apart windows are; None for kernel_size
    padding: places around x, which hold nothing
    ceil_mode: rounds the number of windows up, not down, so that the last may hang over the edge;
        one that would begin in the padding behind x is left out, as in PyTorch and Caffe
    """
    return _core.max_pool2d(
        x, *_pool2d_settings("max_pool2d", kernel_size, stride, padding, ceil_mode)
    )


def max_pool2d_backward(
    dy: FloatsLike,
    x: FloatsLike,
    kernel_size: Pair,
    *,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
) -> Floats:
    """dx of `max_pool2d`: each dy goes to the first of its window's largest values."""
    settings = _pool2d_settings("max_pool2d_backward", kernel_size, stride, padding, ceil_mode)
    return _core.max_pool2d_backward(dy, x, *settings)


def avg_pool2d(
    x: FloatsLike,
    kernel_size: Pair,
    *,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Floats:
    """y[n, c, p, q] = (sum of x[n, c, i, j] in a window) / its area.

    Windows are those of `max_pool2d`. The area is the window's, clipped to x with its padding, or
    with count_include_pad=False to x alone. Caffe's average pooling is the former.
    """
    settings = _pool2d_settings("avg_pool2d", kernel_size, stride, padding, ceil_mode)
    return _core.avg_pool2d(
        x, *settings, flag("avg_pool2d", "count_include_pad", count_include_pad)
    )


def avg_pool2d_backward(
    dy: FloatsLike,
    x: FloatsLike | Sequence[int],
    kernel_size: Pair,
    *,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Floats:
    """dx of `avg_pool2d`. Of x only the shape counts, so x.shape will do."""
    name = "avg_pool2d_backward"
    settings = _pool2d_settings(name, kernel_size, stride, padding, ceil_mode)
    counted = flag(name, "count_include_pad", count_include_pad)
    return _core.avg_pool2d_backward(dy, _image_shape(name, x), *settings, counted)


def global_avg_pool2d(x: FloatsLike) -> Floats:
    """y[n, c] = mean over i, j of x[n, c, i, j] (Lin, Chen, Yan 2013, section 3.2).

    x: N×C×H×W. Returns N×C.
    """
    return _core.global_avg_pool2d(x)


def global_avg_pool2d_backward(dy: FloatsLike, x_shape: FloatsLike | Sequence[int]) -> Floats:
    """dx[n, c, i, j] = dy[n, c] / (H * W);   dy: N×C; x_shape: (N, C, H, W)."""
    shape = _image_shape("global_avg_pool2d_backward", x_shape)
    return _core.global_avg_pool2d_backward(dy, shape)


def global_max_pool2d(x: FloatsLike) -> Floats:
    """y[n, c] = max over i, j of x[n, c, i, j]; NaN where one is among them.

    x: N×C×H×W. Returns N×C.
    """
    return _core.global_max_pool2d(x)


def global_max_pool2d_backward(dy: FloatsLike, x: FloatsLike) -> Floats:
    """dx of `global_max_pool2d`: each dy goes to the first of its map's largest values.

    dy: N×C; x: N×C×H×W.
    """
    return _core.global_max_pool2d_backward(dy, x)


def _pool2d_settings(
    where: str, kernel_size: Pair, stride: Pair | None, padding: Pair, ceil_mode: bool
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int], bool]:
    """(kernel_size, stride, padding, ceil_mode) as the core takes them."""
    kernel = pair(where, "kernel_size", kernel_size)
    return (
        kernel,
        kernel if stride is None else pair(where, "stride", stride),
        pair(where, "padding", padding, 0),
        flag(where, "ceil_mode", ceil_mode),
    )


def _image_shape(where: str, x: FloatsLike | Sequence[int]) -> tuple[int, int, int, int]:
    """(N, C, H, W) of an array or of its shape."""
    x = plain(f"{where}: x", x)
    if isinstance(x, np.ndarray) and x.ndim != 1:
        shape = x.shape
    elif isinstance(x, (Sequence, np.ndarray)):
        shape = tuple(x)
    else:
        raise ShapeError(f"{where}: x: expected an array or its shape, got {shown(x)}")
    if len(shape) != 4:
        raise ShapeError(f"{where}: x: expected 4 dimensions, got shape {shown(shape)}")
    n, c, h, w = (integer(where, "x's shape", size, 0) for size in shape)
    return n, c, h, w
