"""Gathers an ONNX graph: steps in order, the numbers that they read, and names for all values.

The core keeps every value as maps, and calls them N×C where they are of one pixel. ONNX tells the
two apart, so that a value here is either N×C×H×W or N×C, and becomes the other where a step needs
it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..._base.array_types import Floats
from ..._base.graph import Node, Nodes

PIXEL = (1, 1)


@dataclasses.dataclass(frozen=True)
class Value:
    """What a node gives. tensor: its name in the ONNX graph.

    size: (H, W) where it is the same for every picture, else None. flat: it is N×C in ONNX.
    """

    tensor: str
    size: tuple[int, ...] | None = None
    flat: bool = False


@dataclasses.dataclass(frozen=True)
class Step:
    """One operator of ONNX. output: the tensor that it gives.

    name: by which `load_onnx` calls the layer that it makes of the step.
    """

    operator: str
    inputs: tuple[str, ...]
    output: str
    name: str
    attributes: Mapping[str, Any]


class Builder:
    """opset: of the operators. parameters: the network's, by name.

    steps: in order. numbers: name -> array, the parameters that steps read and constants.
    """

    def __init__(self, graph: Nodes, parameters: Mapping[str, Floats], opset: int) -> None:
        self.opset = opset
        self.steps: list[Step] = []
        self.numbers: dict[str, npt.NDArray[Any]] = {}
        self._parameters = parameters
        # Parameters come first to their names, the nodes after them: other programs look for both.
        self._taken = set(parameters)
        self._tensors = {node.name: self.free_name(node.name) for node in graph}
        self._turned: dict[tuple[str, bool], Value] = {}

    def tensor(self, node: Node) -> str:
        """The name of the tensor that a node gives: the node's own, as long as it is free."""
        return self._tensors[node.name]

    def free_name(self, name: str) -> str:
        """The name, or one with "_" behind it where something is called so already."""
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def add(
        self, output: str, operator: str, inputs: Sequence[str], name: str = "", **attributes: Any
    ) -> str:
        """Adds a step that gives the tensor `output`, which it returns.

        name: of the step, that of the tensor where it is not told.
        """
        self.steps.append(Step(operator, tuple(inputs), output, name or output, attributes))
        return output

    def between(self, node: Node, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Adds one of several steps that a node becomes, but not the last; returns its tensor."""
        return self.add(self.helper(node, operator), operator, inputs, **attributes)

    def last(self, node: Node, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Adds the step that gives what the node gives; returns its tensor."""
        return self.add(self.tensor(node), operator, inputs, **attributes)

    def helper(self, node: Node, name: str) -> str:
        """A free name for what a node needs beside its own step.

        It could be a layer's: one that `load_onnx` makes of a step keeps the step's name.
        """
        return self.free_name(f"{node.name}_{name}")

    def parameter(self, node: Node, name: str) -> str:
        """A parameter of the node, under the name that it has in `state_dict`."""
        name = f"{node.name}.{name}"
        self.numbers[name] = self._parameters[name]
        return name

    def array(self, node: Node, name: str) -> Floats:
        """The numbers of a parameter of the node, which no step reads as they are."""
        return self._parameters[f"{node.name}.{name}"]

    def constant(self, node: Node, name: str, value: npt.ArrayLike, dtype: type) -> str:
        """Numbers that the node's steps read beside its parameters."""
        name = self.helper(node, name)
        self.numbers[name] = np.asarray(value, dtype)
        return name

    def maps(self, value: Value) -> Value:
        """The value as N×C×H×W."""
        return self._turn(value, False) if value.flat else value

    def rows(self, value: Value) -> Value:
        """The value as N×(C * H * W)."""
        return value if value.flat else self._turn(value, True)

    def _turn(self, value: Value, flat: bool) -> Value:
        """The value in its other form, of which several readers share one."""
        key = value.tensor, flat
        if key not in self._turned:
            operator = "Flatten" if flat else "Unsqueeze"
            name = self.free_name(f"{value.tensor}_{operator}")
            inputs = [value.tensor]
            attributes: dict[str, Any] = {"axis": 1}
            if not flat:
                axes = self.free_name(f"{name}_axes")
                self.numbers[axes] = np.array([2, 3], np.int64)
                inputs, attributes = [value.tensor, axes], {}
            self._turned[key] = Value(self.add(name, operator, inputs, **attributes), PIXEL, flat)
        return self._turned[key]

    def give(self, outputs: Sequence[tuple[Value, Node]], source: str) -> list[Value]:
        """The network's outputs, each under the name of its node. source: the input's tensor.

        Tensors change their names for that, all at once, and steps keep theirs.
        """
        given: list[Value] = []
        names = {source: source}  # old -> new
        wanted = [self.tensor(node) for _, node in outputs]
        for (value, node), name in zip(outputs, wanted):
            value = self.rows(value) if value.size == PIXEL else value
            tensor = value.tensor
            if tensor in names and names[tensor] != name:  # it goes by another name, too
                tensor = self.between(node, "Identity", [tensor])
            names[tensor] = name
            given.append(dataclasses.replace(value, tensor=name))
        for (_, node), name in zip(outputs, wanted):
            # What had the name is one step before: the node's own, whose maps became rows.
            names.setdefault(name, self.helper(node, "maps"))
        self.steps = [
            dataclasses.replace(
                step,
                inputs=tuple(names.get(one, one) for one in step.inputs),
                output=names.get(step.output, step.output),
            )
            for step in self.steps
        ]
        return given
