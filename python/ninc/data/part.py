"""What a reader hands over: the images of one part of the data, still unread."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator

import numpy as np

from .._base.files import reason
from ..errors import Error, FileError
from .source import Source

# Readers know the parts by these names, and give those that are there in this order.
PARTS = ("train", "validation", "test")

# What people call the parts in names of folders and arrays; letter case does not matter.
_WORDS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}


@dataclasses.dataclass(frozen=True)
class Part:
    """Images with labels; `classes` are those of the training set, in the order of the labels.

    notes: what a user should know about how they were found, in words that can follow a colon.
    """

    images: Source
    labels: np.ndarray
    classes: list[str]
    notes: tuple[str, ...] = ()


def part_called(name: str) -> str | None:
    """The part of `PARTS` that a name such as "Valid" or "test_set" means, or None."""
    word = name.lower()
    for ending in ("_set", "-set", " set"):
        word = word[: -len(ending)] if word.endswith(ending) else word
    return next((part for part, words in _WORDS.items() if word in words), None)


def words_for(part: str) -> tuple[str, ...]:
    """The names of a part, the usual one first."""
    return _WORDS[part]


@contextlib.contextmanager
def as_file_errors() -> Iterator[None]:
    """Turns what `Labels` raises about a file's labels into FileErrors."""
    try:
        yield
    except FileError:
        raise
    except Error as error:
        raise FileError(str(error)) from error


def read_bytes(file: str | os.PathLike[str]) -> bytes:
    """The whole content of a file; raises FileError where it cannot be read."""
    try:
        with open(file, "rb") as opened:
            return opened.read()
    except OSError as error:
        raise FileError(f"{os.fspath(file)}: cannot read ({reason(error)})") from error
