"""Reads CIFAR-10 and CIFAR-100 in binary batches: `data_batch_1.bin` ..., or `train.bin`.

A record is one byte of label (CIFAR-100: coarse, then fine; the fine one counts) and 3072 bytes of
pixels as C×H×W (https://www.cs.toronto.edu/~kriz/cifar.html). Class names come from
`batches.meta.txt` or `fine_label_names.txt`, and are numbers where that is missing.
"""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np

from ...errors import FileError
from ..labels import Labels
from ..part import LoadOptions, Part, as_file_errors, read_bytes
from ..source import Joined
from .records import RecordFile

_PIXELS = 3 * 32 * 32


def can_read(path: Path) -> bool:
    return (path / "data_batch_1.bin").is_file() or (path / "train.bin").is_file()


def parts(path: Path) -> tuple[str, ...]:
    test = any((path / name).is_file() for name in ("test_batch.bin", "test.bin"))
    return ("train", "test") if test else ("train",)


def read(path: Path, part: str, options: LoadOptions) -> Part:
    if (path / "train.bin").is_file():
        files, label_bytes, count, names = [path / f"{part}.bin"], 2, 100, "fine_label_names.txt"
    else:
        files = batch_files(path, ".bin") if part == "train" else [path / "test_batch.bin"]
        label_bytes, count, names = 1, 10, "batches.meta.txt"
    classes = _class_names(path / names, count)
    parts = [_read_file(file, label_bytes, classes) for file in files]
    images = Joined([images for images, _ in parts])
    return Part(images, np.concatenate([labels for _, labels in parts]), classes)


def batch_files(path: Path, suffix: str) -> list[Path]:
    """`data_batch_1` and those that follow; raises FileError where one between them is missing."""
    found = {int(file.stem[11:]) for file in path.glob(f"data_batch_[1-9]{suffix}")}
    for number in range(1, max(found)):
        if number not in found:
            file = path / f"data_batch_{number}{suffix}"
            raise FileError(f"{file}: missing, the next is there", errno.ENOENT, file)
    return [path / f"data_batch_{number}{suffix}" for number in sorted(found)]


def _read_file(file: Path, label_bytes: int, classes: list[str]) -> tuple[RecordFile, np.ndarray]:
    record = label_bytes + _PIXELS
    size = file.stat().st_size
    if size == 0 or size % record:
        raise FileError(
            f"{file}: {size:,} bytes are no whole number of records of {record} bytes; "
            "it is cut short, or no CIFAR batch"
        )
    count = size // record
    # The label directly before the pixels is the fine one.
    labels = RecordFile(file, (count, 1), offset=label_bytes - 1, stride=record)[:]
    images = RecordFile(file, (count, 3, 32, 32), np.uint8, label_bytes, record, planes=True)
    with as_file_errors():
        return images, Labels(file, labels, count).among(classes)


def _class_names(file: Path, count: int) -> list[str]:
    if not file.is_file():
        return [str(label) for label in range(count)]
    try:
        names = read_bytes(file).decode().split("\n")
    except UnicodeDecodeError as error:
        raise FileError(f"{file}: not a list of class names") from error
    names = [name.strip() for name in names if name.strip()]
    if len(names) != count or len(set(names)) != count:
        raise FileError(f"{file}: {len(set(names))} class names, expected {count}")
    return names
