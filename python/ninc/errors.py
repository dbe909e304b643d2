"""The exceptions of ninc. A message names layer, function or file, what it got, what it needs."""

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
    """Something worth knowing that is no error."""


def remark(message: str) -> None:
    """Tells the user what is worth knowing; the command line prints it as one line on stderr."""
    warnings.warn(message, Remark, stacklevel=3)
