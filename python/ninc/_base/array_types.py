"""What type checkers know of the arrays that functions take and give.

What ninc gives is exact: `Floats` are numpy arrays of float32. What it takes is wider, since arrays
of other libraries are read where they lie; they are known by what they offer, so that a checker
needs none of those libraries. numpy's own arrays offer `__array__`, too, and give there what they
hold: one of float64 is told by a checker as it is refused in a run. (To numpy's own annotations a
float32 array divided by an int is float64, unlike in a run; x / 255.0 is what it is.)
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, BinaryIO, Protocol, TypeVar, Union

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]

Number = TypeVar("Number", bound=np.generic, covariant=True)


class OfAnyLibrary(Protocol[Number]):
    """An array of numpy, torch, jax and others, in the processor's memory."""

    def __array__(self) -> npt.NDArray[Number]: ...


class OnGpu(Protocol):
    """An array of cupy, torch and others, in a GPU's memory."""

    @property
    def __cuda_array_interface__(self) -> Any: ...


class ReadAsItGoes(Protocol):
    """A data set of HDF5, an array of zarr: it gives arrays when indexed."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[np.uint8] | np.dtype[np.float32]: ...

    def __getitem__(self, chosen: Any, /) -> Any: ...


class PillowImage(Protocol):
    """A picture of Pillow's, which need not be installed."""

    @property
    def mode(self) -> str: ...

    @property
    def size(self) -> tuple[int, int]: ...


FloatsLike = OfAnyLibrary[np.float32]
# The oldest numpy that ninc works with gives np.integer no argument, but in a text.
WholeNumbers = OfAnyLibrary["np.integer[Any]"]
LabelsLike = Union[WholeNumbers, Sequence[int]]

# Places in a data set, or a bool for each of its images.
IndicesLike = Union[WholeNumbers, OfAnyLibrary[np.bool_], Sequence[int]]

# Training images as `Dataset` takes them: uint8 pictures, float32 arrays, lists of either.
ImagesLike = Union[OfAnyLibrary[np.uint8], FloatsLike, ReadAsItGoes, Sequence[Any]]
# Their labels: whole numbers, words, or rows of one 1.
ClassesLike = Union[OfAnyLibrary[Any], Sequence[Any]]

# One picture, as `Network.predict` and `explain` take them.
PictureLike = Union[
    str,
    "os.PathLike[str]",
    bytes,
    bytearray,
    memoryview,
    BinaryIO,
    PillowImage,
    OfAnyLibrary[np.uint8],
]
