"""Images that are read when they are asked for, in place of an array larger than memory.

A source is indexed like an array and gives arrays. `Selected`, `Joined` and `ArraySource` are about
which images; where the pixels come from is told in `pictures` and `records`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from .._base.array_types import IndicesLike, Integers
from .._base.arrays import made
from .._base.locks import fork_safe_lock
from ..errors import FileError
from ..preprocess import Framing

# Called with how many more images have been read.
Advance = Callable[[int], None]

# An image's place among those asked for -> why it cannot be read.
Failed = dict[int, FileError]

# A fingerprint looks at no more bytes of pixels than this, spread over all images, so that it costs
# no more than a look into a large file. CIFAR-10 has fewer and is looked at whole.
_LARGEST_DIGEST = 256 << 20
_DIGEST_BLOCK = 8 << 20

# A source is asked for so many bytes at a time when all of it is wanted.
_READ_BLOCK = 64 << 20


class Digest(Protocol):
    """The type of hashlib's objects."""

    def update(self, data: Any) -> None: ...


class Source:
    """N images whose pixels lie somewhere else.

    shape: N×H×W×C for uint8 pictures, N×C×H×W for float32.

    Indexing takes a whole number, a slice, or an array of whole numbers or bools, and gives an
    array; `take` chooses without reading. A subclass says how to `read`.

    by_pixels: True where `identify` looks at nothing but pixels, so that an array of the same
        pixels is the same data.
    framing: how pictures are brought to their size as they are read; None where they are not.
    """

    by_pixels = True
    framing: Framing | None = None

    def __init__(self, shape: Sequence[int], dtype: Any = np.uint8) -> None:
        self.shape = tuple(int(size) for size in shape)
        self.dtype = np.dtype(dtype)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many numbers all images have."""
        return len(self) * int(np.prod(self.shape[1:], dtype=np.int64))

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: Any) -> npt.NDArray[Any]:
        if isinstance(chosen, (int, np.integer)):
            return self.read(_indices(np.array([chosen]), len(self)))[0]
        return self.read(_indices(chosen, len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return self[:] if dtype is None else self[:].astype(dtype)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'×'.join(map(str, self.shape))} {self.dtype})"

    def take(self, indices: IndicesLike) -> Source:
        """A source of the images at these places, which are not read yet."""
        return Selected(self, indices)

    def read(
        self, indices: Integers, advance: Advance | None = None, failed: Failed | None = None
    ) -> npt.NDArray[Any]:
        """The images at `indices`, in this order, as an array.

        With `failed`, an image that cannot be read is entered there and is zero in the array;
        without it, its FileError is raised.
        """
        raise NotImplementedError

    def read_all(
        self, advance: Advance | None = None, failed: Failed | None = None
    ) -> npt.NDArray[Any]:
        """All images as one array, which is in memory only once."""
        pixels = np.empty(self.shape, self.dtype)
        for start, block in self._blocks(advance, failed):
            pixels[start : start + len(block)] = block
        return pixels

    def look_at_all(self, advance: Advance | None = None, failed: Failed | None = None) -> None:
        """Reads every image once, to find those that cannot be read."""
        for _ in self._blocks(advance, failed):
            pass

    def _blocks(
        self, advance: Advance | None, failed: Failed | None
    ) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """Gives (place of the first, images) of one block after another."""
        count = max(1, _READ_BLOCK * len(self) // max(1, self.nbytes))
        for start in range(0, len(self), count):
            missing: Failed | None = None if failed is None else {}
            wanted = np.arange(start, min(start + count, len(self)))
            yield start, self.read(wanted, advance, missing)
            if missing and failed is not None:
                failed.update({start + place: error for place, error in missing.items()})

    def keep(self, limit: int) -> None:
        """Lets up to `limit` bytes of decoded images stay in memory, where any are decoded."""

    def name(self, index: int) -> str:
        """What to call image `index` in a message."""
        return f"image {index}"

    def survey(self, indices: Integers) -> list[tuple[int, int]]:
        """(height, width) of the images at `indices`, from before they were brought to one size.

        Images that cannot be read are left out.
        """
        size = self.shape[1:3] if self.dtype == np.uint8 else self.shape[2:]
        return [cast("tuple[int, int]", size)] * len(indices)

    def identify(self, digest: Digest, indices: Integers) -> None:
        """Adds to `digest` what the images at `indices` are: their pixels, or names and sizes."""
        each = max(1, self.nbytes // max(1, len(self)))
        step = -(-len(indices) * each // _LARGEST_DIGEST) or 1
        count = max(1, _DIGEST_BLOCK // each)
        sample = indices[::step]
        for start in range(0, len(sample), count):
            block = self.read(sample[start : start + count])
            little = block.dtype.newbyteorder("<")
            digest.update(np.ascontiguousarray(block, little).view(np.uint8).data)


class ArraySource(Source):
    """An array, or something that is indexed like one: np.memmap, an HDF5 data set, a zarr array.

    What is no numpy array is asked only for slices and for rising numbers, none of them twice,
    since HDF5 can do no more.
    """

    def __init__(self, array: Any) -> None:
        super().__init__(array.shape, array.dtype)
        self._array = array

    def read(
        self, indices: Integers, advance: Advance | None = None, failed: Failed | None = None
    ) -> npt.NDArray[Any]:
        consecutive = len(indices) > 0 and np.array_equal(
            indices, np.arange(indices[0], indices[0] + len(indices))
        )
        if consecutive:  # a view, and for a file one read
            first = int(indices[0])
            pixels = _pixels(self._array[first : first + len(indices)])
        elif isinstance(self._array, np.ndarray):
            pixels = _pixels(self._array[indices])
        elif len(indices):
            rising, places = np.unique(indices, return_inverse=True)
            pixels = _pixels(self._array[rising])[places]
        else:
            pixels = np.empty((0, *self.shape[1:]), self.dtype)
        if advance is not None:
            advance(len(indices))
        return pixels

    def read_all(
        self, advance: Advance | None = None, failed: Failed | None = None
    ) -> npt.NDArray[Any]:
        return _pixels(self._array[:])


class WholeSource(Source):
    """Images that are read all together when first needed, such as those of a compressed file."""

    def __init__(
        self, shape: Sequence[int], dtype: Any, load: Callable[[], npt.NDArray[Any]]
    ) -> None:
        super().__init__(shape, dtype)
        self._load = load
        self._array: npt.NDArray[Any] | None = None
        self._lock = fork_safe_lock()

    def read(
        self, indices: Integers, advance: Advance | None = None, failed: Failed | None = None
    ) -> npt.NDArray[Any]:
        return ArraySource(self.read_all()).read(indices, advance)

    def read_all(
        self, advance: Advance | None = None, failed: Failed | None = None
    ) -> npt.NDArray[Any]:
        with self._lock:
            if self._array is None:
                self._array = self._load()
        return self._array


class _View(Source):
    """The images of another source in another layout; only `read` differs."""

    def __init__(self, base: Source, shape: Sequence[int]) -> None:
        super().__init__(shape, base.dtype)
        self.by_pixels = base.by_pixels
        self._base = base

    def keep(self, limit: int) -> None:
        self._base.keep(limit)

    def name(self, index: int) -> str:
        return self._base.name(index)


class WithChannel(_View):
    """N×H×W as N×H×W×1."""

    def __init__(self, base: Source) -> None:
        super().__init__(base, (*base.shape, 1))

    def read(
        self, indices: Integers, advance: Advance | None = None, failed: Failed | None = None
    ) -> npt.NDArray[Any]:
        return self._base.read(indices, advance, failed)[..., None]


class Transposed(_View):
    """N×H×W×C as N×W×H×C."""

    def __init__(self, base: Source) -> None:
        count, height, width, channels = base.shape
        super().__init__(base, (count, width, height, channels))

    def read(
        self, indices: Integers, advance: Advance | None = None, failed: Failed | None = None
    ) -> npt.NDArray[Any]:
        pixels = self._base.read(indices, advance, failed)
        return np.ascontiguousarray(pixels.transpose(0, 2, 1, 3))


class Selected(Source):
    """Some images of another source, in an order of their own."""

    def __init__(self, base: Source, indices: IndicesLike) -> None:
        chosen = _indices(indices, len(base))
        super().__init__((len(chosen), *base.shape[1:]), base.dtype)
        self.by_pixels, self.framing = base.by_pixels, base.framing
        self._base, self._chosen = base, chosen

    def read(
        self, indices: Integers, advance: Advance | None = None, failed: Failed | None = None
    ) -> npt.NDArray[Any]:
        return self._base.read(self._chosen[indices], advance, failed)

    def keep(self, limit: int) -> None:
        self._base.keep(limit)

    def name(self, index: int) -> str:
        return self._base.name(self._chosen[index])

    def survey(self, indices: Integers) -> list[tuple[int, int]]:
        return self._base.survey(self._chosen[indices])

    def identify(self, digest: Digest, indices: Integers) -> None:
        self._base.identify(digest, self._chosen[indices])


class Joined(Source):
    """Sources of images of one shape, one after another."""

    def __init__(self, sources: Sequence[Source]) -> None:
        first = sources[0]
        super().__init__((sum(map(len, sources)), *first.shape[1:]), first.dtype)
        self.by_pixels = all(source.by_pixels for source in sources)
        self.framing = first.framing
        self._sources = list(sources)
        self._starts = np.cumsum([0, *map(len, sources)])

    def _shares(self, indices: Integers) -> Iterator[tuple[Source, Integers, Integers]]:
        """(source, places among `indices`, indices in the source) of each source that has any."""
        owners = np.searchsorted(self._starts, indices, side="right") - 1
        for owner, source in enumerate(self._sources):
            places = np.flatnonzero(owners == owner)
            if places.size:
                yield source, places, indices[places] - self._starts[owner]

    def read(
        self, indices: Integers, advance: Advance | None = None, failed: Failed | None = None
    ) -> npt.NDArray[Any]:
        pixels = np.empty((len(indices), *self.shape[1:]), self.dtype)
        for source, places, local in self._shares(indices):
            missing: Failed | None = None if failed is None else {}
            pixels[places] = source.read(local, advance, missing)
            if missing and failed is not None:
                failed.update({int(places[place]): error for place, error in missing.items()})
        return pixels

    def keep(self, limit: int) -> None:
        for source in self._sources:
            source.keep(limit * len(source) // max(1, len(self)))

    def name(self, index: int) -> str:
        ((source, _, local),) = self._shares(np.array([index]))
        return source.name(local[0])

    def survey(self, indices: Integers) -> list[tuple[int, int]]:
        shares = self._shares(indices)
        return [size for source, _, local in shares for size in source.survey(local)]

    def identify(self, digest: Digest, indices: Integers) -> None:
        if self.by_pixels:
            return super().identify(digest, indices)
        for source, _, local in self._shares(indices):
            source.identify(digest, local)


def as_source(images: Any) -> Source:
    """`images` as a source, whatever kind of array they are."""
    return images if isinstance(images, Source) else ArraySource(images)


def _pixels(block: Any) -> npt.NDArray[Any]:
    """What an array gave when it was indexed; netCDF's variables give masked arrays."""
    return made("Dataset: images", block)


def _indices(chosen: Any, count: int) -> Integers:
    """Turns what stands between an index's brackets into whole numbers in 0 .. count - 1."""
    if isinstance(chosen, slice):
        return np.arange(*chosen.indices(count))
    indices = np.asarray(chosen)
    if indices.dtype == bool and indices.shape == (count,):
        return np.flatnonzero(indices)
    if indices.ndim != 1 or (indices.dtype.kind not in "iu" and indices.size):
        raise IndexError("images are indexed by a whole number, a slice or a 1-D array of numbers")
    indices = indices.astype(np.int64)
    if indices.size and not -count <= indices.min() <= indices.max() < count:
        raise IndexError(f"image {indices.max()} of {count} images")
    return np.where(indices < 0, indices + count, indices)
