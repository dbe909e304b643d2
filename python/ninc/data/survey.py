"""Tells how much of the pictures is lost where they are cut to one size."""

from __future__ import annotations

import numpy as np

from .dataset import Dataset
from .source import as_source

# A picture that loses more than this share of its area may have lost what it shows.
MUCH = 0.2

# Only headers are read; so many pictures are enough to tell a tenth from a fifth.
_MOST_LOOKED_AT = 500


def much_cut(data: Dataset) -> tuple[int, int]:
    """(pictures that lose more than a fifth of their area, pictures looked at).

    Up to 500 pictures are looked at, spread evenly; none where nobody knows how they were made.
    """
    if data.framing is None or not len(data):
        return 0, 0
    source = data.origin if data.origin is not None else as_source(data.images)
    step = -(-len(data) // _MOST_LOOKED_AT)
    sizes = source.survey(np.arange(0, len(data), step))
    lost = [data.framing.lost(width, height) > MUCH for height, width in sizes]
    return sum(lost), len(lost)
