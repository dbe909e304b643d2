"""Where a model's bytes come from: a path, bytes in memory, or what can be read like a file."""

from __future__ import annotations

import io
import os
from typing import Any

from .._base.arguments import shown
from .._base.memory import check_free
from ..errors import ArgumentError

BYTES = (bytes, bytearray, memoryview)

# So much is asked of a file object at first, and at most at a time: as much as was read so far, so
# that a small file costs little and a large one few calls.
_FIRST_READ, _LARGEST_READ = 1 << 16, 64 << 20


def is_file(source: Any) -> bool:
    """Whether it is an object to be read from, and no path."""
    return hasattr(source, "read") and not isinstance(source, (str, os.PathLike, type))


def name_of(file: Any) -> str:
    """What messages call a file object."""
    name = getattr(file, "name", None)
    return name if isinstance(name, str) else "file object"


def no_source(where: str, source: Any) -> ArgumentError:
    """The error for what is neither a path nor bytes nor a file object."""
    return ArgumentError(
        f"{where}: path must be a file name, the bytes of a file or a file object open for reading "
        f"bytes, got {shown(source)}"
    )


def owned_bytes(where: str, content: bytes | bytearray | memoryview) -> bytes:
    """The content as bytes that nobody changes meanwhile; bytes are taken without a copy."""
    if isinstance(content, bytes):
        return content
    check_free(f"{where}: bytes", memoryview(content).nbytes)
    return bytes(content)


def read_whole(where: str, file: Any, name: str) -> bytes:
    """All that a file object still gives; a pipe without an end ends where memory does."""
    gathered = io.BytesIO()  # its getvalue makes no copy
    while True:
        size = gathered.tell()
        count = min(max(size, _FIRST_READ), _LARGEST_READ)
        # The block that is read, and the room that what was gathered grows into.
        check_free(f"{where}: {name}", 2 * count)
        try:
            block = file.read(count)
        except io.UnsupportedOperation as error:
            raise ArgumentError(
                f"{where}: {name} was not opened to be read ({error}); open(path, 'rb') does that"
            ) from error
        if isinstance(block, str):
            raise ArgumentError(
                f"{where}: {name} was opened as text; open it for bytes, as open(path, 'rb') does"
            )
        if not isinstance(block, BYTES):
            raise ArgumentError(
                f"{where}: read() of {name} must give bytes, got {shown(block)}"
                + ("; it does not wait for what is not there yet" * (block is None))
            )
        if not len(block):
            return gathered.getvalue()
        gathered.write(block)
