"""Finds where in a picture the places of a network's inner maps look.

The value at place p of a layer's output depends on a window of its input. Its centre follows from
the layer alone (Araujo, Norris, Sim 2019, "Computing Receptive Fields of Convolutional Neural
Networks", Distill), so centres can be carried through the network, from the picture on, each axis
by itself:

    convolution   p * stride - padding + dilation * (kernel - 1) / 2
    pooling       the middle of p * stride - padding ... + kernel - 1, of what lies in its input
    global pool   the middle of the whole picture
    all others    p

A convolution's window counts whole even where it hangs over the edge, since its weights keep their
places there. A pool's does not: it takes its value from what is there. Where branches meet that
look at different places (Add, Concat), the centres are the means of theirs.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from .. import _core
from .._base.graph import Node, Nodes
from ..errors import ArgumentError

_POOLS = ("MaxPool2d", "AvgPool2d")


@dataclasses.dataclass(frozen=True)
class Axis:
    """The places of a map along one axis.

    centres: where the centre of each place's window lies in the picture; 0 is the first pixel's
    centre. jump: the distance of neighbours away from edges, which is the product of the strides.
    """

    centres: np.ndarray
    jump: float

    def at(self, places: np.ndarray) -> np.ndarray:
        """Where places look in the picture, fractions of places and those beyond the edge, too."""
        last = len(self.centres) - 1
        inside = np.clip(places, 0, last)
        centres = np.interp(inside, np.arange(last + 1), self.centres)
        return centres + (places - inside) * self.jump


def centres(graph: Nodes, name: str, height: int, width: int) -> tuple[Axis, Axis]:
    """(down, across): where the places of node `name` look in an input of height×width."""
    found: dict[str, tuple[Axis, Axis]] = {}
    for node in graph:
        if node.operation == "Input":
            down, across = (
                Axis(np.arange(size, dtype=np.float64), 1.0) for size in (height, width)
            )
        else:
            # A constant, and what is made of constants alone, looks nowhere.
            sources = [found[source] for source in node.inputs if source in found]
            if not sources:
                continue
            down, across = (_behind(node, [axes[i] for axes in sources], i) for i in (0, 1))
        found[node.name] = down, across
        if node.name == name:
            break
    return found[name]


def _behind(node: Node, sources: list[Axis], axis: int) -> Axis:
    """The axis of a node's output; `axis`: 0 down, 1 across."""
    source = _mean(sources)
    size = len(source.centres)
    facts = _core.OPERATIONS.get(node.operation)
    if facts and facts["places"] == "whole":
        return Axis(source.centres.mean(keepdims=True), source.jump * size)
    if facts and facts["places"] == "kept":
        return source
    if node.operation == "Slice":
        start, stop, step = node.attributes[("height", "width")[axis]]
        return Axis(source.at(np.arange(size)[start:stop:step]), source.jump * step)
    if node.operation == "Pad":
        before, after = node.attributes[("height", "width")[axis]]
        return Axis(source.at(np.arange(-before, size + after)), source.jump)
    if node.operation not in ("Conv2d", *_POOLS):
        raise ArgumentError(
            f"{node.name} ({node.operation}): nobody has said where its outputs look in a picture"
        )
    told = node.attributes
    kernel, stride, padding = (told[key] for key in ("kernel_size", "stride", "padding"))
    kernel, stride, before = kernel[axis], stride[axis], padding[axis]
    if node.operation == "Conv2d":
        reach = told["dilation"][axis] * (kernel - 1)
        count = (size + before + padding[axis + 2] - reach - 1) // stride + 1
        middles = np.arange(count) * stride - before + reach / 2
    else:
        first = np.arange(_pool_count(size, kernel, stride, before, told["ceil_mode"])) * stride
        first -= before
        middles = (np.maximum(first, 0) + np.minimum(first + kernel, size) - 1) / 2
    return Axis(source.at(middles), source.jump * stride)


def _pool_count(size: int, kernel: int, stride: int, padding: int, ceil_mode: bool) -> int:
    """How many windows a pool has; the rule stands in the core's `Pool2dProblem`."""
    span = size + 2 * padding - kernel
    count = (-(-span // stride) if ceil_mode else span // stride) + 1
    if ceil_mode and (count - 1) * stride >= size + padding:
        count -= 1
    return count


def _mean(sources: list[Axis]) -> Axis:
    """The axis of several inputs.

    An input of a single place is spread over the others' places and says nothing about them.
    """
    longest = max(len(source.centres) for source in sources)
    sources = [source for source in sources if len(source.centres) == longest]
    if len(sources) == 1:
        return sources[0]
    centres = np.mean([source.centres for source in sources], axis=0)
    return Axis(centres, float(np.mean([source.jump for source in sources])))
