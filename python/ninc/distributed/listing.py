"""The pictures of a bulk run in their order, cut into parts: a file that the run keeps.

A line is ["photos/cat.jpg", size in bytes, time of the last change in ns] as JSON. A run that is
gone on with lists the pictures again and compares; however many there are, they are never all in
memory.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Sequence
from itertools import islice, zip_longest
from pathlib import Path

from .._base.files import reading, user_path, written_whole
from .._base.progress import LiveLine
from ..data.listing import files_below, is_picture, remark_ignored
from ..errors import FileError


@dataclasses.dataclass(frozen=True)
class Part:
    """A run of the listing. start: the byte where its first line begins. pictures: how many."""

    number: int
    start: int
    pictures: int


def write_listing(listing: Path, given: Sequence[str], part_size: int) -> list[Part]:
    """Lists the pictures of files and folders into a new file; returns its parts.

    Raises FileError for a folder that has none or cannot be read.
    """
    with written_whole(listing) as file:

        def written() -> Iterator[bytes]:
            for line in _lines(given):
                file.write(line)
                yield line

        return _parts(written(), part_size)


def compare_listing(listing: Path, given: Sequence[str], part_size: int) -> list[Part]:
    """The parts of a listing that was written before; FileError where the pictures are others."""

    def compared() -> Iterator[bytes]:
        for now, before in zip_longest(_lines(given), file):
            if now != before:
                raise FileError(
                    f"{listing.parent}: holds a run over other pictures: {_difference(now, before)}"
                    "; give --bulk another folder for these",
                    filename=listing.parent,
                )
            yield now

    with reading(listing), open(listing, "rb") as file:
        return _parts(compared(), part_size)


def names_of(listing: Path, part: Part) -> list[str]:
    """The paths of a part's pictures."""
    with reading(listing), open(listing, "rb") as file:
        file.seek(part.start)
        return [json.loads(line)[0] for line in islice(file, part.pictures)]


def _parts(lines: Iterator[bytes], part_size: int) -> list[Part]:
    parts: list[Part] = []
    place = 0
    shown = LiveLine()
    while True:
        start, count = place, 0
        for line in islice(lines, part_size):
            place += len(line)
            count += 1
        if count:
            parts.append(Part(len(parts), start, count))
            if shown.due():
                shown.show(f"listing pictures {len(parts) * part_size:,}")
        if count < part_size:
            shown.clear()
            return parts


def _lines(given: Sequence[str]) -> Iterator[bytes]:
    for path in _pictures(given):
        try:
            found = os.stat(user_path(path))
            size, changed = found.st_size, found.st_mtime_ns
        except OSError:  # it is one of the bad pictures when its turn comes
            size, changed = -1, -1
        yield json.dumps([path, size, changed]).encode() + b"\n"


def _pictures(given: Sequence[str]) -> Iterator[str]:
    """Files as they are named, and the pictures below folders, as `ninc predict` takes them."""
    for word in given:
        if not os.path.isdir(word):
            yield word
            continue
        count, ignored = 0, []
        for path in files_below(word):
            if is_picture(path):
                count += 1
                yield path
            else:
                ignored.append(path)
        remark_ignored(word, ignored)
        if not count:
            raise FileError(f"{word}: no pictures in this folder", filename=word)


def _difference(now: bytes | None, before: bytes | None) -> str:
    if now is None or before is None:
        name = json.loads(now or before or b"")[0]
        return f"{name} is {'gone' if now is None else 'new'}"
    name, old = json.loads(now)[0], json.loads(before)[0]
    return f"{name} has changed since" if name == old else f"{name} where it had {old}"
