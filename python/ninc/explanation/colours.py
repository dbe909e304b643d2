"""The colours of heat, and heat laid over a picture.

The picture is shown in grey and darker than it is, so that whatever its own colours are, only heat
has colour and only heat is bright: a yellow or a white picture looks no warmer than others. The
colours run from violet over red and orange to light yellow, their lightness rising all the way;
people who see few or no colours read them too.
"""

from __future__ import annotations

import numpy as np

# Heat's colours at equal steps from 0 to 1, RGB: the upper part of matplotlib's "inferno".
_RAMP = np.array(
    [
        [86, 15, 109],
        [136, 34, 106],
        [187, 55, 84],
        [227, 89, 51],
        [249, 140, 10],
        [249, 201, 50],
        [252, 255, 164],
    ],
    np.float64,
)

# The greys that black and white become under the heat, and on the two kinds of stripes that lie
# over what the network did not see.
_UNDER = (18.0, 150.0)
_STRIPES = ((30.0, 55.0), (62.0, 87.0))
_STRIPE_WIDTH = 5  # in pixels

# Heat hides the picture below it up to this share, which it reaches at half its range; above that
# only the colour shows more heat.
_OPACITY = 0.78


def overlay(
    picture: np.ndarray, heat: np.ndarray, seen: tuple[float, float, float, float]
) -> np.ndarray:
    """picture: H×W×C uint8, heat: H×W in 0..1, seen: left, top, right, bottom -> H×W×3 uint8.

        y = (1 - a) * under + a * colour(heat),  a = 0.78 * min(2 * heat, 1)

    under: the picture's luminance, darkened. What the network did not see is striped.
    """
    grey = _luminance(picture)
    under = _between(_UNDER, grey)[:, :, None]
    alpha = _OPACITY * np.minimum(2.0 * heat, 1.0)[:, :, None]
    mixed = (1.0 - alpha) * under + alpha * ramp(heat)
    rows, columns = np.arange(len(grey)) + 0.5, np.arange(grey.shape[1]) + 0.5
    left, top, right, bottom = seen
    outside = ((rows < top) | (rows > bottom))[:, None] | ((columns < left) | (columns > right))
    diagonal = np.add.outer(np.arange(len(rows)), np.arange(len(columns))) // _STRIPE_WIDTH % 2
    striped = np.where(diagonal, _between(_STRIPES[1], grey), _between(_STRIPES[0], grey))
    mixed[outside] = striped[outside][:, None]
    return np.rint(mixed).astype(np.uint8)


def ramp(heat: np.ndarray) -> np.ndarray:
    """Heat in 0..1 of any shape -> its colours, ...×3 float64 in 0..255."""
    places = np.linspace(0.0, 1.0, len(_RAMP))
    return np.stack([np.interp(heat, places, _RAMP[:, c]) for c in range(3)], axis=-1)


def _luminance(picture: np.ndarray) -> np.ndarray:
    """H×W in 0..1; weights of ITU-R BT.601, as Pillow's."""
    if picture.shape[2] == 1:
        return picture[:, :, 0] / 255.0
    return picture @ np.array([0.299, 0.587, 0.114]) / 255.0


def _between(levels: tuple[float, float], share: np.ndarray) -> np.ndarray:
    return levels[0] + (levels[1] - levels[0]) * share
