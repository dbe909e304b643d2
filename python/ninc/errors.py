"""The exceptions of ninc. A message names layer, function or file, what it got, what it needs.

What is worth knowing but no error is a `Remark`, one of Python's warnings.
"""

import sys
import warnings


class Error(Exception):
    """Everything that ninc raises on purpose."""


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
    """A file that cannot be found, read or written."""


class DivergedError(Error):
    """Training ran into numbers that are not finite."""


class OutOfMemoryError(Error, MemoryError):
    """Memory for weights or a run could not be had."""


class Remark(UserWarning):
    """Something worth knowing that is no error, such as labels that were renumbered."""


def remark(message: str) -> None:
    """Warns at the line that called into ninc; the command line prints it as a line of its own."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "ninc":
        frame, level = frame.f_back, level + 1
    warnings.warn(message, Remark, stacklevel=level)
