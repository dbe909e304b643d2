"""`load`: one name for every kind of data on disk.

A reader tells where images lie and what their labels are. Choosing among them, bringing them to a
size and reading them into memory, or not, is done here in the same way for all.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .._base.arguments import LARGEST_SEED, flag, one_of, share_between, whole
from .._base.arguments import path as file_path
from .._base.array_types import Integers
from .._base.files import reading
from .._base.memory import available_memory, size_text
from .._base.progress import Counter
from ..errors import ArgumentError, FileError, OutOfMemoryError, remark
from ..preprocess import RGB, WHITE, Framing
from ..preprocess.pictures import check_ground
from .dataset import Dataset, first_of_each, held_out
from .division import Division
from .locate import locate
from .part import PARTS, LoadOptions, Part
from .pictures import FittedPictures
from .source import Failed, Joined, Source

SPLITS = (*PARTS, "all")

# Images are read into memory where they take no more than this share of what is free, since
# training needs room, too.
_SHARE_IN_MEMORY = 0.5

# The share of free memory that decoded pictures may take where not all are in memory.
_SHARE_KEPT = 0.25


def load(
    path: str | os.PathLike[str],
    split: str = "train",
    *,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    held_out: float = 0.1,
    seed: int = 0,
    limit: int | None = None,
    threads: int | None = None,
    progress: bool = False,
    on_error: str = "raise",
    in_memory: bool | None = None,
    cache: int | None = None,
    resize: int | None = None,
    fit: str = "crop",
    ground: RGB = WHITE,
) -> Dataset:
    """Reads labelled images, N×H×W×C uint8 unless a `.npz` holds N×C×H×W float32.

    path: one of
        a folder of pictures: `train/CLASS/*` and `val/CLASS/*` or `test/CLASS/*` or both, or
            `CLASS/*` alone. Pictures in folders below a class's are the class's; what Pillow opens
            is a picture, whatever its ending;
        a table, `.csv` or `.tsv`, of file names and classes, or a folder with one in it and the
            pictures beside it or below (see `ninc.data.readers.table`);
        a folder with CIFAR-10 or CIFAR-100, binary (`data_batch_1.bin` ..., `train.bin`) or
            pickled (`data_batch_1` ..., `train`);
        a folder with MNIST, Fashion-MNIST or EMNIST, IDX plain or gzipped
            (`train-images-idx3-ubyte` ..., `emnist-letters-train-images-idx3-ubyte` ...), or one of
            these files, which stands for all of its set;
        a folder with SVHN's `train_32x32.mat` and `test_32x32.mat`, or a file like these; needs
            scipy;
        a `.npz` file, or a folder with one in it: `x` and `y` and, if you like, `x_val`, `y_val`,
            `x_test`, `y_test` and `classes` (other names it may have: see `ninc.data.readers.npz`);
        a folder above one of these, such as `pets` of `pets/pets/CLASS/*` or `data` of
            `data/MNIST/raw`, if there is only one below.
    split: "train"; "validation"; "test" (without a test part: the validation part; without either:
        `held_out` of each class, chosen by `seed`); or "all" parts together. `splits` tells which
        there are. The classes are the training part's.
    size: (height, width) pictures are brought to; None takes them as they are, and then they must
        all be of one size.
    channels: 3 for RGB, 1 for grey; None takes arrays as they are and files as RGB.
    limit: at most so many images a class, for a quick try.
    threads: decode on so many threads; None uses what the process may.
    progress: shows how far it is on a terminal.
    on_error: what to do about a picture file that is damaged: "raise", or "skip", which leaves it
        out and names it in the data set's `skipped`.
    in_memory: True reads all now; False reads as it goes, which takes no more memory than `cache`;
        None reads all if that takes no more than half of the memory there is. As it goes, a damaged
        file is told of when its turn comes; with "skip" all are looked at beforehand. Compressed
        and pickled arrays are unpacked into memory in any case.
    cache: bytes of pictures that may be kept once decoded when read as it goes; None is a quarter
        of the memory there is, 0 keeps none.
    resize: what a picture's shorter side is brought to before `size` is cut out, such as 256 for
        224×224; None: the least that covers `size`. Arrays of that size are cut out already.
    fit: how pictures of other proportions than `size` are brought there: "crop" cuts out the
        centre, "pad" lays all of it on the ground, "squash" resizes height and width by themselves.
    ground: RGB, what lies under transparent pixels and beside padded pictures.

    The trainer stores size, channels, resize, fit and ground with the network.

    What was found and not used, such as empty classes, other folders, files that are no pictures,
    and labels that were renumbered or one-hot, are told as one remark (`ninc.Remark`).

    Raises FileError for data that is missing, damaged or not what it should be, by name,
    ArgumentError for an option out of range or a part that is not there, and OutOfMemoryError where
    `in_memory=True` cannot be.
    """
    options = LoadOptions(
        one_of("load", "split", split, SPLITS),
        size,
        channels,
        share_between("load", "held_out", held_out),
        whole("load", "seed", seed, 0, LARGEST_SEED),
        _number("limit", limit),
        _number("threads", threads),
        flag("load", "progress", progress),
        one_of("load", "on_error", on_error, ("raise", "skip")),
        None if in_memory is None else flag("load", "in_memory", in_memory),
        _number("cache", cache, 0),
        _number("resize", resize),
        fit,
        check_ground(ground),
    )
    options.framing(3)  # raises for a wrong size, channels, resize or fit
    place = Path(file_path("load", "path", path))
    with reading(place):
        reader, found = locate(place)
        there = reader.parts(found)
        parts = {part: reader.read(found, part, options) for part in _wanted(place, there, split)}
    images, labels = _joined(place, parts, options)
    classes = next(iter(parts.values())).classes
    divided = there != ("train",)
    chosen = _choose(labels, options, divided)
    if not chosen.size:
        raise FileError(f"{place}: no pictures left for {split!r}: too few a class")
    _remark(place, found, parts)
    if len(chosen) < len(labels):
        images, labels = images.take(chosen), labels[chosen]
    data = _read(place, images, labels, classes, options)
    if data.is_pictures:
        data.framing = _framing_of(images, options)
    if not divided and options.split != "all":
        data.division = _division(place, images, options)
    return data


def splits(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """The parts that the data themselves are divided into: "train", "validation", "test".

    Those that are there, in this order; ("train",) of data that are not divided.
    """
    place = Path(file_path("splits", "path", path))
    with reading(place):
        reader, found = locate(place)
        return reader.parts(found)


def has_test(path: str | os.PathLike[str]) -> bool:
    """True where the data themselves say what is held out: they have a test or validation part."""
    return splits(path) != ("train",)


def _wanted(place: Path, there: Sequence[str], split: str) -> Sequence[str]:
    """The parts to read for a split; ArgumentError where the data have none for it."""
    if split == "all":
        return there
    if split == "test" and "test" not in there:
        split = "validation" if "validation" in there else "train"  # some of them are held out
    if split not in there:
        held_out = " (split 'test' holds some of it out)" if there == ("train",) else ""
        raise ArgumentError(f"{place}: no {split} part; it has {' and '.join(there)}{held_out}")
    return (split,)


def _remark(place: Path, found: Path, parts: Mapping[str, Part]) -> None:
    """Remarks, in one line, on how the data were found."""
    notes = [f"read from {found}"] if found != place and place.is_dir() else []
    for part in parts.values():
        notes += [note for note in part.notes if note not in notes]
    if notes:
        remark(f"{place}: {'; '.join(notes)}")


def _joined(
    place: Path, parts: Mapping[str, Part], options: LoadOptions
) -> tuple[Source, Integers]:
    """All parts' images, at the size and with the channels asked for, and their labels."""
    images = [_fitted(place, part.images, options) for part in parts.values()]
    kinds = [f"{'×'.join(map(str, source.shape[1:]))} {source.dtype}" for source in images]
    if len(set(kinds)) > 1:
        all_kinds = ", ".join(f"{part} images are {kind}" for part, kind in zip(parts, kinds))
        raise FileError(
            f"{place}: {all_kinds}; give a size and channels to bring them to, or take one split"
        )
    labels = np.concatenate([part.labels for part in parts.values()])
    return images[0] if len(images) == 1 else Joined(images), labels


def _fitted(place: Path, images: Source, options: LoadOptions) -> Source:
    if images.dtype == np.uint8:
        framing = options.framing(images.shape[3])
        if (*(framing.size or images.shape[1:3]), framing.channels) == images.shape[1:]:
            return images
        return FittedPictures(images, framing, options.threads)
    channels, *size = images.shape[1:]
    wanted = (options.channels or channels, *(options.size or size))
    if wanted != images.shape[1:]:
        there, needed = ("×".join(map(str, shape)) for shape in (images.shape[1:], wanted))
        raise FileError(
            f"{place}: float32 images are taken as they are, {there}, but {needed} are needed; "
            "give uint8 pictures, which can be resized"
        )
    return images


def _division(place: Path, images: Source, options: LoadOptions) -> Division | None:
    """Which part of the data this is; None where nobody would find the same part again by it.

    The size that a network stores is asked for when its data are loaded again, and pictures that
    were loaded without one have another fingerprint.
    """
    if images.framing is not None and images.framing.size is None:
        return None
    part = "test" if options.split == "test" else "train"
    return Division(os.path.realpath(place), part, options.held_out, options.seed, options.limit)


def _framing_of(images: Source, options: LoadOptions) -> Framing | None:
    """How pictures were brought to their size; None where nothing was done or asked for."""
    asked = (options.resize, options.fit, options.ground) != (None, "crop", WHITE)
    framing = images.framing or (options.framing(images.shape[3]) if asked else None)
    height, width = images.shape[1:3]
    return framing and dataclasses.replace(framing, size=(height, width))


def _choose(labels: Integers, options: LoadOptions, divided: bool) -> Integers:
    """The images that are wanted, in order; the same whether they are read, and damaged, or not."""
    chosen = np.arange(len(labels))
    if not divided and options.split != "all":
        out = held_out(labels, options.held_out, options.seed)
        chosen = np.flatnonzero(out if options.split == "test" else ~out)
    if options.limit is not None:
        chosen = chosen[first_of_each(labels[chosen], options.limit)]
    return chosen


def _read(
    place: Path, images: Source, labels: Integers, classes: list[str], options: LoadOptions
) -> Dataset:
    """The data set, in memory or read as it goes."""
    free = available_memory()
    if options.in_memory and images.nbytes > free:
        raise OutOfMemoryError(
            f"{place}: the images take {size_text(images.nbytes)} of memory and {size_text(free)} "
            "are free; in_memory=False (--stream) reads them as it goes"
        )
    whole = options.in_memory
    if whole is None:
        whole = images.nbytes <= _SHARE_IN_MEMORY * free
    if not whole:
        images.keep(int(_SHARE_KEPT * free) if options.cache is None else options.cache)
    if not whole and options.on_error == "raise":
        return Dataset(images, labels, classes)

    failed: Failed | None = {} if options.on_error == "skip" else None
    counting = Counter("reading pictures", len(images), shown=options.progress)
    with contextlib.closing(counting) as counter:
        if whole:
            pixels = images.read_all(counter.advance, failed)
        else:
            images.look_at_all(counter.advance, failed)
    data = Dataset(pixels if whole else images, labels, classes)
    if whole and not images.by_pixels:
        data.origin = images
    return _without(place, data, images, failed) if failed else data


def _without(place: Path, data: Dataset, images: Source, failed: Failed) -> Dataset:
    """The data set without the images that cannot be read."""
    kept = np.ones(len(data), bool)
    kept[list(failed)] = False
    before, after = (
        np.bincount(labels, minlength=len(data.classes))
        for labels in (data.labels, data.labels[kept])
    )
    for label in np.flatnonzero((before > 0) & (after == 0)):
        raise FileError(
            f"{place}: none of the {before[label]:,} pictures of class {data.classes[label]!r} can "
            f"be read: {failed[int(np.argmax(data.labels == label))]}"
        )
    skipped = [images.name(index) for index in sorted(failed)]
    data = data.subset(np.flatnonzero(kept))
    data.skipped = skipped
    return data


def _number(name: str, value: int | None, lowest: int = 1) -> int | None:
    return None if value is None else whole("load", name, value, lowest)
