"""Writes files whole or not at all, and finds out before the work whether they can be written."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import ArgumentError, Error, FileError


def user_path(path: Any) -> Any:
    """Puts the user's home folder in the place of the "~" that a path begins with, as shells do.

    Anything else, and a path that exists as it is written, is returned untouched. A path with a NUL
    in it is an ArgumentError: to the system the name would end there, and be another file's.
    """
    if isinstance(path, (str, os.PathLike)):
        text = os.fspath(path)
        if ("\0" if isinstance(text, str) else b"\0") in text:
            raise ArgumentError(f"{text!r}: a file name cannot have a NUL in it")
        if text[:1] in ("~", b"~") and not os.path.exists(text):
            return os.path.expanduser(text)
    return path


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raises FileError unless a file can be made at `path`; leaves no trace of the attempt."""
    place = _place(path)
    if place.is_dir():
        raise FileError(f"{place}: is a folder, a file name is needed", errno.EISDIR, place)
    if os.fsdecode(path).endswith(os.sep):
        raise FileError(
            f"{os.fsdecode(path)}: names a folder, a file name is needed", errno.EISDIR, path
        )
    _check_permission(place)
    if _is_special(place):
        return
    probe = _beside(_followed(place))
    try:
        with open(probe, "xb"):
            pass
        probe.unlink()
    except OSError as error:
        message = f"{place}: cannot write there ({reason(error)})"
        raise FileError.of(error, message, place) from error


def check_none_of(path: str | os.PathLike[str], sources: Iterable[str], what: str) -> None:
    """Raises FileError where the file to be written is one that is read and would be lost."""
    place = _place(path)
    for source in map(user_path, sources):
        if os.path.isfile(place) and os.path.exists(source) and os.path.samefile(place, source):
            raise FileError(
                f"{place}: is {what}, and would be overwritten; give another name", filename=place
            )


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Makes the folder at `path`, with its parents, where it is missing; returns it."""
    place = _place(path)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"{place}: cannot make this folder ({reason(error)})"
        raise FileError.of(error, message, place) from error
    return place


def locked_folder(path: str | os.PathLike[str], busy: str) -> int | None:
    """Locks a folder itself; the open folder, whose closing gives the lock back, or None.

    The system gives it back, too, however the process ends. FileError, with `busy` after the
    folder's name, where another process has the lock; None where the file system has no locks.
    """
    import fcntl  # which not every system has

    with reading(path):
        folder = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(folder)
        raise FileError.of(error, f"{os.fspath(path)}: {busy}", path) from None
    except OSError:
        os.close(folder)
        return None
    return folder


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a temporary file beside `path`, flushes it and renames it into place.

    The core does the same for model files. A symbolic link stays and its file is replaced. A
    replaced file keeps its permissions; a read-only file is not replaced. What is no regular file,
    such as /dev/null or a pipe, is written to and not replaced.
    """
    with written_whole(path) as file:
        file.write(content)


@contextlib.contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Does as `write_whole` for what is written piece by piece; after an error nothing is left."""
    place = _place(path)
    _check_permission(place)
    special, target = _is_special(place), _followed(place)
    temporary = _beside(target)
    try:
        if special:
            with open(place, "wb") as file:
                yield file
            return
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            _keep_permissions(file, target)
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException as error:
        if not special:
            temporary.unlink(missing_ok=True)
        # The caller's own errors pass unchanged: those about another file, and a reader that has
        # gone.
        if isinstance(error, OSError) and not isinstance(error, (Error, BrokenPipeError)):
            message = f"{place}: cannot write ({reason(error)})"
            raise FileError.of(error, message, place) from error
        raise


def append_line(path: str | os.PathLike[str], line: str) -> None:
    """Adds a line to a file, made where it is missing, and flushes it to the disk."""
    try:
        with open(path, "ab") as file:
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        message = f"{os.fspath(path)}: cannot write ({reason(error)})"
        raise FileError.of(error, message, path) from error


@contextlib.contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[None]:
    """Makes a FileError, with the file's name, of what the system says while `path` is read."""
    try:
        yield
    except FileError:
        raise
    except OSError as error:
        name = error.filename or os.fspath(path)
        message = f"{name}: cannot read ({reason(error)})"
        raise FileError.of(error, message, name) from error


def _place(path: str | os.PathLike[str]) -> Path:
    place = Path(os.fsdecode(user_path(path)))
    if not place.name:  # "", ".", "/"
        # The system's word for a name that is empty, and for one that can only be a folder's.
        code = errno.EISDIR if os.fsdecode(path) else errno.ENOENT
        raise FileError(f"{os.fsdecode(path)!r}: a file name is needed", code, path)
    return place


def _is_special(place: Path) -> bool:
    """Tells devices and pipes: renaming a file over /dev/null would replace it for everyone."""
    return os.path.exists(place) and not os.path.isfile(place) and not os.path.isdir(place)


def _followed(place: Path) -> Path:
    """The file that a symbolic link leads to: renaming is to replace that and not the link."""
    is_link = os.path.islink(place) and os.path.exists(place)
    return Path(os.path.realpath(place)) if is_link else place


def _check_permission(place: Path) -> None:
    """Raises FileError for a read-only file: renaming, which asks the folder, would replace it."""
    if os.path.exists(place) and not os.access(place, os.W_OK):
        raise FileError(f"{place}: cannot write (permission denied)", errno.EACCES, place)


def _keep_permissions(file: BinaryIO, target: Path) -> None:
    """Gives a file the permissions of the one that it is to replace, where there is one."""
    with contextlib.suppress(OSError, AttributeError):  # no reason to lose the contents
        os.fchmod(file.fileno(), target.stat().st_mode & 0o7777)


def _beside(place: Path) -> Path:
    """A temporary name in the same folder, since a rename across file systems would copy."""
    return place.with_name(f".{place.name}.{os.getpid()}")


def reason(error: OSError) -> str:
    """The system's words for what went wrong, fit to end a sentence."""
    return (error.strerror or str(error)).lower()
