"""Gradient-weighted class maps, for networks that do not end in global average pooling.

Grad-CAM (Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via
Gradient-based Localization", equations 1 and 2) weights the maps A of a layer by how much the score
y of the class c rises with each:

    alpha[k]  = mean over i, j of dy[c] / dA[k, i, j]
    m[i, j]   = max(sum over k of alpha[k] * A[k, i, j], 0)

Here the gradients are summed and not averaged, which is H·W times as much everywhere: in a network
that ends in global average pooling and a linear layer, m is then the class map without its bias, in
units of the score. Heat is

    heat[i, j] = (m[i, j] - least of m) / scale,  scale = the greatest of m, at least 0.1

The scale is this class's own, since every class has gradients of its own. Heat of two classes
cannot be compared.
"""

from __future__ import annotations

import numpy as np

from .. import _core
from .._base.arguments import likeness, quoted, shown
from .._base.array_types import Floats
from .._base.graph import Nodes
from ..errors import ArgumentError, ModelError
from ..network import Network
from .gradients import ancestors, descendants, scores_node, value_and_gradient
from .heat import WORTH_SHOWING


def grad_cam(network: Network, x: Floats, label: int, layer: str) -> tuple[np.ndarray, float]:
    """(H'×W' heat at the places of the layer's maps, scale).

    x: 1×C×H×W float32. layer: as `chosen_layer` gives it.

    Raises ModelError where maps or gradients are not finite.
    """
    value, gradient = value_and_gradient(network, x, layer, label)
    # Sums over thousands of places keep more digits so.
    weights = gradient[0].sum(axis=(1, 2), dtype=np.float64)
    raised = np.einsum("k,khw->hw", weights, value[0].astype(np.float64))
    if not np.isfinite(raised).all():
        raise ModelError(
            f"explain: the maps of {layer}, or the gradients by them, hold numbers that are not "
            "finite"
        )
    raised = np.maximum(raised, 0.0)
    scale = max(float(raised.max()), WORTH_SHOWING)
    return (raised - raised.min()) / scale, scale


def chosen_layer(network: Network, layer: str | None, height: int, width: int) -> str:
    """The layer that is asked for, or the last whose maps tell places apart, for such pictures.

    The last is that of all layers behind a convolution, pools apart, whose maps are larger than
    1×1. In VGG this is the last ReLU of the convolutions, in a ResNet that of the last block.

    Raises ArgumentError, which says what there is, where it can be none.
    """
    graph, core = network.graph, network.core
    if layer is not None and not isinstance(layer, str):
        raise ArgumentError(f"explain: layer must be a layer's name or None, got {shown(layer)}")
    channels = network.preprocessing["channels"]  # type: ignore[index]  # `explain` needs it
    possible = {
        name: size
        for name in _telling(graph, scores_node(network))
        if max(size := _size(core, name, (1, channels, height, width))) > 1
    }
    if layer is not None:
        if layer not in possible:
            raise ArgumentError(
                f"explain: {_why_not(graph, layer, possible, network)}; layers whose maps can be "
                f"weighted are {quoted([*possible])}{likeness(layer, possible)}"
            )
        return layer
    convolved: set[str] = set()
    for node in graph:
        if node.operation == "Conv2d":
            convolved |= descendants(graph, node.name)
    for node in reversed(graph):
        places = _core.OPERATIONS[node.operation]["places"]
        keeps = node.operation == "Conv2d" or (places == "kept" and node.operation != "Dropout")
        if keeps and node.name in possible and node.name in convolved:
            return node.name
    raise ArgumentError(
        "explain: grad-cam needs maps larger than 1×1 that come from a convolution, and for "
        f"pictures of {height}×{width} the network has none"
        + (f"; layer (--layer) may name another: {quoted([*possible])}" if possible else "")
    )


def _telling(graph: Nodes, scores: str) -> list[str]:
    """Nodes that the scores depend on and that depend on the picture."""
    needed, pictured = ancestors(graph, scores), descendants(graph, graph[0].name)
    return [node.name for node in graph if node.name in needed and node.name in pictured]


def _size(core: _core.Model, name: str, shape: tuple[int, int, int, int]) -> tuple[int, int]:
    """Height and width of a node's maps."""
    _, _, height, width = core.output_shape(shape, name)
    return height, width


def _why_not(graph: Nodes, layer: str, possible: dict[str, tuple[int, int]], net: Network) -> str:
    """Why the gradients by this layer give no map, in words."""
    if layer not in {node.name for node in graph}:
        return f"the network has no layer {shown(layer)}"
    operation = graph[layer].operation
    if layer in _telling(graph, scores_node(net)):
        return f"{layer} ({operation}) gives 1×1 maps, which tell no place from another"
    if layer not in ancestors(graph, scores_node(net)):
        return f"the scores do not depend on {layer} ({operation})"
    return f"{layer} ({operation}) is the same for every picture"
