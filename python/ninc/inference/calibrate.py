"""Fits a network's temperature to held-out pictures; see `calibration`."""

from __future__ import annotations

import contextlib
import dataclasses

import numpy as np

from .._base.array_types import Floats, Integers
from ..data.dataset import Data
from ..formats.metadata import store_temperature
from .calibration import CalibrationGaps, fitted_temperature
from .scoring import HasCore, Scoring


@dataclasses.dataclass(frozen=True)
class Calibration:
    """A temperature fitted to some pictures, and what it does to the probabilities of these.

    loss, error: mean cross entropy and expected calibration error, without and with it.
    """

    images: int
    temperature: float
    loss: tuple[float, float]
    error: tuple[float, float]


def calibrate(network: HasCore, data: Data, batch_size: int) -> float:
    """See `Network.calibrate`."""
    return calibration_of(network, data, batch_size).temperature


def calibration_of(
    network: HasCore, data: Data, batch_size: int, progress: bool = False
) -> Calibration:
    """Fits the temperature to these pictures and stores it with the network."""
    scored = Scoring(network, data, batch_size, "calibrate").scores(progress)
    with contextlib.closing(scored):
        batches = list(scored)
    logits = np.concatenate([scores for scores, _ in batches])
    labels = np.concatenate([truth for _, truth in batches])
    temperature = fitted_temperature(logits, labels)
    store_temperature(network.core, temperature)
    before, after = (_measured(logits, labels, t) for t in (1.0, temperature))
    return Calibration(len(labels), temperature, (before[0], after[0]), (before[1], after[1]))


def _measured(logits: Floats, labels: Integers, temperature: float) -> tuple[float, float]:
    """(mean cross entropy, calibration error) of softmax(logits / temperature)."""
    error = CalibrationGaps(temperature)
    error.add(logits, labels)
    z = logits.astype(np.float64) / temperature
    z -= z.max(axis=1, keepdims=True)
    loss = np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(labels)), labels]
    return float(loss.mean()), error.value
