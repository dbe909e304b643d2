"""What a reader is told beside the path, and what it hands over: images that are still unread."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator

from .._base.array_types import Integers
from .._base.files import reading
from ..errors import Error, FileError, OutOfMemoryError
from ..preprocess import RGB, Framing
from .source import Source

# Readers know the parts by these names, and give those that are there in this order.
PARTS = ("train", "validation", "test")

# What people call the parts in names of folders and arrays, the usual name first; letter case does
# not matter.
WORDS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}


@dataclasses.dataclass(frozen=True)
class LoadOptions:
    """`load` says what each means."""

    split: str
    size: tuple[int, int] | None
    channels: int | None
    held_out: float
    seed: int
    limit: int | None
    threads: int | None
    progress: bool
    on_error: str
    in_memory: bool | None
    cache: int | None
    resize: int | None
    fit: str
    ground: RGB

    def framing(self, channels: int) -> Framing:
        """How pictures are brought to size; `channels` are theirs where no others are asked for."""
        wanted = channels if self.channels is None else self.channels
        return Framing(self.size, wanted, self.resize, self.fit, self.ground)


@dataclasses.dataclass(frozen=True)
class Part:
    """Images with labels; `classes` are those of the training set, in the order of the labels.

    notes: what a user should know about how they were found, in words that can follow a colon.
    """

    images: Source
    labels: Integers
    classes: list[str]
    notes: tuple[str, ...] = ()


def part_called(name: str) -> str | None:
    """The part of `PARTS` that a name such as "Valid" or "test_set" means, or None."""
    word = name.lower()
    for ending in ("_set", "-set", " set"):
        word = word.removesuffix(ending)
    return next((part for part, words in WORDS.items() if word in words), None)


@contextlib.contextmanager
def as_file_errors() -> Iterator[None]:
    """Turns what `Labels` raises about a file's labels into FileErrors."""
    try:
        yield
    except (FileError, OutOfMemoryError):
        raise
    except Error as error:
        raise FileError(str(error)) from error


def read_bytes(file: str | os.PathLike[str]) -> bytes:
    """The whole content of a file; raises FileError where it cannot be read."""
    with reading(file), open(file, "rb") as opened:
        return opened.read()
