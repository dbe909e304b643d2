"""Means and deviations of the training pictures' values, and remarks where these say nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._base.arrays import made
from ..errors import remark

# How many pictures are looked at in one go, and how many bytes; float64 takes eight times as many.
_BLOCK, _BLOCK_BYTES = 1024, 8 << 20

# Pictures of one flat colour have deviation 0, and dividing by it would give infinities.
SMALLEST_STD = 1e-3


def channel_statistics(images: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Means and deviations of N×H×W×C uint8 over N, H and W, one a channel, in units of 255.

    Deviations are at least `SMALLEST_STD`. Remarks on pictures with one value all over, such as
    black ones, among others.
    """
    channels = images.shape[3]
    total = np.zeros(channels)
    squares = np.zeros(channels)
    flat, black, same = 0, 0, True
    first = made("Preprocessing.fit: images", images[:1])
    count = max(1, min(_BLOCK, _BLOCK_BYTES // first.nbytes))
    for start in range(0, len(images), count):
        block = made("Preprocessing.fit: images", images[start : start + count])
        pixels = block.reshape(-1, channels).astype(np.float64)
        total += pixels.sum(axis=0)
        squares += np.einsum("pc,pc->c", pixels, pixels)
        values = block.reshape(len(block), -1)
        is_flat = values.min(axis=1) == values.max(axis=1)
        flat += int(is_flat.sum())
        black += int((is_flat & (values[:, 0] == 0)).sum())
        same = same and bool((block == first).all())
    pixels_in_all = np.prod(images.shape[:3], dtype=np.float64)
    mean = total / pixels_in_all
    # E[x²] - E[x]² loses no digits that matter: float64 sums of integers below 2^53 are exact.
    std = np.sqrt(np.maximum(squares / pixels_in_all - mean**2, 0.0)) / 255.0
    if flat and not same:
        words = f"{flat:,} of {len(images):,} training pictures have one value all over"
        remark(f"{words} ({black:,} of them all black)" if black else words)
    return tuple((mean / 255.0).tolist()), tuple(np.maximum(std, SMALLEST_STD).tolist())
