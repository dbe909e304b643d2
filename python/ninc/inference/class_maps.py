"""One map a class: what a network's global average pooling averages into the class's score.

Where pooling gives the output, these are its inputs (Lin, Chen, Yan 2013, section 3.2). Where one
linear layer follows it, sums may be exchanged (CAM; Zhou et al. 2016, "Learning Deep Features for
Discriminative Localization", equation 2):

    score[c] = bias[c] + sum over k of weight[c, k] * mean of f[k]  =  mean of m[c],
    m[c, i, j] = bias[c] + sum over k of weight[c, k] * f[k, i, j]
"""

from __future__ import annotations

import numpy as np

from .. import _core
from .._base.array_types import Floats, FloatsLike
from .._base.graph import Node, Nodes, graph_of
from ..errors import ArgumentError

# What changes nothing between pooling and a linear layer, and what changes nothing at the end.
_BETWEEN = ("Dropout", "Flatten")
_AT_THE_END = ("Softmax", *_BETWEEN)


def class_maps(model: _core.Model, x: FloatsLike) -> Floats:
    """N×classes×H'×W' float32; see `Network.class_maps`."""
    node, linear = pooled_node(graph_of(model))
    if linear is None:
        return model.run(x, node)
    maps, parameters = model.run_with_parameters(x, node)
    weight, bias = parameters[f"{linear}.weight"], parameters.get(f"{linear}.bias")
    # weight: classes×K, maps: N×K×H'×W'
    mixed = np.einsum("ck,nkhw->nchw", weight, maps, dtype=np.float32, optimize=True)
    if bias is not None:
        mixed += bias[:, None, None]
    return np.ascontiguousarray(mixed)


def pooled_node(graph: Nodes) -> tuple[str, str | None]:
    """What global average pooling averages, and the linear layer after it, if any.

    Raises ArgumentError where the output is neither pooling's nor such a layer's.
    """

    def before(node: Node, passed_over: tuple[str, ...]) -> Node:
        while node.operation in passed_over:
            node = graph[node.inputs[0]]
        return node

    scores = node = before(graph.output, _AT_THE_END)
    if node.operation == "Linear":
        node = before(graph[node.inputs[0]], _BETWEEN)
    if node.operation != "GlobalAvgPool2d":
        raise ArgumentError(
            "class_maps: scores must come from global average pooling, with one linear layer "
            f"behind it at most, but {scores.name} is {scores.operation}"
            + ("" if node is scores else f" fed by {node.name} ({node.operation})")
        )
    return node.inputs[0], None if node is scores else scores.name
