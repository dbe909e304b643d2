"""Says which layer feeds which, by the names of blobs, and leaves out what only training needs.

Layers stand in the order in which they run. A layer may give its result the name of what it takes
("in place"); from there on the name means the result.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Sequence
from typing import cast

from ..._base.arguments import few
from ...errors import ModelError, remark
from ..names import shown_name
from .net import CaffeLayer

# What gives pictures, and as its second blob their labels.
SOURCES = frozenset(
    ("Data", "DummyData", "HDF5Data", "ImageData", "Input", "MemoryData", "WindowData")
)
# What training and its report need; the network ends before them.
_LEFT_OUT = frozenset(
    (
        "Accuracy",
        "ContrastiveLoss",
        "EuclideanLoss",
        "HDF5Output",
        "HingeLoss",
        "InfogainLoss",
        "MultinomialLogisticLoss",
        "SigmoidCrossEntropyLoss",
        "Silence",
        "SoftmaxWithLoss",
    )
)


@dataclasses.dataclass(eq=False)
class Wire:
    """A value: what a layer gives, or what comes in where `layer` is None.

    blob: its name. inputs: what the layer takes. readers: the layers that take it. order: of the
    layers.
    source: what gives a value that comes in, where that is a layer of the net; of what such a layer
    gives, and of the net's inputs, `order` is the number.
    """

    blob: str
    layer: CaffeLayer | None = None
    source: CaffeLayer | None = None
    inputs: Sequence[Wire] = ()
    readers: list[Wire] = dataclasses.field(default_factory=list)
    order: int = 0

    @property
    def of(self) -> CaffeLayer:
        """The layer that gives it."""
        return cast(CaffeLayer, self.layer)


@dataclasses.dataclass(frozen=True)
class Wiring:
    """The layers that lead from the input to the output, in order; the last gives the output."""

    source: Wire
    layers: list[Wire]


def wired(
    layers: Sequence[CaffeLayer],
    inputs: Sequence[str],
    where: str,
    left_out: Sequence[CaffeLayer] = (),
) -> Wiring:
    """The wiring of a net's layers. inputs: names of the blobs that are given from outside.

    left_out: the layers of other phases; what gives pictures in training says what they are called.
    Remarks on outputs that are left out. Raises ModelError where a blob comes from nowhere, where
    two layers give it, and where the network has not one input.
    """
    made = _all_wires(layers, inputs, where, left_out)
    ends = [wire for wire in made if not wire.readers]
    if not ends:
        raise ModelError(f"{where}: has no layers that compute anything in testing")
    *others, output = ends
    needed = _leading_to(output)
    sources = [wire for wire in needed if wire.layer is None]
    if len(sources) != 1:
        names = _names([wire.blob for wire in sources]) or "none"
        raise ModelError(f"{where}: a network needs one input, and this one takes {names}")
    if others:
        remark(
            f"{where}: the output is what {output.of} gives, and other ends of the net are left "
            f"out: {few([str(wire.of) for wire in others])}"
        )
    kept = [wire for wire in needed if wire.layer is not None]
    for wire in needed:
        wire.readers = [reader for reader in wire.readers if reader in needed]
    return Wiring(sources[0], sorted(kept, key=lambda wire: wire.order))


def _all_wires(
    layers: Sequence[CaffeLayer],
    inputs: Sequence[str],
    where: str,
    left_out: Sequence[CaffeLayer],
) -> list[Wire]:
    """A wire for each layer that computes; blobs are looked up by the names they have by then."""
    blobs: dict[str, Wire | None] = {  # None: left out
        name: Wire(name, order=number) for number, name in enumerate(inputs)
    }
    needs_source = not inputs and not any(layer.type in SOURCES for layer in layers)
    beginnings = [layer for layer in left_out if needs_source and not layer.bottoms]
    outside = {top: Wire(top) for layer in beginnings for top in layer.tops}
    made: list[Wire] = []
    for layer in layers:
        # What only training's data give comes from outside in testing: pictures, and their labels.
        blobs.update(
            (name, outside[name]) for name in layer.bottoms if name in outside and name not in blobs
        )
        begins = layer.bottoms and layer.type not in _LEFT_OUT
        if needs_source and not outside and begins and layer.bottoms[0] not in blobs:
            # Such a net is told its input by whoever runs it; it is what the first layer takes.
            blobs[layer.bottoms[0]] = Wire(layer.bottoms[0])
            needs_source = False
        _check_tops(layer, blobs, where)
        if layer.type in SOURCES:
            blobs.update(
                (top, Wire(top, source=layer, order=number))
                for number, top in enumerate(layer.tops)
            )
            continue
        if not layer.bottoms and layer.type not in _LEFT_OUT:
            raise ModelError(
                f"{where}: {layer} has no bottom, and only layers that give pictures begin a net: "
                f"{', '.join(sorted(SOURCES))}; a file of weights alone needs its prototxt"
            )
        unknown = [name for name in layer.bottoms if name not in blobs]
        if unknown and layer.type not in _LEFT_OUT:
            raise ModelError(
                f"{where}: {layer} takes {_names(unknown)}, which no layer before it gives"
            )
        taken = [blobs.get(name) for name in layer.bottoms]
        present = [wire for wire in taken if wire is not None]
        if layer.type in _LEFT_OUT or len(present) < len(taken):
            blobs.update(dict.fromkeys(layer.tops))
        elif layer.type == "Split" and present:
            blobs.update(dict.fromkeys(layer.tops, present[0]))
        else:
            blob = layer.tops[0] if layer.tops else ""
            wire = Wire(blob, layer, inputs=present, order=len(made))
            for each in present:
                each.readers.append(wire)
            blobs.update(dict.fromkeys(layer.tops, wire))
            made.append(wire)
    return made


def _check_tops(layer: CaffeLayer, blobs: Container[str], where: str) -> None:
    """Raises ModelError where the layer gives, and not in place, a blob that is there already."""
    in_place = set(layer.bottoms)
    for top in layer.tops:
        if top in blobs and top not in in_place:
            raise ModelError(
                f"{where}: {layer} gives {shown_name(top)!r}, which another layer gives, too"
            )


def _names(blobs: Sequence[str]) -> str:
    """The first names of blobs, for a message."""
    return few([repr(shown_name(blob)) for blob in blobs[:11]])


def _leading_to(output: Wire) -> dict[Wire, None]:
    """All wires that the output is computed of, itself among them."""
    found, waiting = {output: None}, [output]
    while waiting:
        for wire in waiting.pop().inputs:
            if wire not in found:
                found[wire] = None
                waiting.append(wire)
    return found
