"""`load`: a network from ninc's own file."""

from __future__ import annotations

import os
from typing import BinaryIO

from ..network import Network
from .model_file import load_model


def load(path: str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO) -> Network:
    """The network in a file that `Network.save` wrote, or in a trainer's checkpoint.

    path: the file's name; or the file's content, as bytes, bytearray or memoryview; or a file
        object that is open for reading bytes, such as a member of a zip archive, a pipe or
        `io.BytesIO`, which is read from where it stands to its end and is not closed.

    Raises FileError where it cannot be read, which is also Python's FileNotFoundError,
    PermissionError or IsADirectoryError where it is one of these; ModelError where it holds no
    whole network; OutOfMemoryError where there is no memory for it, also where a pipe does not end;
    ArgumentError for what is no path, no bytes and no file object open for bytes. What a file
    object's own `read` raises is passed on.
    """
    return Network(load_model(path))
