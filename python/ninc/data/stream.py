"""Batches that somebody else makes: any Python iterable of (x, y)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Union

import numpy as np
import numpy.typing as npt

from .._base.arguments import array, is_iterable
from .._base.array_types import Integers
from ..errors import ArgumentError, DTypeError, ShapeError
from ..preprocess.pictures import conversion
from .labels import Labels, listed_classes

Batch = tuple[npt.NDArray[Any], Integers]  # x: N×..., labels: N int64
Batches = Union[Iterable[tuple[Any, Any]], Callable[[], Iterator[tuple[Any, Any]]]]


class BatchStream:
    """Training data that come in batches.

    batches: gives batches (x, y): x is N×H×W×C uint8 pictures (C = 1 or 3) or N×C×H×W float32, all
        of one type and, but for N, one shape; y is N whole numbers. Either an iterable, which is
        iterated anew for each epoch, or a function without arguments that gives an iterator for
        each. An iterator, such as a generator, lasts for one epoch.
    classes: the classes' names, in the order of the labels, where they are known.

        stream = BatchStream(loader, ["cat", "dog"])

    The first batch is fetched when its shape is first asked for and is then the first of the next
    epoch. Each batch is checked when its turn comes; the error tells its number, counted from 1.
    """

    def __init__(self, batches: Batches, classes: Sequence[str] | None = None) -> None:
        if not callable(batches) and not is_iterable(batches):
            raise ArgumentError(
                "BatchStream: batches must be an iterable of (x, y), or a function that gives an "
                f"iterator, got {type(batches).__name__}"
            )
        self._batches = batches
        self.classes = None if classes is None else listed_classes("BatchStream", classes)
        # Iterators under way with their first batches, fetched before the epochs that they belong
        # to: one, but where several threads ask first at the same time. A list, since no two of
        # them can take the same out of it.
        self._opened: list[tuple[Batch, Iterator[Any]]] = []
        self._used_up = False
        # Table from labels as given to labels as `classes` counts them, where the two differ.
        self._table: Integers | None = None
        self._kind: tuple[np.dtype[Any], tuple[int, ...]] | None = None

    @property
    def one_epoch_only(self) -> bool:
        """True for an iterator, which nobody can begin anew."""
        return isinstance(self._batches, Iterator)

    @property
    def steps(self) -> int | None:
        """Batches in an epoch, where the iterable can tell (`len`)."""
        try:
            return len(self._batches)  # type: ignore[arg-type]
        except TypeError:
            return None

    @property
    def is_pictures(self) -> bool:
        """True for uint8 pictures, which still need normalisation."""
        return self.first()[0].dtype == np.uint8

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image, however it is stored."""
        first, second, third = self.first()[0].shape[1:]
        return (third, first, second) if self.is_pictures else (first, second, third)

    def __repr__(self) -> str:
        steps = "unknown" if self.steps is None else f"{self.steps:,}"
        return f"BatchStream({steps} batches an epoch)"

    def first(self) -> Batch:
        """The next epoch's first batch, (x, y), which that epoch will give again."""
        try:
            return self._opened[-1][0]
        except IndexError:
            opened = self._begin()
            self._opened.append(opened)
            return opened[0]

    def epoch(self) -> Iterator[Batch]:
        """All batches of one epoch, checked."""
        try:
            first, iterator = self._opened.pop()
        except IndexError:
            first, iterator = self._begin()
        rest = (self._checked(batch, number) for number, batch in enumerate(iterator, start=2))
        return chain([first], rest)

    def _begin(self) -> tuple[Batch, Iterator[Any]]:
        """An epoch's first batch, and an iterator of the rest."""
        iterator = self._open()
        try:
            batch = next(iterator)
        except StopIteration:
            raise ArgumentError("BatchStream: there are no batches") from None
        return self._checked(batch, 1), iterator

    def _open(self) -> Iterator[Any]:
        if callable(self._batches):
            batches = self._batches()
            if not is_iterable(batches):
                raise ArgumentError(
                    "BatchStream: the function must give an iterator of (x, y), got "
                    f"{type(batches).__name__}"
                )
            return iter(batches)
        iterator = iter(self._batches)
        if iterator is self._batches:
            if self._used_up:
                raise ArgumentError(
                    "BatchStream: the batches were given as an iterator, which ends after one "
                    "epoch; give a list, an object with __iter__, or a function that returns a "
                    "new iterator"
                )
            self._used_up = True
        return iterator

    def _checked(self, batch: Any, number: int) -> Batch:
        where = f"BatchStream: batch {number}"
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise ArgumentError(f"{where} must be a pair (x, y), got {type(batch).__name__}")
        x, y = (array(where, name, item) for name, item in zip("xy", batch))
        if x.dtype not in (np.uint8, np.float32):
            raise DTypeError(
                f"{where}: x must be uint8 pictures or float32 arrays, got {x.dtype}; "
                "x.astype(np.float32) makes float32 of them"
            )
        if x.ndim != 4 or not len(x) or (x.dtype == np.uint8 and x.shape[3] not in (1, 3)):
            raise ShapeError(
                f"{where}: x must be N×H×W×C uint8 (C = 1 or 3) or N×C×H×W float32, with N at "
                f"least 1, got {x.dtype} of shape {x.shape}"
                + (conversion(x.dtype, x.shape) if x.dtype == np.uint8 else "")
            )
        kind = (x.dtype, x.shape[1:])
        if self._kind is None:
            self._kind = kind
        if kind != self._kind:
            raise ShapeError(
                f"{where}: images are {kind[0]} of shape {kind[1]}, those of the first batch "
                f"{self._kind[0]} of shape {self._kind[1]}; all must be alike"
            )
        return x, self._checked_labels(where, y, len(x))

    def _checked_labels(self, where: str, y: npt.NDArray[Any], count: int) -> Integers:
        if y.ndim == 2:  # N×1, or one-hot
            y = Labels(where, y, count).values
        if y.shape != (count,):
            raise ShapeError(f"{where}: {count} images need as many labels, got shape {y.shape}")
        if y.dtype.kind not in "iu":
            raise DTypeError(f"{where}: labels must be whole numbers, got {y.dtype}")
        counted = self.classes if self._table is None else self._table
        most = None if counted is None else len(counted) - 1
        wrong = np.flatnonzero((y < 0) | (False if most is None else y > most))
        if wrong.size:
            needs = "must be 0 or more" if most is None else f"must lie in 0..{most}"
            raise ArgumentError(
                f"{where}: label {y[wrong[0]]} of image {wrong[0]} is out of range: it {needs}"
            )
        return y.astype(np.int64) if self._table is None else self._table[y]


def relabelled(stream: BatchStream, table: Integers, classes: Sequence[str]) -> BatchStream:
    """The same batches with label i in the place of table[i], which counts `classes`.

    It goes on where `stream` stands, and `stream` must not be used any more.
    """
    other = copy.copy(stream)
    other._table, other.classes = table, list(classes)
    other._opened = [((x, table[y]), rest) for (x, y), rest in stream._opened]
    return other
