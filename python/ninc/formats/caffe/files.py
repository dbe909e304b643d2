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

# So much of a file is enough for `is_caffemodel`: a name that may be a text's beginning, and more.
HEAD = 512


def is_caffemodel(head: bytes, size: int) -> bool:
    """Whether a file of `size` bytes may be one: it begins with a field that it has room for.

    head: its first bytes, HEAD of them where it has as many.
    """
    begin = next((one for one in _BEGINS if head.startswith(one)), None)
    if begin is None:
        return False
    length = 0
    for place, byte in enumerate(head[len(begin) : len(begin) + _LONGEST_VARINT]):
        length |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            end = len(begin) + place + 1 + length
            # A text may begin with an empty line, and a letter be taken for a name's length. What
            # is behind a name tells, and no text has a length of several bytes.
            letter = head[len(begin) : len(begin) + 1]
            is_text = begin == b"\n" and place == 0 and _is_text(letter + head[end:HEAD])
            return end <= size and not is_text
    return False


def read_caffemodel(path: str) -> bytes:
    """All of the file. Raises FileError where it cannot be read, ModelError where it is another."""
    content = _content(path, None)
    for begin, words in _OTHERS.items():
        if content.startswith(begin):
            raise ModelError(f"{path}: {words}; a caffemodel is needed")
    if is_caffemodel(content[:HEAD], len(content)):
        return content
    if _is_text(content[:HEAD]):
        raise ModelError(f"{path}: is a text; a caffemodel is needed, and its prototxt second")
    raise ModelError(f"{path}: is no caffemodel, or a damaged one: it does not begin as a net")


def read_prototxt(path: str) -> str:
    """The file's text. Raises as `read_caffemodel`."""
    content = _content(path, LARGEST_TEXT)
    if not _is_text(content[:HEAD]):
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


def _is_text(head: bytes) -> bool:
    """A net in bytes has control characters soon: the numbers of its fields."""
    return not any(byte < 32 and byte not in b"\t\n\r\f" for byte in head)
