"""Finds the layer that gives a network's classes, and makes it anew for other classes."""

from __future__ import annotations

import json
import operator
from collections import Counter
from collections.abc import Sequence
from typing import Any

from .. import _core
from .._base.arguments import is_iterable
from ..errors import ArgumentError, ModelError
from . import metadata

Node = dict[str, Any]  # a node of the core's JSON


def with_new_head(old: _core.Model, classes: Sequence[str] | int, seed: int) -> _core.Model:
    """A copy with another last layer; see `Network.new_head`."""
    names, count = _names_and_count(classes)
    graph = json.loads(old.graph_json())
    fresh = _widen(old, graph, count)
    model = _core.Model(json.dumps(graph))
    model.initialize(seed)
    parameters, entries, extras = old.state()
    model.set_parameters(
        {name: array for name, array in parameters.items() if _node(name) not in fresh}
    )
    model.change(entries, extras)
    metadata.store_held_out(model, None)  # it was chosen among the old classes' pictures
    metadata.store_temperature(model, None)
    metadata.store_classes(model, names)
    return model


def _names_and_count(classes: Sequence[str] | int) -> tuple[list[str] | None, int]:
    """The classes' names, None where only their number is given, and how many there are."""
    names: list[str] | None = None
    given: Any = classes
    try:
        count = operator.index(given)
    except TypeError:
        several = is_iterable(given) and not isinstance(given, (str, bytes))
        names = list(given) if several else []
        count = len(names)
    if count < 2 or not all(isinstance(name, str) for name in names or ()):
        raise ArgumentError(
            f"new_head: classes must be two names or more, or a number from 2 on, got {classes!r}"
        )
    twice = [name for name, times in Counter(names or ()).items() if times > 1]
    if twice:
        raise ArgumentError(f"new_head: classes has {twice[0]!r} twice")
    return names, count


def _widen(old: _core.Model, graph: Node, count: int) -> list[str]:
    """Gives the last layer `count` outputs; returns the names of the nodes that begin anew."""
    old_classes = metadata.stored_classes(old)
    nodes = {node["name"]: node for node in graph["nodes"]}
    node = nodes[graph["output"]]
    while (source := old.classes_from(node["name"])) is not None:
        node = nodes[source]
    field = _channels_field(node)
    if not field:
        raise _not_understood(node, "is no layer with weights, and none that passes classes on")
    if node.get("groups", 1) != 1:
        raise _not_understood(node, f"has {node['groups']} groups")
    width = node[field]
    after = _behind(node, graph, old)
    # Behind a Flatten there may be more outputs than this layer has, which then are no classes.
    if old.output_channels() != width and old_classes is not None and len(old_classes) != width:
        raise _not_understood(
            node, f"has {width} outputs, but there are {len(old_classes)} classes"
        )
    # Those behind it that have weights for each class, as batch norm does, begin anew, too.
    fresh = [node]
    for one in after:
        channels = one.get(_channels_field(one))
        if channels is None or (one["op"] == "PRelu" and channels == 1):
            continue  # it has no weights, or one for all classes
        if channels != width:
            raise _not_understood(
                one, f"has {channels} channels, and {node['name']} gives {width} classes"
            )
        fresh.append(one)
    for one in fresh:
        one[_channels_field(one)] = count
    return [one["name"] for one in fresh]


def _behind(head: Node, graph: Node, old: _core.Model) -> list[Node]:
    """All nodes that are made of what this one gives, each of which passes its classes on."""
    found, names = [], {head["name"]}
    for node in graph["nodes"]:
        if names.isdisjoint(node.get("inputs", ())):
            continue
        if old.classes_from(node["name"]) not in names:
            raise _not_understood(
                head, f"gives its value to {node['name']} ({node['op']}), too, which mixes classes"
            )
        found.append(node)
        names.add(node["name"])
    return found


def _channels_field(node: Node) -> str:
    """The field that says how many channels a node gives, or "" where none does."""
    return _core.OPERATIONS[node["op"]]["channels_field"]


def _not_understood(node: Node, why: str) -> ModelError:
    return ModelError(
        f"new_head: going back from the output, {node['name']} ({node['op']}) {why}, so that it is "
        "not clear which layer gives the classes; build the network for other classes with ninc.nn "
        "and take the weights over with load_state_dict(..., strict=False)"
    )


def _node(parameter: str) -> str:
    return parameter.rpartition(".")[0]
