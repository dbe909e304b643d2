"""What layers of Caffe are told, as ninc's layers want it. What ninc cannot do is `Unsupported`."""

from __future__ import annotations

import dataclasses
import math

from ..protobuf.schema import Message

Pair = tuple[int, int]

# No window of a network is as large; what is larger is a damaged number.
_LARGEST = 65_535


class Unsupported(Exception):
    """Why a layer cannot be one of ninc's; the words follow the layer's name."""


@dataclasses.dataclass(frozen=True)
class Convolution:
    """outputs: channels of the result. kernel, stride, padding, dilation: (height, width)."""

    outputs: int
    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int
    bias: bool


@dataclasses.dataclass(frozen=True)
class InnerProduct:
    """transposed: the weight is stored as inputs × outputs."""

    outputs: int
    bias: bool
    transposed: bool


@dataclasses.dataclass(frozen=True)
class Pooling:
    """kernel: None for the whole map. ceil: sizes are rounded up, Caffe's rule."""

    average: bool
    kernel: Pair | None
    stride: Pair
    padding: Pair
    ceil: bool

    def output(self, size: Pair) -> Pair:
        """Height and width of the result for those of the input; less than 1 where none fits."""
        height, width = (
            _pooled(size[i], (self.kernel or size)[i], self.stride[i], self.padding[i], self.ceil)
            for i in (0, 1)
        )
        return height, width

    def covers(self, size: Pair) -> bool:
        """Whether one window takes in all of a map of this size, and nothing beside it."""
        kernel = self.kernel or size
        whole = kernel[0] >= size[0] and kernel[1] >= size[1] and self.padding == (0, 0)
        return whole and self.output(size) == (1, 1)


@dataclasses.dataclass(frozen=True)
class BatchNorm:
    eps: float
    momentum: float


@dataclasses.dataclass(frozen=True)
class Scale:
    bias: bool


@dataclasses.dataclass(frozen=True)
class LocalResponse:
    size: int
    alpha: float
    beta: float
    k: float


def convolution(param: Message) -> Convolution:
    if param.get("axis", 1) not in (1, -3):
        raise Unsupported(f"axis is {param.get('axis')}, only 1 is known")
    return Convolution(
        outputs=_number(param, "num_output", None),
        kernel=_sides(param, "kernel", "kernel_size", None),
        stride=_sides(param, "stride", "stride", 1),
        padding=_sides(param, "pad", "pad", 0),
        dilation=_pair(param, "dilation", 1),
        groups=_number(param, "group", 1),
        bias=param.get("bias_term", True),
    )


def inner_product(param: Message) -> InnerProduct:
    if param.get("axis", 1) not in (1, -3):
        raise Unsupported(f"axis is {param.get('axis')}, only 1 is known")
    outputs = _number(param, "num_output", None)
    return InnerProduct(outputs, param.get("bias_term", True), param.get("transpose", False))


def pooling(param: Message) -> Pooling:
    kind = param.get("pool", "MAX")
    if kind not in ("MAX", "AVE"):
        raise Unsupported(f"pool is {kind}, only MAX and AVE are known")
    rounding = param.get("round_mode", "CEIL")
    if rounding not in ("CEIL", "FLOOR"):
        raise Unsupported(f"round_mode is {rounding}, only CEIL and FLOOR are known")
    is_global = param.get("global_pooling", False)
    stride = _sides(param, "stride", "stride", 1)
    padding = _sides(param, "pad", "pad", 0)
    if is_global:
        if stride != (1, 1) or padding != (0, 0):
            raise Unsupported("global_pooling goes with stride 1 and pad 0 alone")
        return Pooling(kind == "AVE", None, (1, 1), (0, 0), True)
    kernel = _sides(param, "kernel", "kernel_size", None)
    if any(2 * pad > side for pad, side in zip(padding, kernel)):
        raise Unsupported(
            f"pad {_by(padding)} is more than half of the kernel, which is {_by(kernel)}"
        )
    return Pooling(kind == "AVE", kernel, stride, padding, rounding == "CEIL")


def relu(param: Message) -> float:
    """The slope of negative values."""
    return _finite("negative_slope", param.get("negative_slope", 0.0))


def prelu(param: Message) -> bool:
    """Whether all channels share a slope."""
    return bool(param.get("channel_shared", False))


def elu(param: Message) -> float:
    return _finite("alpha", param.get("alpha", 1.0))


def nothing(param: Message) -> None:
    """Of a layer without settings."""


def lrn(param: Message) -> LocalResponse:
    region = param.get("norm_region", "ACROSS_CHANNELS")
    if region != "ACROSS_CHANNELS":
        raise Unsupported(f"norm_region is {region}, only ACROSS_CHANNELS is known")
    size = _number(param, "local_size", 5)
    if size % 2 == 0:
        raise Unsupported(f"local_size must be odd, got {size}")
    alpha, beta, k = (
        _finite(name, param.get(name, default))
        for name, default in (("alpha", 1.0), ("beta", 0.75), ("k", 1.0))
    )
    if alpha < 0.0 or beta < 0.0 or k <= 0.0:
        raise Unsupported(
            f"alpha and beta must be 0 or more and k above 0, got {alpha:g}, {beta:g}, {k:g}"
        )
    return LocalResponse(size, alpha, beta, k)


def dropout(param: Message) -> float:
    """The share of values that training zeroes."""
    ratio = param.get("dropout_ratio", 0.5)
    if not 0.0 <= ratio < 1.0:
        raise Unsupported(f"dropout_ratio must lie in 0..1, 1 excluded, got {ratio:g}")
    if not param.get("scale_train", True):
        raise Unsupported("scale_train is false: it scales in testing, too")
    return float(ratio)


def concat(param: Message) -> None:
    axis = param.get("axis", param.get("concat_dim", 1))
    if axis not in (1, -3):
        raise Unsupported(f"axis is {axis}, only 1 is known: along the channels")


def eltwise(param: Message) -> str:
    """The operation, SUM or PROD."""
    operation, coefficients = str(param.get("operation", "SUM")), param.all("coeff")
    if operation not in ("SUM", "PROD"):
        raise Unsupported(f"operation is {operation}, only SUM and PROD are known")
    if any(one != 1.0 for one in coefficients):
        numbers = ", ".join(f"{one:g}" for one in coefficients[:8])
        raise Unsupported(f"coeff is {numbers}, only 1 is known")
    return operation


def batch_norm(param: Message) -> BatchNorm:
    if not param.get("use_global_stats", True):
        raise Unsupported(
            "use_global_stats is false: it normalises by each batch's statistics in testing, too; "
            "a prototxt for deployment leaves the setting out"
        )
    eps = param.get("eps", 1e-5)
    fraction = param.get("moving_average_fraction", 0.999)
    if not 0.0 < eps < math.inf:
        raise Unsupported(f"eps must be above 0, got {eps:g}")
    if not 0.0 <= fraction <= 1.0:
        raise Unsupported(f"moving_average_fraction must lie in 0..1, got {fraction:g}")
    return BatchNorm(float(eps), 1.0 - float(fraction))


def scale(param: Message) -> Scale:
    for name in ("axis", "num_axes"):
        if param.get(name, 1) != 1:
            raise Unsupported(f"{name} is {param.get(name)}, only 1 is known: a number a channel")
    return Scale(param.get("bias_term", False))


def softmax(param: Message) -> None:
    if param.get("axis", 1) not in (1, -3):
        raise Unsupported(f"axis is {param.get('axis')}, only 1 is known: over the channels")


def flatten(param: Message) -> None:
    for name, usual in (("axis", 1), ("end_axis", -1)):
        if param.get(name, usual) != usual:
            raise Unsupported(f"{name} is {param.get(name)}, only {usual} is known")


# ---- Numbers -------------------------------------------------------------------------------------


def _finite(name: str, value: float) -> float:
    if not math.isfinite(value):
        raise Unsupported(f"{name} must be finite, got {value:g}")
    return float(value)


def _number(param: Message, name: str, default: int | None) -> int:
    """A number of 1 or more."""
    return _checked(name, param.get(name, default), 1)


def _checked(name: str, value: int | None, least: int) -> int:
    if value is None:
        raise Unsupported(f"{name} is missing")
    # The number of outputs is held to the weights that are there.
    if value < least or (value > _LARGEST and name != "num_output"):
        raise Unsupported(f"{name} must be from {least} to {_LARGEST:,}, got {value}")
    return value


def _pair(param: Message, name: str, default: int | None, least: int = 1) -> Pair:
    """One number for both axes, or one for each."""
    values = param.all(name) or [default]
    if len(values) > 2:
        raise Unsupported(f"{name} has {len(values)} numbers, only pictures of two axes are known")
    return _checked(name, values[0], least), _checked(name, values[-1], least)


def _sides(param: Message, stem: str, name: str, default: int | None) -> Pair:
    """The pair as `kernel_h` and `kernel_w`, or else as `kernel_size`."""
    least = int(stem != "pad")
    tall, wide = f"{stem}_h", f"{stem}_w"
    if tall not in param and wide not in param:
        return _pair(param, name, default, least)
    missing = 0 if stem == "pad" else None
    height = _checked(tall, param.get(tall, missing), least)
    return height, _checked(wide, param.get(wide, missing), least)


def _pooled(size: int, kernel: int, stride: int, pad: int, ceil: bool) -> int:
    room = size + 2 * pad - kernel
    count = (-(-room // stride) if ceil else room // stride) + 1
    # A last window that would begin in the padding behind the map is dropped.
    return count - (ceil and (count - 1) * stride >= size + pad)


def _by(pair: Pair) -> str:
    return f"{pair[0]}×{pair[1]}"
