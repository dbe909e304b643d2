"""Turns labels of every kind that people have into places among classes.

labels = Labels("y.npz", y, 60_000)          # numbers from 1, floats, one-hot rows, words ...
classes = labels.classes()                   # ... and the classes that are there
places = labels.among(classes)               # N int64, counted from 0
places = Labels("test.npz", t, 10_000).among(classes)     # the same classes mean the same
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.arguments import few, listed
from .._base.array_types import Integers
from .._base.arrays import plain
from ..errors import ArgumentError, DTypeError, ShapeError

# No data set has so many classes; a label beyond this is a mistake.
_LARGEST_LABEL = 999_999

_FOR_INDICES = "y.argmax(axis=1) makes class indices of scores"


@dataclasses.dataclass(frozen=True)
class Classes:
    """The classes' names, and the label that means each; without labels a class's place means it.

    note: what a user should know about how they came to be; "" where nothing is special.
    """

    names: list[str]
    numbers: Integers | None = None
    note: str = ""


class Labels:
    """N labels: N or N×1 whole numbers (floats and bools, too) or words, or N×K rows of one 1.

    where: what messages begin with. count: the images they belong to.
    note: what a user should know about how they were read; "" where nothing is special.

    Raises ShapeError, DTypeError or ArgumentError.
    """

    def __init__(self, where: str | os.PathLike[str], labels: Any, count: int) -> None:
        self.where, self.note = os.fspath(where), ""
        # How many classes one-hot rows have.
        self._columns: int | None = None
        labels = plain(f"{self.where}: labels", labels)
        missing = _missing(labels)
        if missing is not None:
            raise DTypeError(f"{self.where}: image {missing} has {labels[missing]} for its label")
        try:
            values = _as_array(labels)
        except (ValueError, TypeError) as error:  # such as lists of unlike lengths
            raise DTypeError(f"{self.where}: labels must be N whole numbers or words") from error
        is_table = values.ndim == 2 and values.shape[1] > 1 and len(values) == count
        if is_table and values.dtype.kind in "biuf":
            values = self._from_rows(values)
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        if values.ndim != 1:
            raise ShapeError(
                f"{self.where}: labels must be N whole numbers or words, got {values.dtype} of "
                f"shape {values.shape}"
            )
        if len(values) != count:
            raise ShapeError(
                f"{self.where}: {len(values):,} labels, but there are {count:,} images"
            )
        self.values = self._plain(values)

    def classes(self) -> Classes:
        """The classes that these labels, a training set's, have."""
        if self._columns is not None:
            return Classes([str(label) for label in range(self._columns)])
        if self.values.dtype.kind == "U":
            return Classes(in_order(self.values.tolist()))
        there = np.unique(self.values)
        if there.size and not 0 <= there[0] <= there[-1] <= _LARGEST_LABEL:
            label = there[0] if there[0] < 0 else there[-1]
            raise ArgumentError(
                f"{self.where}: label {label} of image {np.argmax(self.values == label)} is out of "
                "range: these are no classes' numbers, which are 0 or more"
            )
        names = [str(label) for label in there]
        if not there.size or there[-1] == len(there) - 1:
            return Classes(names)
        return Classes(
            names,
            there,
            f"the labels {few(names)} became {len(names):,} classes of these names, whose own "
            f"labels are 0 to {len(names) - 1}; a network trained on them stores the names",
        )

    def among(self, classes: Classes | Sequence[str]) -> Integers:
        """N int64: the place of each label among the classes, of the training set or as given."""
        classes = classes if isinstance(classes, Classes) else Classes(list(classes))
        names = classes.names
        if self._columns not in (None, len(names)):
            raise ShapeError(
                f"{self.where}: one-hot labels of {self._columns} classes, but there are "
                f"{len(names)}: {few(names)}"
            )
        if self.values.dtype.kind == "U":
            place = {name: index for index, name in enumerate(names)}
            places = np.array([place.get(value, -1) for value in self.values.tolist()], np.int64)
        elif classes.numbers is None or self._columns is not None:
            places = np.where((self.values < 0) | (self.values >= len(names)), -1, self.values)
        else:
            places = np.searchsorted(classes.numbers, self.values)
            places[classes.numbers[np.minimum(places, len(names) - 1)] != self.values] = -1
        wrong = np.flatnonzero(places < 0)
        if wrong.size:
            raise ArgumentError(self._unknown(int(wrong[0]), classes))
        return places.astype(np.int64)

    def _unknown(self, image: int, classes: Classes) -> str:
        value, names = self.values[image], classes.names
        if self.values.dtype.kind == "U":
            return f"{self.where}: label {str(value)!r} of image {image} is none of {few(names)}"
        if classes.numbers is not None:
            return (
                f"{self.where}: label {value} of image {image} is none of the training set's: "
                f"{few(names)}"
            )
        most = len(names) - 1
        words = (
            f"{self.where}: label {value} of image {image} is out of range: there are "
            f"{len(names)} classes, 0 to {most}"
        )
        if value == len(names) and self.values.min() == 1:
            words += "; labels that begin at 1 need y - 1 where classes are given"
        return words

    def _from_rows(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The place of the one 1 in each row."""
        ones = (rows == 1).sum(axis=1)
        if not np.isin(rows, (0, 1)).all():
            raise ShapeError(
                f"{self.where}: labels of shape {rows.shape} must have one 1 a row and else 0, one "
                f"class an image; got soft or scored labels. {_FOR_INDICES}"
            )
        if (ones != 1).any():
            image = int(np.argmax(ones != 1))
            raise ShapeError(
                f"{self.where}: labels of shape {rows.shape} must have one 1 a row; image {image} "
                f"has {ones[image]}. Each image belongs to one class; {_FOR_INDICES}"
            )
        self._columns = rows.shape[1]
        self.note = f"took the one-hot labels as the indices of their {self._columns} columns"
        return rows.argmax(axis=1)

    def _plain(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """N int64, or N str."""
        if values.dtype.kind == "U":
            return values
        if values.dtype.kind == "f":
            wrong = np.flatnonzero(~(np.isfinite(values) & (values == np.rint(values))))
            if wrong.size:
                raise DTypeError(
                    f"{self.where}: labels must be whole numbers, got {values.dtype}: "
                    f"{values[wrong[0]]} for image {wrong[0]}"
                )
        elif values.dtype.kind not in "biu" and values.size:
            raise DTypeError(
                f"{self.where}: labels must be whole numbers or words, got {values.dtype}"
            )
        beyond = np.flatnonzero(np.abs(values.astype(np.float64)) >= 2.0**63)
        if beyond.size:
            raise ArgumentError(
                f"{self.where}: label {values[beyond[0]]} of image {beyond[0]} is out of range: "
                "these are no classes' numbers"
            )
        return values.astype(np.int64)


def as_text(name: Any) -> str:
    """A name as text, which HDF5, numpy and Python 2's pickles may hold as bytes."""
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def listed_classes(where: str, classes: Any) -> list[str]:
    """The names of classes that a user has listed."""
    return list(map(as_text, listed(where, "classes", classes, "a list of names")))


def in_order(names: Sequence[str]) -> list[str]:
    """Each name once: sorted as numbers where all are whole numbers, else as words."""
    once = sorted(set(names))
    return sorted(once, key=int) if all(map(is_number, once)) else once


def is_number(name: str) -> bool:
    return name.isascii() and name.isdigit() and len(name) < 19


def _missing(labels: Any) -> int | None:
    """The place of the first None or NaN among words; numpy would turn these into words, too."""
    if not isinstance(labels, (list, tuple, np.ndarray)) or getattr(labels, "dtype", "O") != "O":
        return None
    if not any(isinstance(label, (str, bytes)) for label in labels):
        return None
    kinds = (float, np.floating)
    missing = (label is None or (isinstance(label, kinds) and label != label) for label in labels)
    return next((image for image, is_missing in enumerate(missing) if is_missing), None)


def _as_array(labels: Any) -> npt.NDArray[Any]:
    """An array of numbers or str, made of what objects and bytes hold."""
    values = np.asarray(labels)
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8", "replace")
    if values.dtype.kind == "O" and values.size:
        kinds = {type(value) for value in values.ravel().tolist()}
        if all(issubclass(kind, str) for kind in kinds):
            return values.astype(str)
        if all(issubclass(kind, (bool, int, float, np.number, np.bool_)) for kind in kinds):
            return np.array(values.tolist())
    # numpy 2 has strings of any length as a type of their own.
    return np.array(values.tolist(), str) if values.dtype.kind == "T" else values
