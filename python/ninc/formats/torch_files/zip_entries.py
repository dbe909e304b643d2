"""The entries of a zip archive that lie in it uncompressed.

The directory is read here and not by zipfile, which believes what a directory says of sizes, and in
many of its versions of overlaps too.
"""

from __future__ import annotations

import bisect
import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..._base.memory import check_free
from ...errors import ModelError
from .content import Content

_LOCAL, _ENTRY, _END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_LOCATOR64, _END64 = b"PK\x06\x07", b"PK\x06\x06"
_IN_64_BITS = 0xFFFFFFFF  # what a field of 32 bits says where another one has the number

_MOST_ENTRIES = 1_000_000
_LONGEST_COMMENT = (1 << 16) - 1
_MEMORY_PER_ENTRY = 400  # as Python has it


class _Entry(NamedTuple):
    """header: where the entry begins in the file. is_plain: neither compressed nor encrypted."""

    header: int
    size: int
    crc: int
    is_plain: bool


class ZipEntries:
    """Entries by their names; ModelError for a directory that is damaged or has a name twice."""

    def __init__(self, content: Content) -> None:
        self._content = content
        count, self._end, size = _directory(content)
        check_free(content.name, size + _MEMORY_PER_ENTRY * count)
        self._entries = _entries(content.read(self._end, size), count)
        self._begins = sorted(entry.header for entry in self._entries.values())

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def read(self, name: str, most: int) -> bytes:
        """An entry's bytes, of which it may have `most`, and which fit its checksum."""
        start, size = self.place(name)
        if size > most:
            raise ModelError(
                f"its entry {name[:80]!r} has {size:,} bytes; at most {most:,} are read"
            )
        check_free(self._content.name, size)
        found = self._content.read(start, size)
        self.check_sum(name, found)
        return found

    def check_sum(self, name: str, found: Any) -> None:
        """Raises ModelError unless these bytes are an entry's, where it has a checksum.

        torch writes 0 for all of them after set_crc32_options(False).
        """
        crc = self._entries[name].crc
        if crc and zlib.crc32(found) != crc:
            raise ModelError(
                f"its entry {name[:80]!r} is damaged: its bytes do not fit their checksum"
            )

    def place(self, name: str) -> tuple[int, int]:
        """(first byte, number of bytes) of an entry; no two entries share a byte."""
        entry = self._entries[name]
        if not entry.is_plain:
            raise ModelError(
                f"its entry {name[:80]!r} is compressed or encrypted, which torch.save never does"
            )
        header = self._content.read(entry.header, 30)
        if header[:4] != _LOCAL:
            raise ModelError(f"its entry {name[:80]!r} does not begin where the directory says")
        name_size, extra = struct.unpack("<HH", header[26:])
        local_name = self._content.read(entry.header + 30, name_size)
        if local_name != name.encode("utf-8", "surrogateescape"):
            raise ModelError(f"its entry {name[:80]!r} has another name in the directory")
        start = entry.header + 30 + name_size + extra
        if start + entry.size > self._limit(entry.header):
            raise ModelError(f"its entry {name[:80]!r} overlaps with another one, or is cut off")
        return start, entry.size

    def _limit(self, header: int) -> int:
        """Where the next entry begins, or the directory; of two in one place both end at once."""
        after = bisect.bisect_right(self._begins, header)
        if after > 1 and self._begins[after - 2] == header:
            return header
        return min([*self._begins[after : after + 1], self._end])


def _directory(content: Content) -> tuple[int, int, int]:
    """Its number of entries, first byte and number of bytes."""
    tail_size = min(content.size, _LONGEST_COMMENT + 22)
    tail = content.read(content.size - tail_size, tail_size)
    at = tail.rfind(_END)
    if at < 0 or at + 22 > len(tail):
        raise ModelError("is a zip archive without a directory at its end: it is cut off")
    count, size, start = struct.unpack_from("<HII", tail, at + 10)
    end = content.size - tail_size + at
    if end >= 20 and (count == 0xFFFF or _IN_64_BITS in (size, start)):
        locator = content.read(end - 20, 20)
        if locator[:4] == _LOCATOR64:
            (at64,) = struct.unpack_from("<Q", locator, 8)
            record = content.read(at64, 56)
            if record[:4] != _END64:
                raise ModelError("is a zip archive with a damaged directory")
            count, size, start = struct.unpack_from("<QQQ", record, 32)
    if count > _MOST_ENTRIES:
        raise ModelError(f"is a zip archive of {count:,} entries; {_MOST_ENTRIES:,} are the most")
    if count * 46 > size:
        raise ModelError("is a zip archive with a damaged directory")
    content.check(start, size)
    return count, start, size


def _entries(directory: bytes, count: int) -> dict[str, _Entry]:
    found: dict[str, _Entry] = {}
    at = 0
    for _ in range(count):
        if directory[at : at + 4] != _ENTRY or at + 46 > len(directory):
            raise ModelError("is a zip archive with a damaged directory")
        flags, method = struct.unpack_from("<HH", directory, at + 8)
        crc, packed, size = struct.unpack_from("<III", directory, at + 16)
        name_size, extra, comment = struct.unpack_from("<HHH", directory, at + 28)
        (header,) = struct.unpack_from("<I", directory, at + 42)
        name = directory[at + 46 : at + 46 + name_size].decode("utf-8", "surrogateescape")
        more = directory[at + 46 + name_size : at + 46 + name_size + extra]
        size, packed, header = _in_64_bits(more, (size, packed, header))
        at += 46 + name_size + extra + comment
        if name in found:
            raise ModelError(f"is a zip archive that has {name[:80]!r} twice")
        found[name] = _Entry(header, size, crc, method == 0 and packed == size and not flags & 1)
    return found


def _in_64_bits(extra: bytes, values: tuple[int, int, int]) -> tuple[int, int, int]:
    """Sizes and place as an entry's extra field has them, where 32 bits were too few."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            wide = extra[at + 4 : at + 4 + size]
            numbers = iter(struct.unpack_from(f"<{len(wide) // 8}Q", wide))
            first, second, third = (next(numbers, v) if v == _IN_64_BITS else v for v in values)
            return first, second, third
        at += 4 + size
    return values
