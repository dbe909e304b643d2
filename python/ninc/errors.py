"""The exceptions of ninc. A message names layer, function or file, what it got, what it needs.

What is worth knowing but no error is a `Remark`, one of Python's warnings.
"""

from __future__ import annotations

import errno as codes
import os
import sys
import warnings
from typing import Any


class Error(Exception):
    """Everything that ninc raises on purpose."""

    # Of processes that train together: whether it was raised in all of them.
    in_all_workers = False


class ArgumentError(Error, ValueError):
    """A value out of its range, or one that makes no sense here."""


class ShapeError(Error, ValueError):
    """An array whose shape does not fit the layer or function it was given to."""


class DTypeError(ShapeError, TypeError):
    """An array of the wrong type or byte order, or something that is no array."""


class ModelError(Error):
    """A network's description, weights or file that cannot be understood."""


class DeviceError(Error):
    """No such device in this build or machine, or a failure on it."""


class FileError(Error, OSError):
    """A file that cannot be found, read or written.

    Its text is one whole sentence. `errno`, `strerror` and `filename` are set as Python's own
    errors have them where the system gave a reason; where what the file holds is at fault, `errno`
    is None. For the reasons that programs look for the error is also of Python's class, so that
    `except FileNotFoundError` works as around `open`: FileNotFoundError, PermissionError,
    IsADirectoryError, NotADirectoryError and FileExistsError.
    """

    def __new__(
        cls, message: str = "", errno: int | None = None, filename: Any = None
    ) -> FileError:
        # As OSError does: who raises names the reason, and the reason chooses the class.
        kind = cls if errno is None or cls is not FileError else _OF_ERRNO.get(errno, cls)
        return super().__new__(kind, message)

    def __init__(self, message: str = "", errno: int | None = None, filename: Any = None) -> None:
        super().__init__(message)
        self.errno = errno
        self.strerror = None if errno is None else os.strerror(errno)
        self.filename = os.fspath(filename) if isinstance(filename, os.PathLike) else filename

    @classmethod
    def of(cls, cause: BaseException, message: str, filename: Any) -> FileError:
        """What `cause` said about a file, in other words: with its errno where it has one.

        Libraries raise many classes for one fault, and those that are no OSError have no errno.
        """
        return cls(message, getattr(cause, "errno", None), filename)

    def __str__(self) -> str:
        return Exception.__str__(self)  # OSError's would put "[Errno 2]" and the words of C there

    def __reduce__(self) -> tuple[Any, ...]:
        # OSError's would make the copy of errno and strerror, without the message. The classes of
        # single reasons have no name of their own to be found by: the reason chooses them again.
        kind = FileError if type(self) in _OF_ERRNO.values() else type(self)
        return kind, (*self.args[:1], self.errno, self.filename), self.__dict__ or None


class MissingFileError(FileError, FileNotFoundError):
    """No such file or folder."""


class ForbiddenFileError(FileError, PermissionError):
    """A file that this user may not read, write or make."""


class FolderFileError(FileError, IsADirectoryError):
    """A folder where a file is needed."""


class NoFolderFileError(FileError, NotADirectoryError):
    """A path that goes on behind a file, or a file where a folder is needed."""


class ExistingFileError(FileError, FileExistsError):
    """Something is there where something new was to be made."""


_OF_ERRNO = {
    codes.ENOENT: MissingFileError,
    codes.EACCES: ForbiddenFileError,
    codes.EPERM: ForbiddenFileError,
    codes.EISDIR: FolderFileError,
    codes.ENOTDIR: NoFolderFileError,
    codes.EEXIST: ExistingFileError,
}

# A traceback shows the name that is documented and that users catch, whatever else the error is.
for _kind in _OF_ERRNO.values():
    _kind.__name__ = _kind.__qualname__ = FileError.__name__


class DivergedError(Error):
    """Training ran into numbers that are not finite."""


class OutOfMemoryError(Error, MemoryError):
    """Memory for weights or a run could not be had."""


class Remark(UserWarning):
    """Something worth knowing that is no error, such as labels that were renumbered."""


def reworded(error: Error, message: str) -> Error:
    """An error of the same kind with other words, and all else that programs read in it."""
    if isinstance(error, FileError):
        return type(error)(message, error.errno, error.filename)
    return type(error)(message)


# Code of these stands between a user's line and the line that remarks: ninc's own, and that of the
# standard library which runs ninc's context managers.
_PASSED_OVER = ("ninc", "contextlib")


def remark(message: str) -> None:
    """Warns at the line that called into ninc; the command line prints it as a line of its own."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in _PASSED_OVER:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, Remark, stacklevel=level)
