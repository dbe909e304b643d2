"""Reads and writes model files, and leaves out what a checkpoint has in them beside the network.

They come from a path, from bytes in memory, or from whatever can be read like a file. A model in a
pickle stands here, too.
"""

from __future__ import annotations

import os
from typing import Any

from .. import _core
from .._base.arguments import one_of
from .._base.arguments import path as file_path
from ..errors import ModelError
from . import metadata
from .foreign import recognised
from .source import BYTES, is_file, name_of, no_source, owned_bytes, read_whole

# A checkpoint is a model file that also has an entry in its metadata for where the run stands, and
# arrays: averages and what an optimiser keeps, whose names are parameters' names after prefixes.
TRAINING = "training"
AVERAGE = "average:"


# Bytes that are no model and no more than this may be a file's name.
_LONGEST_NAME = 4096


def load_model(source: Any) -> _core.Model:
    """The network in a file, without what a checkpoint has besides; see `ninc.load`."""
    if isinstance(source, BYTES):
        model = _of_bytes(source)
    elif is_file(source):
        name = name_of(source)
        content = read_whole("load", source, name)
        # The name is for messages alone, which must not fail over letters that are none.
        with recognised(content, name):
            model = _core.Model.load_memory(content, name.encode("utf-8", "replace"))
    elif isinstance(source, (str, os.PathLike)):
        file = file_path("load", "path", source)
        with recognised(file, file):
            model = _core.Model.load(os.fsencode(file))
    else:
        raise no_source("load", source)
    forget_training(model)
    return model


def _of_bytes(content: bytes | bytearray | memoryview) -> _core.Model:
    content = owned_bytes("load", content)
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


def forget_training(model: _core.Model) -> None:
    """Takes out of a checkpoint's model what is not the network; changes no other model."""
    if TRAINING not in model.metadata():
        return
    prefixes = (AVERAGE, *(f"{array}:" for array in _core.OPTIMIZER_ARRAYS))
    arrays = [name for name in model.extras() if name.startswith(prefixes)]
    model.change({TRAINING: None}, dict.fromkeys(arrays))


def pickled(model: _core.Model) -> dict[str, Any]:
    """The whole model as plain dictionaries and arrays, all of one moment."""
    parameters, metadata, extras = model.state()
    return {
        "graph": model.graph_json(),
        "parameters": parameters,
        "metadata": metadata,
        "extras": extras,
    }


def unpickled(state: dict[str, Any]) -> _core.Model:
    """The model that `pickled` told of."""
    model = _core.Model(state["graph"])
    model.set_parameters(state["parameters"])
    model.change(state["metadata"], state.get("extras", {}))  # older pickles have none
    return model


def save_model(model: _core.Model, path: str | os.PathLike[str], dtype: str) -> None:
    """See `Network.save`."""
    name = os.fsencode(file_path("save", "path", path))
    one_of("save", "dtype", dtype, ("float32", "float16", "bfloat16"))
    metadata.check_stored_classes(model, "save")
    model.save(name, dtype=dtype)
