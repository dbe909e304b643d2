"""Images that lie in a file uncompressed, each at a fixed distance from the one before.

They are read with plain reads and not mapped into memory: where a file is cut or a disk fails, a
mapping kills the process, while a read raises an error.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..._base.array_types import Bytes, Integers
from ..._base.files import reading
from ...errors import FileError
from ..source import Advance, Failed, Source

# At most so many bytes of neighbouring images are read in one go.
_BLOCK_BYTES = 4 << 20


class RecordFile(Source):
    """Images in a file.

    path: the file. shape: N×... as a file has them; dtype: of its numbers, byte order included.
    offset: bytes before the first image; stride: from one image to the next, where something stands
    between them. planes: the file has uint8 pictures as C×H×W, given out as H×W×C.

    Raises FileError where the file ends before an image it should hold.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        shape: Sequence[int],
        dtype: Any = np.uint8,
        offset: int = 0,
        stride: int | None = None,
        planes: bool = False,
    ) -> None:
        self.path = os.fspath(path)
        self._stored = tuple(shape[1:])
        self._file_dtype = np.dtype(dtype)
        self._planes = planes
        if planes:
            channels, height, width = self._stored
            shape = (shape[0], height, width, channels)
        super().__init__(shape, self._file_dtype.newbyteorder("="))
        self._bytes = int(np.prod(self._stored, dtype=np.int64)) * self._file_dtype.itemsize
        self._offset, self._stride = offset, stride or self._bytes

    def read(
        self, indices: Integers, advance: Advance | None = None, failed: Failed | None = None
    ) -> npt.NDArray[Any]:
        records = np.empty((len(indices), self._stride), np.uint8)
        block = max(1, _BLOCK_BYTES // max(1, self._stride))
        with reading(self.path), open(self.path, "rb", buffering=0) as file:
            for start in range(0, len(indices), block):
                self._read_block(file, indices[start : start + block], records[start:])
                if advance is not None:
                    advance(min(block, len(indices) - start))
        images = records[:, : self._bytes]
        if self._stride != self._bytes or self._file_dtype.itemsize > 1:
            images = np.ascontiguousarray(images).view(self._file_dtype)
        images = images.reshape(len(indices), *self._stored)
        if self._planes:
            images = images.transpose(0, 2, 3, 1)
        return np.ascontiguousarray(images, self.dtype)

    def _read_block(self, file: Any, indices: Integers, records: Bytes) -> None:
        """Fills the first rows of `records` (rows of `stride` bytes) with images at `indices`."""
        count = len(indices)
        if count and np.array_equal(indices, np.arange(indices[0], indices[0] + count)):
            # What stands after the last image need not be there.
            wanted = (count - 1) * self._stride + self._bytes
            self._fill(file, int(indices[0]), records[:count].reshape(-1)[:wanted])
            return
        for place, index in enumerate(indices):
            self._fill(file, int(index), records[place, : self._bytes])

    def _fill(self, file: Any, index: int, target: Bytes) -> None:
        file.seek(self._offset + index * self._stride)
        view = target.data
        while len(view):
            count = file.readinto(view)
            if not count:
                raise FileError(f"{self.path}: ends before image {index} does; it is cut short")
            view = view[count:]
