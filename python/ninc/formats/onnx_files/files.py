"""Brings in the bytes of an ONNX file and what they say, with the package `onnx`."""

from __future__ import annotations

import dataclasses
import os
import stat
from collections.abc import Iterator
from typing import Any

from ..._base.arguments import path as file_path
from ..._base.files import reading
from ..._base.memory import check_free
from ...errors import ArgumentError, FileError, ModelError
from ..foreign import begins_as_onnx, begins_as_safetensors, kind_of
from ..source import BYTES, is_file, name_of, no_source, owned_bytes, read_whole


@dataclasses.dataclass(frozen=True)
class OnnxFile:
    """model: a ModelProto. where: the file's name. folder: that of external data, None for none."""

    model: Any
    where: str
    folder: str | None
    size: int


def read_onnx(source: Any) -> OnnxFile:
    """The model of a path, bytes or a file object; raises as `load_onnx`."""
    folder = None
    if isinstance(source, BYTES):
        content, where = owned_bytes("load_onnx", source), "bytes"
    elif is_file(source):
        where = name_of(source)
        content = read_whole("load_onnx", source, where)
    elif isinstance(source, (str, os.PathLike)):
        where = file_path("load_onnx", "path", source)
        content, folder = _content(where), os.path.dirname(os.path.abspath(where))
    else:
        raise no_source("load_onnx", source)
    return OnnxFile(_parsed(content, where), where, folder, len(content))


def _content(path: str) -> bytes:
    with reading(path), open(path, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise FileError(f"{path}: is no regular file, whose size is known", filename=path)
        # The file, what protobuf makes of it, and the network's weights.
        check_free(f"load_onnx: {path}", 3 * status.st_size)
        return file.read(status.st_size)


def _parsed(content: bytes, where: str) -> Any:
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise ArgumentError(
            'load_onnx: reading ONNX files needs the package onnx: pip install "ninc[onnx]"'
        ) from error
    if not content:
        raise ModelError(f"{where}: is empty, an ONNX file is needed")
    kind = None if begins_as_onnx(content[:3]) else kind_of(content)
    if kind is None and begins_as_safetensors(content[:9], len(content)):
        kind = "a safetensors file, which ninc.load reads where ninc wrote it"
    if kind is not None:
        raise ModelError(f"{where}: no ONNX file, but {kind}")
    try:
        model = onnx.ModelProto.FromString(content)
    except (DecodeError, RecursionError, RuntimeError, ValueError) as error:
        words = " ".join(str(error).split())[:200]
        raise ModelError(f"{where}: no ONNX file, or a damaged one ({words})") from error
    if not model.HasField("graph"):
        raise ModelError(f"{where}: no ONNX file, or a damaged one: it has no graph")
    # What is no UTF-8 protobuf gives as bytes.
    if any(isinstance(text, bytes) for text in _texts(model)):
        raise ModelError(f"{where}: is damaged: a name in it is no text")
    return model


def _texts(model: Any) -> Iterator[Any]:
    """All names and words of a model that are read."""
    graph = model.graph
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        for attribute in node.attribute:
            yield from (attribute.name, attribute.ref_attr_name)
            yield from _texts_of_tensor(attribute.t)
    for tensor in graph.initializer:
        yield from _texts_of_tensor(tensor)
    for value in (*graph.input, *graph.output):
        yield value.name
    for opset in model.opset_import:
        yield opset.domain
    for entry in model.metadata_props:
        yield from (entry.key, entry.value)


def _texts_of_tensor(tensor: Any) -> Iterator[Any]:
    yield tensor.name
    for entry in tensor.external_data:
        yield from (entry.key, entry.value)
