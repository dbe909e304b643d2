"""What a reader hands over: the training or the test images of one place, still unread."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

import numpy as np

from ..errors import FileError
from .source import Source

# More classes than any data set has: beyond, a label is a mistake, and a list of names as well.
_MOST_CLASSES = 1_000_000


@dataclasses.dataclass(frozen=True)
class Part:
    """Images with labels; `classes` are those of the training set, in the order of the labels."""

    images: Source
    labels: np.ndarray
    classes: list[str]


def check_labels(
    file: str | os.PathLike[str], labels: np.ndarray, images: int, classes: Sequence[str]
) -> np.ndarray:
    """The labels as N int64; FileError, naming `file`, where they do not fit images or classes."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise FileError(
            f"{file}: labels must be N whole numbers, got {labels.dtype} of shape {labels.shape}"
        )
    if len(labels) != images:
        raise FileError(f"{file}: {len(labels):,} labels, but there are {images:,} images")
    labels = labels.astype(np.int64)
    wrong = np.flatnonzero((labels < 0) | (labels >= len(classes)))
    if wrong.size:
        raise FileError(
            f"{file}: label {labels[wrong[0]]} of image {wrong[0]} is out of range: there are "
            f"{len(classes)} classes, 0 to {len(classes) - 1}"
        )
    return labels


def numbered_classes(file: str | os.PathLike[str], labels: np.ndarray) -> list[str]:
    """ "0", "1", ... up to the largest label, where classes have no names."""
    most = int(labels.max()) if labels.dtype.kind in "iu" and labels.size else -1
    if most >= _MOST_CLASSES:
        raise FileError(f"{file}: label {most} is out of range: these are no classes' numbers")
    return [str(label) for label in range(most + 1)]


def read_bytes(file: str | os.PathLike[str]) -> bytes:
    """A file whole; FileError where that cannot be."""
    try:
        with open(file, "rb") as opened:
            return opened.read()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise FileError(f"{os.fspath(file)}: cannot read ({reason})") from error
