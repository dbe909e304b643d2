"""Random changes to training pictures that leave their class alone.

An augmentation is a callable ``(batch, rng) -> batch`` over normalised pictures, N×C×H×W float32.
It takes all its chance from `rng`, which the trainer keys by (seed, epoch, batch): the same run
draws the same pictures whatever the number of threads, and an epoch can be repeated alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._base.arguments import share, shown, whole
from .._base.array_types import Floats, FloatsLike
from .._base.arrays import plain
from ..errors import ArgumentError, ShapeError

__all__ = ["Augmentation", "Compose", "Flip", "PadCrop"]

Augmentation = Callable[[Floats, np.random.Generator], Floats]


class PadCrop:
    """Pads `pixels` zeros on every side and cuts a window of the old size at a random place.

    y[n, c, i, j] = padded[n, c, i + dy(n), j + dx(n)],  dy, dx uniform in 0 .. 2 * pixels.

    Zeros after normalisation are the mean colour, as in the paper (section 4.1).
    """

    def __init__(self, pixels: int = 4) -> None:
        self.pixels = whole("PadCrop", "pixels", pixels)

    def __call__(self, batch: FloatsLike, rng: np.random.Generator) -> Floats:
        batch = _checked("PadCrop", batch, rng)
        count, _, height, width = batch.shape
        pad = self.pixels
        y, x = rng.integers(0, 2 * pad + 1, size=(2, count)) - pad
        out = np.zeros(batch.shape, batch.dtype)
        # Only what a window and its picture share is copied, which may be nothing. A loop over the
        # pictures is faster than one fancy index into windows of a padded batch.
        from_y, from_x = np.maximum(y, 0), np.maximum(x, 0)
        to_y, to_x = np.maximum(-y, 0), np.maximum(-x, 0)
        rows = np.maximum(height - np.abs(y), 0)
        columns = np.maximum(width - np.abs(x), 0)
        places = zip(*(a.tolist() for a in (from_y, from_x, to_y, to_x, rows, columns)))
        for target, source, place in zip(out, batch, places):
            fy, fx, ty, tx, h, w = place
            target[:, ty : ty + h, tx : tx + w] = source[:, fy : fy + h, fx : fx + w]
        return out

    def __repr__(self) -> str:
        return f"PadCrop({self.pixels})"


class Flip:
    """Mirrors each picture left to right with probability `p`.

    Not for digits or letters: a mirrored 2 is not a 2.
    """

    def __init__(self, p: float = 0.5) -> None:
        self.p = share("Flip", "p", p)

    def __call__(self, batch: FloatsLike, rng: np.random.Generator) -> Floats:
        batch = _checked("Flip", batch, rng)
        chosen = rng.random(len(batch)) < self.p
        return np.where(chosen[:, None, None, None], batch[..., ::-1], batch)

    def __repr__(self) -> str:
        return f"Flip({self.p:g})"


class Compose:
    """Applies augmentations one after another, all drawing from the same generator."""

    def __init__(self, *steps: Augmentation) -> None:
        for step in steps:
            if not callable(step):
                raise ArgumentError(
                    f"Compose: a step must be a function (batch, rng) -> batch, got {shown(step)}"
                )
        self.steps = steps

    def __call__(self, batch: FloatsLike, rng: np.random.Generator) -> Floats:
        batch = _checked("Compose", batch, rng)
        for step in self.steps:
            batch = step(batch, rng)
        return batch

    def __repr__(self) -> str:
        return f"Compose({', '.join(map(repr, self.steps))})"


def _checked(where: str, batch: FloatsLike, rng: np.random.Generator) -> Floats:
    """The batch as an array.

    Raises ShapeError unless it is N×C×H×W, ArgumentError unless `rng` draws numbers.
    """
    batch = plain(f"{where}: batch", batch)
    if not isinstance(batch, np.ndarray) or batch.ndim != 4:
        got = batch.shape if isinstance(batch, np.ndarray) else shown(batch)
        raise ShapeError(f"{where}: a batch must be an array N×C×H×W, got {got}")
    if not isinstance(rng, np.random.Generator):
        raise ArgumentError(f"{where}: rng must be a numpy.random.Generator, got {shown(rng)}")
    return batch
