"""What every augmentation looks at first: a batch of pictures, and a generator."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._base.arguments import shown
from ..._base.array_types import Floats, FloatsLike
from ..._base.arrays import plain
from ...errors import ArgumentError, DTypeError, ShapeError


def checked(where: str, batch: FloatsLike, rng: np.random.Generator) -> Floats:
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


def checked_real(where: str, batch: Any, rng: np.random.Generator) -> Any:
    """Does as `checked`, of N×H×W×C uint8 pixels or N×C×H×W float32; DTypeError for others."""
    batch = checked(where, batch, rng)
    if batch.dtype not in (np.uint8, np.float32):
        raise DTypeError(
            f"{where}: a batch must be N×H×W×C uint8 or N×C×H×W float32, got {batch.dtype}"
        )
    if 0 in batch.shape[1:]:
        raise ShapeError(f"{where}: pictures must have pixels, got shape {batch.shape}")
    return batch


def height_and_width(batch: Any) -> tuple[int, int]:
    """Those of N×H×W×C uint8 or of N×C×H×W float32."""
    return batch.shape[1:3] if batch.dtype == np.uint8 else batch.shape[2:]
