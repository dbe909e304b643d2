"""Where a file's bytes go: to a path, or into what can be written like a file."""

from __future__ import annotations

import io
import os
from typing import Any

from .._base.arguments import path as file_path
from .._base.files import write_whole
from ..errors import ArgumentError
from .source import name_of


def write_to(where: str, target: Any, content: bytes) -> None:
    """Writes a path's file whole or not at all; a file object gets all of it, from where it stands.

    Raises FileError where the path cannot be written, and ArgumentError for what is no path and
    takes no bytes. What a file object's own `write` raises otherwise is passed on.
    """
    if not is_writable(target):
        write_whole(file_path(where, "path", target), content)
        return
    rest = memoryview(content)
    while len(rest):
        try:
            count = target.write(rest)
        except (TypeError, io.UnsupportedOperation) as error:
            raise ArgumentError(
                f"{where}: {name_of(target)} takes no bytes ({error}); open(path, 'wb') does"
            ) from error
        # Objects without a buffer may take a part only, and some do not say how much they took.
        rest = rest[count:] if isinstance(count, int) else rest[:0]


def is_writable(target: Any) -> bool:
    """Whether it is an object to be written to, and no path."""
    return hasattr(target, "write") and not isinstance(target, (str, os.PathLike, type))
