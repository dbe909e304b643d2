"""Reads a folder of images: `train/CLASS/*` and `test/CLASS/*`, or `CLASS/*` alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import FileError
from .part import Part
from .pictures import PictureFiles

if TYPE_CHECKING:
    from .load import LoadOptions

SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
)


def can_read(path: Path) -> bool:
    return path.is_dir()


def has_test(path: Path) -> bool:
    """True where the folder itself says what is for training and what for testing."""
    return (path / "train").is_dir() and (path / "test").is_dir()


def read(path: Path, part: str, options: LoadOptions) -> Part:
    """The classes are the sorted names of the (training) folders."""
    if (path / "train").is_dir():
        classes = _class_names(path / "train")
        files, labels = _list_pictures(path / part, classes)
    else:
        classes = _class_names(path)
        files, labels = _list_pictures(path, classes)
    images = PictureFiles(
        files,
        options.framing(3),
        options.threads,
        root=path,
        tolerant=options.on_error == "skip",
    )
    return Part(images, np.array(labels, np.int64), classes)


def _class_names(path: Path) -> list[str]:
    names = sorted(
        entry.name for entry in path.iterdir() if entry.is_dir() and entry.name[0] not in "._"
    )
    if not names:
        raise FileError(f"{path}: no class folders in it (expected CLASS/*.jpg, *.png, ...)")
    return names


def _list_pictures(path: Path, classes: Sequence[str]) -> tuple[list[str], list[int]]:
    """Files and labels, class by class, sorted by name: the same list on every file system."""
    unknown = sorted(set(_class_names(path)) - set(classes))
    if unknown:
        raise FileError(f"{path / unknown[0]}: no class of this name in the training folder")
    files: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        folder = path / name
        found = sorted(os.listdir(folder)) if folder.is_dir() else []
        pictures = [
            os.path.join(folder, file)
            for file in found
            if os.path.splitext(file)[1].lower() in SUFFIXES
        ]
        files += pictures
        labels += [label] * len(pictures)
    if not files:
        raise FileError(f"{path}: no pictures in its class folders")
    return files, labels
