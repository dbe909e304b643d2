"""The pictures that a report shows, and where in them the network saw the classes concerned."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from .._base.array_types import Bytes, Floats
from ..data import Dataset
from ..errors import ArgumentError
from ..explanation import colours
from ..explanation.heat import spread, warmth
from ..explanation.receptive_field import Axis, centres
from ..formats.metadata import stored_preprocessing
from ..inference.class_maps import pooled_node
from ..network import Network
from ..preprocess import Preprocessing
from .answers import MOST_SHOWN, Answer, Answers
from .image_data import data_uri, longest_side, reduced

# Below this share of the strongest evidence a picture has no place worth a name; see `figure`.
_NOTHING = 0.05


@dataclasses.dataclass(frozen=True)
class ClassMap:
    """Where the network saw a class. place: where the most, in words; "" for nowhere."""

    name: str
    uri: str
    place: str


@dataclasses.dataclass(frozen=True)
class Shown:
    """One picture of the page.

    uri: "" for an image that is no picture. width, height: in pixels, as shown at the least.
    """

    answer: Answer
    file: str
    label: str
    said: str
    uri: str
    width: int
    height: int
    maps: tuple[ClassMap, ...]


@dataclasses.dataclass(frozen=True)
class Gallery:
    """mistakes, uncertain: the pictures, the most telling first. without_maps: why there are none.

    as_arrays: the images are float32 arrays, each shown between its least and greatest value.
    """

    mistakes: tuple[Shown, ...]
    uncertain: tuple[Shown, ...]
    without_maps: str
    as_arrays: bool


def gallery(network: Network, data: Dataset, classes: Sequence[str], answers: Answers) -> Gallery:
    """The most confident mistakes and the most uncertain pictures of an evaluation of `data`.

    classes: in the order in which the answers count them.
    """
    mistakes = answers.confident_mistakes()
    taken = {answer.index for answer in mistakes}
    # Each picture is shown once: where a mistake is among both, it counts as a mistake.
    uncertain = [a for a in answers.uncertain(len(taken) + MOST_SHOWN) if a.index not in taken]
    chosen = [*mistakes, *uncertain[:MOST_SHOWN]]
    maps, why = _class_maps(network, data)
    shown = [_shown(data, classes, answer, maps) for answer in chosen]
    count = len(mistakes)
    return Gallery(tuple(shown[:count]), tuple(shown[count:]), why, not data.is_pictures)


@dataclasses.dataclass(frozen=True)
class _Maps:
    """Gives class maps of images as the data have them.

    axes: where the maps' places look, down and across.
    """

    network: Network
    preprocessing: Preprocessing | None
    axes: tuple[Axis, Axis]

    def of(self, image: np.ndarray) -> Floats:
        """classes×H'×W'; one image at a time, since many classes make large maps."""
        x = image[None]
        return self.network.class_maps(self.preprocessing.apply(x) if self.preprocessing else x)[0]


def _class_maps(network: Network, data: Dataset) -> tuple[_Maps | None, str]:
    """What gives class maps; without them words that say why."""
    try:
        node, _ = pooled_node(network.graph)
    except ArgumentError as error:
        return None, str(error).partition("class_maps: ")[2]
    try:
        axes = centres(network.graph, node, *data.input_shape[1:])
    except ArgumentError as error:
        return None, str(error)
    preprocessing = stored_preprocessing(network.core) if data.is_pictures else None
    return _Maps(network, preprocessing, axes), ""


def _shown(data: Dataset, classes: Sequence[str], answer: Answer, maps: _Maps | None) -> Shown:
    image = np.asarray(data.images[np.array([answer.index])])[0]
    pixels = _pixels(image)
    explained = []
    if maps is not None and pixels is not None:
        values = maps.of(image)
        for index in dict.fromkeys((answer.said, answer.label)):
            explained.append(_class_map(classes[index], index, values, maps.axes, pixels))
    small = None if pixels is None else reduced(pixels, longest_side())
    return Shown(
        answer=answer,
        file=_file(data, answer.index),
        label=classes[answer.label],
        said=classes[answer.said],
        uri="" if small is None else data_uri(small),
        width=0 if small is None else small.shape[1],
        height=0 if small is None else small.shape[0],
        maps=tuple(entry for entry in explained if entry is not None),
    )


def _class_map(
    name: str, index: int, values: Floats, axes: tuple[Axis, Axis], pixels: Bytes
) -> ClassMap | None:
    """The picture in grey with heat over it, as `ninc explain` draws it; None for NaN in maps."""
    if not np.isfinite(values).all():
        return None
    height, width = pixels.shape[:2]
    box = (0.0, 0.0, float(width), float(height))
    heat = spread(warmth(values, index)[0], axes, (height, width), box, (height, width))
    small, small_heat = (reduced(each, longest_side()) for each in (pixels, heat))
    seen = (0.0, 0.0, float(small.shape[1]), float(small.shape[0]))
    drawn = colours.overlay(small, small_heat, seen)
    return ClassMap(name, data_uri(drawn), _place(heat))


def _place(heat: np.ndarray) -> str:
    """Where the heat is greatest, in thirds of the picture: "upper left"; "" without heat."""
    if heat.max() < _NOTHING:
        return ""
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    down = ("upper", "middle", "lower")[3 * int(row) // heat.shape[0]]
    across = ("left", "middle", "right")[3 * int(column) // heat.shape[1]]
    return "middle" if down == across else f"{down} {across}"


def _pixels(image: np.ndarray) -> Bytes | None:
    """H×W×C uint8 of an image as the data have it; None where it cannot be seen as a picture."""
    if image.dtype == np.uint8:
        return image
    if image.shape[0] not in (1, 3) or not np.isfinite(image).all():
        return None
    low, high = float(image.min()), float(image.max())
    scaled = (image - low) * (255.0 / max(high - low, 1e-12))
    return np.rint(scaled).astype(np.uint8).transpose(1, 2, 0)


def _file(data: Dataset, index: int) -> str:
    """The picture's name: of a file its own and its folder's, since a report may be sent away."""
    source: Any = data.origin
    if source is None:
        source = data.images
    if not hasattr(source, "name"):
        return f"image {index}"
    return "/".join(PurePath(source.name(index)).parts[-2:])
