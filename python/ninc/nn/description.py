"""From layers to the core's description of a network: nodes, their names, their first weights."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import Any, cast

from .. import _core
from .._base.arguments import shown
from ..errors import ArgumentError
from .layer import Layer

INPUT = "x"


@dataclasses.dataclass(frozen=True)
class Node:
    """One operation of a network. inputs: names of nodes before it; none for the input itself."""

    name: str
    op: str
    inputs: tuple[str, ...]
    layer: Layer | None

    def to_json(self) -> dict[str, Any]:
        if self.layer is None:
            # 0 channels: any. The first layer with weights says what it needs, by its name.
            return {"name": self.name, "op": self.op, "channels": 0}
        fields = self.layer.fields()
        return {"name": self.name, "op": self.op, "inputs": list(self.inputs), **fields}


class Description:
    """The nodes of a network in order; every node stands after its inputs."""

    # A pickle from before there were several outputs has none of them.
    other_outputs: tuple[str, ...] = ()
    # The nodes as the core has them, which tells what cannot stand behind them. It is made anew
    # where it has other nodes than these: after an error, and in copies, which begin without.
    _draft: _core.Draft | None = None

    def __init__(self) -> None:
        # Never changed in place: other threads and copies may be looking at the list.
        self.nodes: list[Node] = []
        self.output: str | None = None  # None: the last node
        self._counts: dict[str, int] = {}

    def names(self) -> set[str]:
        return {node.name for node in self.nodes}

    def add_input(self, name: str) -> str:
        if self.nodes:
            raise ArgumentError("a network has one input, and it is the first to be added")
        self._check_name(name)
        self.nodes = [Node(name, "Input", (), None)]
        return name

    def add(self, layer: Layer, inputs: Sequence[str], name: str | None = None) -> str:
        """The name of the layer's last node.

        name: of the node; where the layer is made of several, the front of their names.

        Raises ModelError where the layer cannot stand there, as one that takes other channels than
        it is given.
        """
        check_layer(layer)
        if name is not None and not isinstance(name, str):
            raise ArgumentError(f"a layer's name must be a string, got {shown(name)}")
        steps = list(layer.steps())
        added: list[Node] = []  # taken over together, so that an error leaves nothing half added
        counts = dict(self._counts)
        numbered = ""
        for stem, operation in steps:
            if operation.op not in _core.OPERATIONS:
                raise ArgumentError(f"{operation!r}: {operation.op!r} is no operation of ninc's")
            if "{previous}" in stem:
                label = stem.format(previous=numbered)
            elif name is None:
                once = stem == operation.stem and _core.OPERATIONS[operation.op]["once"]
                label = numbered = self._free_name(stem, counts, once)
            elif len(steps) == 1:
                label = name
            else:
                label = numbered = self._free_name(f"{name}_{stem}", counts)
            self._check_name(label)
            added.append(Node(label, operation.op, tuple(inputs), operation))
            inputs = (label,)
        draft = self._checked()
        self._draft = None  # of no further use where it refuses
        draft.add(_json(added))
        self.nodes = self.nodes + added
        self._counts, self._draft = counts, draft
        return added[-1].name

    def _checked(self) -> _core.Draft:
        draft = self._draft
        if draft is None or len(draft) != len(self.nodes):
            draft = _core.Draft()
            if self.nodes:
                draft.add(_json(self.nodes))
        return draft

    def __getstate__(self) -> dict[str, Any]:
        # Pickles of earlier versions have `_known`, for which the draft stands now.
        return {k: v for k, v in self.__dict__.items() if k not in ("_draft", "_known")}

    def to_json(self) -> str:
        root: dict[str, Any] = {"nodes": [node.to_json() for node in self.nodes]}
        if self.output is not None:
            root["output"] = self.output
        if self.other_outputs:
            root["other_outputs"] = list(self.other_outputs)
        return json.dumps(root)

    def _free_name(self, stem: str, counts: dict[str, int], once: bool = False) -> str:
        """The next of stem1, stem2, ... that the user has not given to another layer.

        once: begins with stem itself, "gap", since there is rarely a second one.
        """
        taken = self.names()
        while True:
            counts[stem] = counts.get(stem, 0) + 1
            name = stem if once and counts[stem] == 1 else f"{stem}{counts[stem]}"
            if name not in taken:
                return name

    def _check_name(self, name: str) -> None:
        if not isinstance(name, str) or not name:
            raise ArgumentError(f"a layer's name must be a string with letters, got {shown(name)}")
        if name in self.names():
            raise ArgumentError(f"there is a layer called {name!r} already")


def _json(nodes: Sequence[Node]) -> str:
    return json.dumps([node.to_json() for node in nodes])


def check_layer(layer: Any) -> None:
    """Raises ArgumentError for what is no layer, with what may have been meant."""
    if isinstance(layer, Layer):
        return
    advice = ""
    if isinstance(layer, type) and issubclass(layer, Layer):
        advice = f"; {layer.__name__}(...) makes one of this class"
    elif isinstance(layer, (list, tuple)) or isinstance(layer, Iterator):
        advice = "; give layers one by one: Sequential(*layers)"
    raise ArgumentError(f"a layer of ninc.nn is needed, got {shown(layer)}{advice}")


def make_model(description: Description, seed: int) -> _core.Model:
    """The core's model of a description, with first weights. ModelError where it makes no sense."""
    model = _core.Model(description.to_json())
    layers = {node.name: node.layer for node in description.nodes if node.layer is not None}
    stds = {name: cast(float, one.std) for name, one in layers.items() if one.std is not None}
    model.initialize(seed, stds)
    brought = {
        f"{name}.{field}": array
        for name, one in layers.items()
        for field, array in one.buffers().items()
    }
    if brought:
        model.set_parameters(brought)
    return model
