"""Reads Caffe's files from the disk, and tells them from others by how they begin."""

from __future__ import annotations

import os
import stat

from ..._base.files import reading
from ..._base.memory import check_free
from ...errors import FileError, ModelError
from ..protobuf.text import LARGEST_TEXT

# What other files begin with, and what these are.
_OTHERS = {
    b"\x89HDF": "is an HDF5 file; Caffe saves the other format with snapshot_format: BINARYPROTO",
    b"PK\x03\x04": "is a zip archive, such as torch.save makes",
    b"\x80\x02": "is a pickle, such as torch.save makes",
}

# What a net may begin with: its name, a layer of the old format, an input, a layer.
_BEGINS = (b"\x0a", b"\x12", b"\x1a", b"\xa2\x06")
_LONGEST_VARINT = 5  # bytes, of a length that lies in a file


def is_caffemodel(head: bytes, size: int) -> bool:
    """Whether a file of `size` bytes may be one: it begins with a field that it has room for."""
    begin = next((one for one in _BEGINS if head.startswith(one)), None)
    if begin is None:
        return False
    length = 0
    for place, byte in enumerate(head[len(begin) : len(begin) + _LONGEST_VARINT]):
        length |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return len(begin) + place + 1 + length <= size and not _is_text(head)
    return False


def read_caffemodel(path: str) -> bytes:
    """All of the file. Raises FileError where it cannot be read, ModelError where it is another."""
    content = _content(path, None)
    for begin, words in _OTHERS.items():
        if content.startswith(begin):
            raise ModelError(f"{path}: {words}; a caffemodel is needed")
    if _is_text(content):
        raise ModelError(f"{path}: is a text; a caffemodel is needed, and its prototxt second")
    if not is_caffemodel(content[:64], len(content)):
        raise ModelError(f"{path}: is no caffemodel, or a damaged one: it does not begin as a net")
    return content


def read_prototxt(path: str) -> str:
    """The file's text. Raises as `read_caffemodel`."""
    content = _content(path, LARGEST_TEXT)
    if not _is_text(content):
        raise ModelError(f"{path}: is no text; the prototxt is needed, which describes the network")
    return content.decode("utf-8-sig", "replace")


def _content(path: str, most: int | None) -> bytes:
    with reading(path), open(path, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise FileError(f"{path}: is no regular file, whose size is known", filename=path)
        if most is not None and status.st_size > most:
            raise ModelError(f"{path}: has {status.st_size:,} bytes, at most {most:,} are read")
        # The file, its weights where they are no float32 in place, and the network's.
        check_free(f"load_caffe: {path}", 3 * status.st_size)
        content = file.read(status.st_size)
    if not content:
        raise ModelError(f"{path}: is empty")
    return content


def _is_text(content: bytes) -> bool:
    """A net in bytes has control characters soon: the numbers of its fields."""
    return not any(byte < 32 and byte not in b"\t\n\r\f" for byte in content[:512])
