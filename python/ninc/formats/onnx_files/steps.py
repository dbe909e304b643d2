"""What the network is to compute, before it is one: steps that give N×C×H×W each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .sizes import Size

Array = npt.NDArray[Any]

# Steps that are no layers of ninc's: the input, scale * x + shift for numbers or one of each a
# channel, and a function that is known only as a part of others.
INPUT, AFFINE, ERF = "Input", "Affine", "Erf"


class Sizes(NamedTuple):
    """Of a step's result; an axis whose size is 1 is 1 for every picture of the declared size."""

    N: Size
    C: Size
    H: Size
    W: Size

    def of(self, letter: str) -> Size:
        return self["NCHW".index(letter)]

    def changed(self, **sizes: Size) -> Sizes:
        return self._replace(**sizes)


@dataclasses.dataclass(eq=False)
class Step:
    """One layer to be made.

    op: the layer's class in `ninc.nn`, or one of the words above. inputs: steps before it.
    settings: the layer's arguments. weights: its parameters by the names they have in the layer.
    name: what the layer is to be called. node: what messages call the node that it comes from; kind
    is that node's operation, order its place. absorbed: it became part of another step.
    is_after_reshape: in the file it takes what was flattened or shuffled, though here it may stand
    before.
    """

    op: str
    inputs: Sequence[Step]
    sizes: Sizes
    name: str
    node: str = ""
    kind: str = ""
    order: int = 0
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    weights: Mapping[str, Array] = dataclasses.field(default_factory=dict)
    absorbed: bool = False
    is_after_reshape: bool = False

    @property
    def input(self) -> Step:
        """The first input."""
        return self.inputs[0]

    @property
    def is_pixel(self) -> bool:
        """Its maps are 1×1."""
        return self.sizes.H == 1 and self.sizes.W == 1

    @property
    def scale(self) -> Array:
        """Of an affine step: float64, of one number or one a channel."""
        return self.settings["scale"]

    @property
    def shift(self) -> Array:
        return self.settings["shift"]

    @property
    def names(self) -> Mapping[str, str]:
        """Of an affine step: the nodes that "scale" and "shift" come from, the last ones."""
        return self.settings["names"]


def live(outputs: Sequence[Step]) -> list[Step]:
    """The steps that the outputs are computed of, these among them, each after its inputs."""
    found: dict[Step, None] = {}
    waiting = [(output, False) for output in reversed(outputs)]
    while waiting:
        step, inputs_done = waiting.pop()
        if step in found:
            continue
        if inputs_done:
            found[step] = None
        else:
            waiting.append((step, True))
            waiting.extend((one, False) for one in reversed(step.inputs) if one not in found)
    return list(found)


def puts_zeros_around(step: Step) -> bool:
    """Whether it is a Pad of height and width alone, with zeros."""
    told = step.settings
    return step.op == "Pad" and told.get("value") == 0.0 and "channels" not in told


def scalar(numbers: Array) -> float | None:
    """The one number that all of these are, or None."""
    first = numbers.reshape(-1)[0] if numbers.size else np.nan
    return float(first) if bool((numbers == first).all()) else None
