"""Makes the network of its steps: ninc's layers one after another, and their weights by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ... import nn
from ...errors import ModelError
from ...nn import Graph, Value
from ..names import Names, cleaned_name
from .simplify import channel_map
from .steps import AFFINE, ERF, INPUT, Array, Step, live
from .walk import MOST_STEPS

Weights = Mapping[str, Array]


def lacks(step: Step) -> str:
    """Why a step cannot be a layer; "" where it can."""
    if step.op == ERF:
        return "only as a part of GELU, x * (1 + erf(x / sqrt(2))) / 2, is it known"
    return ""


class _Network:
    """A graph under way. weights: of the graph's layers, by their names in it."""

    def __init__(self, where: str) -> None:
        self.graph = Graph()
        self.names = Names()
        self.weights: dict[str, Array] = {}
        self._where = where

    def add(self, layer: Any, name: str, inputs: Sequence[Value], weights: Weights) -> Value:
        """Adds a layer with its weights; and with its buffers, which are the layer's own."""
        return self._added(layer, self.names.free(name or layer.stem or "layer"), inputs, weights)

    def _added(self, layer: Any, free: str, inputs: Sequence[Value], weights: Weights) -> Value:
        if len(self.names) > MOST_STEPS:
            raise ModelError(f"{self._where}: a network has at most {MOST_STEPS:,} layers")
        value = self.graph.add(layer, *inputs, name=free)
        arrays = {**layer.buffers(), **weights}
        self.weights.update((f"{free}.{key}", array) for key, array in arrays.items())
        return value

    def scaled_and_shifted(self, step: Step, value: Value) -> Value:
        """Products and sums with constants, where no layer before could take these over."""
        for op, what, nothing in (("Mul", "scale", 1.0), ("Add", "shift", 0.0)):
            numbers = step.settings[what]
            if np.any(numbers != nothing):
                name = self.names.free(_node_name(step.names[what]) or op.lower())
                constant = _layer("Constant")(channel_map(numbers))
                held = self.add(constant, f"{name}_constant", [], {})
                value = self._added(_layer(op)(), name, [value, held], {})
        return value


def network_of(outputs: Sequence[tuple[str, Step]], where: str) -> Graph:
    """The graph that gives these outputs. Where there are several, it calls them by their names."""
    made = _Network(where)
    values: dict[int, Value] = {}
    steps = live([step for _, step in outputs])
    for name, step in reversed(outputs):
        if len(outputs) > 1:
            _call(step, name)
    [source] = [step for step in steps if step.op == INPUT]
    taken = {_node_name(step.name) for step in steps if step is not source}
    wanted = (_node_name(source.name), "x", "input")
    first = next((one for one in wanted if one and one not in taken), "network_input")
    values[id(source)] = made.graph.input(made.names.free(first))
    for step in steps:
        inputs = [values[id(one)] for one in step.inputs]
        if step.op == AFFINE:
            values[id(step)] = made.scaled_and_shifted(step, inputs[0])
        elif step is not source:
            layer = _layer(step.op)(**step.settings)
            values[id(step)] = made.add(layer, _node_name(step.name), inputs, step.weights)
    given: list[Value] = []
    for name, step in outputs:
        value = values[id(step)]
        if value in given:  # two outputs are one value, and have a name each
            value = made.add(nn.Slice(), _node_name(name), [value], {})
        given.append(value)
    made.graph.set_output(*given)
    made.graph.load_state_dict(made.weights)
    return made.graph


def _call(step: Step, name: str) -> None:
    """Gives the last layer that the step becomes this name."""
    if step.op == AFFINE:
        last = "shift" if step.shift.any() else "scale"
        step.settings = {**step.settings, "names": {**step.names, last: name}}
    elif step.op != INPUT:
        step.name = name


def _layer(op: str) -> Any:
    return getattr(nn, op)


def _node_name(name: str) -> str:
    """Exporters write "/features/0/Conv"; the slash in front says nothing."""
    return cleaned_name(name.strip("/"))
