"""Which files of a folder are pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ..errors import ArgumentError, FileError, remark

# Files with these endings are taken for pictures without a look inside, so that a large folder is
# listed quickly and a damaged picture is told of when it is read.
SUFFIXES = frozenset(
    (
        ".avif", ".bmp", ".dib", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png",
        ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp",
    )
)  # fmt: skip

# How many names a remark about files that were passed over shows.
_MOST_NAMES = 5


def picture_files(folder: str | os.PathLike[str]) -> tuple[list[str], list[str]]:
    """(pictures, ignored): the files in a folder and in the folders below it, each list sorted.

    A file without one of `SUFFIXES` is a picture where Pillow recognises its first bytes. Files and
    folders whose names begin with a dot are neither pictures nor ignored. Raises FileError where a
    folder cannot be read.
    """
    files: list[str] = []
    ignored: list[str] = []
    for path in _files_below(os.fspath(folder), set()):
        known = os.path.splitext(path)[1].lower() in SUFFIXES
        (files if known or _is_picture(path) else ignored).append(path)
    return files, ignored


def remark_ignored(folder: str | os.PathLike[str], ignored: list[str]) -> None:
    """One remark with the number and the first names of files that are no pictures."""
    if not ignored:
        return
    names = [os.path.relpath(path, folder) for path in ignored[:_MOST_NAMES]]
    more = len(ignored) - len(names)
    what = "1 file is no picture" if len(ignored) == 1 else f"{len(ignored):,} files are no pictures"
    remark(
        f"{os.fspath(folder)}: {what} and passed over: {', '.join(names)}"
        f"{f' and {more:,} more' if more else ''}"
    )


def _files_below(folder: str, visited: set[tuple[int, int]]) -> Iterator[str]:
    """Every file below `folder`, sorted; a folder that links lead to twice is listed once."""
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        place = os.stat(folder)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise FileError(f"{folder}: cannot read this folder ({reason})") from error
    if (place.st_dev, place.st_ino) in visited:
        return
    visited.add((place.st_dev, place.st_ino))
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _files_below(entry.path, visited)
        elif entry.is_file() or entry.is_symlink():  # a broken link is told of when it is read
            yield entry.path


def _is_picture(path: str) -> bool:
    try:
        from PIL import Image, ImageFile
    except ImportError as error:
        raise ArgumentError("reading pictures needs Pillow: pip install 'ninc[images]'") from error
    try:
        with Image.open(path) as image:
            # Pillow recognises a few kinds of files of which it cannot read any pixels.
            return not isinstance(image, ImageFile.StubImageFile) and image.format != "MPEG"
    except Image.DecompressionBombError:
        return True  # a picture too large to be read; whoever reads it says so
    except Exception:  # decoders raise what they like over bytes that are not theirs
        return False
