"""A network's operations as Python has them, made of the core's JSON: see `Network.graph`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

from .. import _core
from ..errors import ArgumentError
from .arguments import quoted, shown


class ReadOnly(Mapping[str, Any]):
    """A dictionary that never changes, and so can be hashed; it equals a dict of the same items."""

    def __init__(self, items: Mapping[str, Any]) -> None:
        self._items = {name: _frozen(value) for name, value in items.items()}

    def __getitem__(self, name: str) -> Any:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return repr(self._items)


def _frozen(value: Any) -> Any:
    """A value of JSON as one that cannot be changed."""
    if isinstance(value, list):
        return tuple(map(_frozen, value))
    return ReadOnly(value) if isinstance(value, dict) else value


@dataclasses.dataclass(frozen=True, repr=False)
class Node:
    """One operation of a network.

    name: of the node, "conv1", which its output goes by, too.
    operation: what is computed: "Input", "Conv2d", "Relu", ... as model files call it.
    attributes: name -> number, bool or tuple of these: {"kernel_size": (3, 3), "groups": 1, ...}.
        "channels" of an Input is 0 where the layers say how many it has.
    inputs: names of the nodes whose outputs it takes, in order.
    parameters: name in `state_dict` -> shape: {"conv1.weight": (16, 3, 3, 3), ...}, those that are
        trained and then batch norm's buffers.

    Nodes are equal where all of these are, and can be hashed and pickled.
    """

    name: str
    operation: str
    attributes: Mapping[str, Any]
    inputs: tuple[str, ...]
    parameters: Mapping[str, tuple[int, ...]]

    def __repr__(self) -> str:
        return f"<Node {self._line()}>"

    def _line(self) -> str:
        settings = [f"{name}={value}" for name, value in self.attributes.items()]
        return f"{self.name} = {self.operation}({', '.join([*self.inputs, *settings])})"


@dataclasses.dataclass(frozen=True, repr=False)
class Nodes(Sequence[Node]):
    """The nodes of a network; each stands after those that it takes its inputs from.

    nodes: all of them, a tuple; the first is the input.
    output: the node that gives the network's output; of several, the first.
    outputs: the nodes that give the network's outputs, mostly one.

    `graph[0]` is the first node and `graph["conv1"]` the one with this name.
    """

    nodes: tuple[Node, ...]
    outputs: tuple[Node, ...]

    @property
    def output(self) -> Node:
        return self.outputs[0]

    @overload
    def __getitem__(self, index: int | str) -> Node: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Node, ...]: ...

    def __getitem__(self, index: int | str | slice) -> Node | tuple[Node, ...]:
        if not isinstance(index, str):
            return self.nodes[index]
        for node in self.nodes:
            if node.name == index:
                return node
        names = quoted([node.name for node in self.nodes])
        raise ArgumentError(f"graph: no node is called {shown(index)}; there are {names}")

    def __len__(self) -> int:
        return len(self.nodes)

    def __repr__(self) -> str:
        lines = "".join(f"  {node._line()}\n" for node in self.nodes)
        names = ", ".join(node.name for node in self.outputs)
        return f"Nodes(\n{lines}  {'outputs' if len(self.outputs) > 1 else 'output'}: {names}\n)"


def graph_of(model: _core.Model) -> Nodes:
    """The nodes of the core's network."""
    graph = json.loads(model.graph_json())
    shapes: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, shape, _ in model.specs():
        shapes.setdefault(name.rpartition(".")[0], {})[name] = tuple(shape)
    nodes = {entry["name"]: _node(entry, shapes.get(entry["name"], {})) for entry in graph["nodes"]}
    outputs = (graph["output"], *graph.get("other_outputs", ()))
    return Nodes(tuple(nodes.values()), tuple(nodes[name] for name in outputs))


def _node(entry: dict[str, Any], parameters: Mapping[str, tuple[int, ...]]) -> Node:
    rest = {name: value for name, value in entry.items() if name not in ("name", "op", "inputs")}
    inputs = tuple(entry["inputs"])
    return Node(entry["name"], entry["op"], ReadOnly(rest), inputs, ReadOnly(parameters))
