"""Operations on arrays, forward and backward.

Arrays are N×C×H×W float32 in native byte order, of any strides; N may be 0. float64 is an error
rather than a silent copy: use x.astype(np.float32). Results are new arrays.

dy is the gradient of some number L by an operation's result y; its backward function gives the
gradients of L by its arguments, dx = dL/dx and so on. Nothing is remembered between calls: a
backward function is given what it needs.

Raises ShapeError for shapes that do not fit one another, DTypeError (a ShapeError too) for other
types, ArgumentError for settings out of range. The same input gives the same bits on any number of
threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union

import numpy as np

from . import _core
from .arguments import Padding, Pair, integer, pair, probability, sides
from .errors import ArgumentError, DTypeError, ShapeError

__all__ = [
    "avg_pool2d",
    "avg_pool2d_backward",
    "batch_norm2d",
    "batch_norm2d_backward",
    "conv2d",
    "conv2d_backward",
    "dropout",
    "dropout_backward",
    "global_avg_pool2d",
    "global_avg_pool2d_backward",
    "linear",
    "linear_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "mlpconv",
    "mlpconv_backward",
    "relu",
    "relu6",
    "relu6_backward",
    "relu_backward",
    "softmax",
    "softmax_backward",
    "softmax_cross_entropy",
]

Array = np.ndarray
Layers = Sequence[tuple[Array, Union[Array, None]]]


# ---- Convolution ---------------------------------------------------------------------------------


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Array:
    """Convolution (cross-correlation, as everywhere in deep learning).

    y[n, k, p, q] = bias[k] + sum over c, r, s of
        x[n, c, p * stride_h + r * dilation_h - top, q * stride_w + s * dilation_w - left]
        * weight[k, c, r, s],   x being 0 outside.

    x: N×C×H×W; weight: K×(C/groups)×R×S; bias: K or None. Returns N×K×P×Q with
    P = (H + top + bottom - dilation_h * (R - 1) - 1) // stride_h + 1, and Q likewise.

    padding: an int, (h, w), (top, left, bottom, right), or "same", which keeps H and W at stride 1.
    groups: output channels of one part see the input channels of that part alone; C of them make a
    depthwise convolution.
    """
    settings = _conv2d_settings("conv2d", weight, stride, padding, dilation, groups)
    return _core.conv2d(x, weight, bias, *settings)


def conv2d_backward(
    dy: Array,
    x: Array,
    weight: Array,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> tuple[Array, Array, Array]:
    """(dx, dweight, dbias) of `conv2d`; dy: N×K×P×Q."""
    settings = _conv2d_settings("conv2d_backward", weight, stride, padding, dilation, groups)
    return _core.conv2d_backward(dy, x, weight, *settings)


def mlpconv(x: Array, layers: Layers, *, stride: Pair = 1, padding: Padding = 0) -> Array:
    """A multilayer perceptron slid over x (Lin, Chen, Yan 2013, section 3.1, equation 2).

    conv -> ReLU for each (weight, bias) of layers. The first may have any kernel and takes stride
    and padding; the others, the authors' cccp, are 1×1: weight K×C×1×1. bias: K or None.
    """
    return _mlpconv_values(x, layers, stride, padding)[-1]


def mlpconv_backward(
    dy: Array, x: Array, layers: Layers, *, stride: Pair = 1, padding: Padding = 0
) -> tuple[Array, list[tuple[Array, Array]]]:
    """dx and [(dweight, dbias), ...] of `mlpconv`, whose forward is run once more for it."""
    values = _mlpconv_values(x, layers, stride, padding)
    gradients: list[tuple[Array, Array]] = []
    for index in reversed(range(len(layers))):
        dy = relu_backward(dy, values[index + 1])
        settings = dict(stride=stride, padding=padding) if index == 0 else {}
        dy, *gradient = conv2d_backward(dy, values[index], layers[index][0], **settings)
        gradients.append(tuple(gradient))
    return dy, gradients[::-1]


def _mlpconv_values(x: Array, layers: Layers, stride: Pair, padding: Padding) -> list[Array]:
    """x and the value behind each layer."""
    if not layers:
        raise ArgumentError("mlpconv: layers must hold at least one (weight, bias)")
    values = [x]
    for index, (weight, bias) in enumerate(layers):
        if index > 0 and np.shape(weight)[2:] != (1, 1):
            raise ShapeError(
                f"mlpconv: the weight of layer {index} must be K×C×1×1, got {np.shape(weight)}"
            )
        settings = dict(stride=stride, padding=padding) if index == 0 else {}
        values.append(relu(conv2d(values[-1], weight, bias, **settings)))
    return values


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """y = x weight^T + bias.   x: N×I; weight: O×I; bias: O or None. Returns N×O."""
    return _core.linear(x, weight, bias)


def linear_backward(dy: Array, x: Array, weight: Array) -> tuple[Array, Array, Array]:
    """(dx, dweight, dbias) of `linear`; dy: N×O."""
    return _core.linear_backward(dy, x, weight)


# ---- Pooling -------------------------------------------------------------------------------------


def max_pool2d(
    x: Array,
    kernel_size: Pair,
    *,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
) -> Array:
    """y[n, c, p, q] = the largest x[n, c, i, j] in a window; NaN where one is among them.

    x: N×C×H×W. Windows are kernel_size wide and stride apart (None: kernel_size); those of the
    padding hold nothing. ceil_mode: rounds the number of windows up, not down, so that the last
    may hang over the edge; one that would begin in the padding behind x is left out, as in PyTorch
    and Caffe.
    """
    return _core.max_pool2d(
        x, *_pool2d_settings("max_pool2d", kernel_size, stride, padding), ceil_mode
    )


def max_pool2d_backward(
    dy: Array,
    x: Array,
    kernel_size: Pair,
    *,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
) -> Array:
    """dx of `max_pool2d`: each dy goes to the first of its window's largest values."""
    settings = _pool2d_settings("max_pool2d_backward", kernel_size, stride, padding)
    return _core.max_pool2d_backward(dy, x, *settings, ceil_mode)


def avg_pool2d(
    x: Array,
    kernel_size: Pair,
    *,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """y[n, c, p, q] = (sum of x[n, c, i, j] in a window) / its area.

    Windows are those of `max_pool2d`. The area is the window's, clipped to x with its padding, or
    with count_include_pad=False to x alone. Caffe's average pooling is the former.
    """
    settings = _pool2d_settings("avg_pool2d", kernel_size, stride, padding)
    return _core.avg_pool2d(x, *settings, ceil_mode, count_include_pad)


def avg_pool2d_backward(
    dy: Array,
    x: Array | Sequence[int],
    kernel_size: Pair,
    *,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """dx of `avg_pool2d`. Of x only the shape counts, so x.shape will do."""
    name = "avg_pool2d_backward"
    settings = _pool2d_settings(name, kernel_size, stride, padding)
    return _core.avg_pool2d_backward(
        dy, _image_shape(name, x), *settings, ceil_mode, count_include_pad
    )


def global_avg_pool2d(x: Array) -> Array:
    """y[n, c] = mean over i, j of x[n, c, i, j] (Lin, Chen, Yan 2013, section 3.2).

    x: N×C×H×W. Returns N×C.
    """
    return _core.global_avg_pool2d(x)


def global_avg_pool2d_backward(dy: Array, x_shape: Array | Sequence[int]) -> Array:
    """dx[n, c, i, j] = dy[n, c] / (H * W);   dy: N×C; x_shape: (N, C, H, W)."""
    shape = _image_shape("global_avg_pool2d_backward", x_shape)
    return _core.global_avg_pool2d_backward(dy, shape)


# ---- Element by element --------------------------------------------------------------------------


def relu(x: Array) -> Array:
    """y = max(x, 0), for any number of dimensions. NaN stays NaN."""
    return _core.relu(x)


def relu_backward(dy: Array, y: Array) -> Array:
    """dx = dy where y > 0, else 0;   y: what `relu` gave."""
    return _core.relu_backward(dy, y)


def relu6(x: Array) -> Array:
    """y = min(max(x, 0), 6), for any number of dimensions. NaN stays NaN."""
    return _core.relu6(x)


def relu6_backward(dy: Array, y: Array) -> Array:
    """dx = dy where 0 < y < 6, else 0;   y: what `relu6` gave."""
    return _core.relu6_backward(dy, y)


def dropout(x: Array, p: float, *, seed: int, step: int, layer: int = 0) -> Array:
    """y[i] = x[i] / (1 - p) with probability 1 - p, else 0 (Srivastava et al. 2014, inverted).

    x: any number of dimensions. The choice for the i-th element in C order is a function of (seed,
    step, layer, i) alone, by the counter-based generator Philox (Salmon et al. 2011): the same
    arguments drop the same elements.
    """
    return _core.dropout(x, *_dropout_settings("dropout", p, seed, step, layer))


def dropout_backward(dy: Array, p: float, *, seed: int, step: int, layer: int = 0) -> Array:
    """dx[i] = dy[i] / (1 - p) where `dropout` of the same arguments kept x[i], else 0."""
    return _core.dropout(dy, *_dropout_settings("dropout_backward", p, seed, step, layer))


# ---- Normalisation -------------------------------------------------------------------------------


def batch_norm2d(
    x: Array,
    mean: Array | None,
    var: Array | None,
    weight: Array,
    bias: Array,
    *,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Array:
    """y[n, c] = weight[c] * (x[n, c] - m[c]) / sqrt(v[c] + eps) + bias[c] (Ioffe, Szegedy 2015).

    x: N×C×H×W; mean, var, weight, bias: C. In inference m and v are mean and var. In training they
    are the batch's, over N, H and W, v with divisor N * H * W, and mean and var are running ones,
    updated IN PLACE as in PyTorch, var with divisor N * H * W - 1; None leaves that out:

        mean = (1 - momentum) * mean + momentum * m
    """
    if not training:
        return _core.batch_norm2d(x, mean, var, weight, bias, eps)
    running = mean is not None or var is not None
    if running:
        for name, array in (("mean", mean), ("var", var)):
            if not isinstance(array, np.ndarray):
                raise DTypeError(f"batch_norm2d: {name}: expected a numpy array, got {array!r}")
            if not array.flags.writeable:
                raise ArgumentError(f"batch_norm2d: {name} is read-only; training updates it")
    else:
        mean, var = _neutral_statistics(weight)
    y, new_mean, new_var, _, _ = _core.batch_norm2d_training(
        x, mean, var, weight, bias, momentum, eps
    )
    if running:
        mean[...] = new_mean
        var[...] = new_var
    return y


def batch_norm2d_backward(
    dy: Array,
    x: Array,
    mean: Array | None,
    var: Array | None,
    weight: Array,
    *,
    training: bool = False,
    eps: float = 1e-5,
) -> tuple[Array, Array, Array]:
    """(dx, dweight, dbias) of `batch_norm2d`.

    In inference mean and var are constants. In training they are not looked at: dx counts how x
    moves the batch's statistics, which are computed once more.
    """
    if not training:
        return _core.batch_norm2d_backward(dy, x, mean, var, weight, eps)
    mean, var = _neutral_statistics(weight)
    _, _, _, batch_mean, batch_inv_std = _core.batch_norm2d_training(
        x, mean, var, weight, mean, 0.0, eps
    )
    return _core.batch_norm2d_training_backward(dy, x, weight, batch_mean, batch_inv_std)


# ---- Softmax and its loss ------------------------------------------------------------------------


def softmax(x: Array) -> Array:
    """y[n, c] = exp(x[n, c]) / sum over d of exp(x[n, d]), without overflow.

    x: N×C, or N×C×H×W with the softmax over C at each place.
    """
    return _core.softmax(x)


def softmax_backward(dy: Array, y: Array) -> Array:
    """dx[n, c] = y[n, c] * (dy[n, c] - sum over d of dy[n, d] * y[n, d]);   y: of `softmax`."""
    return _core.softmax_backward(dy, y)


def softmax_cross_entropy(
    logits: Array, labels: Array, *, label_smoothing: float = 0.0
) -> tuple[float, Array]:
    """(loss, dlogits): loss = -mean over n of sum over c of t[n, c] * log softmax(logits)[n, c].

    logits: N×C; labels: N integers in [0, C). t is 1 - e + e/C at the label and e/C elsewhere, for
    e = label_smoothing in [0, 1) (Szegedy et al. 2016, section 7). dlogits = (softmax - t) / N.

    Raises ArgumentError for a label out of range.
    """
    if not 0.0 <= label_smoothing < 1.0:
        raise ArgumentError(
            f"softmax_cross_entropy: label_smoothing must be in [0, 1), got {label_smoothing!r}"
        )
    return _core.softmax_cross_entropy(logits, np.asarray(labels), float(label_smoothing))


# ---- Arguments -----------------------------------------------------------------------------------


def _conv2d_settings(
    where: str, weight: Array, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> tuple:
    """(stride, padding, dilation, groups) as the core takes them."""
    stride = pair(where, "stride", stride)
    dilation = pair(where, "dilation", dilation)
    # A weight that is no K×C×R×S array is told by the core, with everything else about arrays.
    kernel_size = np.shape(weight)[2:4] if np.ndim(weight) == 4 else (1, 1)
    padding = sides(where, padding, kernel_size, stride, dilation)
    return stride, padding, dilation, integer(where, "groups", groups)


def _pool2d_settings(where: str, kernel_size: Pair, stride: Pair | None, padding: Pair) -> tuple:
    """(kernel_size, stride, padding) as the core takes them."""
    kernel = pair(where, "kernel_size", kernel_size)
    return (
        kernel,
        kernel if stride is None else pair(where, "stride", stride),
        pair(where, "padding", padding, 0),
    )


def _dropout_settings(where: str, p: float, seed: int, step: int, layer: int) -> tuple:
    return (
        probability(where, p),
        integer(where, "seed", seed, 0),
        integer(where, "step", step, 0),
        integer(where, "layer", layer, 0),
    )


def _image_shape(where: str, x: Array | Sequence[int]) -> tuple[int, ...]:
    """(N, C, H, W) of an array or of its shape."""
    shape = x.shape if isinstance(x, np.ndarray) and x.ndim != 1 else tuple(x)
    if len(shape) != 4:
        raise ShapeError(f"{where}: x: expected 4 dimensions, got shape {shape}")
    return tuple(integer(where, "x's shape", size, 0) for size in shape)


def _neutral_statistics(weight: Array) -> tuple[Array, Array]:
    """Running mean 0 and variance 1 where none are kept, as many as weight has channels."""
    channels = np.size(weight)
    return np.zeros(channels, np.float32), np.ones(channels, np.float32)
