"""Where in a picture a network sees a class.

NIN averages one map a class into that class's score (global average pooling), so the map itself
says which places spoke for it: the class map (paper, section 3.2; CAM, Zhou et al. 2016).
"""

from __future__ import annotations

import dataclasses
import io
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import ArgumentError
from .evaluate import stored_preprocessing
from .files import write_whole

if TYPE_CHECKING:
    from .network import Network

# Heat's colours from cold to hot, RGB, at equal steps: dark to light, so they read in grey too.
_RAMP = np.array([[20, 11, 52], [132, 32, 107], [229, 92, 48], [246, 215, 70]], np.float64)

# Small pictures are enlarged to this many pixels at least, to be looked at.
_SHOWN_PIXELS = 256


@dataclasses.dataclass(frozen=True)
class Explanation:
    """A class map over its picture.

    picture: H×W×C uint8, as the network saw it (after resizing and cropping).
    heat: H×W float32 in 0..1, the class map stretched over the picture.
    label, name, probability: the class explained.
    """

    picture: np.ndarray
    heat: np.ndarray
    label: int
    name: str
    probability: float

    def overlay(self, strength: float = 0.6) -> np.ndarray:
        """The picture with the heat laid over it, enlarged if small: H'×W'×3 uint8."""
        return overlay(self.picture, self.heat, strength)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the overlay as a PNG file, whole or not at all. Raises FileError."""
        image = _pillow().fromarray(self.overlay())
        content = io.BytesIO()
        image.save(content, format="PNG")
        write_whole(path, content.getvalue())


def explain(network: Network, picture: Any, label: int | str | None = None) -> Explanation:
    """The class map of one picture.

    picture: a file's path or H×W×C uint8. label: the class to explain, by index or name; None
    takes the one the network finds likeliest. Raises ArgumentError for an unknown class and for a
    network without stored preprocessing, FileError for an unreadable picture.
    """
    preprocessing = stored_preprocessing(network)
    if preprocessing is None:
        raise ArgumentError("explain: the network has no preprocessing for pictures stored")
    pixels = preprocessing.resize_and_crop(picture)
    x = preprocessing.apply(pixels[None])
    probabilities = _softmax(network(x)[0])
    names = network._class_names(len(probabilities))
    index = int(probabilities.argmax()) if label is None else _find_class(label, names)
    # maps: 1×classes×H'×W'
    heat = stretch(network.class_maps(x)[0, index], pixels.shape[0], pixels.shape[1])
    return Explanation(pixels, heat, index, names[index], float(probabilities[index]))


def stretch(class_map: np.ndarray, height: int, width: int) -> np.ndarray:
    """H'×W' -> height×width, bilinear, lowest value 0 and highest 1; all 0 for a flat map."""
    image = _pillow().fromarray(np.ascontiguousarray(class_map, np.float32), mode="F")
    heat = np.asarray(image.resize((width, height), _pillow().BILINEAR), np.float32)
    low, high = heat.min(), heat.max()
    return (heat - low) / (high - low) if high > low else np.zeros_like(heat)


def overlay(picture: np.ndarray, heat: np.ndarray, strength: float = 0.6) -> np.ndarray:
    """picture: H×W×C uint8, heat: H×W in 0..1 -> H'×W'×3 uint8, a whole multiple of the size.

        y = (1 - a) * picture + a * colour(heat),  a = strength * heat

    so that cold places keep their own colours and hot ones glow.
    """
    times = max(1, -(-_SHOWN_PIXELS // max(heat.shape)))
    height, width = heat.shape[0] * times, heat.shape[1] * times
    heat = stretch(heat, height, width).astype(np.float64)
    pixels = np.broadcast_to(picture, (*picture.shape[:2], 3))
    pixels = pixels.repeat(times, axis=0).repeat(times, axis=1).astype(np.float64)
    places = np.linspace(0.0, 1.0, len(_RAMP))
    colours = np.stack([np.interp(heat, places, _RAMP[:, c]) for c in range(3)], axis=-1)
    alpha = strength * heat[:, :, None]
    return np.rint((1.0 - alpha) * pixels + alpha * colours).astype(np.uint8)


def _find_class(label: int | str, names: list[str]) -> int:
    if isinstance(label, str) and label in names:
        return names.index(label)
    try:
        index = int(label)
    except ValueError:
        index = -1
    if not 0 <= index < len(names):
        raise ArgumentError(
            f"explain: no class {label!r}; there are {', '.join(names[:10])}"
            f"{', ...' if len(names) > 10 else ''}"
        )
    return index


def _softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits.astype(np.float64) - logits.max())
    return e / e.sum()


def _pillow():
    try:
        from PIL import Image
    except ImportError as error:
        raise ArgumentError("class maps need Pillow: pip install 'ninc[images]'") from error
    return Image
