"""Takes arrays of other libraries for numpy's, by DLPack or `__array__`, mostly without a copy.

Nothing here imports those libraries. An array in a GPU's memory is refused, and so is one whose
values are partly masked: numbers that its owner holds for missing must not be computed with.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DTypeError, OutOfMemoryError

# DLPack's numbers for memory that a processor reads: its own, and what is pinned there for a GPU of
# NVIDIA's or AMD's. And those for memory of an NVIDIA GPU, and for managed memory.
_ON_CPU = frozenset((1, 3, 11))
_ON_CUDA = frozenset((2, 13))


def as_numpy(what: str, value: Any, wanted: str = "numbers") -> npt.NDArray[Any]:
    """The value as an array, where it is one, of numpy or of another library.

    what: the function and the argument, such as "conv2d: weight". wanted: what it should hold, for
        the message. Lists are none, since who meant them to be arrays would not see them copied.

    Raises DTypeError for what is no array, lies in a GPU's memory or has masked values.
    """
    if isinstance(value, np.ndarray):
        return unmasked(what, value)
    if not is_foreign(value):
        raise DTypeError(f"{what}: expected a numpy array of {wanted}, got {type(value).__name__}")
    check_on_cpu(what, value)
    if hasattr(value, "__dlpack__") and hasattr(np, "from_dlpack"):
        # What DLPack has no words for, such as a dtype or a bit that says "conjugated", the library
        # may still convert by itself.
        try:
            return np.from_dlpack(value)
        except Exception as error:
            if not hasattr(value, "__array__"):
                raise _refused(what, value, error) from error
    if not hasattr(value, "__array__"):
        raise DTypeError(
            f"{what}: this {type(value).__name__} offers DLPack alone, which numpy reads from 1.23 "
            f"on; this is numpy {np.__version__}"
        )
    try:
        return unmasked(what, np.asanyarray(value))
    except DTypeError:
        raise
    except MemoryError as error:
        raise OutOfMemoryError(f"{what}: no memory for a copy of this array") from error
    except Exception as error:  # an object's own conversion may raise anything
        raise _refused(what, value, error) from error


def plain(what: str, value: Any) -> Any:
    """An array of any library as numpy's, and all else as it is, where nothing in it is masked."""
    if is_array(value):
        return as_numpy(what, value)
    check_unmasked(what, value)
    return value


def made(what: str, value: Any) -> npt.NDArray[Any]:
    """The value as an array, where numpy can make one of it: of a list, too."""
    value = plain(what, value)
    try:
        return np.asarray(value)
    except Exception as error:  # such as lists of unlike lengths
        raise DTypeError(f"{what} cannot be made an array ({error})") from error


def is_array(value: Any) -> bool:
    """Whether the value is an array of numpy's or of another library."""
    return isinstance(value, np.ndarray) or is_foreign(value)


def is_foreign(value: Any) -> bool:
    """Whether the value is an array of another library, by what it offers."""
    if isinstance(value, (np.ndarray, np.generic, type)):
        return False
    return any(
        hasattr(value, name) for name in ("__dlpack__", "__array__", "__cuda_array_interface__")
    )


def is_in_memory(value: Any) -> bool:
    """Whether an array of another library is in memory, for what reads others piece by piece.

    A data set of HDF5 has `__array__`, too, which reads all of it; only arrays in memory offer
    DLPack.
    """
    return is_foreign(value) and hasattr(value, "__dlpack__")


def on_gpu(value: Any) -> bool:
    """Whether the value is an array of another library in an NVIDIA GPU's memory."""
    if isinstance(value, (np.ndarray, type)):
        return False
    kind = _device(value)
    return hasattr(value, "__cuda_array_interface__") if kind is None else kind in _ON_CUDA


def check_on_cpu(what: str, value: Any) -> None:
    """Raises DTypeError for an array of another library that the processor cannot read."""
    kind = _device(value)
    if kind in _ON_CPU or (kind is None and not hasattr(value, "__cuda_array_interface__")):
        return
    where = "on a GPU" if kind is None or kind in _ON_CUDA else f"on another device ({kind})"
    raise DTypeError(f"{what}: this {type(value).__name__} is {where}; copy it to the CPU first")


def unmasked(what: str, value: Any) -> Any:
    """A masked array as the array below its mask, and all else as it is.

    Raises DTypeError where values are masked.
    """
    if not isinstance(value, np.ma.MaskedArray):
        return value
    count = np.ma.count_masked(value)  # type: ignore[no-untyped-call]
    if count:
        values = "1 masked value" if count == 1 else f"{count:,} masked values"
        raise DTypeError(f"{what}: has {values}; fill them: x.filled(...)")
    return value.data


def check_unmasked(what: str, value: Any) -> None:
    """Raises DTypeError for an array with masked values, or lists or tuples that have one in them.

    A list made of a masked array holds numpy's `masked` in the place of each masked value.
    """
    waiting, lists = [value], set()  # a list may hold itself
    while waiting:
        one = waiting.pop()
        if not isinstance(one, (list, tuple)):
            unmasked(what, one)
        elif id(one) not in lists:
            lists.add(id(one))
            waiting.extend(one)


def _device(value: Any) -> int | None:
    """DLPack's number for where an array lies; None where it does not say."""
    if isinstance(value, type) or not hasattr(value, "__dlpack_device__"):
        return None
    try:
        return int(value.__dlpack_device__()[0])
    except Exception:  # such as torch's for a device that DLPack has no number for
        return None


def _refused(what: str, value: Any, error: Exception) -> DTypeError:
    dtype = getattr(value, "dtype", None)
    of = "" if dtype is None else f" of {dtype}"
    words = " ".join(str(error).split()) or type(error).__name__
    return DTypeError(f"{what}: this {type(value).__name__}{of} cannot be read ({words})")
