"""Whether probabilities are as high as answers are right, and the temperature that makes them so.

    p = softmax(z / T)

One number T for all classes, fitted to pictures that the network was not trained on, leaves the
answers as they are (Guo, Pleiss, Sun, Weinberger 2017, "On Calibration of Modern Neural Networks",
section 4.2).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .._base.array_types import Floats, Integers
from ..errors import ArgumentError
from ..formats.metadata import TEMPERATURES

# The bins of confidence that Guo et al. measure the error with.
BINS = 15

# Fewer pictures than this fit a temperature to chance.
FEWEST = 100

_MOST_STEPS = 100
_CLOSE = 1e-9  # a step smaller than this part of the value ends the search


class CalibrationGaps:
    """Expected calibration error, counted batch by batch (Guo et al. 2017, equation 3, 15 bins).

        error = sum over bins b of n(b) / n * |right(b) / n(b) - mean confidence(b)|

    A picture's confidence is its highest probability; bin b, from 1, holds those above (b - 1) / 15
    and up to b / 15.
    """

    def __init__(self, temperature: float = 1.0) -> None:
        self._inverse = 1.0 / temperature
        self._count = 0
        self._gap = np.zeros(BINS)  # sum of (right - confidence)

    def add(self, logits: Floats, labels: Integers) -> None:
        """Counts pictures in: logits N×classes, before the temperature; labels N."""
        z = logits.astype(np.float64) * self._inverse
        with np.errstate(invalid="ignore"):  # infinite logits give a NaN, which tells enough
            z -= z.max(axis=1, keepdims=True)
        confidence = 1.0 / np.exp(z).sum(axis=1)
        right = logits.argmax(axis=1) == labels
        # The least confidence there can be is above 0, and a NaN goes to any bin and makes it NaN.
        places = np.ceil(np.nan_to_num(confidence, nan=1.0) * BINS).astype(np.int64) - 1
        np.add.at(self._gap, np.clip(places, 0, BINS - 1), right - confidence)
        self._count += len(labels)

    @property
    def value(self) -> float:
        """The error, 0..1; NaN where there were no pictures, or probabilities that are none."""
        return float(np.abs(self._gap).sum() / self._count) if self._count else float("nan")


def fitted_temperature(logits: Floats, labels: Integers) -> float:
    """The temperature that gives these pictures the least mean cross entropy.

    logits: N×classes; labels: N.

    With b = 1 / T the mean of logsumexp(b * z) - b * z[label] is convex in b. Its slope is the mean
    of E[z] - z[label], with E by softmax(b * z), and its curvature the mean variance of z; Newton's
    steps are kept between the bounds found so far. Rounded to six digits. Raises ArgumentError
    where no temperature between the allowed ones does it: of answers that are all right, or of none
    that is more than chance.
    """
    if not len(labels):
        raise ArgumentError("calibrate: there are no pictures to fit a temperature to")
    z = logits.astype(np.float64)
    if not np.isfinite(z).all():
        raise ArgumentError("calibrate: the network's scores hold numbers that are not finite")
    z -= z.max(axis=1, keepdims=True)
    own = z[np.arange(len(labels)), labels]
    low, high = 1.0 / TEMPERATURES[1], 1.0 / TEMPERATURES[0]
    if _slope(z, own, high)[0] <= 0.0:
        raise ArgumentError(
            f"calibrate: the answers to all {len(labels):,} pictures are right, or so nearly that "
            "no temperature fits them; take more pictures, which the network was not trained on"
        )
    if _slope(z, own, low)[0] >= 0.0:
        raise ArgumentError(
            f"calibrate: the answers to these {len(labels):,} pictures are no better than chance, "
            "and no temperature fits them"
        )
    at = 1.0
    for _ in range(_MOST_STEPS):
        slope, curvature = _slope(z, own, at)
        low, high = (low, at) if slope > 0.0 else (at, high)
        step = at - slope / curvature if curvature > 0.0 else high
        following = step if low < step < high else (low * high) ** 0.5
        if abs(following - at) <= _CLOSE * at:
            break
        at = following
    return float(f"{1.0 / at:.6g}")


def _slope(
    z: npt.NDArray[np.float64], own: npt.NDArray[np.float64], b: float
) -> tuple[float, float]:
    """The first and the second derivative of the mean cross entropy by b."""
    p = np.exp(b * z)
    p /= p.sum(axis=1, keepdims=True)
    mean = (p * z).sum(axis=1)
    variance = (p * z * z).sum(axis=1) - mean * mean
    return float((mean - own).mean()), float(variance.mean())
