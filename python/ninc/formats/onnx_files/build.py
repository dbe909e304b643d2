"""Makes the network of its steps: ninc's layers one after another, and their weights by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import nn
from ...errors import ModelError
from ...nn import Graph, Value
from ..names import Names, cleaned_name
from .simplify import channel_map
from .steps import AFFINE, ERF, INPUT, Array, Step
from .walk import MOST_STEPS


def lacks(step: Step) -> str:
    """Why a step cannot be a layer of this build of ninc; "" where it can."""
    if step.op == INPUT:
        return ""
    if step.op == ERF:
        return "only as a part of GELU, x * (1 + erf(x / sqrt(2))) / 2, is it known"
    if step.op == AFFINE:
        if _has("Constant") and _has("Mul"):
            return ""
        return (
            "this build of ninc has no layer Constant, and there is none before it that could take "
            "its arithmetic over"
        )
    if not _has(step.op):
        return f"this build of ninc has no layer {step.op}"
    # Layers that join values of other shapes than one came together.
    shapes = {tuple(size == 1 for size in one.sizes[1:]) for one in step.inputs}
    if step.op == "Add" and len(shapes) > 1 and not _has("Mul"):
        return "this build of ninc adds values of one shape alone"
    return ""


def _has(op: str) -> bool:
    return getattr(nn, op, None) is not None


def network_of(steps: Sequence[Step], where: str) -> Graph:
    """The graph of steps in order, each after its inputs; the last gives the output."""
    graph, names = Graph(), Names()
    weights: dict[str, Array] = {}
    values: dict[int, Value] = {}
    [source] = [step for step in steps if step.op == INPUT]
    taken = {cleaned_name(step.name) for step in steps if step is not source}
    wanted = (_node_name(source.name), "x", "input")
    first = next((one for one in wanted if one and one not in taken), "network_input")
    values[id(source)] = graph.input(names.free(first))
    for step in steps:
        if step is source:
            continue
        if len(names) >= MOST_STEPS:
            raise ModelError(f"{where}: a network has at most {MOST_STEPS:,} layers")
        inputs = [values[id(one)] for one in step.inputs]
        name = _node_name(step.name)
        if step.op == AFFINE:
            values[id(step)] = _scaled_and_shifted(graph, names, name, step, inputs[0])
            continue
        layer: Any = getattr(nn, step.op)(**step.settings)
        free = names.free(name or layer.stem or "layer")
        values[id(step)] = graph.add(layer, *inputs, name=free)
        weights.update((f"{free}.{key}", array) for key, array in step.weights.items())
    graph.set_output(values[id(steps[-1])])
    graph.load_state_dict(weights)
    return graph


def _node_name(name: str) -> str:
    """Exporters write "/features/0/Conv"; the slash in front says nothing."""
    return cleaned_name(name.strip("/"))


def _scaled_and_shifted(graph: Graph, names: Names, name: str, step: Step, value: Value) -> Value:
    """Products and sums with constants, where no layer before them could take these over."""
    for op, numbers, nothing in (("Mul", step.scale, 1.0), ("Add", step.shift, 0.0)):
        if not np.any(numbers != nothing):
            continue
        constant: Any = getattr(nn, "Constant")(channel_map(numbers))  # noqa: B009
        held = graph.add(constant, name=names.free(f"{name}_constant"))
        layer: Any = getattr(nn, op)()
        value = graph.add(layer, value, held, name=names.free(name or op.lower()))
    return value
