"""Says what a file is that holds no network of ninc's, by how it begins.

Nothing of such a file is opened or run; only what `ninc.load` refused is looked at.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
from collections.abc import Iterator
from typing import Any

from ..errors import ModelError

# So much of a file is enough to know it by.
_LOOKED_AT = 1 << 12

# The longest header of safetensors that the core reads, and its eight bytes before it; of a header
# its beginning is looked at.
LONGEST_HEADER, _LENGTH, _OF_HEADER = 16 << 20, 8, 1 << 16

_TORCH = "a file of torch.save, which ninc.load_torch reads"
_CAFFE = "a file of Caffe's, which ninc.load_caffe reads"
_PROTOTXT = "a description of a network of Caffe's, which ninc.load_caffe takes beside its weights"
_PICTURE = "a picture ({}), which a network's predict takes"
_PACKED = "a file compressed with {}, which has to be unpacked first"

# Beginnings that are enough by themselves, and what they are of.
_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", _PICTURE.format("PNG")),
    (b"\xff\xd8\xff", _PICTURE.format("JPEG")),
    (b"GIF8", _PICTURE.format("GIF")),
    (b"II*\0", _PICTURE.format("TIFF")),
    (b"MM\0*", _PICTURE.format("TIFF")),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras and others write"),
    (b"\x93NUMPY", "an array of numpy's (.npy)"),
    (b"GGUF", "a GGUF file, of llama.cpp"),
    (b"\x1f\x8b", _PACKED.format("gzip")),
    (b"BZh", _PACKED.format("bzip2")),
    (b"\xfd7zXZ\0", _PACKED.format("xz")),
    (b"version https://git-lfs", "a pointer of Git LFS: git lfs pull fetches the file"),
)

# A pickle of torch.save before its version 1.6 begins with this number, as protocol 2 writes it.
_OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."

# Tags of protocol buffers: ONNX's ModelProto has its IR version first, then who made it, its opsets
# or its graph; Caffe's NetParameter has a name, then layers of the older kind or the newer.
_AFTER_ONNX_VERSION = (0x12, 0x1A, 0x3A, 0x42)
_AFTER_CAFFE_NAME = (b"\x12", b"\xa2\x06")


@contextlib.contextmanager
def recognised(source: bytes | str | os.PathLike[str], name: str) -> Iterator[None]:
    """Says in the core's ModelError about a file, or the bytes of one, which other kind it is.

    name: what the message begins with.
    """
    try:
        yield
    except ModelError as error:
        kind = kind_of(source)
        if kind is None:
            raise
        raise ModelError(f"{name}: no model that ninc has saved, but {kind}") from error


def kind_of(source: bytes | str | os.PathLike[str]) -> str | None:
    """What it is, "a picture (PNG), ..."; None where the core's own words say all there is.

    A network of ninc's own is no kind of these.
    """
    beginning = _start(source, _LOOKED_AT)
    for begins, kind in _BEGINNINGS:
        if beginning.startswith(begins):
            return kind
    if beginning.startswith(b"PK\x03\x04"):
        return _kind_of_zip(beginning)
    if beginning.startswith(_OLD_TORCH):
        return _TORCH
    if beginning[:1] == b"\x80" and beginning[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "a pickle of Python's; of these ninc.load_torch reads what torch.save wrote"
    if beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP":
        return _PICTURE.format("WebP")
    if beginning[4:8] == b"TFL3":
        return "a file of TensorFlow Lite"
    if begins_as_onnx(beginning):
        return "an ONNX file, which ninc.load_onnx reads"
    if _is_caffe(beginning):
        return _CAFFE
    if _is_prototxt(beginning):
        return _PROTOTXT
    if beginning[:100].lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a page of the web, which its server gave in place of the file"
    return _kind_of_safetensors(source)


def begins_as_onnx(beginning: bytes) -> bool:
    """Whether a file that begins so may be a model of ONNX's."""
    return (
        beginning[:1] == b"\x08" and beginning[2:3] != b"" and beginning[2] in _AFTER_ONNX_VERSION
    )


def begins_as_safetensors(beginning: bytes, size: int) -> bool:
    """Whether a file of `size` bytes that begins so may be safetensors, of whatever origin.

    The header's length lies in 8 bytes, then comes the header, which is JSON.
    """
    return beginning[8:9] == b"{" and int.from_bytes(beginning[:8], "little") <= size - 8


def _start(source: bytes | str | os.PathLike[str], count: int) -> bytes:
    """The first bytes; none of what can be read only once, such as a pipe, or not at all."""
    if isinstance(source, bytes):
        return source[:count]
    with contextlib.suppress(OSError, ValueError):
        if os.path.isfile(source):
            with open(source, "rb") as file:
                return file.read(count)
    return b""


def _kind_of_zip(beginning: bytes) -> str:
    length = int.from_bytes(beginning[26:28], "little")
    first = beginning[30 : 30 + length]
    if b"/" in first and first.rpartition(b"/")[2] in (b"data.pkl", b"version", b"byteorder"):
        return _TORCH
    if first.endswith(b".npy"):
        return "arrays of numpy's (.npz), from which ninc.data.load reads pictures"
    return "a zip archive; of these ninc.load_torch reads what torch.save wrote"


def _is_caffe(beginning: bytes) -> bool:
    """A name of some letters, and behind it a layer."""
    length = beginning[1] if len(beginning) > 1 else 0
    name, rest = beginning[2 : 2 + length], beginning[2 + length :]
    binary = beginning[:1] == b"\n" and 0 < length < 128 and rest.startswith(_AFTER_CAFFE_NAME)
    return binary and name.isascii() and name.decode().isprintable()


def _is_prototxt(beginning: bytes) -> bool:
    """The text that describes a network."""
    text = beginning.lstrip()
    return text.startswith(b"name:") and b"layer" in text and b"{" in text


def _kind_of_safetensors(source: bytes | str | os.PathLike[str]) -> str | None:
    """What a safetensors file of another program is; None where this is none, or ninc's own."""
    prefix = _start(source, _LENGTH)
    length = struct.unpack("<Q", prefix)[0] if len(prefix) == _LENGTH else 0
    if not 0 < length <= LONGEST_HEADER:
        return None
    looked_at = min(length, _OF_HEADER)
    text = _start(source, _LENGTH + looked_at)[_LENGTH:]
    if len(text) < looked_at:
        return None
    if looked_at < length:  # as many entries as lie in it; metadata are the first
        text = text[: text.rfind(b"},") + 1] + b"}"
    try:
        header: Any = json.loads(text, parse_int=str)  # which makes no number of many digits
    except (ValueError, RecursionError):
        return None
    if not isinstance(header, dict):
        return None
    about = header.get("__metadata__", {})
    if not isinstance(about, dict) or about.get("format") == "ninc" or "graph" in about:
        return None
    return (
        "a safetensors file of another program, without a network in it; ninc.load_torch reads "
        "its arrays"
    )
