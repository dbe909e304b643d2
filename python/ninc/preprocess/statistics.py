"""What the training pictures' values are like: their means, deviations, and whether they say anything."""

from __future__ import annotations

import numpy as np

from ..errors import remark

# Pictures counted at a time: float64 sums of a whole data set would need 8 bytes a pixel.
_BLOCK = 1024

# Pictures of one flat colour have deviation 0; dividing by it would end in infinities.
SMALLEST_STD = 1e-3


def channel_statistics(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Means and deviations of N×H×W×C uint8 over N, H and W, one a channel, in units of 255.

    Deviations are at least `SMALLEST_STD`. Remarks on pictures with nothing in them.
    """
    channels = images.shape[3]
    total = np.zeros(channels)
    squares = np.zeros(channels)
    flat, black, same = 0, 0, True
    first = np.asarray(images[:1])
    for start in range(0, len(images), _BLOCK):
        block = np.asarray(images[start : start + _BLOCK])
        pixels = block.reshape(-1, channels).astype(np.float64)
        total += pixels.sum(axis=0)
        squares += np.einsum("pc,pc->c", pixels, pixels)
        values = block.reshape(len(block), -1)
        is_flat = values.min(axis=1) == values.max(axis=1)
        flat += int(is_flat.sum())
        black += int((is_flat & (values[:, 0] == 0)).sum())
        same = same and bool((block == first).all())
    count = np.prod(images.shape[:3], dtype=np.float64)
    mean = total / count
    # E[x²] - E[x]² loses no digits that matter: float64 sums of integers below 2^53 are exact.
    std = np.sqrt(np.maximum(squares / count - mean**2, 0.0)) / 255.0
    _remark(len(images), flat, black, same, std)
    return tuple((mean / 255.0).tolist()), tuple(np.maximum(std, SMALLEST_STD).tolist())


def _remark(count: int, flat: int, black: int, same: bool, std: np.ndarray) -> None:
    if same and count > 1:
        remark(f"all {count:,} training pictures are the same")
    elif flat:
        words = f"{flat:,} of {count:,} training pictures have one value all over"
        remark(f"{words} ({black:,} of them all black)" if black else words)
    low = [str(channel) for channel in np.flatnonzero(std <= SMALLEST_STD)]
    if low and not same:
        which = "the pictures'" if len(std) == 1 else f"channel {' and '.join(low)} has"
        words = "values hardly vary" if len(std) == 1 else "values that hardly vary"
        remark(
            f"{which} {words} over the training pictures (deviation below {SMALLEST_STD:g} of the "
            "range): there is next to nothing to learn from it"
        )
