"""Turns pictures of all kinds into class probabilities, as `Network.predict` does."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple, Union, cast

import numpy as np

from .. import _core
from .._base.arguments import is_iterable, one_of, whole
from .._base.array_types import Bytes, Floats, PictureLike
from .._base.arrays import as_numpy, is_array, is_in_memory
from .._base.parallel import in_parallel
from ..data import Dataset
from ..data.batches import ahead
from ..data.listing import picture_files, remark_ignored
from ..data.source import Source
from ..errors import ArgumentError, DTypeError, Error, FileError, ShapeError, remark, reworded
from ..formats.metadata import needed_preprocessing
from ..preprocess import Preprocessing
from ..preprocess.pictures import channels_first, conversion
from .least_size import size_told
from .mirrored import is_flipped
from .probabilities import Reading, squeezed

# A Dataset that reads pictures as they are needed is asked for so many at once.
_READ_AT_A_TIME = 64

# One picture's pixels, H×W×C uint8, or the error that it raised.
Decoded = Union[Bytes, Error]

# All that `Network.predict` takes.
Pictures = Union[PictureLike, Dataset, Source, Iterable[PictureLike]]


class Answer(NamedTuple):
    """What a network says of one picture: probabilities of its classes, or why there are none."""

    picture: Any
    probabilities: Floats | None
    error: Error | None


def predict(
    model: _core.Model, images: Pictures, batch_size: int, tta: str | None = None
) -> Floats:
    """N×classes float32; see `Network.predict`."""
    images = _in_memory(images, "predict")
    rows = [row for _, row in predict_each(model, images, batch_size, "raise", tta, "predict")]
    if rows:
        return np.stack(rows)
    preprocessing = needed_preprocessing(model, "predict")
    x = np.zeros(_empty_shape(images, preprocessing), np.float32)
    return Reading.of(model, preprocessing).of_output(squeezed(model.run(x)))


def predict_each(
    model: _core.Model,
    images: Pictures,
    batch_size: int,
    on_error: str,
    tta: str | None = None,
    where: str = "predict_each",
) -> Iterator[tuple[Any, Floats]]:
    """(picture, probabilities) as they come; see `Network.predict_each`."""
    on_error = one_of(where, "on_error", on_error, ("raise", "skip"))
    found = answers(model, images, batch_size, where, tta)

    def rows() -> Iterator[tuple[Any, Floats]]:
        with contextlib.closing(found):
            for answer in found:
                if answer.error is None:
                    yield answer.picture, cast(Floats, answer.probabilities)
                elif on_error == "raise":
                    raise answer.error
                else:
                    remark(f"{where}: left out: {answer.error}")

    return rows()


def answers(
    model: _core.Model,
    images: Pictures,
    batch_size: int,
    where: str = "predict",
    tta: str | None = None,
    single: bool = False,
) -> Generator[Answer, None, None]:
    """Gives an Answer for every picture in order, bad ones included.

    single: each of `images` is one picture and has one Answer, whatever it is: of a folder, or of
        an array that is no picture, the Answer has the error.

    Several threads decode pictures while the network computes those before them, and no more than
    four batches are held at a time. What is wrong with the call and not with a picture is raised:
    at once for the network and the settings, else when its turn comes.
    """
    batch_size = whole(where, "batch_size", batch_size)
    flipped = is_flipped(where, tta)
    preprocessing = needed_preprocessing(model, where)
    pictures = (
        iter(cast("Iterable[Any]", images))
        if single
        else _pictures(images, preprocessing.channels, where)
    )
    reading = Reading.of(model, preprocessing, flipped)
    return _answers(reading, pictures, batch_size, where, single)


# ---- Which pictures ------------------------------------------------------------------------------


def _pictures(images: Any, channels: int, where: str) -> Iterator[Any]:
    """Single pictures or paths of all that `Network.predict` takes; no iterator is made a list.

    channels: those of the network's pictures.
    """
    images = images.images if isinstance(images, Dataset) else _in_memory(images, where)
    is_source = isinstance(images, Source)
    if is_source or (isinstance(images, np.ndarray) and images.dtype.kind not in "OU"):
        if images.dtype != np.uint8 or images.ndim not in (2, 3, 4):
            raise ShapeError(
                f"{where}: pictures must be uint8, N×H×W×C, H×W×C or H×W, got "
                f"{images.dtype} of shape {images.shape}{conversion(images.dtype, images.shape)}"
            )
        if is_source:
            return _read_by_and_by(images)
        _check_layout(images, channels, where)
        return iter(_single_pictures(images, channels))
    if _is_one(images):
        return _expanded([images], channels)
    return _expanded(iter(images), channels)


def _check_layout(pixels: Bytes, channels: int, where: str) -> None:
    """Raises ShapeError for an array whose channels seem to stand first, and remarks on a doubt.

    Three grey pictures for a network of RGB have the shape of one RGB picture with its channels
    first, which is far more common: many libraries keep pictures so. With a network of grey
    pictures it is the other way about.
    """
    shape = pixels.shape
    if pixels.ndim == 4 and channels_first(shape):
        raise ShapeError(
            f"{where}: pictures must be N×H×W×C, got uint8 of shape {shape}"
            + conversion(pixels.dtype, shape)
        )
    if not _may_be_planes(shape):
        return
    if channels == 3:
        raise ShapeError(
            f"{where}: uint8 of shape {shape} may be one RGB picture with its channels first or "
            "three grey pictures: x.transpose(1, 2, 0) makes one RGB picture of it, x[..., None] "
            "three grey ones"
        )
    remark(
        f"{where}: {shape} is read as 3 grey pictures; for one RGB picture use x.transpose(1, 2, 0)"
    )


def _may_be_planes(shape: Sequence[int]) -> bool:
    """Whether this may be one RGB picture as C×H×W."""
    return len(shape) == 3 and shape[0] == 3 and channels_first(shape)


def _in_memory(images: Any, where: str) -> Any:
    """An array in memory, of any library, as numpy's; all else as it is."""
    if isinstance(images, np.ndarray) or is_in_memory(images):
        return as_numpy(f"{where}: pictures", images)
    return images


def _is_one(images: Any) -> bool:
    """Tells whether this is one thing: a path, a file's bytes, an open file, a Pillow image.

    What is neither a picture nor iterable is reported when it is read.
    """
    if isinstance(images, (str, os.PathLike, bytes, bytearray, memoryview)):
        return True
    if hasattr(images, "read") or not is_iterable(images):
        return True
    return hasattr(images, "__array_interface__") and not isinstance(images, np.ndarray)


def _expanded(pictures: Iterable[Any], channels: int) -> Iterator[Any]:
    """The pictures, with those of a folder, or of an array of many, in its place."""
    for picture in pictures:
        if isinstance(picture, (str, os.PathLike)) and os.path.isdir(picture):
            yield from folder_pictures(picture)
            continue
        if is_array(picture):
            # What cannot be taken is told, with its place among the others, when it is read.
            with contextlib.suppress(DTypeError):
                picture = as_numpy("picture", picture)
        if isinstance(picture, np.ndarray) and picture.dtype == np.uint8:
            yield from _single_pictures(picture, channels)
        else:
            yield picture


def _read_by_and_by(images: Source) -> Iterator[Bytes]:
    """The pictures of a Dataset that reads them as they are needed, a few at a time."""
    for start in range(0, len(images), _READ_AT_A_TIME):
        yield from images[start : start + _READ_AT_A_TIME]


def folder_pictures(folder: str | os.PathLike[str]) -> list[str]:
    """The pictures below a folder, sorted; raises FileError where it has none."""
    files, ignored = picture_files(folder)
    remark_ignored(folder, ignored)
    if not files:
        raise FileError(f"{os.fspath(folder)}: no pictures in this folder")
    return files


def _single_pictures(pixels: Bytes, channels: int) -> Iterable[Bytes]:
    """The pictures of N×H×W×C or N×H×W; one of H×W×C or H×W stays alone.

    A picture of two or four channels, which may be transparent, is refused when it is read; it must
    not be taken for many grey pictures of that width. Nor must an RGB picture of C×H×W be taken for
    three grey ones, where the network is for RGB.
    """
    many = pixels.ndim == 4 or (pixels.ndim == 3 and pixels.shape[2] not in (1, 2, 3, 4))
    if channels == 3 and _may_be_planes(pixels.shape):
        many = False
    return pixels if many else [pixels]


def _empty_shape(images: Any, preprocessing: Preprocessing) -> tuple[int, int, int, int]:
    """N×C×H×W with N = 0, to ask the network for its number of classes."""
    size = preprocessing.size
    if size is None and isinstance(images, np.ndarray) and images.ndim >= 3:
        size = images.shape[1:3]
    if size is None:
        raise ArgumentError("predict: no pictures, and no size to run the network at")
    return 0, preprocessing.channels, size[0], size[1]


# ---- Decoding and computing ----------------------------------------------------------------------


def _answers(
    reading: Reading, pictures: Iterator[Any], batch_size: int, where: str, single: bool
) -> Generator[Answer, None, None]:
    first = list(islice(pictures, batch_size))
    # A thread that decodes in advance is not worth its cost for a single batch.
    several = len(first) == batch_size
    batches = _decoded(reading.preprocessing, chain(first, pictures), batch_size)
    batches = ahead(batches) if several else batches
    del first  # its pictures would else stay in memory to the end
    number = 0
    with contextlib.closing(batches):
        for batch, pixels in batches:
            for picture, decoded, row in zip(batch, pixels, _rows(reading, pixels)):
                if not isinstance(row, Error):
                    yield Answer(picture, row, None)
                else:
                    error = _named(row, picture, number, where)
                    unread = single and isinstance(decoded, Error)
                    if not unread and not _is_the_pictures(error, reading.preprocessing):
                        raise error
                    yield Answer(picture, None, error)
                number += 1


def _decoded(
    preprocessing: Preprocessing, pictures: Iterator[Any], batch_size: int
) -> Generator[tuple[list[Any], list[Decoded]], None, None]:
    """(pictures, their pixels or what is wrong with them), a batch at a time."""
    framing = preprocessing.framing
    while batch := list(islice(pictures, batch_size)):
        pixels: list[Any] = [None] * len(batch)

        def decode(place: int, batch: list[Any] = batch, pixels: list[Any] = pixels) -> None:
            try:
                pixels[place] = framing.pixels(batch[place])
            except Error as error:
                pixels[place] = error

        ready = [
            isinstance(picture, np.ndarray) and picture.shape[:2] == framing.size
            for picture in batch
        ]
        # Of these nothing is decoded, and so nothing is shared out.
        for place in np.flatnonzero(ready).tolist():
            decode(place)
        in_parallel(decode, np.flatnonzero(~np.array(ready)))
        yield batch, pixels


def _rows(reading: Reading, pixels: Sequence[Decoded]) -> list[Floats | Error]:
    """Probabilities of H×W×C pictures in their order; those of one size run together."""
    rows: list[Any] = list(pixels)  # errors stay in their places
    places: dict[tuple[int, ...], list[int]] = {}
    for place, picture in enumerate(pixels):
        if not isinstance(picture, Error):
            places.setdefault(picture.shape, []).append(place)
    for same in places.values():
        stacked = np.stack([rows[place] for place in same])
        try:
            found: Any = reading.probabilities(stacked)
        except ShapeError as error:
            shape = len(stacked), stacked.shape[3], *stacked.shape[1:3]
            found = [size_told(reading.model, error, shape)] * len(same)
        for place, row in zip(same, found):
            rows[place] = row
    return rows


def _is_the_pictures(error: Error, preprocessing: Preprocessing) -> bool:
    """Tells whether the fault is this picture's, so that others may still be computed.

    Where pictures are not brought to one size, the network may take one's size and not another's.
    """
    return isinstance(error, FileError) or (
        isinstance(error, ShapeError) and preprocessing.size is None
    )


def _named(error: Error, picture: Any, number: int, where: str) -> Error:
    """The error with the picture's file or number in its message."""
    words = str(error)
    if isinstance(picture, (str, os.PathLike)):
        name = os.fsdecode(picture)
        is_named = name in words or repr(name) in words
        named = reworded(error, words if is_named else f"{name}: {words}")
    else:
        named = reworded(error, f"{where}: images[{number}]: {words}")
    named.__cause__ = error
    return named
