"""A data set: pictures, in memory or read as it goes, their labels and the classes' names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Union

import numpy as np
import numpy.typing as npt

from .._base.arguments import LARGEST_SEED, array, few, listed, share_between, shown, whole
from .._base.array_types import ClassesLike, ImagesLike, IndicesLike, Integers
from .._base.arrays import as_numpy, is_array, is_in_memory
from ..errors import ArgumentError, DTypeError, ShapeError, remark
from ..preprocess import Framing
from ..preprocess.pictures import conversion
from .division import Division
from .labels import Labels, listed_classes
from .source import Source, WithChannel, as_source


class Dataset:
    """Pictures with labels.

    images: N×H×W×C uint8 pictures (C = 1 or 3; N×H×W are grey ones), which the trainer normalises
        batch by batch; or N×C×H×W float32 arrays, which it takes as they are. An array, or anything
        that has shape, dtype and a length and gives arrays when indexed by a slice or a rising
        array of whole numbers, such as an HDF5 data set or a zarr array: such data are read batch
        by batch. Other libraries' arrays in the CPU's memory are taken without a copy; masked
        values are a DTypeError.
    labels: N or N×1 whole numbers, the classes' indices; N words, the classes' names; or N×K rows
        of one 1 (one-hot, which is remarked on). `data.labels` are N int64, places in `classes`.
    classes: the classes' names, in the order of the labels. Where none are given they are the
        labels that are there, as words: labels 1 to 3, or 0, 4 and 7, make three classes named
        "1", "2", "3" or "0", "4", "7", which is remarked on.
    skipped: the files `load` left out because they are damaged.
    framing: how `load` brought the pictures to their size, a `preprocess.Framing`; None where
        nobody has said.
    """

    def __init__(
        self, images: ImagesLike, labels: ClassesLike, classes: Sequence[str] | None = None
    ) -> None:
        pixels: Any = images
        if isinstance(pixels, np.ndarray) or is_in_memory(pixels):
            pixels = as_numpy("Dataset: images", pixels)
        elif not _is_array_like(pixels):
            pixels = array("Dataset", "images", pixels)
        if pixels.dtype == np.uint8 and len(pixels.shape) == 3:
            in_memory = isinstance(pixels, np.ndarray)
            pixels = pixels[..., None] if in_memory else WithChannel(as_source(pixels))
        if len(pixels.shape) != 4:
            raise ShapeError(
                "Dataset: images must be N×H×W×C or N×H×W uint8 or N×C×H×W float32, "
                f"got {pixels.dtype} of shape {tuple(pixels.shape)}"
            )
        if pixels.dtype not in (np.uint8, np.float32):
            raise DTypeError(
                f"Dataset: images must be uint8 pictures or float32 arrays, got {pixels.dtype}; "
                "x.astype(np.float32) makes float32 of them"
            )
        if pixels.dtype == np.uint8 and pixels.shape[3] not in (1, 3):
            raise ShapeError(
                f"Dataset: uint8 pictures must be N×H×W×3 or N×H×W×1, got shape {pixels.shape}"
                + conversion(pixels.dtype, pixels.shape)
            )
        self.images: npt.NDArray[Any] | Source = (
            pixels if isinstance(pixels, np.ndarray) else as_source(pixels)
        )
        found = Labels("Dataset", labels, len(pixels))
        there = found.classes() if classes is None else None
        self.classes = there.names if there else listed_classes("Dataset", classes)
        self.labels = found.among(there or self.classes)
        for note in filter(None, (found.note, there.note if there else "")):
            remark(f"Dataset: {note}")
        self.skipped: list[str] = []
        # Where images in memory came from, if that tells more than their pixels: the same files
        # have the same fingerprint, whether they are read as it goes or at once.
        self.origin: Source | None = None
        self.framing: Framing | None = None
        # Which part this is of data that `load` divided; None for all other data.
        self.division: Division | None = None

    @property
    def is_pictures(self) -> bool:
        """True for uint8 pictures, which still need normalisation."""
        return self.images.dtype == np.uint8

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image, however it is stored."""
        first, second, third = self.images.shape[1:]
        return (third, first, second) if self.is_pictures else (first, second, third)

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        channels, height, width = self.input_shape
        return (
            f"Dataset({len(self):,} images of {channels}×{height}×{width}, "
            f"{len(self.classes)} classes)"
        )

    def subset(self, indices: IndicesLike) -> Dataset:
        """The images at these indices, with all class names kept.

        Images in memory are copied; what is read as it goes stays unread.
        """
        in_memory = isinstance(self.images, np.ndarray) and not isinstance(self.images, np.memmap)
        indices = self._places(indices)
        chosen = self.images[indices] if in_memory else as_source(self.images).take(indices)
        data = Dataset(chosen, self.labels[indices], self.classes)
        data.framing = self.framing
        if self.origin is not None:
            data.origin = self.origin.take(indices)
        return data

    def _places(self, indices: Any) -> Integers:
        """The places of images, as an array that numpy takes for an index."""
        places = array("Dataset.subset", "indices", indices)
        if places.dtype == bool and places.shape == (len(self),):
            return np.flatnonzero(places)
        if places.ndim != 1 or (places.dtype.kind not in "iu" and places.size):
            raise DTypeError(
                "Dataset.subset: indices must be whole numbers, or a bool for each image, got "
                f"{shown(indices)}"
            )
        wrong = places[(places < -len(self)) | (places >= len(self))]
        if wrong.size:
            raise ArgumentError(f"Dataset.subset: there is no image {wrong[0]} of {len(self)}")
        return places.astype(np.int64)

    def split(self, fraction: float, seed: int = 0) -> tuple[Dataset, Dataset]:
        """Returns (rest, held out): of each class `fraction` is held out, chosen by `seed`.

        At least one image of a class is held out and at least one stays, where the class has two.
        """
        fraction = share_between("Dataset.split", "fraction", fraction)
        seed = whole("Dataset.split", "seed", seed, 0, LARGEST_SEED)
        chosen = held_out(self.labels, fraction, seed)
        return self.subset(np.flatnonzero(~chosen)), self.subset(np.flatnonzero(chosen))

    def with_classes(self, classes: Sequence[str]) -> Dataset:
        """The same images with labels counted in `classes`, as a trained network counts them.

        Raises ArgumentError where this set has a class that is not among them.
        """
        classes = listed("with_classes", "classes", classes, "a list of names")
        if not all(isinstance(name, str) for name in classes):
            raise ArgumentError(f"with_classes: classes must be names, got {shown(classes)}")
        place = {name: index for index, name in enumerate(classes)}
        unknown = [name for name in self.classes if name not in place]
        if unknown:
            raise ArgumentError(
                f"class {unknown[0]!r} of the data is not known to the network, whose classes are "
                f"{few(classes)}"
            )
        table = np.array([place[name] for name in self.classes], np.int64)
        return self.relabelled(table[self.labels], classes)

    def relabelled(self, labels: ClassesLike, classes: Sequence[str]) -> Dataset:
        """The same images with other labels, N whole numbers that count `classes`."""
        data = Dataset(self.images, labels, classes)
        data.origin, data.skipped, data.framing = self.origin, self.skipped, self.framing
        return data

    def fingerprint(self) -> str:
        """32 hex digits that tell whether data are the same, on any machine and in any place.

        For picture files they depend on names, sizes in bytes, first bytes and order, for arrays on
        the pixels (up to 256 MB of them, spread evenly); and on size, channels, labels and classes.
        """
        digest = hashlib.blake2b(digest_size=16)
        digest.update(repr((tuple(self.images.shape), self.classes)).encode())
        digest.update(np.ascontiguousarray(self.labels, "<i8").data)
        source = self.origin or as_source(self.images)
        source.identify(digest, np.arange(len(self)))
        return digest.hexdigest()


# What is evaluated, or trained or validated with: a Dataset, or (images, labels).
Data = Union[Dataset, tuple[ImagesLike, ClassesLike]]


def _is_array_like(images: Any) -> bool:
    """True for arrays, and for what is read as it goes but can be used like one."""
    return isinstance(getattr(images, "dtype", None), np.dtype) and all(
        hasattr(images, name) for name in ("shape", "__len__", "__getitem__")
    )


def held_out(labels: Integers, fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """N bools: which images are held out; they follow from labels, fraction and seed alone."""
    chosen = np.zeros(len(labels), bool)
    rng = np.random.default_rng(seed)
    for label in np.unique(labels):
        places = rng.permutation(np.flatnonzero(labels == label))
        count = int(np.clip(round(fraction * len(places)), 1, len(places) - 1))
        chosen[places[:count]] = True
    return chosen


def first_of_each(labels: Integers, count: int) -> Integers:
    """The places of each class's first `count` labels, in order."""
    of_each = [np.flatnonzero(labels == label)[:count] for label in np.unique(labels)]
    return np.sort(np.concatenate([np.zeros(0, np.int64), *of_each]))


def as_dataset(data: Data, name: str = "data") -> Dataset:
    """Makes a Dataset of an (x, y) pair and returns a Dataset as it is; messages call it `name`."""
    if isinstance(data, Dataset):
        return data
    if is_batches(data):
        raise ArgumentError(
            f"{name} must be a Dataset or a pair (x, y), got batches; np.concatenate makes arrays "
            "of them"
        )
    if isinstance(data, (tuple, list)) and len(data) == 2:
        return Dataset(*data)
    raise ArgumentError(
        f"{name} must be a Dataset or a pair (x, y), got {type(data).__name__}{_meant(data, name)}"
    )


def _meant(data: Any, name: str) -> str:
    """Words for what may have been meant; "" where nobody can tell."""
    function, colon, argument = name.partition(": ")
    if isinstance(data, (str, os.PathLike)):
        return f"; ninc.data.load({os.fsdecode(data)!r}) makes a Dataset of what is there"
    if not is_array(data):
        return ""
    is_first = colon and argument != "validation"
    return f"; did you mean {function}((x, y))?" if is_first else "; did you mean (x, y)?"


def is_batches(data: Any) -> bool:
    """True for a list of (x, y) with x: N×..., and for any iterable that is neither list nor data.

    [x, y] itself is none: there x is one array of images.
    """
    if isinstance(data, (list, tuple)):
        return len(data) > 0 and all(
            isinstance(batch, (list, tuple))
            and len(batch) == 2
            and getattr(batch[0], "ndim", None) == 4
            for batch in data
        )
    if is_array(data) or isinstance(data, (os.PathLike, Mapping, str, bytes)):
        return False
    return isinstance(data, Iterable)
