"""Random brightness, contrast, saturation and hue of pixels, by torchvision's conventions.

    brightness  y = f * x                             contrast  y = f * x + (1 - f) * mean of L(x)
    saturation  y = f * x + (1 - f) * L(x)            hue       turned by f of a full turn in HSV

with L = 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), the mean over a picture, and y cut to 0..255.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from ..._base.arguments import not_negative, share
from ...data.draws import picture_draws, takes_parts
from ...errors import ArgumentError, DTypeError, ShapeError
from .checks import checked

_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)

# So many pixels are worked on at a time, which with what is computed of them stay in a cache.
_BLOCK = 2**15

# In which orders the four may come, by number.
_ORDERS = np.array(list(itertools.permutations(range(4))))


class ColorJitter:
    """Changes brightness, contrast, saturation and hue, each by a random amount, in random order.

    brightness, contrast, saturation: b draws a factor evenly from max(0, 1 - b) to 1 + b.
    hue: h, up to 0.5, draws a part of the colour circle evenly from -h to h.

    What is 0 stays as it is. It takes N×H×W×C uint8 pixels, before anything is normalised, since
    only they say what is black and what is white; grey ones have neither saturation nor hue. The
    convention is torchvision's ColorJitter; values are rounded once, at the end.
    """

    on_pixels = True

    def __init__(
        self,
        brightness: float = 0.0,
        contrast: float = 0.0,
        saturation: float = 0.0,
        hue: float = 0.0,
    ) -> None:
        self.brightness = not_negative("ColorJitter", "brightness", brightness)
        self.contrast = not_negative("ColorJitter", "contrast", contrast)
        self.saturation = not_negative("ColorJitter", "saturation", saturation)
        self.hue = share("ColorJitter", "hue", hue)
        if self.hue > 0.5:
            raise ArgumentError(f"ColorJitter: hue must be at most 0.5, half a turn, got {hue}")

    @takes_parts
    def __call__(self, batch: Any, rng: np.random.Generator) -> Any:
        batch = checked("ColorJitter", batch, rng)
        if batch.dtype != np.uint8:
            raise DTypeError(
                "ColorJitter: needs N×H×W×C uint8 pictures, whose numbers say what is black and "
                f"what is white, got {batch.dtype}"
            )
        if batch.shape[3] not in (1, 3):
            raise ShapeError(
                f"ColorJitter: pictures have 1 or 3 channels, got {batch.shape[3]}, of shape "
                f"{batch.shape}"
            )
        count, height, width, channels = batch.shape
        drawn = picture_draws("ColorJitter", rng, count).uniform(5)
        if batch.size == 0:
            return batch
        orders = _ORDERS[(drawn[:, 4] * len(_ORDERS)).astype(np.int64)]
        spread = np.array([self.brightness, self.contrast, self.saturation])
        low = np.maximum(0.0, 1.0 - spread)
        factors = (low + drawn[:, :3] * (1.0 + spread - low)).astype(np.float32)
        turns = ((2.0 * drawn[:, 3] - 1.0) * self.hue).astype(np.float32)
        amounts = np.concatenate([factors, turns[:, None]], axis=1)
        active = [*(spread > 0), self.hue > 0]
        if channels == 1:
            active[2] = active[3] = False
        out = np.empty_like(batch)
        step = max(1, _BLOCK // (height * width))
        for first in range(0, count, step):
            part = slice(first, first + step)
            # Plane after plane, since a channel is what is computed with.
            pixels = np.ascontiguousarray(
                batch[part].reshape(-1, height * width, channels).transpose(2, 0, 1), np.float32
            )
            _changed(pixels, amounts[part], orders[part], active)
            pixels += np.float32(0.5)
            out[part] = pixels.astype(np.uint8).transpose(1, 2, 0).reshape(out[part].shape)
        return out

    def __repr__(self) -> str:
        return (
            f"ColorJitter(brightness={self.brightness:g}, contrast={self.contrast:g}, "
            f"saturation={self.saturation:g}, hue={self.hue:g})"
        )


def _changed(pixels: Any, amounts: Any, orders: Any, active: list[bool]) -> None:
    """Changes C×N×P pixels in place; each picture's four changes come in its own order."""
    for place in range(4):
        for kind, change in enumerate((_brighten, _contrast, _saturate, _turn_hue)):
            chosen = np.flatnonzero(orders[:, place] == kind)
            if active[kind] and len(chosen):
                pixels[:, chosen] = change(pixels[:, chosen], amounts[chosen, kind, None])


def _luminance(pixels: Any) -> Any:
    """N×P of C×N×P."""
    if len(pixels) == 1:
        return pixels[0]
    grey = _LUMINANCE[0] * pixels[0]
    grey += _LUMINANCE[1] * pixels[1]
    grey += _LUMINANCE[2] * pixels[2]
    return grey


def _cut(pixels: Any) -> Any:
    return np.clip(pixels, 0.0, 255.0, out=pixels)


def _brighten(pixels: Any, factor: Any) -> Any:
    pixels *= factor
    return _cut(pixels)


def _contrast(pixels: Any, factor: Any) -> Any:
    mean = _luminance(pixels).mean(axis=1, keepdims=True)
    pixels *= factor
    pixels += (1 - factor) * mean
    return _cut(pixels)


def _saturate(pixels: Any, factor: Any) -> Any:
    grey = _luminance(pixels)
    grey *= 1 - factor
    pixels *= factor
    pixels += grey
    return _cut(pixels)


def _turn_hue(pixels: Any, turn: Any) -> Any:
    """The colours turned by `turn` of the circle that HSV arranges them in.

    A colour of value V, chroma C and hue H, in sixths of the circle, has for n = 5, 3, 1

        R, G, B = V - C * clip(min(k, 4 - k), 0, 1),   k = (n + H) mod 6
    """
    red, green, blue = pixels
    value, least = pixels.max(axis=0), pixels.min(axis=0)
    chroma = value - least
    some = np.where(chroma > 0, chroma, np.float32(1))  # a grey has any hue: nothing is seen of it
    hue = np.where(
        value == red,
        (green - blue) / some,
        np.where(value == green, (blue - red) / some + 2, (red - green) / some + 4),
    )
    hue += 6 * turn
    out = np.empty_like(pixels)
    for channel, start in enumerate((5, 3, 1)):
        k = hue + np.float32(start + 6)  # above 0, since hue is above -1 - 3
        k -= 6 * np.floor(k / 6)
        k = np.minimum(k, 4 - k)
        np.clip(k, 0.0, 1.0, out=k)
        k *= chroma
        np.subtract(value, k, out=out[channel])
    return _cut(out)
