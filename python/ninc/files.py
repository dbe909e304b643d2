"""Files written whole or not at all, and found unwritable before the work instead of after it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from .errors import Error, FileError


def user_path(path: Any) -> Any:
    """A path that begins with "~" below the user's home folder, as shells read it.

    Anything else, and a path that is there as it is written, is returned untouched.
    """
    if isinstance(path, (str, os.PathLike)):
        text = os.fspath(path)
        if text[:1] in ("~", b"~") and not os.path.exists(text):
            return os.path.expanduser(text)
    return path


def check_writable(path: str | os.PathLike[str]) -> None:
    """FileError unless a file can be made at `path`; leaves nothing behind."""
    place = _place(path)
    if place.is_dir():
        raise FileError(f"{place}: is a folder, a file name is needed")
    probe = _beside(place)
    try:
        with open(probe, "xb"):
            pass
        probe.unlink()
    except OSError as error:
        raise FileError(f"{place}: cannot write there ({_reason(error)})") from error


def make_folder(path: str | os.PathLike[str]) -> Path:
    """The folder at `path`, made with its parents where it is missing."""
    place = _place(path)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{place}: cannot make this folder ({_reason(error)})") from error
    return place


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a temporary file beside `path`, flushes it and renames it into place."""
    with written_whole(path) as file:
        file.write(content)


@contextlib.contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """As `write_whole`, for what is written bit by bit; nothing is left behind by an error."""
    place = _place(path)
    temporary = _beside(place)
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, place)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        # The body's own errors stay what they are: one about another file, a reader that has gone.
        if isinstance(error, OSError) and not isinstance(error, (Error, BrokenPipeError)):
            raise FileError(f"{place}: cannot write ({_reason(error)})") from error
        raise


def append_line(path: str | os.PathLike[str], line: str) -> None:
    """Adds a line to a file, made where it is missing, and flushes it to the disk."""
    try:
        with open(path, "ab") as file:
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise FileError(f"{os.fspath(path)}: cannot write ({_reason(error)})") from error


def _place(path: str | os.PathLike[str]) -> Path:
    place = Path(os.fsdecode(user_path(path)))
    if not place.name:  # "", ".", "/"
        raise FileError(f"{os.fsdecode(path)!r}: a file name is needed")
    return place


def _beside(place: Path) -> Path:
    """A temporary name in the same folder: a rename across file systems would copy."""
    return place.with_name(f".{place.name}.{os.getpid()}")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
