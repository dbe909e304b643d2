"""What a net says of its pictures: their size, and the mean and scale that go with them.

Caffe computes y = (x - mean) * scale of whole pixels, whose channels its readers give in the order
blue, green, red; ninc reads red, green, blue. A mean in a file of its own cannot be known.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

from ...errors import ArgumentError
from ...preprocess import Preprocessing
from ..names import SET_PREPROCESSING, shown_name
from ..protobuf.schema import Message
from .net import CaffeLayer
from .settings import Pair
from .wiring import SOURCES, Wire

_LARGEST_SIDE = 8192  # no network takes larger pictures


@dataclasses.dataclass(frozen=True)
class Pictures:
    """channels, size: None where they are not known. mean: of no, one or all channels.

    told: whether mean or scale stand there at all.
    """

    channels: int | None = None
    size: Pair | None = None
    mean: tuple[float, ...] = ()
    scale: float = 1.0
    mean_file: str = ""
    told: bool = False


def pictures_of(net: Message, source: Wire, layers: Iterable[CaffeLayer]) -> Pictures:
    """What the net says. source: its input. layers: those that may tell how pictures are made."""
    channels, size = _declared(net, source)
    for layer in layers:
        if layer.type not in SOURCES:
            continue
        transform, message = layer.message.message("transform_param"), layer.message
        old = message.message("image_data_param" if "image_data_param" in message else "data_param")
        crop = transform.get("crop_size", old.get("crop_size", 0))
        if size is None and 1 <= crop <= _LARGEST_SIDE:
            size = (crop, crop)
        if channels is None and transform.get("force_gray", False):
            channels = 1
        scale = transform.get("scale", old.get("scale"))
        mean = tuple(transform.all("mean_value"))
        mean_file = transform.get("mean_file", old.get("mean_file", ""))
        if mean or mean_file or scale is not None:
            scale = 1.0 if scale is None else scale
            return Pictures(channels, size, mean, scale, mean_file, told=True)
    return Pictures(channels, size)


def _declared(net: Message, source: Wire) -> tuple[int | None, Pair | None]:
    """Channels, and height and width, of the input where its shape stands in the net."""
    dims = _dims(net, source)
    if len(dims) != 4 or not all(1 <= one <= _LARGEST_SIDE for one in dims[1:]):
        return None, None
    return dims[1], (dims[2], dims[3])


def _dims(net: Message, source: Wire) -> list[int]:
    number = source.order
    if source.source is None:
        if "input_shape" in net:
            return _nth(net.all("input_shape"), number)
        return net.all("input_dim")[4 * number : 4 * number + 4]
    message = source.source.message
    if "memory_data_param" in message:
        param = message.message("memory_data_param")
        return [1, *(param.get(name, 0) for name in ("channels", "height", "width"))]
    shapes = [*message.message("input_param").all("shape")]
    dummy = message.message("dummy_data_param")
    shapes += dummy.all("shape")
    if shapes:
        return _nth(shapes, number)
    sides = [dummy.all(name) for name in ("num", "channels", "height", "width")]
    return [side[min(number, len(side) - 1)] for side in sides] if all(sides) else []


def _nth(shapes: list[Message], number: int) -> list[int]:
    """One shape stands for all inputs."""
    return shapes[min(number, len(shapes) - 1)].all("dim")


def preprocessing_of(pictures: Pictures, rgb: bool) -> tuple[Preprocessing | None, str]:
    """The preprocessing where it is known and can be said, or None and what to do about it.

    pictures: with their channels. rgb: whether the network takes red, green, blue.
    """
    channels, mean, scale = pictures.channels or 0, pictures.mean, pictures.scale
    if not pictures.told:
        words = "it does not say how its pictures are prepared"
    elif pictures.mean_file:
        file = shown_name(pictures.mean_file)
        words = f"the mean of its pictures is in a file of its own, {file!r}"
    elif channels == 3 and not rgb:
        shown = ", ".join(f"{one:g}" for one in mean[:3]) or "0"
        return None, (
            "its pictures have the channels blue, green, red, from which "
            f"{shown} is subtracted, times {scale:g}; load_caffe(..., rgb=True) turns the first "
            "layer for red, green, blue, and sets preprocessing"
        )
    else:
        if len(mean) < 2:  # one mean is for all channels
            mean = (mean or (0.0,)) * channels
        std = (1.0 / scale if scale else math.inf,) * channels
        try:
            return Preprocessing(pictures.size, channels, mean[::-1], std, 1.0), ""
        except ArgumentError as error:
            words = f"what it says of its pictures makes no preprocessing ({error})"
    return None, f"{words}; {SET_PREPROCESSING}"
