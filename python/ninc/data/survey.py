"""Looks over pictures before a training: what cutting takes from them, what two sets both have."""

from __future__ import annotations

import hashlib

import numpy as np

from .dataset import Dataset
from .source import as_source

# A picture that loses more than this share of its area may have lost what it shows.
MUCH = 0.2

# Only headers are read; so many pictures are enough to tell a tenth from a fifth.
_MOST_LOOKED_AT = 500

# Sets of more bytes than this are not compared, as that would take more than a second.
_MOST_BYTES = 512 << 20


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


def shared_images(first: Dataset, second: Dataset) -> int | None:
    """How many images of `second` have the same pixels as one of `first`; None where unknown.

    Images in memory are looked at, up to 512 MB of them in all.
    """
    one, other = first.images, second.images
    if not isinstance(one, np.ndarray) or not isinstance(other, np.ndarray):
        return None
    if one.nbytes + other.nbytes > _MOST_BYTES or one.shape[1:] != other.shape[1:]:
        return None
    known = {_mark(image) for image in one}
    return sum(_mark(image) in known for image in other)


def _mark(image: np.ndarray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
