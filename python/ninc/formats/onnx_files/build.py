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

    def free_name(self, layer: Any, name: str) -> str:
        """A name for the layer, its node's if that is free. It is taken from then on."""
        return self.names.free(_node_name(name) or layer.stem or "layer")

    def add(self, layer: Any, free: str, inputs: Sequence[Value], weights: Weights) -> Value:
        """Adds a layer with its weights; and with its buffers, which are the layer's own."""
        if len(self.names) > MOST_STEPS:
            raise ModelError(f"{self._where}: a network has at most {MOST_STEPS:,} layers")
        value = self.graph.add(layer, *inputs, name=free)
        arrays = {**layer.buffers(), **weights}
        self.weights.update((f"{free}.{key}", array) for key, array in arrays.items())
        return value

    def scaled_and_shifted(self, step: Step, value: Value, called: str) -> Value:
        """Products and sums with constants, where no layer before could take these over.

        called: the name of the last of them, "" for that of its node.
        """
        parts = [("Mul", "scale")] if np.any(step.scale != 1.0) else []
        if step.shift.any():
            parts.append(("Add", "shift"))
        for op, what in parts:
            is_last = (op, what) == parts[-1]
            layer = _layer(op)()
            name = (is_last and called) or self.free_name(layer, step.names[what])
            constant = _layer("Constant")(channel_map(step.settings[what]))
            held = self.add(constant, self.names.free(f"{name}_constant"), [], {})
            value = self.add(layer, name, [value, held], {})
        return value


def network_of(outputs: Sequence[tuple[str, Step]], where: str) -> Graph:
    """The graph that gives these outputs. Where there are several, it calls them by their names."""
    made = _Network(where)
    values: dict[int, Value] = {}
    steps = live([step for _, step in outputs])
    # Of several outputs each has its name first, and no other layer has it.
    names = [made.names.free(_node_name(name)) for name, _ in outputs if len(outputs) > 1]
    called = {id(step): name for name, (_, step) in zip(names[::-1], outputs[::-1])}
    [source] = [step for step in steps if step.op == INPUT]
    taken = {_node_name(step.name) for step in steps if step is not source}
    wanted = (_node_name(source.name), "x", "input")
    first = next((one for one in wanted if one and one not in taken), "network_input")
    values[id(source)] = made.graph.input(made.names.free(first))
    for step in steps:
        inputs = [values[id(one)] for one in step.inputs]
        name = called.get(id(step), "")
        if step.op == AFFINE:
            values[id(step)] = made.scaled_and_shifted(step, inputs[0], name)
        elif step is not source:
            layer = _layer(step.op)(**step.settings)
            free = name or made.free_name(layer, step.name)
            values[id(step)] = made.add(layer, free, inputs, step.weights)
    given = [values[id(step)] for _, step in outputs]
    for place, name in enumerate(names):
        if given[place].name != name:  # of the input, or of another output, too
            given[place] = made.add(nn.Slice(), name, [given[place]], {})
    made.graph.set_output(*given)
    made.graph.load_state_dict(made.weights)
    return made.graph


def _layer(op: str) -> Any:
    return getattr(nn, op)


def _node_name(name: str) -> str:
    """Exporters write "/features/0/Conv"; the slash in front says nothing."""
    return cleaned_name(name.strip("/"))
