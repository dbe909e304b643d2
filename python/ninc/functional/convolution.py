"""Convolution, the mlpconv made of it, and the linear layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Union

import numpy as np

from .. import _core
from .._base.arguments import Padding, Pair, integer, pair, shown, sides
from .._base.array_types import Floats, FloatsLike
from .._base.arrays import plain
from ..errors import ArgumentError, ShapeError
from .elementwise import relu, relu_backward

Layers = Sequence[tuple[FloatsLike, Union[FloatsLike, None]]]


def conv2d(
    x: FloatsLike,
    weight: FloatsLike,
    bias: FloatsLike | None = None,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Floats:
    """Convolution (cross-correlation, as everywhere in deep learning).

    y[n, k, p, q] = bias[k] + sum over c, r, s of
        x[n, c, p * stride_h + r * dilation_h - top, q * stride_w + s * dilation_w - left]
        * weight[k, c, r, s],   x being 0 outside.

    x: N×C×H×W
    weight: K×(C/groups)×R×S
    bias: K or None
    stride, dilation: an int or (h, w)
    padding: an int, (h, w), (top, left, bottom, right), or "same", which keeps H and W at stride 1
    groups: output channels of one part see the input channels of that part alone; C of them make a
        depthwise convolution

    Returns N×K×P×Q with P = (H + top + bottom - dilation_h * (R - 1) - 1) // stride_h + 1, and Q
    likewise.

    It is computed by the algorithm expected to be the fastest, within 2e-5 of y's largest
    magnitude; a `Network` of precision "strict" does without Winograd and split products
    (docs/numerics.md).
    """
    weight = plain("conv2d: weight", weight)
    settings = _conv2d_settings("conv2d", weight, stride, padding, dilation, groups)
    return _core.conv2d(x, weight, bias, *settings)


def conv2d_backward(
    dy: FloatsLike,
    x: FloatsLike,
    weight: FloatsLike,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> tuple[Floats, Floats, Floats]:
    """(dx, dweight, dbias) of `conv2d`; dy: N×K×P×Q."""
    weight = plain("conv2d_backward: weight", weight)
    settings = _conv2d_settings("conv2d_backward", weight, stride, padding, dilation, groups)
    return _core.conv2d_backward(dy, x, weight, *settings)


def mlpconv(x: FloatsLike, layers: Layers, *, stride: Pair = 1, padding: Padding = 0) -> Floats:
    """A multilayer perceptron slid over x (Lin, Chen, Yan 2013, section 3.1, equation 2).

    A convolution and a ReLU for each (weight, bias) of layers. The first may have any kernel and
    takes stride and padding; the others, the authors' cccp, are 1×1.

    x: N×C×H×W
    layers: [(weight, bias), ...], of the first K×C×R×S, of the others K×C×1×1; bias K or None
    """
    return _mlpconv_values(x, layers, stride, padding)[-1]


def mlpconv_backward(
    dy: FloatsLike, x: FloatsLike, layers: Layers, *, stride: Pair = 1, padding: Padding = 0
) -> tuple[Floats, list[tuple[Floats, Floats]]]:
    """dx and [(dweight, dbias), ...] of `mlpconv`, whose forward is run once more for it."""
    values = _mlpconv_values(x, layers, stride, padding)
    gradient: Any = dy  # of each layer's output, from the last to the first
    gradients: list[tuple[Floats, Floats]] = []
    for index in reversed(range(len(layers))):
        gradient = relu_backward(gradient, values[index + 1])
        settings: dict[str, Any] = dict(stride=stride, padding=padding) if index == 0 else {}
        gradient, dweight, dbias = conv2d_backward(
            gradient, values[index], layers[index][0], **settings
        )
        gradients.append((dweight, dbias))
    return gradient, gradients[::-1]


def _mlpconv_values(x: FloatsLike, layers: Layers, stride: Pair, padding: Padding) -> list[Any]:
    """x, an array of any library, and the value after each layer, one of numpy's."""
    if not isinstance(layers, (tuple, list)) or not layers:
        raise ArgumentError(
            f"mlpconv: layers must be a list of at least one (weight, bias), got {shown(layers)}"
        )
    values = [x]
    for index, layer in enumerate(layers):
        if not isinstance(layer, (tuple, list)) or len(layer) != 2:
            raise ArgumentError(f"mlpconv: layer {index} must be a pair (weight, bias)")
        weight, bias = plain(f"mlpconv: the weight of layer {index}", layer[0]), layer[1]
        if index > 0 and _shape(weight)[2:] != (1, 1):
            raise ShapeError(
                f"mlpconv: the weight of layer {index} must be K×C×1×1, got {_shape(weight)}"
            )
        settings: dict[str, Any] = dict(stride=stride, padding=padding) if index == 0 else {}
        values.append(relu(conv2d(values[-1], weight, bias, **settings)))
    return values


def linear(x: FloatsLike, weight: FloatsLike, bias: FloatsLike | None = None) -> Floats:
    """y = x weight^T + bias: N×O.

    x: N×I
    weight: O×I
    bias: O or None
    """
    return _core.linear(x, weight, bias)


def linear_backward(
    dy: FloatsLike, x: FloatsLike, weight: FloatsLike
) -> tuple[Floats, Floats, Floats]:
    """(dx, dweight, dbias) of `linear`; dy: N×O."""
    return _core.linear_backward(dy, x, weight)


def _conv2d_settings(
    where: str, weight: FloatsLike, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> tuple[tuple[int, int], tuple[int, int, int, int], tuple[int, int], int]:
    """(stride, padding, dilation, groups) as the core takes them."""
    strides, dilations = pair(where, "stride", stride), pair(where, "dilation", dilation)
    # A weight that is no K×C×R×S array is told by the core, with everything else about arrays.
    shape = _shape(weight)
    kernel_size = (shape[2], shape[3]) if len(shape) == 4 else (1, 1)
    borders = sides(where, padding, kernel_size, strides, dilations)
    return strides, borders, dilations, integer(where, "groups", groups)


def _shape(weight: FloatsLike) -> tuple[int, ...]:
    """An array's shape; () for what is none."""
    return weight.shape if isinstance(weight, np.ndarray) else ()
