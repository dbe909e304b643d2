"""One row for each picture: what a network answers, or why there is no answer."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .._base.array_types import Floats
from .._base.arrays import is_array
from ..formats.metadata import class_names
from ..inference.predict import answers
from ..preprocess.pictures import picture_name, pillow
from .choices import UNSURE, Settings

if TYPE_CHECKING:
    from ..network import Network

_WHERE = "Predictor"  # what messages begin with


class Row(NamedTuple):
    """Of one picture: the likeliest class and all probabilities, None where `error` says why."""

    name: str | None
    label: str
    probabilities: Floats | None
    error: str


def rows(
    network: Network,
    pictures: Sequence[Any],
    names: Sequence[str | None],
    settings: Settings,
) -> Iterator[Row]:
    """A Row for each picture in order, as they are ready.

    pictures: paths, the bytes of files, H×W×C or H×W uint8. names: what messages call each of them;
        None where nobody knows.

    Raises ArgumentError where the network takes no pictures, or Pillow is missing to read them.
    """
    if not all(map(is_array, pictures)):
        pillow()  # without it no picture could be read, which is no fault of the first
    found = answers(
        network.core, pictures, settings.batch_size, _WHERE, tta=settings.tta, single=True
    )
    classes: list[str] = []
    with contextlib.closing(found):
        for name, answer in zip(names, found):
            probabilities = answer.probabilities
            if probabilities is None:
                yield Row(name, "", None, _told(answer.picture, answer.error, name))
                continue
            classes = classes or class_names(network.core, len(probabilities))
            yield Row(name, _label(classes, probabilities, settings.at_least), probabilities, "")


def _label(classes: Sequence[str], probabilities: Floats, at_least: float | None) -> str:
    """The likeliest class; a NaN is as likely as nothing, as `ninc predict` has it."""
    if at_least is not None and not probabilities.max() >= at_least:
        return UNSURE
    return classes[int(probabilities.argmax())]


def _told(picture: Any, error: Any, name: str | None) -> str:
    """The error's words with the picture's name, where it has one, as of a file of that name."""
    if name is None or isinstance(picture, (str, os.PathLike)):
        return str(error)
    words = str(error.__cause__)
    if isinstance(picture, bytes):
        words = words.removeprefix(f"{picture_name(picture)}: ")
    return f"{name}: {words}"
