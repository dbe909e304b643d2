"""Gradients of a class's score by what an inner layer of a network gives.

The network runs once in inference mode, all values behind the layer are kept, and the rule of each
operation there takes the gradient one node further back, from the score to the layer. Batch norm
is by its running statistics and dropout does nothing, as in every prediction. Parameters' own
gradients are not asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import functional as F
from .._base.array_types import Floats
from .._base.graph import Node, Nodes
from ..errors import ArgumentError
from ..network import Network


def value_and_gradient(
    network: Network, x: Floats, layer: str, label: int
) -> tuple[Floats, Floats]:
    """(value, gradient), both N×C×H×W: what `layer` gives for x, and d score[label] / d value.

    x: N×C×H×W float32. layer: a node that the scores depend on. label: which score, of what the
    network gives before a softmax at its end.
    """
    graph, core = network.graph, network.core
    scores = scores_node(network)
    between = _between(graph, layer, scores)
    behind = [node for node in graph if node.name in between]
    names = dict.fromkeys([layer, *(n for node in behind for n in (*node.inputs, node.name))])
    pictured = descendants(graph, graph[0].name)
    run = [name for name in names if name in pictured]
    values = dict(zip(run, core.run_outputs(x, run)))
    weights = core.parameters()
    values.update({n: _constant(graph[n], weights) for n in names if n not in pictured})
    first = np.zeros_like(values[scores])
    first[:, label] = 1.0
    gradients = {scores: first}
    reached = {layer, *(node.name for node in behind)}
    for node in reversed(behind):
        dy = gradients.pop(node.name)
        step = _Step(node, dy, [values[n] for n in node.inputs], values[node.name], weights)
        for source, dx in zip(node.inputs, RULES[node.operation](step)):
            if source in reached:
                gradients[source] = gradients[source] + dx if source in gradients else dx
    return values[layer], gradients[layer]


def scores_node(network: Network) -> str:
    """The node that gives the scores: the output, or what a softmax at the end is made of."""
    return network.core.before_softmax() or network.graph.output.name


def ancestors(graph: Nodes, name: str) -> set[str]:
    """The node and all that its value is made of."""
    found = {name}
    for node in reversed(graph):
        if node.name in found:
            found.update(node.inputs)
    return found


def descendants(graph: Nodes, name: str) -> set[str]:
    """The node and all that are made of its value."""
    found = {name}
    for node in graph:
        if found.intersection(node.inputs):
            found.add(node.name)
    return found


def _between(graph: Nodes, layer: str, scores: str) -> set[str]:
    """What is made of the layer's value and the scores are made of, without the layer itself."""
    return (descendants(graph, layer) & ancestors(graph, scores)) - {layer}


def _constant(node: Node, weights: Mapping[str, Floats]) -> Floats:
    """1×C×H×W of a Constant; raises ArgumentError for what is computed of constants alone."""
    if node.operation != "Constant":
        raise ArgumentError(
            f"explain: {node.name} ({node.operation}) is made of constants alone, and gradients do "
            "not go past it; choose a layer (--layer) behind what it meets"
        )
    fields = node.attributes
    shape = fields["height"], fields["width"], fields["channels"]
    return weights[f"{node.name}.value"].reshape(shape).transpose(2, 0, 1)[None]


# ---- Rules ---------------------------------------------------------------------------------------


class _Step:
    """One operation on its way back.

    dy: the gradient by the node's value y. inputs: the values that it was given. All N×C×H×W.
    """

    def __init__(
        self,
        node: Node,
        dy: Floats,
        inputs: Sequence[Floats],
        y: Floats,
        weights: Mapping[str, Floats],
    ) -> None:
        self.node, self.dy, self.inputs, self.y = node, dy, inputs, y
        self._weights = weights

    @property
    def x(self) -> Floats:
        return self.inputs[0]

    def weight(self, name: str) -> Floats:
        """A parameter or buffer of the node: "weight", "running_mean"."""
        return self._weights[f"{self.node.name}.{name}"]

    def told(self, *names: str) -> dict[str, Any]:
        """Some of the node's attributes by name."""
        return {name: self.node.attributes[name] for name in names}


# The gradients by the inputs, one for each, in their order.
_Rule = Callable[[_Step], Sequence[Floats]]


def _conv2d(step: _Step) -> Sequence[Floats]:
    told = step.told("stride", "padding", "dilation", "groups")
    return F.conv2d_backward(step.dy, step.x, step.weight("weight"), **told)[:1]


def _linear(step: _Step) -> Sequence[Floats]:
    # Only dx: the weights' own gradient would be as large as the weights, 400 MB in VGG-19.
    dx = step.dy[:, :, 0, 0] @ step.weight("weight")
    return (dx[:, :, None, None],)


def _batch_norm2d(step: _Step) -> Sequence[Floats]:
    statistics = step.weight("running_mean"), step.weight("running_var")
    told = step.told("eps")
    weight = step.weight("weight")
    return F.batch_norm2d_backward(step.dy, step.x, *statistics, weight, **told)[:1]


def _max_pool2d(step: _Step) -> Sequence[Floats]:
    told = step.told("kernel_size", "stride", "padding", "ceil_mode")
    return (F.max_pool2d_backward(step.dy, step.x, **told),)


def _avg_pool2d(step: _Step) -> Sequence[Floats]:
    told = step.told("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
    return (F.avg_pool2d_backward(step.dy, step.x.shape, **told),)


def _global_avg_pool2d(step: _Step) -> Sequence[Floats]:
    return (F.global_avg_pool2d_backward(step.dy[:, :, 0, 0], step.x.shape),)


def _global_max_pool2d(step: _Step) -> Sequence[Floats]:
    return (F.global_max_pool2d_backward(step.dy[:, :, 0, 0], step.x),)


def _concat(step: _Step) -> Sequence[Floats]:
    ends = np.cumsum([value.shape[1] for value in step.inputs])[:-1]
    return np.split(step.dy, ends, axis=1)


def _slice(step: _Step) -> Sequence[Floats]:
    dx = np.zeros_like(step.x)
    ranges = step.told("channels", "height", "width").values()
    dx[(slice(None), *(slice(*each) for each in ranges))] = step.dy
    return (dx,)


def _pad(step: _Step) -> Sequence[Floats]:
    # A margin below 0 takes away: what was taken away has no gradient.
    dx = np.zeros_like(step.x)
    here, there = [slice(None)], [slice(None)]
    margins = step.told("channels", "height", "width").values()
    for (before, after), size in zip(margins, step.x.shape[1:]):
        first, last = max(-before, 0), size - max(-after, 0)
        here.append(slice(first, last))
        there.append(slice(first + before, last + before))
    dx[tuple(here)] = step.dy[tuple(there)]
    return (dx,)


def _channel_shuffle(step: _Step) -> Sequence[Floats]:
    n, c, h, w = step.x.shape
    groups = step.node.attributes["groups"]
    apart = step.dy.reshape(n, c // groups, groups, h, w).swapaxes(1, 2)
    return (np.ascontiguousarray(apart).reshape(step.x.shape),)


def _of_x(backward: Callable[..., Floats], *names: str, **fixed: Any) -> _Rule:
    """The rule of a function whose derivative is computed from x, with these attributes."""
    return lambda step: (backward(step.dy, step.x, **step.told(*names), **fixed),)


def _of_y(backward: Callable[..., Floats], *names: str) -> _Rule:
    """The rule of a function whose derivative is computed from y, with these attributes."""
    return lambda step: (backward(step.dy, step.y, **step.told(*names)),)


RULES: dict[str, _Rule] = {
    "Conv2d": _conv2d,
    "Linear": _linear,
    "BatchNorm2d": _batch_norm2d,
    "MaxPool2d": _max_pool2d,
    "AvgPool2d": _avg_pool2d,
    "GlobalAvgPool2d": _global_avg_pool2d,
    "GlobalMaxPool2d": _global_max_pool2d,
    "LocalResponseNorm": _of_x(F.local_response_norm_backward, "size", "alpha", "beta", "k"),
    "Softmax": _of_y(F.softmax_backward),
    # Where values go
    "Concat": _concat,
    "Slice": _slice,
    "Pad": _pad,
    "ChannelShuffle": _channel_shuffle,
    "Dropout": lambda step: (step.dy,),
    "Flatten": lambda step: (step.dy.reshape(step.x.shape),),
    # Arithmetic
    "Add": lambda step: F.add_backward(step.dy, *(value.shape for value in step.inputs)),
    "Sub": lambda step: F.sub_backward(step.dy, *(value.shape for value in step.inputs)),
    "Mul": lambda step: F.mul_backward(step.dy, *step.inputs),
    "Div": lambda step: F.div_backward(step.dy, *step.inputs),
    # Activations
    "Relu": _of_y(F.relu_backward),
    "Relu6": _of_y(F.relu6_backward),
    "Clip": _of_y(F.clip_backward, "low", "high"),
    "PRelu": lambda step: F.prelu_backward(step.dy, step.x, step.weight("weight"))[:1],
    "LeakyRelu": _of_x(F.leaky_relu_backward, "slope"),
    "Elu": _of_x(F.elu_backward, "alpha"),
    "Sigmoid": _of_y(F.sigmoid_backward),
    "HardSigmoid": _of_y(F.hard_sigmoid_backward, "alpha"),
    "Tanh": _of_y(F.tanh_backward),
    "Silu": _of_x(F.silu_backward),
    "HardSwish": _of_x(F.hard_swish_backward),
    "Gelu": _of_x(F.gelu_backward),
    "GeluTanh": _of_x(F.gelu_backward, approximate="tanh"),
}
