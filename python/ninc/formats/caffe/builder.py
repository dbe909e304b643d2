"""Puts the network together: ninc's layers one after another, and their weights by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from ..._base.array_types import Floats
from ...errors import ModelError
from ...nn import Graph, Layer, Value
from ..names import Names, cleaned_name, shown_name
from .net import MOST_LAYERS
from .settings import Pair

_LARGEST_MAP = 2**31 - 1


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
        self._names = Names()

    def input(self, blob: str, layers: Iterable[str], shape: tuple[int | None, Pair | None]) -> Map:
        """The network's input, named as its blob is unless a layer has that name."""
        taken = {cleaned_name(name) for name in layers}
        name = next(
            (one for one in (cleaned_name(blob), "x", "input") if one and one not in taken), ""
        )
        return Map(self.graph.input(self._names.free(name or "network_input")), *shape)

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
        free = self._names.free(cleaned_name(name) or layer.stem or "layer")
        value = self.graph.add(layer, *(one.value for one in inputs), name=free)
        self.weights.update((f"{free}.{key}", array) for key, array in weights.items())
        return Map(value, channels, size, flat)
