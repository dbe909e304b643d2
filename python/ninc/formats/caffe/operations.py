"""The table from Caffe's layers to ninc's, and how each is made with its weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ... import nn
from ..._base.array_types import Floats
from ...errors import ModelError
from ..protobuf.schema import Message
from . import settings
from .blobs import checked_dims, numbers_of
from .builder import Builder, Map
from .net import CaffeLayer
from .settings import Pair


@dataclasses.dataclass(frozen=True)
class Job:
    """One layer to be made. told: its settings, as `settings` reads them.

    blobs: its weights. scale: the Scale layer after a BatchNorm, with its own blobs. averages: see
    `reader`: how many channels a pooling must leave as one number each, 0 for all that there are.
    """

    layer: CaffeLayer
    told: Any
    blobs: Sequence[Message]
    scale: Job | None = None
    averages: int | None = None


@dataclasses.dataclass(frozen=True)
class Operation:
    """param: the field with the layer's settings, which `read` understands and `make` uses.

    blobs: how many the layer has, by its settings. inputs: the least and the most.
    """

    param: str
    read: Callable[[Message], Any]
    make: Callable[[Builder, Job, Sequence[Map]], Map]
    blobs: Callable[[Any], int] = lambda told: 0
    inputs: tuple[int, int] = (1, 1)


# ---- Layers with weights -------------------------------------------------------------------------


def _convolution(build: Builder, job: Job, inputs: Sequence[Map]) -> Map:
    [x], told = inputs, job.told
    what = f"{build.where}: {job.layer}: its weight"
    outputs, depth, *_ = dims = checked_dims(job.blobs[0], (told.outputs, None, *told.kernel), what)
    channels = depth * told.groups
    if outputs % told.groups:
        raise ModelError(
            f"{build.where}: {job.layer}: num_output is {outputs}, no multiple of group, which is "
            f"{told.groups}"
        )
    _expect_channels(build, job, x, channels)
    layer = nn.Conv2d(
        channels, outputs, told.kernel, told.stride, told.padding, told.dilation, told.groups,
        told.bias,
    )  # fmt: skip
    size = None if x.size is None else _convolved(build, job, x.size)
    weights = {"weight": numbers_of(job.blobs[0], dims, what), **_bias(build, job)}
    return build.add(job.layer.name, layer, inputs, outputs, size, weights=weights)


def _inner_product(build: Builder, job: Job, inputs: Sequence[Map]) -> Map:
    [x], told = inputs, job.told
    what = f"{build.where}: {job.layer}: its weight"
    wanted = (None, told.outputs) if told.transposed else (told.outputs, None)
    dims = checked_dims(job.blobs[0], wanted, what)
    weight = numbers_of(job.blobs[0], dims, what)
    if told.transposed:
        weight = np.ascontiguousarray(weight.T)
    if not x.flat:
        x = _flat(build, job.layer.name, x)
    _expect_channels(build, job, x, weight.shape[1])
    layer = nn.Linear(weight.shape[1], told.outputs, told.bias)
    weights = {"weight": weight, **_bias(build, job)}
    return build.add(job.layer.name, layer, [x], told.outputs, (1, 1), True, weights)


def _batch_norm(build: Builder, job: Job, inputs: Sequence[Map]) -> Map:
    """Caffe keeps sums of means and variances, and third the factor that they are divided by."""
    [x], told = inputs, job.told
    what = f"{build.where}: {job.layer}: its"
    one = checked_dims(job.blobs[2], (1,), f"{what} factor")
    factor = float(numbers_of(job.blobs[2], one, f"{what} factor")[0])
    factor = 0.0 if factor == 0.0 else 1.0 / factor
    dims = checked_dims(job.blobs[0], (x.channels,), f"{what} mean")
    mean = numbers_of(job.blobs[0], dims, f"{what} mean")
    checked_dims(job.blobs[1], dims, f"{what} variance")
    var = numbers_of(job.blobs[1], dims, f"{what} variance")
    weight, bias = np.ones(dims, np.float32), np.zeros(dims, np.float32)
    if job.scale is not None:
        what = f"{build.where}: {job.scale.layer}: its scale"
        checked_dims(job.scale.blobs[0], dims, what)
        weight = numbers_of(job.scale.blobs[0], dims, what)
        bias = _bias(build, job.scale, dims[0]).get("bias", bias)
    with np.errstate(all="ignore"):  # numbers of a stranger, who may have stored infinity
        mean, var = ((sums.astype(np.float64) * factor).astype(np.float32) for sums in (mean, var))
    layer = nn.BatchNorm2d(dims[0], told.eps, told.momentum)
    weights = {"weight": weight, "bias": bias, "running_mean": mean, "running_var": var}
    return build.add(job.layer.name, layer, inputs, dims[0], x.size, x.flat, weights)


def _bias(build: Builder, job: Job, channels: int | None = None) -> dict[str, Floats]:
    """The bias, which is the second blob; nothing where the layer has none."""
    if not job.told.bias:
        return {}
    what = f"{build.where}: {job.layer}: its bias"
    wanted = job.told.outputs if channels is None else channels
    return {"bias": numbers_of(job.blobs[1], checked_dims(job.blobs[1], (wanted,), what), what)}


def _expect_channels(build: Builder, job: Job, x: Map, channels: int) -> None:
    if x.channels is not None and x.channels != channels:
        raise ModelError(
            f"{build.where}: {job.layer}: its weight is for {channels:,} channels, and "
            f"{x.value.name} gives {x.channels:,}"
        )


def _convolved(build: Builder, job: Job, size: Pair) -> Pair:
    told = job.told
    height, width = (
        (size[i] + 2 * told.padding[i] - told.dilation[i] * (told.kernel[i] - 1) - 1)
        // told.stride[i]
        + 1
        for i in (0, 1)
    )
    return _fitting(build, job, size, (height, width))


def _fitting(build: Builder, job: Job, size: Pair, output: Pair) -> Pair:
    if min(output) < 1:
        raise ModelError(
            f"{build.where}: {job.layer}: its window is larger than the map of "
            f"{size[0]}×{size[1]} that it is given"
        )
    return output


# ---- Pooling -------------------------------------------------------------------------------------


def _pooling(build: Builder, job: Job, inputs: Sequence[Map]) -> Map:
    [x], told = inputs, job.told
    name = job.layer.name
    is_whole = told.kernel is None or (x.size is not None and told.covers(x.size))
    must_be = job.averages is not None and job.averages in (0, x.channels)
    if x.size is None and told.kernel is not None and must_be:
        is_whole = True
        build.remarks.append(
            f"{job.layer} averages windows of {told.kernel[0]}×{told.kernel[1]}; the size of the "
            "pictures is not known, and it is taken for the average over the whole map"
        )
    if is_whole and (told.average or told.kernel is None):
        whole = nn.GlobalAvgPool2d() if told.average else nn.GlobalMaxPool2d()
        return build.add(name, whole, inputs, x.channels, (1, 1), True)
    size = None if x.size is None else _fitting(build, job, x.size, told.output(x.size))
    window = (told.kernel, told.stride, told.padding, told.ceil)
    # Caffe divides by the part of a window that lies in the padded map.
    pool = nn.AvgPool2d(*window, count_include_pad=True) if told.average else nn.MaxPool2d(*window)
    return build.add(name, pool, inputs, x.channels, size)


# ---- Layers without weights ----------------------------------------------------------------------


def _same_shape(layer: Callable[[Any], nn.Layer]) -> Callable[[Builder, Job, Sequence[Map]], Map]:
    """Makes a layer that gives what has the shape of its input."""

    def make(build: Builder, job: Job, inputs: Sequence[Map]) -> Map:
        [x] = inputs
        return build.add(job.layer.name, layer(job.told), inputs, x.channels, x.size, x.flat)

    return make


def _relu(slope: float) -> nn.Layer:
    return nn.ReLU() if slope == 0.0 else nn.LeakyReLU(slope)


def _prelu(build: Builder, job: Job, inputs: Sequence[Map]) -> Map:
    [x] = inputs
    what = f"{build.where}: {job.layer}: its slopes"
    dims = checked_dims(job.blobs[0], (1 if job.told else x.channels,), what)
    weights = {"weight": numbers_of(job.blobs[0], dims, what)}
    layer = nn.PReLU(dims[0])
    channels = x.channels if job.told else dims[0]
    return build.add(job.layer.name, layer, inputs, channels, x.size, x.flat, weights)


def _lrn(told: settings.LocalResponse) -> nn.Layer:
    return nn.LocalResponseNorm(told.size, told.alpha, told.beta, told.k)


def _flatten(build: Builder, job: Job, inputs: Sequence[Map]) -> Map:
    [x] = inputs
    return x if x.flat else _flat(build, job.layer.name, x, "")


def _flat(build: Builder, name: str, x: Map, front: str = "flatten_") -> Map:
    """N×C×H×W as N×(C * H * W), which a linear layer takes."""
    known = x.channels is not None and x.size is not None
    channels = x.channels * x.size[0] * x.size[1] if known else None  # type: ignore[index,operator]
    return build.add(f"{front}{name}", nn.Flatten(), [x], channels, (1, 1), True)


def _concat(build: Builder, job: Job, inputs: Sequence[Map]) -> Map:
    if len(inputs) == 1:
        return inputs[0]
    size = _common_size(build, job, inputs)
    known = [one.channels for one in inputs if one.channels is not None]
    channels = sum(known) if len(known) == len(inputs) else None
    flat = all(one.flat for one in inputs)
    return build.add(job.layer.name, nn.Concat(), inputs, channels, size, flat)


def _eltwise(build: Builder, job: Job, inputs: Sequence[Map]) -> Map:
    """Sums or products of two, one after another; the last has the layer's name."""
    size = _common_size(build, job, inputs)
    flat = all(one.flat for one in inputs)
    total, *others = inputs
    for number, other in enumerate(others, 1):
        if total.channels != other.channels and None not in (total.channels, other.channels):
            raise ModelError(
                f"{build.where}: {job.layer} joins maps of {total.channels:,} and "
                f"{other.channels:,} channels"
            )
        part = "_product" if job.told == "PROD" else "_sum"
        name = job.layer.name + f"{part}{number}" * (number < len(others))
        channels = other.channels if total.channels is None else total.channels
        joined = nn.Mul() if job.told == "PROD" else nn.Add()
        total = build.add(name, joined, [total, other], channels, size, flat)
    return total


def _common_size(build: Builder, job: Job, inputs: Sequence[Map]) -> Pair | None:
    sizes = {one.size for one in inputs if one.size is not None}
    if len(sizes) > 1:
        shown = " and ".join(f"{height}×{width}" for height, width in sorted(sizes)[:2])
        raise ModelError(f"{build.where}: {job.layer} joins maps of {shown}")
    return next(iter(sizes), None)


# ---- The table -----------------------------------------------------------------------------------


def _with_bias(told: Any) -> int:
    return 2 if told.bias else 1


_MANY = 10_000

OPERATIONS = {
    "BatchNorm": Operation("batch_norm_param", settings.batch_norm, _batch_norm, lambda told: 3),
    "Concat": Operation("concat_param", settings.concat, _concat, inputs=(1, _MANY)),
    "Convolution": Operation("convolution_param", settings.convolution, _convolution, _with_bias),
    "Dropout": Operation("dropout_param", settings.dropout, _same_shape(nn.Dropout)),
    "ELU": Operation("elu_param", settings.elu, _same_shape(nn.ELU)),
    "Eltwise": Operation("eltwise_param", settings.eltwise, _eltwise, inputs=(2, _MANY)),
    "Flatten": Operation("flatten_param", settings.flatten, _flatten),
    "InnerProduct": Operation(
        "inner_product_param", settings.inner_product, _inner_product, _with_bias
    ),
    "LRN": Operation("lrn_param", settings.lrn, _same_shape(_lrn)),
    "PReLU": Operation("prelu_param", settings.prelu, _prelu, lambda told: 1),
    "Pooling": Operation("pooling_param", settings.pooling, _pooling),
    "ReLU": Operation("relu_param", settings.relu, _same_shape(_relu)),
    "Sigmoid": Operation("sigmoid_param", settings.nothing, _same_shape(lambda told: nn.Sigmoid())),
    "Softmax": Operation("softmax_param", settings.softmax, _same_shape(lambda told: nn.Softmax())),
    "TanH": Operation("tanh_param", settings.nothing, _same_shape(lambda told: nn.Tanh())),
}
# Part of the BatchNorm that it stands after.
SCALE = Operation("scale_param", settings.scale, _batch_norm, _with_bias)
