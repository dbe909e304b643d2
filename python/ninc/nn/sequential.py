"""Layers one after another."""

from __future__ import annotations

from collections.abc import Iterator

from .._base.arguments import integer
from ..network import Network
from .description import INPUT, Description, make_model
from .layer import Layer


class Sequential(Network):
    """A network of layers, each fed by the one before.

        net = nn.Sequential(
            nn.MlpConv(3, (192, 160, 96), 5, padding=2), nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.MlpConv(96, (192, 192, 10), 5, padding=2), nn.GlobalAvgPool2d(),
        )

    Nodes are numbered by kind, conv1, relu_conv1, cccp1, ..., pool1, conv2, and name the
    parameters: "conv1.weight".

    seed: of the initial weights.

    Raises ArgumentError for what is no layer and ModelError for layers that cannot stand so.
    """

    def __init__(self, *layers: Layer, seed: int = 0) -> None:
        description = Description()
        last = description.add_input(INPUT)
        for layer in layers:
            last = description.add(layer, (last,))
        super().__init__(make_model(description, integer("Sequential", "seed", seed, 0)))
        self.layers = tuple(layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __getitem__(self, index: int) -> Layer:
        return self.layers[index]

    def __repr__(self) -> str:
        lines = "".join(f"  {layer!r},\n" for layer in self.layers)
        return f"Sequential(\n{lines})"
