"""Layers: convolutions, pools, batch norm, and what joins and shapes values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .._base.arguments import (
    Padding,
    Pair,
    flag,
    integer,
    listed,
    not_negative,
    pair,
    positive,
    response_norm_settings,
    share,
    share_below_1,
    sides,
)
from ..errors import ArgumentError
from .elementwise import ReLU, ReLU6  # noqa: F401  # by their former path, which pickles have
from .layer import Layer


class Conv2d(Layer):
    """A convolution, as `functional.conv2d` computes it.

        y[n, k, p, q] = bias[k] + sum over c, r, s of
            x[n, c, p * stride + r * dilation - padding, q * ...] * weight[k, c, r, s]

    in_channels, out_channels: C and K.
    kernel_size, stride, dilation: an int or (h, w).
    padding: zeros around x; an int, (h, w), (top, left, bottom, right) or "same".
    groups: channels are split into so many parts that do not see one another; in_channels of them
        make a depthwise convolution.
    std: deviation of the initial weights, N(0, std); None for He's sqrt(2 / fan_in).
    """

    op = "Conv2d"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Padding = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
        std: float | None = None,
    ) -> None:
        where = "Conv2d"
        self.in_channels = integer(where, "in_channels", in_channels)
        self.out_channels = integer(where, "out_channels", out_channels)
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.groups = integer(where, "groups", groups)
        self.bias = flag(where, "bias", bias)
        self.std = None if std is None else not_negative(where, "std", std)
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % self.groups:
                raise ArgumentError(
                    f"{where}: groups {groups} must divide {name}, which is {channels}"
                )
        kernel = pair(where, "kernel_size", kernel_size)
        strides, dilations = pair(where, "stride", stride), pair(where, "dilation", dilation)
        self._fields = {
            "in_channels": self.in_channels,
            "out_channels": self.out_channels,
            "kernel_size": kernel,
            "stride": strides,
            "dilation": dilations,
            "padding": sides(where, padding, kernel, strides, dilations),
            "groups": self.groups,
            "bias": self.bias,
        }

    def fields(self) -> dict[str, Any]:
        return self._fields


class MlpConv(Layer):
    """A small multilayer perceptron slid over the picture (Lin, Chen, Yan 2013, section 3.1).

        conv k×k -> ReLU -> conv 1×1 -> ReLU -> conv 1×1 -> ReLU -> ...

    in_channels: channels of the input.
    widths: output channels of each convolution.
    kernel_size, stride, padding: of the first convolution; the others are 1×1 (the authors' cccp,
        cascaded cross-channel parametric pooling).
    batch_norm: normalises behind each convolution, before its ReLU; the convolutions then have no
        bias, which batch norm would take out again.
    logits: the last 1×1 ends the network's reasoning: it keeps its bias and has neither batch norm
        nor ReLU behind it, so that a class may get a negative score.
    std: deviation of the initial weights, one number or one for each convolution; None for He's.
    """

    def __init__(
        self,
        in_channels: int,
        widths: Sequence[int],
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Padding = 0,
        batch_norm: bool = False,
        logits: bool = False,
        std: float | Sequence[float] | None = None,
    ) -> None:
        where = "MlpConv"
        widths = listed(where, "widths", widths, "a sequence of integers")
        if not widths:
            raise ArgumentError(f"{where}: widths must hold one integer at least")
        self.in_channels = integer(where, "in_channels", in_channels)
        self.widths = tuple(integer(where, "widths", width) for width in widths)
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.batch_norm = flag(where, "batch_norm", batch_norm)
        self.logits = flag(where, "logits", logits)
        self.std = tuple(std) if isinstance(std, (tuple, list)) else std
        given: Any = self.std
        deviations = given if isinstance(given, tuple) else [given] * len(self.widths)
        if len(deviations) != len(self.widths):
            raise ArgumentError(
                f"{where}: {len(self.widths)} convolutions need as many std, got {len(deviations)}"
            )
        self._steps = tuple(self._make_steps(deviations))

    def _make_steps(self, deviations: Sequence[float | None]) -> Iterator[tuple[str, Layer]]:
        channels = self.in_channels
        for index, (width, std) in enumerate(zip(self.widths, deviations)):
            bare = self.logits and index == len(self.widths) - 1
            normalised = self.batch_norm and not bare
            if index == 0:
                size, stride, padding = self.kernel_size, self.stride, self.padding
            else:
                size, stride, padding = 1, 1, 0
            yield (
                "conv" if index == 0 else "cccp",
                Conv2d(channels, width, size, stride, padding, bias=not normalised, std=std),
            )
            if normalised:
                yield "bn_{previous}", BatchNorm2d(width)
            if not bare:
                yield "relu_{previous}", ReLU()
            channels = width

    def steps(self) -> Iterator[tuple[str, Layer]]:
        yield from self._steps


class Linear(Layer):
    """y = x weight^T + bias for x: N×in_features, what GlobalAvgPool2d or Flatten gives.

    std: deviation of the initial weights; None for He's sqrt(2 / in_features).
    """

    op = "Linear"
    settings = ("in_features", "out_features", "bias")

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, std: float | None = None
    ) -> None:
        self.in_features = integer("Linear", "in_features", in_features)
        self.out_features = integer("Linear", "out_features", out_features)
        self.bias = flag("Linear", "bias", bias)
        self.std = None if std is None else not_negative("Linear", "std", std)


class BatchNorm2d(Layer):
    """y = weight * (x - mean) / sqrt(var + eps) + bias, a channel at a time (Ioffe, Szegedy 2015).

    Training takes mean and variance of the batch and moves the running ones towards them:
    running = (1 - momentum) * running + momentum * batch's. Inference takes the running ones.
    """

    op = "BatchNorm2d"
    settings = ("channels", "eps", "momentum")

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        self.channels = integer("BatchNorm2d", "channels", channels)
        self.eps = positive("BatchNorm2d", "eps", eps)
        self.momentum = share("BatchNorm2d", "momentum", momentum)


class _Pool2d(Layer):
    """What both poolings have."""

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Pair = 0,
        ceil_mode: bool = False,
    ) -> None:
        where = type(self).__name__
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.ceil_mode = flag(where, "ceil_mode", ceil_mode)
        self._fields = {
            "kernel_size": pair(where, "kernel_size", kernel_size),
            "stride": pair(where, "stride", kernel_size if stride is None else stride),
            "padding": pair(where, "padding", padding, 0),
            "ceil_mode": self.ceil_mode,
        }

    def fields(self) -> dict[str, Any]:
        return self._fields


class MaxPool2d(_Pool2d):
    """The largest value in each window; of equal ones, the first takes the gradient.

    stride: None for kernel_size.
    ceil_mode: a last window may hang over the edge, as in Caffe; it is clipped, and dropped where
        it would lie in the padding alone.
    """

    op = "MaxPool2d"


class AvgPool2d(_Pool2d):
    """The mean of each window; the settings of `MaxPool2d` and one more.

    count_include_pad: divides by the window's area with the padding in it, else without.
    """

    op = "AvgPool2d"

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Pair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad = flag("AvgPool2d", "count_include_pad", count_include_pad)
        self._fields["count_include_pad"] = self.count_include_pad


class GlobalAvgPool2d(Layer):
    """The mean of each map: N×C×H×W -> N×C, for any H and W (Lin, Chen, Yan 2013, section 3.2)."""

    op = "GlobalAvgPool2d"


class GlobalMaxPool2d(Layer):
    """The largest value of each map: N×C×H×W -> N×C, for any H and W; of equal ones, the first
    takes the gradient.
    """

    op = "GlobalMaxPool2d"


class Dropout(Layer):
    """Training zeroes each value with probability p and divides the others by 1 - p; inference
    passes all through (Srivastava et al. 2014, inverted).
    """

    op = "Dropout"
    settings = ("p",)

    def __init__(self, p: float = 0.5) -> None:
        self.p = share_below_1("Dropout", "p", p)


class Add(Layer):
    """a + b; of two inputs, whose sizes of 1 stand for the other's."""

    op = "Add"


class Sub(Layer):
    """a - b; of two inputs, whose sizes of 1 stand for the other's."""

    op = "Sub"


class Mul(Layer):
    """a * b; of two inputs, whose sizes of 1 stand for the other's."""

    op = "Mul"


class Div(Layer):
    """a / b; of two inputs, whose sizes of 1 stand for the other's."""

    op = "Div"


class LocalResponseNorm(Layer):
    """y[c] = x[c] / s[c]**beta, see `functional.local_response_norm`; size: odd."""

    op = "LocalResponseNorm"
    settings = ("size", "alpha", "beta", "k")

    def __init__(
        self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
    ) -> None:
        values = response_norm_settings("LocalResponseNorm", size, alpha, beta, k)
        self.size, self.alpha, self.beta, self.k = values


class Concat(Layer):
    """Inputs one after another along the channels."""

    op = "Concat"


class Flatten(Layer):
    """N×C×H×W -> N×(C * H * W), in the order C, H, W."""

    op = "Flatten"


class Softmax(Layer):
    """y[c] = exp(x[c]) / sum over d of exp(x[d]). Training takes the logits in front of it."""

    op = "Softmax"
