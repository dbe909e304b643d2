"""Global contrast normalisation and ZCA whitening, as the paper treats CIFAR's pictures.

    g = s * (x - mean(x)) / ||x - mean(x)||_2            over all values of one picture, s = 55
    y = P (g - m),   P = V diag(1 / sqrt(l)) V^T,   V diag(l) V^T = (1/N) sum (g - m)(g - m)^T + e I

x: the D = C*H*W pixels of a picture, 0..255, plane after plane, red first; m: the mean of g over
the training pictures; e = 0.1. After Goodfellow et al., "Maxout Networks" (2013), section 5.1.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from .. import _core
from .._base.arguments import positive, shown
from .._base.array_types import Bytes, Floats
from .._base.arrays import is_array, made
from .._base.progress import Counter, LiveLine
from ..errors import ArgumentError, ShapeError

SCALE = 55.0
EPSILON = 0.1

# The matrix has D² entries, and its eigenvectors cost D³ operations: for pictures of 64×64 RGB that
# is 1.2 GB and an hour.
_MOST_VALUES = 12_288

# How many pictures are worked on at a time; CIFAR's take 25 MB as float64.
_BLOCK = 1024


Real = TypeVar("Real", np.float32, np.float64)


@dataclasses.dataclass(frozen=True, eq=False)
class Whitening:
    """A fitted whitening of pictures of one shape.

    mean: m, D float32; values stand plane after plane (C, H, W).
    matrix: P, D×D float32, symmetric.
    scale: s.
    epsilon: e, for the record; P holds its effect.
    """

    mean: Floats
    matrix: Floats
    scale: float = SCALE
    epsilon: float = EPSILON

    def __post_init__(self) -> None:
        for name, array, dimensions in (("mean", self.mean, 1), ("matrix", self.matrix, 2)):
            if not is_array(array):
                raise ArgumentError(f"whitening: {name} must be an array, got {shown(array)}")
            array = made(f"whitening: {name}", array)
            object.__setattr__(self, name, array)
            if array.dtype != np.float32 or array.ndim != dimensions:
                raise ArgumentError(
                    f"whitening: {name} must be float32 of {dimensions} dimensions, got "
                    f"{array.dtype} of shape {array.shape}"
                )
        if self.matrix.shape != (len(self.mean), len(self.mean)):
            raise ArgumentError(
                f"whitening: {len(self.mean)} means need a matrix of as many rows and columns, got "
                f"shape {self.matrix.shape}"
            )
        for name in ("scale", "epsilon"):
            positive("whitening", name, getattr(self, name))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Whitening)
            and (self.scale, self.epsilon) == (other.scale, other.epsilon)
            and np.array_equal(self.mean, other.mean)
            and np.array_equal(self.matrix, other.matrix)
        )

    def __hash__(self) -> int:
        return hash((self.scale, self.epsilon, self.mean.tobytes()))

    @classmethod
    def fit(cls, images: Any, progress: bool = False) -> Whitening:
        """The whitening of `images`, N×H×W×C uint8, N at least 1, in float64, block by block.

        A block is held in memory at a time, and for the eigenvectors three D×D matrices.

        The sums of products and the eigenvectors are numpy's, float64 by its BLAS and LAPACK: with
        another build of these, on another processor or on another number of their threads, P may
        have other last bits. So a fitted whitening is stored and never fitted again.
        """
        values = int(np.prod(images.shape[1:]))
        if values > _MOST_VALUES:
            raise ShapeError(
                f"whitening: takes pictures of at most {_MOST_VALUES} values (64×64 RGB), got "
                f"{values}; bring them to a smaller size first"
            )
        total = np.zeros(values)
        products = np.zeros((values, values))
        counting = Counter("whitening: pictures", len(images), shown=progress)
        with contextlib.closing(counting) as counter:
            for block in _blocks(images):
                normal = _normalised(block, SCALE, np.float64)
                total += normal.sum(axis=0)
                products += normal.T @ normal  # BLAS computes one half of the symmetric result
                counter.advance(len(block))
        mean = total / len(images)
        products /= len(images)
        # This is sum (g - m)(g - m)^T / N. Entries of g are near 1, so that float64's 16 digits
        # suffice.
        products -= np.outer(mean, mean)
        products[np.diag_indices(values)] += EPSILON
        line = LiveLine(shown=progress)
        line.show(f"whitening: eigenvectors of {values:,} values ...")
        try:
            roots, vectors = np.linalg.eigh(products)
        finally:
            line.clear()
        # A covariance has no eigenvalue below 0, so that only rounding brings one of these below
        # epsilon.
        np.maximum(roots, EPSILON, out=roots)
        matrix = np.matmul(vectors / np.sqrt(roots), vectors.T, out=products)
        matrix = 0.5 * (matrix + matrix.T)  # P is symmetric to the last bit
        return cls(mean.astype(np.float32), matrix.astype(np.float32))

    def apply(self, images: Bytes, threads: int | None = None) -> Floats:
        """N×H×W×C uint8, H*W*C = D -> N×C×H×W float32; threads: see `Preprocessing.apply`.

        All in whole numbers, in single roundings or by the core: for one instruction set and number
        of pictures the bits are the same, whatever numpy works with and on however many threads.
        """
        count, height, width, channels = images.shape
        out = np.empty((count, channels, height, width), np.float32)
        rows = out.reshape(count, height * width * channels)
        for start, block in zip(range(0, count, _BLOCK), _blocks(images)):
            normal = _normalised(block, self.scale, np.float32)
            normal -= self.mean
            rows[start : start + len(block)] = _core.linear(normal, self.matrix, None, threads or 0)
        return out


def _blocks(images: Any) -> Iterator[Bytes]:
    for start in range(0, len(images), _BLOCK):
        yield made("whitening: images", images[start : start + _BLOCK])


def _normalised(images: Bytes, scale: float, dtype: type[Real]) -> npt.NDArray[Real]:
    """Global contrast normalisation: N×H×W×C uint8 -> N×D of `dtype`."""
    rows = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    values = rows.shape[1]
    # Whole numbers are exact: no order of sums counts, and a flat picture does not become rounding
    # errors. The sum of squares is below 2^31 for the largest matrix that a model file can hold.
    totals = rows.sum(axis=1, dtype=np.int64)
    wide = rows.astype(np.int32)
    squares = np.einsum("nd,nd->n", wide, wide).astype(np.int64)
    norms = np.sqrt((values * squares - totals * totals) / values)
    norms[norms == 0.0] = 1.0  # all values of a flat picture are 0, whatever divides them
    normal = rows.astype(dtype)
    normal -= (totals / values)[:, None].astype(dtype)
    normal *= (scale / norms)[:, None].astype(dtype)
    return normal
