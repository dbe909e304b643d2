"""Networks with branches."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

from .. import _core
from .._base.arguments import integer, shown
from ..errors import ArgumentError, ModelError
from ..formats.metadata import copy_stored
from ..network import Network, making
from .description import INPUT, Description, make_model
from .layer import Layer


class Value:
    """What a layer of a graph gives; to be handed to `Graph.add` as an input of others."""

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph = graph
        self.name = name

    def __repr__(self) -> str:
        return f"<value of {self.name!r}>"


class Graph(Network):
    """A network whose layers may have several inputs and feed several others.

        graph = nn.Graph()
        x = graph.input()
        a = graph.add(nn.Conv2d(3, 16, 3, padding=1), x)
        b = graph.add(nn.Conv2d(16, 16, 3, padding=1), a, name="second")
        graph.add(nn.ReLU(), graph.add(nn.Add(), a, b))

    The network returns the value of the layer added last, unless `set_output` chose others. It
    may be run at any point and added to afterwards: weights, preprocessing and class names stay. A
    trainer made before still trains the network as it was then. Several threads may add to one
    graph, and use it meanwhile.

    seed: of the initial weights, which depend on it and on the layer's name alone.
    """

    # How many changes the description has seen, and how many of them are in the core's model: two
    # numbers, since a change may come while the model is made. A pickle from before they were
    # counted has neither, and a model that is as described.
    _changes = _made = 0

    def __init__(self, seed: int = 0) -> None:
        self._seed = integer("Graph", "seed", seed, 0)
        self._description = Description()
        self._changes = 1  # from no network to an empty one
        super().__init__(None)

    def input(self, name: str = INPUT) -> Value:
        """The network's one input, N×C×H×W."""
        with making:
            return Value(self, self._description.add_input(name))

    def add(self, layer: Layer, *inputs: Value | str, name: str | None = None) -> Value:
        """Adds a layer after values of this graph, or after layers given by their names.

        Raises ArgumentError for an input of another graph and for a name given twice.
        """
        if not inputs and isinstance(layer, Layer) and layer.inputs > 0:
            raise ArgumentError(f"{layer!r}: needs an input to be added behind")
        with making:
            names = tuple(self._name_of(value) for value in inputs)
            last = self._description.add(layer, names, name)
            self._changes += 1
        return Value(self, last)

    def set_output(self, value: Value | str, *more: Value | str) -> None:
        """Makes the network return this value, and `Network.outputs` the rest beside it.

        The first is what `net(x)` gives, what is trained, turned into classes and explained. Raises
        ArgumentError for a value given twice, or of another graph.
        """
        if isinstance(value, (list, tuple)):
            raise ArgumentError("set_output: give outputs one after another: set_output(a, b)")
        with making:
            names = [self._name_of(one) for one in (value, *more)]
            twice = [name for name, times in Counter(names).items() if times > 1]
            if twice:
                raise ArgumentError(f"set_output: {twice[0]!r} is given twice")
            self._description.output, *others = names
            self._description.other_outputs = tuple(others)
            self._changes += 1

    @property
    def core(self) -> _core.Model:
        if self._made != self._changes:
            with making:
                changes = self._changes
                if self._made != changes:  # no other thread has made it meanwhile
                    model = self._make_model()
                    if self._made < changes:  # nor a signal's handler amid the making
                        self._core_model = model  # first: who finds the count right takes the model
                        self._made = changes
        return self._core_model  # type: ignore[return-value]  # see `_core_model`

    def _make_model(self) -> _core.Model:
        if not self._description.nodes:
            raise ModelError("the graph has no layers; begin with graph.input()")
        model = make_model(self._description, self._seed)
        model.set_precision(self._precision)
        old = self._core_model
        if old is not None:
            model.set_parameters(old.parameters())
            model.set_plan_cache_bytes(old.plan_cache_limit)
            model.move_to(old.device)
            copy_stored(old, model)
        return model

    def __getstate__(self) -> dict[str, Any]:
        with making:
            state = super().__getstate__()
            # A copy has a description of its own, which is the one its model was made of.
            state["_description"] = copy.copy(self._description)
        return state

    def _name_of(self, value: Value | str) -> str:
        if isinstance(value, Value):
            if value.graph is not self:
                raise ArgumentError(f"{value!r} belongs to another graph")
            return value.name
        if not isinstance(value, str) or value not in self._description.names():
            raise ArgumentError(f"there is no layer {shown(value)} in this graph")
        return value

    def __repr__(self) -> str:
        lines = ""
        for node in self._description.nodes:
            what = "input" if node.layer is None else f"{node.layer!r}({', '.join(node.inputs)})"
            lines += f"  {node.name} = {what}\n"
        return f"Graph(\n{lines})"
