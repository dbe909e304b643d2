"""`load_caffe`: a network of Caffe becomes one of ninc's."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Sequence

from ..._base.arguments import flag, quoted
from ..._base.arguments import path as file_path
from ...errors import Error, FileError, ModelError, OutOfMemoryError, remark
from ...nn import Graph
from ..names import shown_name
from ..protobuf.schema import Message
from ..protobuf.text import read_text
from ..protobuf.wire import read_message
from .blobs import dims_of
from .builder import Builder, Map
from .files import read_caffemodel, read_prototxt
from .net import CaffeLayer, in_testing, layers_of
from .operations import OPERATIONS, SCALE, Job, Operation
from .pictures import Pictures, pictures_of, preprocessing_of
from .schema import NET
from .settings import Pooling, Unsupported
from .wiring import Wire, Wiring, wired

_MOST_SHOWN = 100  # layers of a kind, or kinds, in a message

# What may stand between an average over the whole map and the end of the network.
_PASSING = frozenset(("Dropout", "Flatten", "ReLU", "Softmax"))


def load_caffe(
    path: str | os.PathLike[str],
    prototxt: str | os.PathLike[str] | None = None,
    *,
    rgb: bool = False,
) -> Graph:
    """The network in a caffemodel, in inference as Caffe computes it in its TEST phase.

    path: the file of weights, of either of Caffe's formats, with `layer` or with `layers`.
    prototxt: the file that describes the network, for deployment or for training; weights are
        found by their layers' names. None: the network is as the caffemodel itself describes it.
    rgb: turns the first layer's weights, so that the network takes pictures of red, green, blue, as
        ninc reads them; for networks that were trained on blue, green, red, as most were.

    Layers that only training needs are left out, so that a network that ends in SoftmaxWithLoss
    gives scores. Where mean and scale of the pictures are known and can be said, the network has
    them as its preprocessing; a `ninc.Remark` tells what remains to be set.

    Raises FileError where a file cannot be read, and ModelError where it is none of Caffe's or
    damaged, where weights are missing or of another shape, and for layers that ninc does not have:
    all of them in one message, with the reasons.
    """
    weights_file = file_path("load_caffe", "path", path)
    rgb = flag("load_caffe", "rgb", rgb)
    model = read_message(read_caffemodel(weights_file), NET, weights_file)
    stored = layers_of(model, weights_file)
    net, where, layers = model, weights_file, stored
    if prototxt is not None:
        where = file_path("load_caffe", "prototxt", prototxt)
        net = read_text(read_prototxt(where), NET, where)
        layers = layers_of(net, where)
    tested = [one for one in layers if in_testing(one, net)]
    left_out = [one for one in layers if not in_testing(one, net)]
    wiring = wired(tested, net.all("input"), where, left_out)
    jobs = _jobs(wiring, _weights(stored, weights_file), where, weights_file)
    pictures = pictures_of(net, wiring.source, [*tested, *layers, *stored])
    try:
        return _network(wiring, jobs, pictures, rgb, where)
    except (FileError, ModelError, OutOfMemoryError):
        raise
    except Error as error:  # such as a shape that the core does not take
        raise ModelError(f"{where}: {error}") from error


# ---- What is to be made --------------------------------------------------------------------------


def _weights(stored: Sequence[CaffeLayer], where: str) -> dict[str, list[Message]]:
    found: dict[str, list[Message]] = {}
    for layer in stored:
        if layer.blobs and layer.name in found:
            raise ModelError(f"{where}: has weights for two layers of the name {layer.shown!r}")
        if layer.blobs:
            found[layer.name] = layer.blobs
    return found


def _jobs(
    wiring: Wiring, weights: dict[str, list[Message]], where: str, weights_file: str
) -> dict[Wire, Job]:
    """A job for each layer; ModelError that lists those that cannot be made, with the reasons."""
    jobs: dict[Wire, Job] = {}
    problems: dict[tuple[str, str], list[str]] = {}  # type and reason -> the layers' names
    missing, named = [], set()
    for wire in wiring.layers:
        layer = wire.of
        try:
            operation = _operation(wire)
            job = _job(wire, operation, weights.get(layer.name, []))
        except Unsupported as reason:
            problems.setdefault((layer.type, str(reason)), []).append(layer.shown)
            continue
        needed = operation.blobs(job.told)
        if needed and layer.name in named:
            raise ModelError(f"{where}: two layers with weights have the name {layer.shown!r}")
        named |= {layer.name} if needed else set()
        if needed and needed != len(job.blobs):
            missing.append(f"{layer} has {len(job.blobs)} of {needed}")
        jobs[wire] = job
    if problems:
        lines = [
            f"{', '.join(names[:_MOST_SHOWN])} ({shown_name(kind)}): {why}"
            for (kind, why), names in problems.items()
        ][:_MOST_SHOWN]
        raise ModelError(f"{where}: layers that ninc cannot take over: {'; '.join(lines)}")
    if missing:
        raise ModelError(
            f"{weights_file}: the number of blobs with weights is not what layers need: "
            f"{'; '.join(missing[:_MOST_SHOWN])}"
        )
    return {wire: _with_neighbours(wire, jobs) for wire in jobs}


def _operation(wire: Wire) -> Operation:
    layer = wire.of
    if layer.type == "Scale":
        [before, *others] = wire.inputs
        if before.layer is None or before.of.type != "BatchNorm" or others:
            raise Unsupported("only a Scale after a BatchNorm is known")
        if before.readers != [wire]:
            raise Unsupported("the BatchNorm before it feeds other layers, too")
        return SCALE
    if layer.type not in OPERATIONS:
        raise Unsupported("ninc has no such layer")
    return OPERATIONS[layer.type]


def _job(wire: Wire, operation: Operation, blobs: list[Message]) -> Job:
    layer = wire.of
    param = layer.message.message(operation.param)
    least, most = operation.inputs
    if not least <= len(wire.inputs) <= most:
        raise Unsupported(f"it takes {len(wire.inputs)} inputs instead of {least}")
    if len(layer.tops) != 1:
        raise Unsupported(f"it gives {len(layer.tops)} blobs instead of 1")
    if param.unknown is not None:
        raise Unsupported(f"{operation.param} has {shown_name(param.unknown)}, which is not known")
    return Job(layer, operation.read(param), blobs)


def _with_neighbours(wire: Wire, jobs: dict[Wire, Job]) -> Job:
    """The job with what is after its layer, for those that this matters to."""
    job = jobs[wire]
    if wire.of.type == "BatchNorm" and wire.readers and wire.readers[0].of.type == "Scale":
        return dataclasses.replace(job, scale=jobs[wire.readers[0]])
    if isinstance(job.told, Pooling) and job.told.average and job.told.padding == (0, 0):
        return dataclasses.replace(job, averages=_averaged(wire, jobs))
    return job


def _averaged(wire: Wire, jobs: dict[Wire, Job]) -> int | None:
    """What says that a pooling must be one window: the features of the linear layer behind it.

    0 where the network ends with it, slid in steps of 1; None where nothing says so.
    """
    step = jobs[wire].told.stride
    while len(wire.readers) == 1:
        [wire] = wire.readers
        if wire.of.type == "InnerProduct":
            dims = dims_of(jobs[wire].blobs[0], f"{wire.of}: its weight")
            return math.prod(dims) // jobs[wire].told.outputs
        if wire.of.type not in _PASSING:
            return None
    return 0 if not wire.readers and step == (1, 1) else None


# ---- The network ---------------------------------------------------------------------------------


def _network(
    wiring: Wiring, jobs: dict[Wire, Job], pictures: Pictures, rgb: bool, where: str
) -> Graph:
    build = Builder(where)
    shape = (pictures.channels, pictures.size)
    names = [wire.of.name for wire in wiring.layers]
    maps: dict[Wire, Map] = {wiring.source: build.input(wiring.source.blob, names, shape)}
    for wire in wiring.layers:
        inputs = [maps[one] for one in wire.inputs]
        if wire.of.type == "Scale":
            maps[wire] = inputs[0]
        else:
            maps[wire] = OPERATIONS[wire.of.type].make(build, jobs[wire], inputs)
    first = [
        f"{maps[wire].value.name}.weight"
        for wire in wiring.source.readers
        if wire.of.type == "Convolution" and jobs[wire].told.groups == 1
    ]
    channels = pictures.channels or next((build.weights[one].shape[1] for one in first), None)
    if rgb:
        if channels != 3 or len(first) != len(wiring.source.readers):
            raise ModelError(
                f"{where}: rgb turns the first layer, which must be a convolution of 3 channels "
                f"without groups, got {channels} channels and "
                f"{quoted([str(wire.of) for wire in wiring.source.readers])}"
            )
        build.weights.update((one, build.weights[one][:, ::-1].copy()) for one in first)
    graph = build.graph  # which gives what its last layer gives: all others lead there
    graph.load_state_dict(build.weights)
    graph.preprocessing, words = preprocessing_of(
        dataclasses.replace(pictures, channels=channels), rgb
    )
    for one in (*build.remarks, *filter(None, [words])):
        remark(f"{where}: {one}")
    return graph
