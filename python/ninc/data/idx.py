"""Reads MNIST and Fashion-MNIST: IDX files, plain or gzipped.

`train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, `t10k-...` or `test-...` for the test set,
each with or without `.gz`; `train-images.idx3-ubyte` as some write it. An IDX file is two zero
bytes, the type's number, the number of dimensions, each dimension as a big-endian uint32, then the
numbers, row by row. Images are N×H×W uint8, or in colour N×H×W×3 or N×3×H×W.

A plain file is read as it goes; a gzipped one is unpacked into memory.
"""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import FileError
from .memory import check_room
from .part import Part, check_labels, numbered_classes
from .records import RecordFile
from .source import Source, WholeSource

if TYPE_CHECKING:
    from .load import LoadOptions

_NAME = re.compile(r"(train|t10k|test)-(images|labels)[.-]idx\d-ubyte(\.gz)?")

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

# What gzip can at most make of a byte.
_LARGEST_RATIO = 1032


def can_read(path: Path) -> bool:
    return path.is_dir() and ("train", "images") in _find(path)


def has_test(path: Path) -> bool:
    return ("test", "images") in _find(path)


def read(path: Path, part: str, options: LoadOptions) -> Part:
    found = _find(path)
    # Classes are those of the training set, so its labels are read in any case.
    numbers = _read_labels(path, found, "train")
    classes = numbered_classes(found["train", "labels"], numbers)
    if part == "test":
        numbers = _read_labels(path, found, "test")
    images = _Images(found[part, "images"]).source()
    return Part(images, check_labels(found[part, "labels"], numbers, len(images), classes), classes)


def _find(path: Path) -> dict[tuple[str, str], Path]:
    """(part, what it holds) -> file; a plain file goes before a gzipped one."""
    found: dict[tuple[str, str], Path] = {}
    for file in sorted(path.iterdir()):
        match = _NAME.fullmatch(file.name)
        if match and file.is_file():
            part = "train" if match[1] == "train" else "test"
            found.setdefault((part, match[2]), file)
    return found


def _read_labels(path: Path, found: dict[tuple[str, str], Path], part: str) -> np.ndarray:
    if (part, "labels") not in found:
        missing = found[part, "images"].name.replace("images", "labels").replace("idx3", "idx1")
        raise FileError(f"{path / missing}: no such file; images need their labels")
    file = _IdxFile(found[part, "labels"])
    if len(file.shape) != 1 or file.dtype.kind not in "iu":
        raise FileError(f"{file.path}: labels must be N whole numbers, got {file.kind}")
    return file.read()


class _IdxFile:
    """One IDX file: `shape` and `dtype` from its header, whose promise is checked."""

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
        try:
            return gzip.open(self.path) if self.zipped else open(self.path, "rb")
        except OSError as error:
            raise FileError(f"{self.path}: cannot read ({error})") from error

    def _take(self, file: Any, count: int) -> bytes:
        try:
            taken = file.read(count)
        except (OSError, EOFError, zlib.error) as error:
            raise FileError(f"{self.path}: not whole gzip data ({error})") from error
        if len(taken) != count:
            raise FileError(f"{self.path}: cut short: {count - len(taken):,} bytes are missing")
        return taken

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
            if self.zipped:
                self._check_end(file)
        return numbers.astype(self.dtype.newbyteorder("="), copy=False)

    def _check_end(self, file: Any) -> None:
        """Reading on to the end is what makes gzip compare its checksum."""
        try:
            more = file.read(1)
        except (OSError, EOFError, zlib.error) as error:
            raise FileError(f"{self.path}: not whole gzip data ({error})") from error
        if more:
            raise FileError(f"{self.path}: more bytes than its header, {self.kind}, promises")


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
