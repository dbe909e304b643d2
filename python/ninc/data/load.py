"""`load`: one name for every kind of data on disk."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from ..errors import ArgumentError, FileError
from . import folder
from .dataset import Dataset

# Asked in order; the first whose `can_read(path)` says yes reads it.
READERS = (folder,)

SPLITS = ("train", "test", "all")


@dataclasses.dataclass(frozen=True)
class LoadOptions:
    """What a reader is told beside the path; `load` says what each means."""

    split: str = "train"
    size: tuple[int, int] | None = None
    channels: int = 3
    held_out: float = 0.1
    seed: int = 0
    limit: int | None = None
    threads: int | None = None
    progress: bool = False


def load(
    path: str | os.PathLike[str],
    split: str = "train",
    *,
    size: tuple[int, int] | None = None,
    channels: int = 3,
    held_out: float = 0.1,
    seed: int = 0,
    limit: int | None = None,
    threads: int | None = None,
    progress: bool = False,
) -> Dataset:
    """Reads labelled pictures into memory as N×H×W×C uint8.

    path: a folder with `train/CLASS/*` and `test/CLASS/*`, or with `CLASS/*` alone.
    split: "train" or "test" (without a `test` folder: `held_out` of each class, chosen by `seed`),
        or "all" for both together.
    size: (height, width) pictures are brought to, the shorter side resized and the centre cut
        out; None takes them as they are, and then they must all be of one size.
    channels: 3 for RGB, 1 for grey.
    limit: at most so many pictures a class, for a quick try.
    threads: decode on so many threads; None uses what the process may.
    progress: shows how far it is on a terminal.

    Raises FileError for a missing or empty folder and for a damaged picture, by name, and
    ArgumentError for an option out of range.
    """
    options = LoadOptions(split, size, channels, held_out, seed, limit, threads, progress)
    _check(options)
    place = Path(path)
    if not place.exists():
        raise FileError(f"{place}: no such file or folder")
    for reader in READERS:
        if reader.can_read(place):
            return reader.read(place, options)
    raise FileError(f"{place}: not a folder of images (expected train/CLASS/* or CLASS/*)")


def _check(options: LoadOptions) -> None:
    if options.split not in SPLITS:
        raise ArgumentError(f"split must be one of {', '.join(SPLITS)}, got {options.split!r}")
    if options.channels not in (1, 3):
        raise ArgumentError(f"channels must be 1 or 3, got {options.channels}")
    if not 0.0 < options.held_out < 1.0:
        raise ArgumentError(f"held_out must lie in 0..1, got {options.held_out}")
    for name in ("limit", "threads"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise ArgumentError(f"{name} must be at least 1, got {value}")
