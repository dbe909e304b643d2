"""How many channels the values of a network have, as far as its layers say without a picture.

Shapes need a height and a width; this needs neither, so that layers which cannot follow one another
are told when the network is made. The core's cpp/graph/channels.cc does the same for programs.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from .. import _core
from ..errors import ModelError

Node = Mapping[str, Any]  # a node of the core's JSON

# What gives as many channels as it takes, and maps of the same size.
_KEEP = frozenset(
    (
        "Relu",
        "Relu6",
        "Clip",
        "Dropout",
        "Softmax",
        "PRelu",
        "ChannelShuffle",
        "LocalResponseNorm",
        *_core.ELEMENTWISE,
    )
)

# What gives as many channels, and maps of another size; those of the second kind of one pixel.
_POOLS = frozenset(("MaxPool2d", "AvgPool2d"))
_GLOBAL_POOLS = frozenset(("GlobalAvgPool2d", "GlobalMaxPool2d"))

# What takes two inputs of as many channels, or of one that stands for any number.
_BOTH = frozenset(("Add", "Sub", "Mul", "Div"))


@dataclasses.dataclass(frozen=True)
class _Value:
    """channels: None where they are not known. of_input: they are the input's, whatever these are.

    is_pixel: its maps are 1×1 for every picture, so that Flatten leaves the channels as they are.
    label: of the node that gives it, for messages.
    """

    channels: int | None
    of_input: bool = False
    is_pixel: bool = False
    label: str = ""


_UNKNOWN = _Value(None)


class Channels:
    """What is known after some nodes; never changed, since others may be looking at it."""

    def __init__(
        self, values: Mapping[str, _Value] | None = None, taken: tuple[int, str] | None = None
    ) -> None:
        self._values = dict(values or {})
        self._taken = taken  # the input's channels, and the layer that takes so many

    def of(self, name: str) -> int | None:
        """A node's channels, or None where they depend on the picture or are not known."""
        return self._number(self._values.get(name, _UNKNOWN))

    def after(self, nodes: Sequence[Node]) -> Channels:
        """What is known with these nodes behind the others.

        ModelError, with the layer's name, where one takes other channels than it is given.
        """
        known = Channels(self._values, self._taken)
        for node in nodes:
            value = known._value(node)
            known._values[node["name"]] = dataclasses.replace(value, label=_label(node))
        return known

    def _number(self, value: _Value) -> int | None:
        if value.of_input and self._taken is not None:
            return self._taken[0]
        return value.channels

    def _value(self, node: Node) -> _Value:
        op = node["op"]
        if op == "Input":
            return _Value(node.get("channels") or None, of_input=True)
        if op == "Constant":
            return _Value(node["channels"], is_pixel=node["height"] == node["width"] == 1)
        inputs = [self._values.get(name, _UNKNOWN) for name in node["inputs"]]
        if op == "Concat":
            numbers = [self._number(value) for value in inputs]
            known = [number for number in numbers if number is not None]
            return _Value(sum(known) if len(known) == len(numbers) else None)
        if op in _BOTH and len(inputs) == 2:
            return self._sum(node, *inputs)
        if len(inputs) != 1:
            return _UNKNOWN  # the core says how many the layer takes
        return self._of_one(node, inputs[0])

    def _of_one(self, node: Node, x: _Value) -> _Value:
        op = node["op"]
        if op == "Conv2d":
            self._takes(node, x, node["in_channels"], "channels")
            keeps_size = set(node["kernel_size"]) == {1} and not any(node["padding"])
            return _Value(node["out_channels"], is_pixel=keeps_size and x.is_pixel)
        if op == "BatchNorm2d":
            self._takes(node, x, node["channels"], "channels")
            return _Value(node["channels"], is_pixel=x.is_pixel)
        if op == "Linear":
            self._takes(node, x, node["in_features"], "features")
            return _Value(node["out_features"], is_pixel=True)
        if op == "Flatten":
            return x if x.is_pixel else _Value(None, is_pixel=True)
        if op in _POOLS:
            return dataclasses.replace(x, is_pixel=False)  # padding may make a pixel larger
        if op in _GLOBAL_POOLS:
            return dataclasses.replace(x, is_pixel=True)
        if op == "Pad" and x.channels is not None:
            return _Value(x.channels + sum(node["channels"]))
        return x if op in _KEEP else _UNKNOWN

    def _sum(self, node: Node, a: _Value, b: _Value) -> _Value:
        numbers = self._number(a), self._number(b)
        is_pixel = a.is_pixel and b.is_pixel
        if 1 in numbers:  # which stands for as many as the other has
            return dataclasses.replace(a if numbers[1] == 1 else b, is_pixel=is_pixel)
        if None not in numbers and numbers[0] != numbers[1]:
            raise ModelError(
                f"{_label(node)}: expected two inputs of as many channels, or one of 1, got "
                f"{numbers[0]} channels from {a.label} and {numbers[1]} from {b.label}"
            )
        # An input of any number says nothing here: it may have one channel, too.
        return dataclasses.replace(a if numbers[0] is not None else b, is_pixel=is_pixel)

    def _takes(self, node: Node, x: _Value, wanted: int, what: str) -> None:
        """Notes that the node takes so many and no other number."""
        number = self._number(x)
        if number is None:
            if x.of_input:
                self._taken = wanted, _label(node)
            return
        if number == wanted:
            return
        giver = x.label
        if x.of_input and self._taken is not None:
            giver = f"the network's input, of which {self._taken[1]} takes as many"
        raise ModelError(
            f"{_label(node)}: expected {wanted} input {what}, got {number} from {giver}"
        )


def output_channels(graph_json: str) -> int | None:
    """The channels of a network's output, a classifier's classes; None where they are not known."""
    graph = json.loads(graph_json)
    try:
        return Channels().after(graph["nodes"]).of(graph["output"])
    except ModelError:  # what cannot run has no output; whoever runs it is told
        return None


def _label(node: Node) -> str:
    return f"{node['name']} ({node['op']})"
