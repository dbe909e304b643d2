"""A file's bytes by their places, each range checked against the file's size before it is read."""

from __future__ import annotations

import contextlib
import io
import os
import stat
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from ..._base.arguments import path as file_path
from ..._base.files import reading
from ...errors import ModelError
from ..source import BYTES, is_file, name_of, no_source, owned_bytes, read_whole


class Content:
    """file: seekable; its first `size` bytes are the content. name: what messages call it."""

    def __init__(self, file: BinaryIO, size: int, name: str) -> None:
        self.file, self.size, self.name = file, size, name

    def read(self, start: int, count: int) -> bytes:
        """The bytes from `start` on; ModelError where the file has fewer."""
        self.check(start, count)
        self.file.seek(start)
        block = self.file.read(count)
        if len(block) < count:  # someone cuts the file while it is read
            raise _cut(start, count, start + len(block))
        return block

    def fill(self, start: int, array: npt.NDArray[Any]) -> None:
        """Reads a contiguous array's bytes from `start` on."""
        self.check(start, array.nbytes)
        self.file.seek(start)
        raw, done = array.reshape(-1).view(np.uint8), 0
        while done < raw.size:
            # A file object may give fewer bytes than it was asked for.
            count = self.file.readinto(raw[done:].data)  # type: ignore[attr-defined]
            if not count:
                raise _cut(start, array.nbytes, start + done)
            done += count

    def check(self, start: int, count: int) -> None:
        """Raises ModelError unless the file has these bytes."""
        if start < 0 or count < 0 or start + count > self.size:
            raise _cut(start, count, self.size)


def _cut(start: int, count: int, end: int) -> ModelError:
    return ModelError(
        f"cut off or damaged: {count:,} bytes are needed from byte {start:,} on, and it ends at "
        f"{end:,}"
    )


@contextlib.contextmanager
def opened(where: str, source: Any) -> Iterator[Content]:
    """The content of a path, of bytes or of a file object, as `ninc.load` takes them.

    A file object is read from where it stands to its end, and so is a path that is no regular file.
    """
    if isinstance(source, BYTES):
        yield _in_memory(owned_bytes(where, source), "bytes")
    elif is_file(source):
        name = name_of(source)
        yield _in_memory(read_whole(where, source, name), name)
    elif isinstance(source, (str, os.PathLike)):
        name = file_path(where, "path", source)
        with reading(name), open(name, "rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode):
                yield Content(file, status.st_size, name)
            else:
                yield _in_memory(read_whole(where, file, name), name)
    else:
        raise no_source(where, source)


def _in_memory(content: bytes, name: str) -> Content:
    return Content(io.BytesIO(content), len(content), name)
