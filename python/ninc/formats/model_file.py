"""Reads model files, and leaves out what a trainer's checkpoint has in them beside the network.

They come from a path, from bytes in memory, or from whatever can be read like a file.
"""

from __future__ import annotations

import io
import os
from typing import Any

from .. import _core
from .._base.arguments import path as file_path
from .._base.arguments import shown
from .._base.memory import check_free
from ..errors import ArgumentError, ModelError
from .foreign import recognised

# A checkpoint is a model file that also has an entry in its metadata for where the run stands, and
# arrays, whose names are parameters' names after these prefixes.
TRAINING = "training"
VELOCITY, AVERAGE = "velocity:", "average:"


# So much is asked of a file object at first, and at most at a time: as much as was read so far, so
# that a small file costs little and a large one few calls.
_FIRST_READ, _LARGEST_READ = 1 << 16, 64 << 20

# Bytes that are no model and no more than this may be a file's name.
_LONGEST_NAME = 4096

_BYTES = (bytes, bytearray, memoryview)


def load_model(source: Any) -> _core.Model:
    """The network in a file, without what a checkpoint has besides; see `ninc.load`."""
    if isinstance(source, _BYTES):
        model = _of_bytes(source)
    elif hasattr(source, "read") and not isinstance(source, (str, os.PathLike, type)):
        name = getattr(source, "name", None)
        name = name if isinstance(name, str) else "file object"
        content = _read(source, name)
        # The name is for messages alone, which must not fail over letters that are none.
        with recognised(content, name):
            model = _core.Model.load_memory(content, name.encode("utf-8", "replace"))
    elif isinstance(source, (str, os.PathLike)):
        file = file_path("load", "path", source)
        with recognised(file, file):
            model = _core.Model.load(os.fsencode(file))
    else:
        raise ArgumentError(
            "load: path must be a file name, the bytes of a file or a file object open for reading "
            f"bytes, got {shown(source)}"
        )
    forget_training(model)
    return model


def _of_bytes(content: bytes | bytearray | memoryview) -> _core.Model:
    if not isinstance(content, bytes):
        check_free("load: bytes", memoryview(content).nbytes)
        content = bytes(content)
    try:
        with recognised(content, "bytes"):
            return _core.Model.load_memory(content, "bytes")
    except ModelError as error:
        if len(content) <= _LONGEST_NAME and os.path.exists(content):
            raise ModelError(
                f"{error}; they are the name of a file, which load takes as a str: "
                f"os.fsdecode({content!r})"
            ) from None
        raise


def _read(file: Any, name: str) -> bytes:
    """All that a file object still gives; a pipe without an end ends where memory does."""
    gathered = io.BytesIO()  # its getvalue makes no copy
    while True:
        size = gathered.tell()
        count = min(max(size, _FIRST_READ), _LARGEST_READ)
        # The block that is read, and the room that what was gathered grows into.
        check_free(f"load: {name}", 2 * count)
        try:
            block = file.read(count)
        except io.UnsupportedOperation as error:
            raise ArgumentError(
                f"load: {name} was not opened to be read ({error}); open(path, 'rb') does that"
            ) from error
        if isinstance(block, str):
            raise ArgumentError(
                f"load: {name} was opened as text; open it for bytes, as open(path, 'rb') does"
            )
        if not isinstance(block, _BYTES):
            raise ArgumentError(
                f"load: read() of {name} must give bytes, got {shown(block)}"
                + ("; it does not wait for what is not there yet" * (block is None))
            )
        if not len(block):
            return gathered.getvalue()
        gathered.write(block)


def forget_training(model: _core.Model) -> None:
    """Takes out of a checkpoint's model what is not the network; changes no other model."""
    if TRAINING not in model.metadata():
        return
    arrays = [name for name in model.extras() if name.startswith((VELOCITY, AVERAGE))]
    model.change({TRAINING: None}, dict.fromkeys(arrays))
