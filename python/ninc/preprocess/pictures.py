"""Pictures of all kinds, read and brought to a size."""

from __future__ import annotations

import io
import os
from typing import Any

import numpy as np

from ..errors import ArgumentError, FileError, ShapeError

# Resized whole up to here: a strip one pixel high would grow to gigabytes.
_MOST_PIXELS = 1 << 26


def check_pixels(pixels: np.ndarray) -> np.ndarray:
    """H×W×C uint8 of an array that is a picture; H×W gains its one channel."""
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim != 3 or pixels.dtype != np.uint8 or pixels.shape[2] not in (1, 3):
        raise ShapeError(
            f"a picture must be H×W×3 or H×W×1 uint8, got {pixels.dtype} of shape {pixels.shape}"
        )
    if pixels.size == 0:
        raise ShapeError(f"a picture must have pixels, got shape {pixels.shape}")
    return pixels


def open_picture(picture: Any):
    """The Pillow image, read whole, of a path, of an H×W×C uint8 array or of a Pillow image."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ArgumentError("reading pictures needs Pillow: pip install 'ninc[images]'") from error
    if isinstance(picture, np.ndarray):
        pixels = check_pixels(picture)
        return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    if isinstance(picture, Image.Image):
        return picture
    if isinstance(picture, (bytes, bytearray, memoryview)):
        picture = io.BytesIO(picture)
    if hasattr(picture, "read"):
        try:
            with Image.open(picture) as image:
                image.load()
                return image
        except Exception as error:
            raise FileError(f"cannot read this picture ({error})") from error
    if not isinstance(picture, (str, os.PathLike)):
        raise ArgumentError(
            f"a picture must be a file name or an array, got {type(picture).__name__}"
        )
    try:
        with Image.open(picture) as image:
            image.load()  # Image.open reads the header alone; a cut file shows only here
            return image
    except FileNotFoundError as error:
        raise FileError(f"{os.fspath(picture)}: no such file") from error
    except Image.UnidentifiedImageError as error:
        raise FileError(f"{os.fspath(picture)}: not a picture, or a damaged one") from error
    # Pillow's decoders raise what they like over damaged bytes: OSError, SyntaxError, struct.error,
    # ValueError, its own DecompressionBombError. All mean the same to the caller.
    except Exception as error:
        raise FileError(f"{os.fspath(picture)}: cannot read this picture ({error})") from error


def fit_picture(
    image: Any, size: tuple[int, int] | None, channels: int, resize: int | None = None
) -> np.ndarray:
    """H×W×C uint8 of a Pillow image: colours converted, shorter side resized, centre cut out.

    size: (height, width) of what is cut out; None leaves the picture as it is.
    resize: the length the shorter side is brought to first, at least as long as both sides of
        `size`; None takes the least that covers `size`.
    """
    from PIL import Image

    mode = "L" if channels == 1 else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    if size is not None:
        height, width = size
        if resize is None:
            ratio = max(height / image.height, width / image.width)
        else:
            ratio = resize / min(image.height, image.width)
        resized = (
            max(width, round(image.width * ratio)),
            max(height, round(image.height * ratio)),
        )
        left = (resized[0] - width) // 2
        top = (resized[1] - height) // 2
        if resized[0] * resized[1] > _MOST_PIXELS:
            # Only the piece that stays, from where it lies in the picture as it is.
            x, y = image.width / resized[0], image.height / resized[1]
            box = (left * x, top * y, (left + width) * x, (top + height) * y)
            image = image.resize((width, height), Image.BILINEAR, box)
        else:
            if resized != image.size:
                image = image.resize(resized, Image.BILINEAR)
            image = image.crop((left, top, left + width, top + height))
    pixels = np.asarray(image, np.uint8)
    return pixels[:, :, None] if channels == 1 else pixels
