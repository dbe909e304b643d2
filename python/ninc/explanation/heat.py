"""From class maps to heat: how much each place of a picture speaks for one class.

A class's score is the mean of its map, and adding one number to all classes' scores changes no
probability, so what counts at a place is a map's lead over the other classes':

    lead_c[i, j]     = m_c[i, j] - mean over k != c of m_k[i, j]
    evidence_c[i, j] = max(lead_c[i, j], 0)
    heat[i, j]       = (evidence_c[i, j] - least of evidence_c) / scale
    scale            = the greatest evidence of all classes and places, at least 0.1

Evidence is in units of scores: were the whole picture like one place, the class's odds against a
typical other class would be exp(evidence) there. Where nothing speaks for the class nothing glows:
heat is measured by the strongest evidence that the picture has for any class, so the heat of a
class of which the picture shows no trace stays dark, and those of two classes can be compared. A
map that is the same everywhere tells no place from another and has no heat. The 0.1 keeps leads
dark that change the odds by less than a tenth, as those of an untrained network.
"""

from __future__ import annotations

import numpy as np

from .receptive_field import Axis

Box = tuple[float, float, float, float]  # left, top, right, bottom

# The scale is at least this.
WORTH_SHOWING = 0.1


def warmth(maps: np.ndarray, label: int) -> tuple[np.ndarray, float]:
    """Class maps, classes×H'×W' -> (heat of the class `label` at their places, scale).

    The map of a network with a single class, or whose classes all have one map, leads over 0.
    """
    maps = maps.astype(np.float64)
    classes = len(maps)
    alike = (maps == maps[0]).all()
    # The mean of the others is (sum - own) / (classes - 1).
    leads = maps if alike else (maps * classes - maps.sum(axis=0)) / (classes - 1)
    evidence = np.maximum(leads, 0.0)
    scale = max(float(evidence.max()), WORTH_SHOWING)
    own = evidence[label]
    return (own - own.min()) / scale, scale


def spread(
    places: np.ndarray,
    axes: tuple[Axis, Axis],
    framed: tuple[int, int],
    box: Box,
    size: tuple[int, int],
) -> np.ndarray:
    """Heat of a map's places -> heat of a picture's pixels, height×width float32.

    The heat is a smooth surface through the places' heat at their centres, level beyond the
    outermost ones and cut off at 0 and 1. Pixels that the network did not see have none.

    places: H'×W'. axes: where they look in the framed picture, down and across.
    framed: (height, width) of that. box: where it lies in the picture. size: (height, width) of the
        picture.
    """
    left, top, right, bottom = box
    rows = _weights(axes[0], framed[0], top, bottom, size[0])
    columns = _weights(axes[1], framed[1], left, right, size[1])
    return np.clip(rows @ places.astype(np.float32) @ columns.T, 0.0, 1.0)


def _weights(axis: Axis, framed: int, first: float, last: float, size: int) -> np.ndarray:
    """size×places float32: how much each place gives to each pixel along one axis.

    framed: the framed picture's length in pixels; it reaches from `first` to `last` in pixels of
    the picture.
    """
    middles = np.arange(size) + 0.5
    framed_middles = (middles - first) * framed / (last - first) - 0.5
    # Places with the same centre, which overlapping pools have at an edge, share its weight.
    centres, which, sharing = np.unique(axis.centres, return_inverse=True, return_counts=True)
    weights = _cubic_weights(centres, framed_middles)[:, which] / sharing[which]
    weights[(middles < first) | (middles > last)] = 0.0
    return weights.astype(np.float32)


def _cubic_weights(centres: np.ndarray, points: np.ndarray) -> np.ndarray:
    """points×centres: how much the values at rising `centres` give to a curve's at `points`.

    The curve is a cubic between neighbours. At a centre its slope is that of the line between the
    centre's two neighbours (Catmull and Rom 1974); at the outermost it is level, as beyond them.
    """
    count = len(centres)
    if count == 1:
        return np.ones((len(points), 1))
    values, slopes = np.eye(count), np.zeros((count, count))
    slopes[1:-1] = (values[2:] - values[:-2]) / (centres[2:] - centres[:-2])[:, None]
    points = np.clip(points, centres[0], centres[-1])
    low = np.clip(np.searchsorted(centres, points, side="right") - 1, 0, count - 2)
    step = (centres[low + 1] - centres[low])[:, None]
    t = (points[:, None] - centres[low, None]) / step
    return (  # this is Hermite's form, of values and slopes at both ends
        (1 + 2 * t) * (1 - t) ** 2 * values[low]
        + t**2 * (3 - 2 * t) * values[low + 1]
        + t * (1 - t) ** 2 * step * slopes[low]
        - t**2 * (1 - t) * step * slopes[low + 1]
    )
