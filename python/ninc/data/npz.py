"""Reads numpy's `.npz`: the file, or a folder with a single one in it.

Training images stand under `x`, `images`, `x_train` or `train_images`, their labels under `y`,
`labels`, `y_train` or `train_labels`; a test set, where there is one, under `x_test` or
`test_images` and `y_test` or `test_labels`; the classes' names under `classes`. Images are
N×H×W or N×H×W×C uint8 pictures (C = 1 or 3), or N×C×H×W float32; labels are N or N×1 whole numbers.

What `np.savez` writes is read as it goes; what `np.savez_compressed` writes is unpacked into
memory. Pickled arrays are refused.
"""

from __future__ import annotations

import math
import struct
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import FileError
from .memory import check_room
from .part import Part, check_labels, numbered_classes
from .records import RecordFile
from .source import Source, WholeSource

if TYPE_CHECKING:
    from .load import LoadOptions

_NAMES = {
    ("train", "images"): ("x", "images", "x_train", "train_images"),
    ("train", "labels"): ("y", "labels", "y_train", "train_labels"),
    ("test", "images"): ("x_test", "test_images"),
    ("test", "labels"): ("y_test", "test_labels"),
}

# `except Exception` below: zipfile, zlib and numpy's parser of headers raise what they like over
# damaged bytes, tokenize's errors among it. All mean the same.

# Bytes of a zip member's own header, before the name and the extra field.
_LOCAL_HEADER = 30


def can_read(path: Path) -> bool:
    return _file(path) is not None


def has_test(path: Path) -> bool:
    names = _arrays(_file(path))
    return any(name in names for name in _NAMES["test", "images"])


def read(path: Path, part: str, options: LoadOptions) -> Part:
    file = _file(path)
    names = _arrays(file)
    labels = _load(file, _find(file, names, "train", "labels"))
    if "classes" in names:
        classes = [str(name) for name in _load(file, "classes").ravel()]
        if len(set(classes)) != len(classes):
            raise FileError(f"{file}: 'classes' names a class twice")
    else:
        classes = numbered_classes(file, labels)
    if part == "test":
        labels = _load(file, _find(file, names, "test", "labels"))
    images = _images(file, _find(file, names, part, "images"))
    return Part(images, check_labels(file, labels, len(images), classes), classes)


def _file(path: Path) -> Path | None:
    if path.is_dir():
        files = sorted(path.glob("*.npz"))
        return files[0] if len(files) == 1 else None
    return path if path.suffix == ".npz" else None


def _arrays(file: Path) -> list[str]:
    try:
        with zipfile.ZipFile(file) as archive:
            return [name[:-4] for name in archive.namelist() if name.endswith(".npy")]
    except Exception as error:
        raise FileError(f"{file}: not a whole .npz file ({error})") from error


def _find(file: Path, names: list[str], part: str, what: str) -> str:
    wanted = _NAMES[part, what]
    for name in wanted:
        if name in names:
            return name
    raise FileError(
        f"{file}: no {part} {what}: expected an array named {', '.join(wanted[:-1])} or "
        f"{wanted[-1]}, there is {', '.join(names[:10]) or 'none'}"
    )


def _load(file: Path, name: str) -> np.ndarray:
    try:
        with np.load(file, allow_pickle=False) as archive:
            array = archive[name]
            if not isinstance(array, np.ndarray):
                raise ValueError("it is no array")
            return array
    except Exception as error:
        raise FileError(f"{file}: cannot read array {name!r} ({error})") from error


def _images(file: Path, name: str) -> Source:
    """The array as a source; only its header is read, unless it must be unpacked."""
    try:
        with zipfile.ZipFile(file) as archive, archive.open(f"{name}.npy") as member:
            version = np.lib.format.read_magic(member)
            if version == (1, 0):
                shape, fortran, dtype = np.lib.format.read_array_header_1_0(member)
            else:
                shape, fortran, dtype = np.lib.format.read_array_header_2_0(member)
            data = member.tell()
            info = archive.getinfo(f"{name}.npy")
    except Exception as error:
        raise FileError(f"{file}: cannot read array {name!r} ({error})") from error
    _check(file, name, shape, dtype)
    if info.file_size != data + math.prod(shape) * dtype.itemsize:
        raise FileError(f"{file}: array {name!r} is not as long as its header says")
    shape = (*shape, 1) if len(shape) == 3 else shape
    if info.compress_type == zipfile.ZIP_STORED and not fortran:
        offset = info.header_offset + _local_header(file, info) + data
        return RecordFile(file, shape, dtype, offset)

    def unpack() -> np.ndarray:
        check_room(file, info.file_size, "np.savez writes files that are read as it goes")
        array = _load(file, name).reshape(shape)
        return np.ascontiguousarray(array, array.dtype.newbyteorder("="))

    return WholeSource(shape, dtype.newbyteorder("="), unpack)


def _check(file: Path, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
    pictures = dtype == np.uint8 and (len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3)))
    floats = dtype.newbyteorder("=") == np.float32 and len(shape) == 4
    if not (pictures or floats) or 0 in shape:
        raise FileError(
            f"{file}: {name!r} must be N×H×W, N×H×W×1 or N×H×W×3 uint8, or N×C×H×W float32, got "
            f"{dtype} of shape {shape}"
        )


def _local_header(file: Path, info: zipfile.ZipInfo) -> int:
    """Bytes between a member's start and its content; its extra field is not the directory's."""
    with open(file, "rb") as opened:
        opened.seek(info.header_offset)
        header = opened.read(_LOCAL_HEADER)
    if len(header) < _LOCAL_HEADER:
        raise FileError(f"{file}: cut short")
    name, extra = struct.unpack("<HH", header[26:30])
    return _LOCAL_HEADER + name + extra
