"""Reads CIFAR-10 and CIFAR-100 in Python's batches: `data_batch_1` ..., or `train` and `test`.

Each is a pickled dict: `data`, N×3072 uint8, pixels as C×H×W, and `labels` or `fine_labels`, N
whole numbers (https://www.cs.toronto.edu/~kriz/cifar.html). Class names come from `batches.meta` or
`meta`, and are numbers where that is missing. Nothing in a pickle is run; see `plain_pickle`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...errors import FileError
from ..labels import Labels, as_text
from ..part import LoadOptions, Part, as_file_errors
from ..source import ArraySource
from .cifar_binary import batch_files
from .plain_pickle import read_plain_pickle


def can_read(path: Path) -> bool:
    return (path / "data_batch_1").is_file() or (path / "train").is_file()


def parts(path: Path) -> tuple[str, ...]:
    test = (path / "test_batch").is_file() or (path / "test").is_file()
    return ("train", "test") if test else ("train",)


def read(path: Path, part: str, options: LoadOptions) -> Part:
    if (path / "train").is_file():
        files, labels, count = [path / part], "fine_labels", 100
        classes = _class_names(path / "meta", "fine_label_names", count)
    else:
        files = batch_files(path, "") if part == "train" else [path / "test_batch"]
        labels, count = "labels", 10
        classes = _class_names(path / "batches.meta", "label_names", count)
    parts = [_read_file(file, labels, classes) for file in files]
    pixels = np.concatenate([pixels for pixels, _ in parts])
    images = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return Part(
        ArraySource(np.ascontiguousarray(images)),
        np.concatenate([labels for _, labels in parts]),
        classes,
    )


def _read_file(file: Path, labels: str, classes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    found = read_plain_pickle(file)
    pixels = _entry(file, found, "data")
    is_array = isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8 and pixels.ndim == 2
    if not is_array or pixels.shape[1] != 3 * 32 * 32 or not len(pixels):
        raise FileError(f"{file}: 'data' must be N×3072 uint8, got {_kind(pixels)}")
    with as_file_errors():
        return pixels, Labels(file, _entry(file, found, labels), len(pixels)).among(classes)


def _class_names(file: Path, entry: str, count: int) -> list[str]:
    if not file.is_file():
        return [str(label) for label in range(count)]
    names = _entry(file, read_plain_pickle(file), entry)
    if not isinstance(names, list) or len(set(map(as_text, names))) != count:
        raise FileError(f"{file}: {entry!r} must be a list of {count} names")
    return [as_text(name) for name in names]


def _entry(file: Path, found: dict[str, Any], name: str) -> Any:
    if name not in found:
        there = ", ".join(sorted(found)[:10]) or "nothing"
        raise FileError(f"{file}: no {name!r} in it, there is {there}")
    return found[name]


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    return type(value).__name__
