"""The table from ninc's operations to ONNX's operators, and the functions that its rows are.

A row adds a node's steps to the graph and returns the value that the node gives.

No pool is written with ceil_mode, which engines read in different ways: they differ in whether a
last window may begin beyond the picture, in what an average is divided by, and over pictures that
are smaller than a window. To pad at the end has one meaning. By PyTorch's rule, which
`Pool2dProblem` in the core has, too, the windows of a pool that rounds up are

    (count - 1) * stride <= min(size + 2 * padding - kernel + stride - 1, size + padding - 1)

and for every size this is the count of a pool that rounds down, has `padding` before and
min(padding + stride - 1, kernel - 1) behind.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Optional

import numpy as np

from ..._base.graph import Node
from .builder import PIXEL, Builder, Value

Row = Callable[[Builder, Node, Sequence[Value]], Value]
Size = Optional[tuple[int, ...]]

# ---- Layers with weights -------------------------------------------------------------------------


def _conv2d(build: Builder, node: Node, inputs: Sequence[Value]) -> Value:
    told, x = node.attributes, build.maps(inputs[0])
    names = [build.parameter(node, name) for name in ("weight", "bias")[: 1 + told["bias"]]]
    tensor = build.last(
        node,
        "Conv",
        [x.tensor, *names],
        kernel_shape=told["kernel_size"],
        strides=told["stride"],
        dilations=told["dilation"],
        pads=told["padding"],
        group=told["groups"],
    )
    spans = [d * (k - 1) + 1 for d, k in zip(told["dilation"], told["kernel_size"])]
    return Value(tensor, _slid(x.size, spans, told["stride"], told["padding"]))


def _linear(build: Builder, node: Node, inputs: Sequence[Value]) -> Value:
    x = build.rows(inputs[0])
    count = 1 + node.attributes["bias"]
    names = [build.parameter(node, name) for name in ("weight", "bias")[:count]]
    return Value(build.last(node, "Gemm", [x.tensor, *names], transB=1), PIXEL, True)


def _batch_norm2d(build: Builder, node: Node, inputs: Sequence[Value]) -> Value:
    kinds = ("weight", "bias", "running_mean", "running_var")
    names = [build.parameter(node, name) for name in kinds]
    # ONNX's momentum is the share that the old statistics keep; inference does without.
    momentum = 1 - node.attributes["momentum"]
    eps = node.attributes["eps"]
    return _shaped_as(
        inputs[0], build, node, "BatchNormalization", names, epsilon=eps, momentum=momentum
    )


def _prelu(build: Builder, node: Node, inputs: Sequence[Value]) -> Value:
    [x] = inputs
    slope = build.parameter(node, "weight")  # C numbers, which ONNX lays along the last axis
    if not x.flat:
        axes = build.constant(node, "axes", [1, 2], np.int64)
        slope = build.between(node, "Unsqueeze", [slope, axes])
    return _shaped_as(x, build, node, "PRelu", [slope])


# ---- Pools ---------------------------------------------------------------------------------------


def _max_pool2d(build: Builder, node: Node, inputs: Sequence[Value]) -> Value:
    return _pool(build, node, "MaxPool", build.maps(inputs[0]))


def _avg_pool2d(build: Builder, node: Node, inputs: Sequence[Value]) -> Value:
    told, x = node.attributes, build.maps(inputs[0])
    counted = told["count_include_pad"] and any(told["padding"])
    if not (counted and told["ceil_mode"]):
        return _pool(build, node, "AveragePool", x, count_include_pad=int(counted))
    # The padding counts, and what hangs over beyond it does not. So the padding becomes a part of
    # the map, and only what hangs over is left to the pool.
    above, left = told["padding"]
    pads = build.constant(node, "pads", [0, 0, above, left] * 2, np.int64)
    padded = build.between(node, "Pad", [x.tensor, pads])
    _, _, below, right = _pads(node)
    over = (0, 0, below - above, right - left)
    y = _windows(build, node, "AveragePool", padded, over, count_include_pad=0)
    return Value(y, _pooled_size(node, x.size))


def _pool(build: Builder, node: Node, operator: str, x: Value, **more: int) -> Value:
    y = _windows(build, node, operator, x.tensor, _pads(node), **more)
    return Value(y, _pooled_size(node, x.size))


def _pads(node: Node) -> tuple[int, ...]:
    """Top, left, bottom, right, with which a pool that rounds down has all windows of this one."""
    told = node.attributes
    if not told["ceil_mode"]:
        return (*told["padding"], *told["padding"])
    window = zip(told["padding"], told["stride"], told["kernel_size"])
    behind = [min(padding + stride - 1, kernel - 1) for padding, stride, kernel in window]
    return (*told["padding"], *behind)


def _windows(
    build: Builder, node: Node, operator: str, x: str, pads: Sequence[int], **more: int
) -> str:
    window = dict(kernel_shape=node.attributes["kernel_size"], strides=node.attributes["stride"])
    return build.last(node, operator, [x], pads=pads, **window, **more)


def _pooled_size(node: Node, size: Size) -> Size:
    return _slid(size, node.attributes["kernel_size"], node.attributes["stride"], _pads(node))


def _global(operator: str) -> Row:
    def row(build: Builder, node: Node, inputs: Sequence[Value]) -> Value:
        return Value(build.last(node, operator, [build.maps(inputs[0]).tensor]), PIXEL)

    return row


def _slid(size: Size, spans: Sequence[int], strides: Sequence[int], pads: Sequence[int]) -> Size:
    """The size of what windows of these spans give; pads: top, left, bottom, right."""
    return size and tuple(
        (size[i] + pads[i] + pads[i + 2] - spans[i]) // strides[i] + 1 for i in (0, 1)
    )


# ---- Element by element --------------------------------------------------------------------------


def _shaped_as(
    x: Value, build: Builder, node: Node, operator: str, more: Sequence[str], **told: float
) -> Value:
    """What one operator gives that keeps its input's shape, maps or rows."""
    return Value(build.last(node, operator, [x.tensor, *more], **told), x.size, x.flat)


def _of_one(operator: str, least_opset: int = 0, otherwise: Row | None = None, **names: str) -> Row:
    """An operator of the same meaning. names: its attribute -> ours.

    otherwise: the row for opsets below `least_opset`, which do not have the operator.
    """

    def row(build: Builder, node: Node, inputs: Sequence[Value]) -> Value:
        if otherwise is not None and build.opset < least_opset:
            return otherwise(build, node, inputs)
        told = {theirs: float(node.attributes[ours]) for theirs, ours in names.items()}
        return _shaped_as(inputs[0], build, node, operator, (), **told)

    return row


def _between(low: float | None = None, high: float | None = None) -> Row:
    """Clip between these limits, or between the node's own."""

    def row(build: Builder, node: Node, inputs: Sequence[Value]) -> Value:
        limits = {"low": low, "high": high}
        names = []
        for name, limit in limits.items():
            limit = node.attributes[name] if limit is None else limit
            names.append(build.constant(node, name, limit, np.float32))
        return _shaped_as(inputs[0], build, node, "Clip", names)

    return row


def _times(operator: str, **told: float) -> Row:
    """x times a function of x that is one operator."""

    def row(build: Builder, node: Node, inputs: Sequence[Value]) -> Value:
        factor = build.between(node, operator, [inputs[0].tensor], **told)
        return _shaped_as(inputs[0], build, node, "Mul", [factor])

    return row


def _gelu_of_erf(build: Builder, node: Node, inputs: Sequence[Value]) -> Value:
    """x / 2 * (1 + erf(x / sqrt(2)))"""
    root = build.constant(node, "root", math.sqrt(2), np.float32)
    scaled = build.between(node, "Div", [inputs[0].tensor, root])
    one = build.constant(node, "one", 1, np.float32)
    return _half_of(build, node, inputs[0], one, build.between(node, "Erf", [scaled]))


def _gelu_of_tanh(build: Builder, node: Node, inputs: Sequence[Value]) -> Value:
    """x / 2 * (1 + tanh(sqrt(2 / pi) * x * (1 + 0.044715 * x²)))"""
    x = inputs[0].tensor
    one = build.constant(node, "one", 1, np.float32)
    cubic = build.constant(node, "cubic", 0.044715, np.float32)
    root = build.constant(node, "root", math.sqrt(2 / math.pi), np.float32)
    square = build.between(node, "Mul", [x, x])
    share = build.between(node, "Mul", [square, cubic])
    line = build.between(node, "Mul", [x, root])
    inner = build.between(node, "Mul", [line, build.between(node, "Add", [share, one])])
    return _half_of(build, node, inputs[0], one, build.between(node, "Tanh", [inner]))


def _half_of(build: Builder, node: Node, x: Value, one: str, share: str) -> Value:
    """x / 2 * (one + share)"""
    half = build.constant(node, "half", 0.5, np.float32)
    halved = build.between(node, "Mul", [x.tensor, half])
    total = build.between(node, "Add", [one, share])
    return Value(build.last(node, "Mul", [halved, total]), x.size, x.flat)


def _gelu(approximate: str, otherwise: Row) -> Row:
    def row(build: Builder, node: Node, inputs: Sequence[Value]) -> Value:
        if build.opset < 20:
            return otherwise(build, node, inputs)
        [x] = inputs
        y = build.last(node, "Gelu", [x.tensor], approximate=approximate)
        return Value(y, x.size, x.flat)

    return row


def _softmax(build: Builder, node: Node, inputs: Sequence[Value]) -> Value:
    return _shaped_as(inputs[0], build, node, "Softmax", (), axis=1)


def _dropout(build: Builder, node: Node, inputs: Sequence[Value]) -> Value:
    """It passes all through: without an input that says so ONNX's is in inference, too."""
    [x] = inputs
    share = node.attributes["p"]
    if share == 0:
        return x
    ratio = build.constant(node, "ratio", share, np.float32)
    return _shaped_as(x, build, node, "Dropout", [ratio])


# ---- Shapes and branches -------------------------------------------------------------------------


def _flatten(build: Builder, node: Node, inputs: Sequence[Value]) -> Value:
    [x] = inputs
    # A pixel becomes a row where a step needs one; `load_onnx` leaves the layer out, too.
    if x.flat or x.size == PIXEL:
        return x
    return Value(build.last(node, "Flatten", [x.tensor], axis=1), PIXEL, True)


def _joined(operator: str, **told: int) -> Row:
    """An operator of several inputs, which are N×C only where all of them are."""

    def row(build: Builder, node: Node, inputs: Sequence[Value]) -> Value:
        flat = all(x.flat for x in inputs)
        if not flat:
            inputs = [build.maps(x) for x in inputs]
        sizes = [x.size for x in inputs]
        # A pixel is spread over the maps that it meets, of whatever size these are.
        larger = [size for size in sizes if size != PIXEL]
        size = larger[0] if larger else PIXEL
        return Value(build.last(node, operator, [x.tensor for x in inputs], **told), size, flat)

    return row


# ---- Values at other places ----------------------------------------------------------------------

_AXES = ("channels", "height", "width")
# How the core writes that a range goes on to the end, and what ONNX has for it.
_TO_THE_END, _END = 1 << 20, 2**63 - 1


def _slice(build: Builder, node: Node, inputs: Sequence[Value]) -> Value:
    x = build.maps(inputs[0])
    starts, stops, steps = zip(*(node.attributes[axis] for axis in _AXES))
    ends = [_END if stop == _TO_THE_END else stop for stop in stops]
    numbers = dict(starts=starts, ends=ends, axes=(1, 2, 3), steps=steps)
    names = [build.constant(node, name, value, np.int64) for name, value in numbers.items()]
    ranges = [slice(*node.attributes[axis]) for axis in _AXES[1:]]
    size = x.size and tuple(len(range(n)[one]) for n, one in zip(x.size, ranges))
    return Value(build.last(node, "Slice", [x.tensor, *names]), size)


def _pad(build: Builder, node: Node, inputs: Sequence[Value]) -> Value:
    x = build.maps(inputs[0])
    befores, afters = zip((0, 0), *(node.attributes[axis] for axis in _AXES))
    pads = build.constant(node, "pads", [*befores, *afters], np.int64)
    value = build.constant(node, "value", node.attributes["value"], np.float32)
    size = x.size and tuple(n + sum(node.attributes[a]) for n, a in zip(x.size, _AXES[1:]))
    return Value(build.last(node, "Pad", [x.tensor, pads, value]), size)


def _channel_shuffle(build: Builder, node: Node, inputs: Sequence[Value]) -> Value:
    """As N×H×W×C, where the last axis may be split and joined whatever the other sizes are.

    `load_onnx` finds the layer in the Reshape that joins, which therefore has the node's name.
    """
    x = build.maps(inputs[0])
    split = build.constant(node, "split", [0, 0, 0, node.attributes["groups"], -1], np.int64)
    join = build.constant(node, "join", [0, 0, 0, -1], np.int64)
    last = build.between(node, "Transpose", [x.tensor], perm=(0, 2, 3, 1))
    parts = build.between(node, "Reshape", [last, split])
    turned = build.between(node, "Transpose", [parts], perm=(0, 1, 2, 4, 3))
    joined = build.between(node, "Reshape", [turned, join], name=build.tensor(node))
    back = build.helper(node, "Transpose")
    return Value(build.last(node, "Transpose", [joined], name=back, perm=(0, 3, 1, 2)), x.size)


def _constant(build: Builder, node: Node, inputs: Sequence[Value]) -> Value:
    value = build.array(node, "value").transpose(2, 0, 1)[None]
    name = build.tensor(node)
    build.numbers[name] = np.ascontiguousarray(value)
    return Value(name, value.shape[2:])


def _local_response_norm(build: Builder, node: Node, inputs: Sequence[Value]) -> Value:
    x, told = build.maps(inputs[0]), node.attributes
    y = build.last(
        node, "LRN", [x.tensor], size=told["size"], alpha=told["alpha"], beta=told["beta"],
        bias=told["k"],
    )  # fmt: skip
    return Value(y, x.size)


OPERATIONS: dict[str, Row] = {
    "Add": _joined("Add"),
    "AvgPool2d": _avg_pool2d,
    "BatchNorm2d": _batch_norm2d,
    "ChannelShuffle": _channel_shuffle,
    "Clip": _between(),
    "Concat": _joined("Concat", axis=1),
    "Constant": _constant,
    "Conv2d": _conv2d,
    "Div": _joined("Div"),
    "Dropout": _dropout,
    "Elu": _of_one("Elu", alpha="alpha"),
    "Flatten": _flatten,
    "Gelu": _gelu("none", _gelu_of_erf),
    "GeluTanh": _gelu("tanh", _gelu_of_tanh),
    "GlobalAvgPool2d": _global("GlobalAveragePool"),
    "GlobalMaxPool2d": _global("GlobalMaxPool"),
    "HardSigmoid": _of_one("HardSigmoid", alpha="alpha", beta="beta"),
    "HardSwish": _of_one("HardSwish", 14, _times("HardSigmoid", alpha=1 / 6, beta=0.5)),
    "LeakyRelu": _of_one("LeakyRelu", alpha="slope"),
    "Linear": _linear,
    "LocalResponseNorm": _local_response_norm,
    "MaxPool2d": _max_pool2d,
    "Mul": _joined("Mul"),
    "Pad": _pad,
    "PRelu": _prelu,
    "Relu": _of_one("Relu"),
    "Relu6": _between(0, 6),
    "Sigmoid": _of_one("Sigmoid"),
    "Silu": _times("Sigmoid"),
    "Slice": _slice,
    "Softmax": _softmax,
    "Sub": _joined("Sub"),
    "Tanh": _of_one("Tanh"),
}
