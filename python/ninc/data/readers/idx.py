"""Reads MNIST, Fashion-MNIST, EMNIST and others of their form: IDX files, plain or gzipped.

`train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, `t10k-...` or `test-...` for the test set,
`val-...` for a validation set, each with or without `.gz`; `train-images.idx3-ubyte` as some write
it. An IDX file is two zero bytes, the type's number, the number of dimensions, each dimension as a
big-endian uint32, then the numbers, row by row. Images are N×H×W uint8, or in colour N×H×W×3 or
N×3×H×W.

EMNIST's files begin with the name of one of its sets: `emnist-letters-train-images-idx3-ubyte`.
They hold each picture with rows and columns exchanged, so it is transposed here and stands upright
as MNIST's do. `emnist-letters-mapping.txt` has a class's label and the codes of its characters, of
which the first is its name. Where a folder has several sets, any file of one says which is meant.

A plain file is read as it goes; a gzipped one is unpacked into memory.
"""

from __future__ import annotations

import errno
import gzip
import math
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ..._base.files import reading
from ..._base.memory import check_room
from ...errors import FileError
from ..labels import Classes, Labels
from ..part import PARTS, LoadOptions, Part, as_file_errors, part_called, read_bytes
from ..source import Source, Transposed, WholeSource
from .records import RecordFile

_NAME = re.compile(
    r"(?:(emnist-[a-z]+)-)?(train|val|valid|validation|t10k|test)-(images|labels)"
    r"[.-]idx\d-ubyte(?:\.gz)?"
)

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

# The most bytes that gzip can make of one.
_LARGEST_RATIO = 1032


def can_read(path: Path) -> bool:
    if path.is_dir():
        return any(map(_has_images, _sets(path).values()))
    return _NAME.fullmatch(path.name) is not None


def parts(path: Path) -> tuple[str, ...]:
    _, found = _find(path)
    return tuple(part for part in PARTS if (part, "images") in found)


def read(path: Path, part: str, options: LoadOptions) -> Part:
    name, found = _find(path)
    images = _Images(found[part, "images"]).source()
    with as_file_errors():
        labels = _read_labels(found, part, len(images))
        classes = _mapped(found[part, "images"].parent / f"{name}-mapping.txt") if name else None
        if classes is None:
            first = parts(path)[0]
            classes = (labels if part == first else _read_labels(found, first)).classes()
        places = labels.among(classes)
    notes = (classes.note,) if classes.note else ()
    return Part(Transposed(images) if name else images, places, classes.names, notes)


def _sets(folder: Path) -> dict[str, dict[tuple[str, str], Path]]:
    """The files of each of EMNIST's sets, and of "", whose files are named as MNIST's.

    They are found by (part, what). A plain file is taken before a gzipped one.
    """
    sets: dict[str, dict[tuple[str, str], Path]] = {}
    for file in sorted(folder.iterdir()):
        match = _NAME.fullmatch(file.name)
        if match and file.is_file():
            part = part_called(match[2]) or "test"  # MNIST calls this t10k
            sets.setdefault(match[1] or "", {}).setdefault((part, match[3]), file)
    return sets


def _find(path: Path) -> tuple[str, dict[tuple[str, str], Path]]:
    """(name of the set, its files) of a folder, or of the set that a file belongs to."""
    if path.is_dir():
        sets = {name: found for name, found in _sets(path).items() if _has_images(found)}
        if len(sets) > 1:
            named = ", ".join(name or "MNIST" for name in sets)
            file = next(iter(sets.popitem()[1].values()))
            raise FileError(
                f"{path}: has several data sets, {named}; give a file of the one that is meant, "
                f"such as {file}"
            )
        return next(iter(sets.items()))
    matched = _NAME.fullmatch(path.name)
    name = (matched and matched[1]) or ""
    found = _sets(path.parent)[name]
    if not _has_images(found):
        raise FileError(f"{path}: labels, but their images are not beside them")
    return name, found


def _has_images(found: dict[tuple[str, str], Path]) -> bool:
    return any(what == "images" for _, what in found)


def _mapped(file: Path) -> Classes | None:
    """The classes of EMNIST's list of labels and characters; None where there is none."""
    if not file.is_file():
        return None
    try:
        rows = [line.split() for line in read_bytes(file).decode().splitlines() if line.strip()]
        numbered = sorted((int(row[0]), chr(int(row[1]))) for row in rows)
    except (ValueError, IndexError, OverflowError) as error:
        raise FileError(f"{file}: each line must have a label and a character's code") from error
    numbers, names = zip(*numbered) if numbered else ((), ())
    if not names or len(set(names)) != len(names) or len(set(numbers)) != len(names):
        raise FileError(f"{file}: no list of labels and characters, each of them once")
    return Classes(list(names), np.array(numbers))


def _read_labels(found: dict[tuple[str, str], Path], part: str, count: int | None = None) -> Labels:
    """A part's labels, as many as it has images or as `count`."""
    if (part, "labels") not in found:
        images = found[part, "images"]
        missing = images.name.replace("images", "labels").replace("idx3", "idx1")
        file = images.parent / missing
        raise FileError(f"{file}: no such file; images need their labels", errno.ENOENT, file)
    labels = _IdxFile(found[part, "labels"])
    return Labels(labels.path, labels.read(), labels.shape[0] if count is None else count)


class _IdxFile:
    """One IDX file, with the `shape` and `dtype` of its header, which is checked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.zipped = path.suffix == ".gz"
        with self._open() as file:
            magic = self._take(file, 4)
            if magic[:2] != b"\0\0" or magic[2] not in _TYPES or not 1 <= magic[3] <= 4:
                raise FileError(
                    f"{path}: no IDX file: it begins with {magic.hex(' ')}, expected 00 00, a "
                    "type 08 to 0e and 1 to 4 dimensions"
                )
            self.dtype = np.dtype(_TYPES[magic[2]])
            self.shape = struct.unpack(f">{magic[3]}I", self._take(file, 4 * magic[3]))
        self.offset = 4 + 4 * len(self.shape)
        self.nbytes = math.prod(self.shape) * self.dtype.itemsize
        self._check_size()

    @property
    def kind(self) -> str:
        return f"{self.dtype.newbyteorder('=')} of shape {self.shape}"

    def _open(self) -> Any:
        with reading(self.path):
            return gzip.open(self.path) if self.zipped else open(self.path, "rb")

    def _take(self, file: Any, count: int) -> bytes:
        taken = self._take_up_to(file, count)
        if len(taken) != count:
            raise FileError(f"{self.path}: cut short: {count - len(taken):,} bytes are missing")
        return taken

    def _take_up_to(self, file: Any, count: int) -> bytes:
        try:
            return file.read(count)
        except (OSError, EOFError, zlib.error) as error:
            message = f"{self.path}: not whole gzip data ({error})"
            raise FileError.of(error, message, self.path) from error

    def _check_size(self) -> None:
        there = self.path.stat().st_size
        wanted = self.offset + self.nbytes
        if self.zipped and wanted > there * _LARGEST_RATIO:
            raise FileError(f"{self.path}: {there:,} bytes cannot unpack to {wanted:,}")
        if not self.zipped and there != wanted:
            raise FileError(
                f"{self.path}: {there:,} bytes, but its header, {self.kind}, promises {wanted:,}"
            )

    def read(self) -> np.ndarray:
        """All numbers, in the machine's byte order."""
        if self.zipped:
            check_room(self.path, self.nbytes, "gunzip it, a plain file is read as it goes")
        with self._open() as file:
            self._take(file, self.offset)
            numbers = np.frombuffer(self._take(file, self.nbytes), self.dtype).reshape(self.shape)
            # Reading on to the end makes gzip compare its checksum.
            if self.zipped and self._take_up_to(file, 1):
                raise FileError(f"{self.path}: more bytes than its header, {self.kind}, promises")
        return numbers.astype(self.dtype.newbyteorder("="), copy=False)


class _Images(_IdxFile):
    """An IDX file of pictures."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        shape = self.shape
        grey = len(shape) == 3 or (len(shape) == 4 and shape[3] == 1)
        self.planes = len(shape) == 4 and shape[3] not in (1, 3) and shape[1] == 3
        colour = self.planes or (len(shape) == 4 and shape[3] == 3)
        if self.dtype != np.uint8 or not (grey or colour) or 0 in shape:
            raise FileError(
                f"{path}: images must be N×H×W, N×H×W×3 or N×3×H×W uint8, got {self.kind}"
            )
        if grey:
            self.shape = (*shape[:3], 1)

    def source(self) -> Source:
        if not self.zipped:
            return RecordFile(self.path, self.shape, np.uint8, self.offset, planes=self.planes)
        shape = self.shape
        if self.planes:
            shape = (shape[0], *shape[2:], shape[1])
        return WholeSource(shape, np.uint8, self._unpack)

    def _unpack(self) -> np.ndarray:
        images = self.read()
        return np.ascontiguousarray(images.transpose(0, 2, 3, 1)) if self.planes else images
