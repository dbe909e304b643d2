"""From class maps to heat: how much each place of a picture speaks for one class.

The class's score is the mean of its map, and adding one number to all classes' scores changes no
probability, so what counts at a place is the map's lead over the other classes':

    lead[i, j]     = m[c, i, j] - mean over k != c of m[k, i, j]
    evidence       = max(lead, 0)
    heat           = (evidence - least evidence) / max(greatest evidence, 0.1)

Evidence is in units of scores: were the whole picture like this place, the class's odds against a
typical other class would be exp(evidence). Heat is 1 where the place that says most for the class
looks and 0 where nothing speaks for it. A map that is the same everywhere says nothing of places
and has no heat, and leads that change the odds by less than a tenth (0.1) stay dim, so noise does
not glow as findings do.
"""

from __future__ import annotations

import numpy as np

from .receptive_field import Axis

Box = tuple[float, float, float, float]  # left, top, right, bottom

# Evidence that is worth full heat even if no place has more.
_WORTH_SHOWING = 0.1


def evidence(maps: np.ndarray, label: int) -> np.ndarray:
    """classes×H'×W' -> H'×W' float64, at least 0: the lead of the map `label`.

    The map of a network with a single class, or whose classes all have the same map, leads over 0.
    """
    mine = maps[label].astype(np.float64)
    others = np.delete(maps, label, axis=0).astype(np.float64)
    if len(others) and (others != mine).any():
        mine = mine - others.mean(axis=0)
    return np.maximum(mine, 0.0)


def relative(evidence: np.ndarray) -> tuple[np.ndarray, float]:
    """(heat, scale): H'×W' in 0..1, and the evidence beyond the least place's that heat 1 means."""
    scale = max(float(evidence.max()), _WORTH_SHOWING)
    return (evidence - evidence.min()) / scale, scale


def spread(
    places: np.ndarray,
    axes: tuple[Axis, Axis],
    framed: tuple[int, int],
    box: Box,
    size: tuple[int, int],
) -> np.ndarray:
    """Heat of a map's places -> heat of a picture's pixels, height×width float32.

    Each pixel takes it from the centres around it by bilinear interpolation, beyond the outermost
    centres from these. Pixels that the network did not see have none.

    places: H'×W'. axes: where they look in the framed picture, down and across.
    framed: (height, width) of that. box: where it lies in the picture. size: (height, width) of the
        picture.
    """
    left, top, right, bottom = box
    rows = _weights(axes[0], framed[0], top, bottom, size[0])
    columns = _weights(axes[1], framed[1], left, right, size[1])
    return rows @ places.astype(np.float32) @ columns.T


def _weights(axis: Axis, framed: int, first: float, last: float, size: int) -> np.ndarray:
    """size×places float32: how much each place gives to each pixel along one axis.

    framed: pixels of the framed picture; it reaches from `first` to `last` in the picture's own.
    """
    middles = np.arange(size) + 0.5
    framed_middles = (middles - first) * framed / (last - first) - 0.5
    count = len(axis.centres)
    weights = np.zeros((size, count), np.float32)
    for place, unit in enumerate(np.eye(count)):
        weights[:, place] = np.interp(framed_middles, axis.centres, unit)
    weights[(middles < first) | (middles > last)] = 0.0
    return weights
