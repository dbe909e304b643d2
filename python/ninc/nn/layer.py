"""What every layer of a network is: a plain description.

A layer holds settings and no weights: those come to be when a container (`Sequential`, `Graph`)
makes a network of its layers, which then owns them. So one layer object may stand in a network
twice and is then two layers of equal settings.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

from .. import _core
from .._base.array_types import Floats


class Layer:
    """Settings of one operation.

    op: the operation's name in the core's description of networks (cpp/include/ninc/graph.h).
    stem: what its nodes are called, with a number after it: "conv" -> conv1, conv2; "" for a layer
        made of several.
    std: deviation its weights are drawn with; None for He's sqrt(2 / fan_in).
    settings: the attributes that the core's JSON has under the same names.
    inputs: how many `Graph.add` takes at least.
    """

    op = ""
    std: float | Sequence[float] | None = None
    settings: tuple[str, ...] = ()
    inputs = 1

    @property
    def stem(self) -> str:
        return _core.OPERATIONS[self.op]["stem"] if self.op in _core.OPERATIONS else ""

    def fields(self) -> dict[str, Any]:
        """The operation's attributes as the core's JSON names them."""
        return {name: getattr(self, name) for name in self.settings}

    def buffers(self) -> dict[str, Floats]:
        """Arrays that it brings to the network, by their fields' names."""
        return {}

    def steps(self) -> Iterator[tuple[str, Layer]]:
        """(stem, operation) in order; more than one for a layer made of several.

        "{previous}" in a stem is the name of the numbered node before: relu_conv1 after conv1.
        """
        yield self.stem, self

    def __repr__(self) -> str:
        shown = []
        for name, parameter in inspect.signature(type(self)).parameters.items():
            value = getattr(self, name)
            if parameter.default is parameter.empty:
                shown.append(repr(value))
            elif value != parameter.default:
                shown.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"
