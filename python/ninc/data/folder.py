"""Reads a folder of images: `train/CLASS/*` and `test/CLASS/*`, or `CLASS/*` alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import FileError, ShapeError
from ..preprocess import fit_picture, open_picture
from ..progress import Counter
from .dataset import Dataset, held_out

if TYPE_CHECKING:
    from .load import LoadOptions

SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
)

# Pictures decoded by one task: small enough to share out evenly, large enough that handing tasks
# over costs nothing beside some 30 us a small JPEG takes.
_BLOCK = 64


def can_read(path: Path) -> bool:
    return path.is_dir()


def has_split(path: str | os.PathLike[str]) -> bool:
    """True where the folder itself says what is for training and what for testing."""
    return (Path(path) / "train").is_dir()


def read(path: Path, options: LoadOptions) -> Dataset:
    """One split of the folder. The classes are the sorted names of the (training) folders."""
    if has_split(path):
        classes = _class_names(path / "train")
        parts = {"train": ("train",), "test": ("test",), "all": ("train", "test")}[options.split]
        files, labels = [], []
        for part in parts:
            part_files, part_labels = _list_pictures(path / part, classes)
            files += part_files
            labels += part_labels
    else:
        classes = _class_names(path)
        files, labels = _list_pictures(path, classes)
        if options.split != "all":
            chosen = held_out(np.array(labels), options.held_out, options.seed)
            if options.split == "train":
                chosen = ~chosen
            files = [file for file, keep in zip(files, chosen) if keep]
            labels = [label for label, keep in zip(labels, chosen) if keep]
            if not files:
                raise FileError(f"{path}: no pictures left for {options.split!r}: too few a class")
    if options.limit is not None:
        files, labels = _first_of_each(files, labels, options.limit)
    return Dataset(_decode(files, options), np.array(labels, np.int64), classes)


def _class_names(path: Path) -> list[str]:
    names = sorted(
        entry.name for entry in path.iterdir() if entry.is_dir() and entry.name[0] not in "._"
    )
    if not names:
        raise FileError(f"{path}: no class folders in it (expected CLASS/*.jpg, *.png, ...)")
    return names


def _list_pictures(path: Path, classes: Sequence[str]) -> tuple[list[Path], list[int]]:
    """Files and labels, class by class, sorted by name: the same list on every file system."""
    if not path.is_dir():
        raise FileError(f"{path}: no such folder")
    unknown = sorted(set(_class_names(path)) - set(classes))
    if unknown:
        raise FileError(f"{path / unknown[0]}: no class of this name in the training folder")
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        folder = path / name
        found = sorted(folder.iterdir()) if folder.is_dir() else []
        pictures = [file for file in found if file.suffix.lower() in SUFFIXES]
        files += pictures
        labels += [label] * len(pictures)
    if not files:
        raise FileError(f"{path}: no pictures in its class folders")
    return files, labels


def _first_of_each(
    files: list[Path], labels: list[int], limit: int
) -> tuple[list[Path], list[int]]:
    seen: dict[int, int] = {}
    kept = []
    for file, label in zip(files, labels):
        seen[label] = seen.get(label, 0) + 1
        if seen[label] <= limit:
            kept.append((file, label))
    return [file for file, _ in kept], [label for _, label in kept]


def _decode(files: Sequence[Path], options: LoadOptions) -> np.ndarray:
    """N×H×W×C uint8, decoded in parallel: Pillow releases the GIL while it decodes."""
    first = fit_picture(open_picture(files[0]), options.size, options.channels)
    images = np.empty((len(files), *first.shape), np.uint8)

    def decode_block(start: int) -> int:
        block = files[start : start + _BLOCK]
        for offset, file in enumerate(block):
            pixels = fit_picture(open_picture(file), options.size, options.channels)
            if pixels.shape != first.shape:
                raise ShapeError(
                    f"{file}: {pixels.shape[0]}×{pixels.shape[1]} pixels, but {files[0]} has "
                    f"{first.shape[0]}×{first.shape[1]}; give a size to bring all to"
                )
            images[start + offset] = pixels
        return len(block)

    counter = Counter("reading pictures", len(files), shown=options.progress)
    # Not `with`: its exit would wait for every block still queued before an error could be told.
    pool = ThreadPoolExecutor(options.threads or _usable_processors())
    try:
        for count in pool.map(decode_block, range(0, len(files), _BLOCK)):
            counter.advance(count)
    finally:
        pool.shutdown(cancel_futures=True)
        counter.close()
    return images


def _usable_processors() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1
