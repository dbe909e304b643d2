"""Puts the network together: ninc's layers one after another, and their weights by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from ..._base.array_types import Floats
from ...errors import ModelError
from ...nn import Graph, Layer, Value
from .net import MOST_LAYERS, shown_name
from .settings import Pair

_LONGEST_NAME = 200  # bytes; the core takes 256, and a number may have to follow
_LARGEST_MAP = 2**31 - 1

# What the core's names of nodes cannot have: they are parts of parameters' names in files.
_FORBIDDEN = {ord(sign): "_" for sign in "/\\\x7f"} | dict.fromkeys(range(32), "_")


@dataclasses.dataclass(frozen=True)
class Map:
    """What a layer gives: its value in the graph, and as much of its shape as is known.

    flat: it is one number a channel for any picture, what average pooling or a linear layer gives.
    """

    value: Value
    channels: int | None
    size: Pair | None
    flat: bool = False


class Builder:
    """A graph under way. weights: of the graph's parameters, by name. remarks: to be told."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.graph = Graph()
        self.weights: dict[str, Floats] = {}
        self.remarks: list[str] = []
        self._names: set[str] = set()
        self._numbers: dict[str, int] = {}

    def input(self, blob: str, layers: Iterable[str], shape: tuple[int | None, Pair | None]) -> Map:
        """The network's input, named as its blob is unless a layer has that name."""
        taken = {_cleaned(name) for name in layers}
        name = next((one for one in (_cleaned(blob), "x", "input") if one and one not in taken), "")
        return Map(self.graph.input(self._free(name or "network_input")), *shape)

    def add(
        self,
        name: str,
        layer: Layer,
        inputs: Sequence[Map],
        channels: int | None,
        size: Pair | None,
        flat: bool = False,
        weights: Mapping[str, Floats] = {},
    ) -> Map:
        """Adds a layer; weights: its parameters by the names they have in the layer."""
        if channels is not None and channels > _LARGEST_MAP:
            raise ModelError(
                f"{self.where}: {shown_name(name)} gives {channels:,} channels, which are too many"
            )
        if len(self._names) >= MOST_LAYERS:
            raise ModelError(f"{self.where}: a network has at most {MOST_LAYERS:,} layers")
        free = self._free(_cleaned(name) or layer.stem or "layer")
        value = self.graph.add(layer, *(one.value for one in inputs), name=free)
        self.weights.update((f"{free}.{key}", array) for key, array in weights.items())
        return Map(value, channels, size, flat)

    def _free(self, name: str) -> str:
        """The name, with a number after it where another layer has it."""
        free = name
        while free in self._names:
            self._numbers[name] = self._numbers.get(name, 1) + 1
            free = f"{name}_{self._numbers[name]}"
        self._names.add(free)
        return free


def _cleaned(name: str) -> str:
    """The name as the core takes it: "inception_3a/1x1" becomes "inception_3a_1x1"."""
    cleaned = name.translate(_FORBIDDEN)
    return cleaned.encode("utf-8", "replace")[:_LONGEST_NAME].decode("utf-8", "ignore")
