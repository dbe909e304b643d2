"""Do all engines compute the same? Asked before any of them is timed.

An engine is held against ninc. One that disagrees is out of the ratios and said to be; where ninc
agrees with none of its float32 peers, ninc is taken to be the wrong one and nothing is timed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

import ninc

from .. import peers
from ..peers.own import copy_of

# Of the largest output. bf16 keeps 8 bits, a relative 4e-3 in each of a dozen layers.
OUTPUT_TOLERANCE = {peers.FLOAT32: 1e-3, peers.BF16: 5e-2}
# Of the loss, before and after one step.
LOSS_TOLERANCE = {peers.FLOAT32: 1e-3, peers.BF16: 2e-2}
# Of the norm of what a step changes in one parameter. A rounding error that moves one ReLU or one
# maximum across its kink changes a gradient by about a thousandth, by a hundredth where maps are as
# small as a MobileNet's last. bf16's gradients are looser by far, and its losses are checked alone.
UPDATE_TOLERANCE = 5e-2
# Large enough that an update is not lost in its weight's own rounding.
CHECK_RATE = 0.05


class Disagreement(Exception):
    """ninc's results are not those of its peers."""


@dataclasses.dataclass(frozen=True)
class Difference:
    """How far an engine is from ninc in what `of` names, relative to ninc's."""

    of: str
    value: float
    tolerance: float

    @property
    def agrees(self) -> bool:
        return self.value <= self.tolerance  # False for NaN

    def __str__(self) -> str:
        return f"{self.of} differ by {self.value:.2g}, at most {self.tolerance:g} is agreement"


def compare_outputs(name: str, engines: Mapping[str, peers.Inference]) -> dict[str, Difference]:
    """The largest difference of outputs, as a part of the largest output, an engine.

    name: of the row, for messages.
    """
    expected = np.array(engines[peers.NINC].run())
    largest = np.abs(expected).max()
    if not largest > 0.0:
        raise Disagreement(f"{name}: ninc's outputs are all zero or not numbers; nothing to check")
    differences = {}
    for engine, loaded in engines.items():
        error = float(np.abs(loaded.run() - expected).max() / largest)
        tolerance = OUTPUT_TOLERANCE[loaded.precision]
        differences[engine] = Difference("outputs", error, tolerance)
    return _checked(name, engines, differences)


def compare_training(name: str, engines: Mapping[str, object]) -> dict[str, Difference]:
    """Two losses and the first update of engines' `Training`, all fresh, an engine.

    Built of a `steady` network at CHECK_RATE and without weight decay.
    """
    before = engines[peers.NINC].parameters()
    results = {}
    for engine, training in engines.items():
        first = training.step()
        after = training.parameters()
        results[engine] = (np.array([first, training.step()]), after)
    losses, weights = results[peers.NINC]
    differences = {}
    for engine, training in engines.items():
        their_losses, their_weights = results[engine]
        error = float((np.abs(their_losses - losses) / np.abs(losses)).max())
        difference = Difference("losses", error, LOSS_TOLERANCE[training.precision])
        if difference.agrees and training.precision == peers.FLOAT32:
            error = max(
                _relative(their_weights[key] - weights[key], weights[key] - value)
                for key, value in before.items()
            )
            difference = Difference("updates", error, UPDATE_TOLERANCE)
        differences[engine] = difference
    return _checked(name, engines, differences)


def steady(network: ninc.Network) -> ninc.Network:
    """A copy whose gradients can be compared.

    Its dropout lets everything through: each engine would draw its own numbers. Its batch norms add
    1. With 0, of an untrained network, most outputs are close to ReLU's kink, where rounding moves
    them across; and a scale in front of a depthwise convolution gets no gradient but rounding
    errors, since the next batch norm takes it out again.
    """

    def open_dropout(node):
        if node["op"] == "Dropout":
            node["p"] = 0.0

    copy = copy_of(network, open_dropout)
    weights = copy.state_dict()
    for node in copy.graph:
        if node.operation == "BatchNorm2d":
            shift = f"{node.name}.bias"
            weights[shift] = np.ones_like(weights[shift])
    copy.load_state_dict(weights)
    return copy


def _relative(difference: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(difference) / np.linalg.norm(expected))


def _checked(name, engines, differences) -> dict[str, Difference]:
    float32 = [
        differences[engine]
        for engine, loaded in engines.items()
        if engine != peers.NINC and loaded.precision == peers.FLOAT32
    ]
    if float32 and not any(difference.agrees for difference in float32):
        raise Disagreement(f"{name}: ninc agrees with no float32 peer: their {float32[0]}")
    return differences
