"""`explain`, and the `Explanation` it gives."""

from __future__ import annotations

import dataclasses
import operator
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from .._base.arguments import few, one_of, shown
from .._base.arguments import path as file_path
from .._base.array_types import Bytes, Floats, PictureLike
from .._base.arrays import is_array
from ..errors import ArgumentError, ModelError
from ..formats.metadata import class_names, needed_preprocessing
from ..inference.class_maps import pooled_node
from ..network import Network
from ..preprocess import open_picture, picture_name
from ..preprocess.pictures import check_pixels
from . import colours
from .figure import row, sheet
from .grad_cam import chosen_layer, grad_cam
from .heat import Box, spread, warmth
from .image_files import check_ending, save_image
from .receptive_field import centres

if TYPE_CHECKING:
    from PIL import Image

METHODS = ("cam", "grad-cam")


@dataclasses.dataclass(frozen=True, eq=False)
class Explanation:
    """Where a network saw a class in a picture.

    picture: H×W×3 or H×W×1 uint8, the user's own, upright and at its own size.
    heat: H×W float32 in 0..1, how much each pixel's place speaks for the class: 0 nothing, or no
        more than the place that says least; 1 as much as the picture has for any class anywhere,
        or with "grad-cam" for this class.
    label, name, probability: the class explained.
    seen: (left, top, right, bottom) of the piece of the picture that the network saw, in pixels.
        There is no heat outside.
    scale: what heat 1 stands for: by so much the class's score would lead over the other classes'
        were the whole picture like this place; with "grad-cam" what all the layer's maps would add
        to the score were they everywhere as they are there, by their gradients.
    source: the picture's file name, or "" for one without.
    method, layer: how the heat was found, and whose maps it is made of.
    predicted, predicted_probability: the class that the network finds likeliest; "" where that is
        not known.
    """

    picture: Bytes
    heat: Floats
    label: int
    name: str
    probability: float
    seen: Box
    scale: float
    source: str = ""
    method: str = "cam"
    layer: str = ""
    predicted: str = ""
    predicted_probability: float = 0.0

    def __post_init__(self) -> None:
        picture, heat = self.picture, self.heat
        if not isinstance(picture, np.ndarray) or not isinstance(heat, np.ndarray):
            raise ArgumentError("Explanation: picture and heat must be arrays; `explain` makes one")
        if check_pixels(picture).shape[:2] != heat.shape:
            raise ArgumentError(
                f"Explanation: heat of shape {heat.shape} does not lie on a picture of shape "
                f"{picture.shape}"
            )
        one_of("Explanation", "method", self.method, METHODS)

    def overlay(self) -> Bytes:
        """The picture in grey with the heat over it, at its own size: H×W×3 uint8."""
        return colours.overlay(self.picture, self.heat, self.seen)

    def figure(self) -> Image.Image:
        """A Pillow image: the picture beside its overlay, with class, probability and a scale.

        Large pictures are shown smaller, small ones enlarged by a whole number.
        """
        return sheet([row(self)])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes `figure`, whole or not at all, in the format that the file's ending names.

        Raises ArgumentError for an ending that names none, FileError where it cannot be written.
        """
        path = file_path("Explanation.save", "path", path)
        check_ending(path)
        save_image(path, self.figure())


def explain(
    network: Network,
    picture: PictureLike,
    label: int | str | None = None,
    method: str = "cam",
    layer: str | None = None,
) -> Explanation:
    """Where in a picture the network sees a class.

    picture: a file's path or bytes, a binary file object, H×W×C or H×W uint8, or a Pillow image.
    label: the class to explain, by index or name; None takes the one the network finds likeliest.
    method: "cam", the class maps that global average pooling averages; see `Network.class_maps`.
        "grad-cam", for any network with convolutions: a layer's maps, weighted by the gradients of
        the class's score by them (Selvaraju et al. 2017).
    layer: with "grad-cam" whose maps, by name as in `net.graph`; None takes the last layer behind a
        convolution, pools apart, whose maps are larger than 1×1.

    Raises ArgumentError for an unknown class, method or layer, for a network without stored
    preprocessing and, with "cam", for one without class maps, FileError for an unreadable picture,
    ShapeError for one too small for the network.
    """
    _check(network, method, layer)
    framing = needed_preprocessing(network.core, "explain").framing
    given: Any = picture
    if is_array(given):
        given, source = check_pixels(given), ""
        own = given
    else:
        source = picture_name(given) if isinstance(given, (str, os.PathLike)) else ""
        given = open_picture(given, framing.ground)  # a file object is read once
        own = _pixels(given)
    pixels = framing.pixels(given)
    probabilities = network.predict(pixels)[0]
    names = class_names(network.core, len(probabilities))
    likeliest = int(probabilities.argmax())
    index = likeliest if label is None else _find_class(label, names)

    places, scale, node = _places(network, pixels, index, method, layer)
    axes = centres(network.graph, node, *pixels.shape[:2])
    height, width = own.shape[:2]
    # An array of the network's size is taken as it is, and nothing of it is cut off.
    whole = (0.0, 0.0, float(width), float(height))
    box = whole if pixels is own else framing.box(width, height)
    left, top, right, bottom = box
    return Explanation(
        picture=own,
        heat=spread(places, axes, pixels.shape[:2], box, (height, width)),
        label=index,
        name=names[index],
        probability=float(probabilities[index]),
        seen=(max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))),
        scale=scale,
        source=source,
        method=method,
        layer=node,
        predicted=names[likeliest],
        predicted_probability=float(probabilities[likeliest]),
    )


def _check(network: Network, method: str, layer: str | None) -> None:
    """Raises ArgumentError for arguments of `explain` that cannot be."""
    if not isinstance(method, str) or method not in METHODS:
        raise ArgumentError(f"explain: method must be {' or '.join(METHODS)}, got {shown(method)}")
    if not isinstance(network, Network):
        raise ArgumentError(f"explain: a network is needed first, got {type(network).__name__}")
    if layer is not None and method != "grad-cam":
        raise ArgumentError(
            f"explain: layer goes with method 'grad-cam', got {shown(layer)} with {method!r}"
        )


def _places(
    network: Network, pixels: Bytes, index: int, method: str, layer: str | None
) -> tuple[np.ndarray, float, str]:
    """(heat at the places of a layer's maps, scale, the layer's name) of a framed picture."""
    x = needed_preprocessing(network.core, "explain").apply(pixels[None])
    if method == "grad-cam":
        node = chosen_layer(network, layer, *pixels.shape[:2])
        return *grad_cam(network, x, index, node), node
    try:
        node, _ = pooled_node(network.graph)
    except ArgumentError as error:
        raise ArgumentError(
            f"explain: {error}; method 'grad-cam' (--method grad-cam) explains such a network"
        ) from None
    maps = network.class_maps(x)[0]  # classes×H'×W'
    if not np.isfinite(maps).all():
        raise ModelError("explain: the network's class maps hold numbers that are not finite")
    return *warmth(maps, index), node


def _pixels(image: Image.Image) -> Bytes:
    """H×W×1 uint8 of a grey Pillow image, H×W×3 of any other."""
    if image.mode in ("L", "1"):
        return np.array(image.convert("L"), np.uint8)[:, :, None]
    return np.array(image.convert("RGB"), np.uint8)


def _find_class(label: int | str, names: list[str]) -> int:
    if isinstance(label, str) and label in names:
        return names.index(label)
    try:
        index = int(label) if isinstance(label, str) else operator.index(label)
    except (TypeError, ValueError):
        index = -1
    if not 0 <= index < len(names):
        raise ArgumentError(f"explain: no class {label!r}; there are {few(names)}")
    return index
