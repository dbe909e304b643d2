"""Finds the pictures among a folder's files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import chain

from .._base.files import reading
from ..errors import remark
from ..preprocess.pictures import pillow

# Files with these endings are taken for pictures without a look inside, so that a large folder is
# listed quickly and a damaged picture is reported when it is read.
SUFFIXES = frozenset(
    (
        ".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm",
        ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp",
    )
)  # fmt: skip

# Files that systems put into folders, beside those whose names begin with a dot. Nobody means them.
_LITTER = frozenset(
    (
        "$recycle.bin", "@eadir", "__macosx", "__pycache__", "desktop.ini", "ehthumbs.db", "icon\r",
        "lost+found", "system volume information", "thumbs.db",
    )
)  # fmt: skip

# A file is not taken for one of these by its content. Of EPS and MPEG Pillow knows the size but
# needs another program for the pixels; TGA has no mark at its beginning, so that Pillow takes other
# files for it.
_NOT_BY_CONTENT = frozenset(("EPS", "MPEG", "TGA"))


def picture_files(*folders: str | os.PathLike[str]) -> tuple[list[str], list[str]]:
    """(pictures, ignored): the files in folders and below them, sorted in each of the folders.

    A file without one of `SUFFIXES` is a picture where Pillow recognises its first bytes. Files and
    folders whose names begin with a dot, and files of the system's such as Thumbs.db, are neither
    pictures nor ignored. Raises FileError where a folder cannot be read.
    """
    files: list[str] = []
    ignored: list[str] = []
    for path in chain.from_iterable(map(files_below, folders)):
        (files if is_picture(path) else ignored).append(path)
    return files, ignored


def holds_pictures(folder: str | os.PathLike[str]) -> bool:
    """True where there is a picture in the folder or below it."""
    unsure = []
    for path in files_below(folder):
        if has_picture_ending(path):
            return True
        unsure.append(path)
    return any(map(_opens, unsure))


def folders_in(folder: str | os.PathLike[str]) -> list[os.DirEntry[str]]:
    """The folders in a folder, sorted by name, without those that `picture_files` does not see."""
    return [entry for entry in _entries(os.fspath(folder)) if _is_folder(entry)]


def files_in(folder: str | os.PathLike[str]) -> list[os.DirEntry[str]]:
    """The files in a folder itself, sorted by name, without those that nobody means."""
    return [entry for entry in _entries(os.fspath(folder)) if _is_file(entry)]


def files_below(folder: str | os.PathLike[str]) -> Iterator[str]:
    """Every file in a folder and below it, sorted; links to a folder above are not followed."""
    above = set()
    for path in (os.path.abspath(folder), os.path.realpath(folder)):
        while os.path.dirname(path) != path:
            path = os.path.dirname(path)
            above.add(_identity(path))
    return _files_below(os.fspath(folder), above)


def is_picture(path: str) -> bool:
    """True for a file with one of `SUFFIXES`, and for others where Pillow recognises them."""
    return has_picture_ending(path) or _opens(path)


def some_names(names: Sequence[str], most: int = 5) -> str:
    """ "a, b, c, d, e and 7 more"."""
    more = len(names) - most
    return f"{', '.join(names[:most])}{f' and {more:,} more' if more > 0 else ''}"


def remark_ignored(folder: str | os.PathLike[str], ignored: list[str]) -> None:
    """One remark with the number and the first names of files that are no pictures."""
    if not ignored:
        return
    names = [os.path.relpath(path, folder) for path in ignored]
    one, many = "1 file is no picture", f"{len(ignored):,} files are no pictures"
    what = one if len(ignored) == 1 else many
    remark(f"{os.fspath(folder)}: {what} and passed over: {some_names(names)}")


def _entries(folder: str) -> list[os.DirEntry[str]]:
    with reading(folder), os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    return [
        entry
        for entry in entries
        if not entry.name.startswith(".") and entry.name.lower() not in _LITTER
    ]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # such as a link to itself
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    """True for files, and for a link that leads nowhere, which is reported when it is read.

    False for pipes and devices, whose reading may never end.
    """
    try:
        return entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))
    except OSError:
        return True


def _files_below(folder: str, visited: set[tuple[int, int]]) -> Iterator[str]:
    identity = _identity(folder)
    if identity in visited:
        return
    visited.add(identity)
    for entry in _entries(folder):
        if _is_folder(entry):
            yield from _files_below(entry.path, visited)
        elif _is_file(entry):
            yield entry.path


def _identity(folder: str) -> tuple[int, int]:
    with reading(folder):
        place = os.stat(folder)
    return place.st_dev, place.st_ino


def has_picture_ending(path: str) -> bool:
    """Whether the name's ending is one that pictures have; the file need not be there."""
    return os.path.splitext(path)[1].lower() in SUFFIXES


def _opens(path: str) -> bool:
    Image = pillow()
    from PIL import ImageFile

    try:
        with Image.open(path) as image:
            stub = isinstance(image, ImageFile.StubImageFile)
            return not stub and image.format not in _NOT_BY_CONTENT
    except Image.DecompressionBombError:
        return True  # the picture is too large to be read; whoever reads it says so
    except Exception:  # decoders may raise anything over bytes that are not theirs
        return False
