"""Augmentations that compute pixels anew between those of a picture: a cut made larger, a turn.

Both take N×H×W×C uint8 pixels, before anything is normalised, and give rounded ones; or N×C×H×W
float32. A pixel's value belongs to its centre, and values between are bilinear.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..._base.arguments import integer, listed, positive
from ...data.draws import PictureDraws, picture_draws, takes_parts
from ...errors import ArgumentError
from .checks import checked_real, height_and_width

# So often a random size is drawn until one fits into the picture, as in torchvision.
_TRIES = 10


class RandomResizedCrop:
    """Cuts a window of random size and proportions at a random place and brings it to full size.

    scale: from which to which share of the picture's area; of (0.08, 1.0) to be drawn evenly.
    ratio: from which to which width by height, drawn evenly in its logarithm.

    The convention is torchvision's RandomResizedCrop, after Szegedy et al. 2015, section 6: of ten
    sizes drawn the first that fits into the picture is taken, else the largest centred window whose
    proportions lie in `ratio`. For small pictures, such as 32×32, a scale of (0.25, 1.0) or more
    leaves something to see.
    """

    on_pixels = True

    def __init__(
        self, scale: tuple[float, float] = (0.08, 1.0), ratio: tuple[float, float] = (3 / 4, 4 / 3)
    ) -> None:
        self.scale = _range("scale", scale)
        self.ratio = _range("ratio", ratio)
        if self.scale[1] > 1.0:
            raise ArgumentError(
                f"RandomResizedCrop: scale must not exceed 1, all of a picture, got {self.scale}"
            )

    @takes_parts
    def __call__(self, batch: Any, rng: np.random.Generator) -> Any:
        batch = checked_real("RandomResizedCrop", batch, rng)
        draws = picture_draws("RandomResizedCrop", rng, len(batch))
        height, width = height_and_width(batch)
        out = np.empty_like(batch)
        for target, source, box in zip(out, batch, self._boxes(draws, height, width)):
            target[:] = _enlarged(source, box)
        return out

    def _boxes(self, draws: PictureDraws, height: int, width: int) -> list[list[int]]:
        """[top, left, height, width] of each picture's window."""
        area, proportions = draws.uniform(_TRIES), draws.uniform(_TRIES)
        area = (self.scale[0] + area * (self.scale[1] - self.scale[0])) * (height * width)
        low, high = map(math.log, self.ratio)
        proportions = np.exp(low + proportions * (high - low))
        widths = np.rint(np.sqrt(area * proportions))
        heights = np.rint(np.sqrt(area / proportions))
        fits = (widths >= 1) & (widths <= width) & (heights >= 1) & (heights <= height)
        first = fits.argmax(axis=1)
        rows = np.arange(len(first))
        sizes = np.stack([heights[rows, first], widths[rows, first]], axis=1)
        # Two numbers are drawn for the place whether or not a size fits: later steps' stay theirs.
        places = draws.uniform(2)
        sizes[~fits.any(axis=1)] = self._largest(height, width)
        rest = np.array([height, width]) - sizes
        corners = np.minimum(np.floor(places * (rest + 1)), rest)
        corners[~fits.any(axis=1)] = np.floor(rest[~fits.any(axis=1)] / 2)
        return np.concatenate([corners, sizes], axis=1).astype(np.int64).tolist()

    def _largest(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the largest window with proportions in `ratio`."""
        proportions = min(max(width / height, self.ratio[0]), self.ratio[1])
        if width / height < proportions:
            return max(1, round(width / proportions)), width
        return height, max(1, round(height * proportions))

    def __repr__(self) -> str:
        return f"RandomResizedCrop(scale={self.scale}, ratio={self.ratio})"


class Rotation:
    """Turns each picture about its centre by an angle drawn evenly from -degrees to degrees.

    degrees: above 0 and up to 180; positive angles turn counter-clockwise.
    ground: RGB from 0 to 255 of what comes in beside the picture; grey pictures take its luminance.
        In float32 arrays it is 0, which is the mean colour where they are normalised.
    """

    on_pixels = True

    def __init__(self, degrees: float, ground: tuple[int, int, int] = (128, 128, 128)) -> None:
        self.degrees = positive("Rotation", "degrees", degrees)
        if self.degrees > 180.0:
            raise ArgumentError(f"Rotation: degrees must be at most 180, got {self.degrees:g}")
        parts = listed("Rotation", "ground", ground, "three numbers from 0 to 255")
        if len(parts) != 3:
            raise ArgumentError(f"Rotation: ground must be three numbers, got {len(parts)}")
        red, green, blue = (integer("Rotation", "ground", part, 0, 255) for part in parts)
        self.ground = red, green, blue

    @takes_parts
    def __call__(self, batch: Any, rng: np.random.Generator) -> Any:
        batch = checked_real("Rotation", batch, rng)
        draws = picture_draws("Rotation", rng, len(batch))
        angles = (2.0 * draws.uniform(1)[:, 0] - 1.0) * math.radians(self.degrees)
        out = np.empty_like(batch)
        for target, source, angle in zip(out, batch, angles.tolist()):
            target[:] = _turned(source, angle, self._ground(batch))
        return out

    def _ground(self, batch: Any) -> Any:
        if batch.dtype != np.uint8:
            return 0.0
        if batch.shape[3] != 1:
            return self.ground if batch.shape[3] == 3 else 128
        red, green, blue = self.ground
        return round(0.299 * red + 0.587 * green + 0.114 * blue)

    def __repr__(self) -> str:
        return f"Rotation({self.degrees:g}, ground={self.ground})"


def _range(name: str, value: tuple[float, float]) -> tuple[float, float]:
    """(low, high), both finite and above 0."""
    pair = listed("RandomResizedCrop", name, value, "two numbers (from, to)")
    if len(pair) != 2:
        raise ArgumentError(f"RandomResizedCrop: {name} must be two numbers, got {len(pair)}")
    low, high = (positive("RandomResizedCrop", name, one) for one in pair)
    if low > high:
        raise ArgumentError(f"RandomResizedCrop: {name} must not fall, got ({low:g}, {high:g})")
    return low, high


# ---- One picture ---------------------------------------------------------------------------------


def _enlarged(picture: Any, box: list[int]) -> Any:
    """The window (top, left, height, width) of a picture, brought to the picture's size.

    picture: H×W×C uint8 or C×H×W float32; the result is of its type.
    """
    top, left, height, width = box
    if picture.dtype == np.uint8:
        whole = picture.shape[:2]
        if [top, left, height, width] == [0, 0, *whole]:
            return picture
        y0, y1, wy = _between(height, whole[0])
        x0, x1, wx = _between(width, whole[1])
        cut = picture[top : top + height, left : left + width].astype(np.float32)
        rows = _mixed(cut[y0], cut[y1], wy[:, None, None])
        return _rounded(_mixed(rows[:, x0], rows[:, x1], wx[:, None]))
    whole = picture.shape[1:]
    y0, y1, wy = _between(height, whole[0])
    x0, x1, wx = _between(width, whole[1])
    cut = picture[:, top : top + height, left : left + width]
    rows = _mixed(cut[:, y0], cut[:, y1], wy[:, None])
    return _mixed(rows[:, :, x0], rows[:, :, x1], wx)


def _between(size: int, wanted: int) -> tuple[Any, Any, Any]:
    """For each of `wanted` pixels spread over `size`: the two neighbours, the second's weight."""
    place = (np.arange(wanted, dtype=np.float64) + 0.5) * (size / wanted) - 0.5
    place = np.clip(place, 0.0, size - 1.0)
    first = place.astype(np.int64)
    return first, np.minimum(first + 1, size - 1), (place - first).astype(np.float32)


def _mixed(one: Any, other: Any, weight: Any) -> Any:
    """one + weight * (other - one), in the memory of `other`, which nobody else may have."""
    other -= one
    other *= weight
    other += one
    return other


def _rounded(values: Any) -> Any:
    """Values between 0 and 255 as uint8, halves up."""
    values += np.float32(0.5)
    return values.astype(np.uint8)


def _turned(picture: Any, angle: float, ground: Any) -> Any:
    """The picture turned counter-clockwise by `angle` radians; H×W×C uint8 or C×H×W float32.

    y(i, j) = x(i', j'),   j' = cos * dj - sin * di + cj,   i' = sin * dj + cos * di + ci

    with (di, dj) the distance from the centre (ci, cj), and `ground` beside the picture.
    """
    last = picture.dtype == np.uint8
    height, width = picture.shape[:2] if last else picture.shape[1:]
    sine, cosine = math.sin(angle), math.cos(angle)
    di = np.arange(height, dtype=np.float32)[:, None] - np.float32((height - 1) / 2)
    dj = np.arange(width, dtype=np.float32) - np.float32((width - 1) / 2)
    # A border of one pixel of ground lies about the picture, and places beyond it are moved there.
    y = (sine * dj + cosine * di + np.float32((height - 1) / 2 + 1)).clip(0, height + 1)
    x = (cosine * dj - sine * di + np.float32((width - 1) / 2 + 1)).clip(0, width + 1)
    y0 = np.minimum(y.astype(np.int32), height)
    x0 = np.minimum(x.astype(np.int32), width)
    wy, wx = (y - y0).astype(np.float32), (x - x0).astype(np.float32)
    at = y0.astype(np.int64) * (width + 2) + x0
    if last:
        bordered = np.empty((height + 2, width + 2, picture.shape[2]), np.float32)
        bordered[:] = ground
        bordered[1:-1, 1:-1] = picture
        values, axis = bordered.reshape(-1, picture.shape[2]), 0
        wy, wx = wy[..., None], wx[..., None]
    else:
        bordered = np.zeros((len(picture), height + 2, width + 2), np.float32)
        bordered[:, 1:-1, 1:-1] = picture
        values, axis = bordered.reshape(len(picture), -1), 1

    def seen(offset: int) -> Any:
        return values.take(at + offset, axis)

    upper = _mixed(seen(0), seen(1), wx)
    lower = _mixed(seen(width + 2), seen(width + 3), wx)
    mixed = _mixed(upper, lower, wy)
    return _rounded(mixed) if last else mixed
