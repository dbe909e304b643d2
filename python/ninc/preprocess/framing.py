"""Brings a picture of any size to the network's size: cuts, pads or squashes it."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import numpy as np

from .._base.arguments import integer, listed, one_of, real, shown
from .._base.array_types import Bytes, PictureLike
from .._base.arrays import is_array
from ..errors import ArgumentError
from .pictures import RGB, WHITE, check_ground, check_pixels, open_picture, pillow

FITS = ("crop", "pad", "squash")

# Pictures are resized whole up to this size; a strip one pixel high would grow to gigabytes.
_MOST_PIXELS = 1 << 26

_BILINEAR = 2  # Pillow's number, written here so that Pillow need not be imported for it

# No network here takes larger pictures; one of this size has 200 MB.
_LARGEST_SIDE = 8192


@dataclasses.dataclass(frozen=True)
class Framing:
    """Size and channels of pictures, and how they are brought there. All resizing is bilinear.

    size: (height, width), or None to take pictures as they are.
    channels: 3 (RGB) or 1 (grey).
    resize: with "crop", what the shorter side is brought to first, such as 256 for 224×224; None:
        the least that covers `size`.
    fit: what is done to a picture of other proportions. "crop": the shorter side is resized and
        the centre cut out. "pad": all of it is resized to lie within, on a ground. "squash": all
        of it is resized, height and width by themselves.
    ground: RGB, what lies under transparent pixels and beside a padded picture.

    Raises ArgumentError for values out of range.
    """

    size: tuple[int, int] | None
    channels: int
    resize: int | None = None
    fit: str = "crop"
    ground: RGB = WHITE

    def __post_init__(self) -> None:
        size = None if self.size is None else _size(self.size)
        resize = None if self.resize is None else integer("Framing", "resize", self.resize)
        if integer("Framing", "channels", self.channels) not in (1, 3):
            raise ArgumentError(f"channels must be 1 or 3, got {self.channels}")
        if max((*(size or ()), resize or 0)) > _LARGEST_SIDE:
            raise ArgumentError(
                f"size and resize must be at most {_LARGEST_SIDE}, got {size} and {resize}"
            )
        if resize is not None and (size is None or resize < max(size)):
            raise ArgumentError(
                f"resize must be at least both sides of size, got {resize} for size {size}"
            )
        one_of("Framing", "fit", self.fit, FITS)
        if resize is not None and self.fit != "crop":
            raise ArgumentError(f"resize goes with fit 'crop' alone, got fit {self.fit!r}")
        object.__setattr__(self, "ground", check_ground(self.ground))
        object.__setattr__(self, "size", size)

    def pixels(self, picture: PictureLike) -> Bytes:
        """H×W×C uint8 of a picture of any kind that `open_picture` takes.

        An array that has the size already is returned untouched and needs no Pillow, whatever
        `resize` says: it is taken for one that was brought to size before.
        """
        if is_array(picture):
            pixels = check_pixels(picture)
            if pixels.shape[2] == self.channels and self.size in (None, pixels.shape[:2]):
                return pixels
        image = open_picture(picture, self.ground)
        mode = "L" if self.channels == 1 else "RGB"
        if image.mode != mode:
            image = image.convert(mode)
        if self.size is not None:
            image = getattr(self, f"_{self.fit}")(image)
        pixels = np.asarray(image, np.uint8)
        return pixels[:, :, None] if self.channels == 1 else pixels

    def box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) of what the network sees of an upright picture of this size.

        The numbers are pixels of the picture, whose upper left corner is (0, 0). With "pad" the box
        reaches beyond the picture.
        """
        for name, side in (("width", width), ("height", height)):
            if not 1.0 <= real("Framing.box", name, side) < 1e9:
                raise ArgumentError(f"Framing.box: {name} must be a number of pixels, got {side}")
        if self.size is None or self.fit == "squash":
            return 0.0, 0.0, float(width), float(height)
        if self.fit == "pad":
            across, down = self._padded(width, height)
            left, top = (self._sides[1] - across) // 2, (self._sides[0] - down) // 2
        else:
            across, down = self._covering(width, height)
            left, top = -((across - self._sides[1]) // 2), -((down - self._sides[0]) // 2)
        x, y = width / across, height / down
        return -left * x, -top * y, (self._sides[1] - left) * x, (self._sides[0] - top) * y

    @property
    def _sides(self) -> tuple[int, int]:
        """`size`, where there is one."""
        return cast("tuple[int, int]", self.size)

    def lost(self, width: int, height: int) -> float:
        """The share of an upright picture's area that is cut off, 0..1."""
        left, top, right, bottom = self.box(width, height)
        seen = (min(right, width) - max(left, 0.0)) * (min(bottom, height) - max(top, 0.0))
        return 1.0 - seen / (width * height)

    def describe(self) -> str:
        """ "32×32 by crop, RGB"."""
        colours = "RGB" if self.channels == 3 else "grey"
        if self.size is None:
            return f"any size, {colours}"
        size = "×".join(map(str, self.size))
        from_side = "" if self.resize is None else f" from a shorter side of {self.resize}"
        return f"{size} by {self.fit}{from_side}, {colours}"

    def _crop(self, image: Any) -> Any:
        height, width = self._sides
        if self.resize is None and image.size == (width, height):
            return image
        resized = self._covering(image.width, image.height)
        left, top = (resized[0] - width) // 2, (resized[1] - height) // 2
        if resized[0] * resized[1] > _MOST_PIXELS:
            # Only the piece that stays is resized, from where it lies in the picture.
            box = self.box(image.width, image.height)
            return image.resize((width, height), _BILINEAR, box)
        if resized != image.size:
            image = image.resize(resized, _BILINEAR)
        return image.crop((left, top, left + width, top + height))

    def _pad(self, image: Any) -> Any:
        height, width = self._sides
        resized = self._padded(image.width, image.height)
        if resized != image.size:
            image = image.resize(resized, _BILINEAR)
        if resized == (width, height):
            return image
        ground = pillow().new("RGB", (1, 1), self.ground).convert(image.mode).getpixel((0, 0))
        framed = pillow().new(image.mode, (width, height), ground)
        framed.paste(image, ((width - resized[0]) // 2, (height - resized[1]) // 2))
        return framed

    def _squash(self, image: Any) -> Any:
        wanted = self._sides[::-1]
        return image if image.size == wanted else image.resize(wanted, _BILINEAR)

    def _covering(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the resized picture that the centre is cut out of."""
        if self.resize is None:
            ratio = max(self._sides[0] / height, self._sides[1] / width)
        else:
            ratio = self.resize / min(height, width)
        return max(self._sides[1], round(width * ratio)), max(self._sides[0], round(height * ratio))

    def _padded(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the resized picture that lies within `size`."""
        ratio = min(self._sides[0] / height, self._sides[1] / width)
        across = min(self._sides[1], max(1, round(width * ratio)))
        return across, min(self._sides[0], max(1, round(height * ratio)))


def _size(value: Any) -> tuple[int, int]:
    sides = listed("Framing", "size", value, "(height, width)")
    if len(sides) != 2:
        raise ArgumentError(f"size must be (height, width), got {shown(value)}")
    height, width = (integer("Framing", "size", side) for side in sides)
    return height, width
