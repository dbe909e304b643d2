"""ninc as one of the engines."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np

import ninc

from . import FLOAT32, Inference


def save(network: ninc.Network, input_shape, path) -> None:
    network.save(path)


def load(path, x: np.ndarray, threads: int) -> Inference:
    ninc.set_num_threads(threads)
    network = ninc.load(path)
    return Inference(lambda: network(x), instruction_set=ninc.target())


class Training:
    """Steps of SGD with momentum 0.9 on one batch; `network` itself is left alone."""

    precision = FLOAT32

    def __init__(self, network, x, labels, threads, rate, weight_decay):
        ninc.set_num_threads(threads)
        self.network = copy_of(network)
        self.instruction_set = ninc.target()
        optimizer = ninc.SGD(lr=rate, momentum=0.9, weight_decay=weight_decay)
        self._trainer = ninc.Trainer(self.network, optimizer, seed=0)
        self._batch = x, labels

    def step(self) -> float:
        """The loss before the update."""
        return float(self._trainer.step(*self._batch))

    def parameters(self) -> dict[str, np.ndarray]:
        return {name: value.copy() for name, value in self.network.parameters().items()}


def copy_of(network: ninc.Network, change: Callable[[dict], object] | None = None) -> ninc.Network:
    """A network of the same layers and weights that shares nothing with this one.

    change: is given each node of the graph and may alter it.
    """
    graph = json.loads(network.core.graph_json())
    if change:
        for node in graph["nodes"]:
            change(node)
    model = ninc._core.Model(json.dumps(graph))
    model.set_parameters(network.state_dict())
    return ninc.Network(model)
