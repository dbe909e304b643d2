"""Makes pixels that can be compared of whatever holds a picture: upright, 8-bit and opaque.

Everything that reads pictures, in training, testing, predicting and explaining, goes through
`open_picture`, so that a network always sees a picture as its viewers do:

- turned as its EXIF orientation says (all eight of them; JPEG, PNG, WebP, TIFF);
- 16-bit grey divided by 257, which brings 65535 to 255; 32-bit whole numbers are taken as 16-bit;
  12-bit TIFF brought from 4095 to 255; where a TIFF counts from white, it is turned about;
- floating-point grey taken to run from 0 (black) to 1 (white);
- colours of another profile than sRGB (Adobe RGB, Display P3) brought to sRGB;
- transparent pixels (an alpha channel, a palette's or one colour's transparency) laid over a
  ground, white unless the network says otherwise;
- of an animation the first frame.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._base.array_types import Bytes
from .._base.arrays import as_numpy, is_array
from .._base.files import user_path
from ..errors import ArgumentError, FileError, ShapeError
from .colour_profile import to_srgb

RGB = tuple[int, int, int]
WHITE: RGB = (255, 255, 255)

HEIC = (".heic", ".heif")  # Pillow reads these only with the package pillow-heif

_ORIENTATION = 0x0112  # EXIF's number for the tag
_TURNED = range(2, 9)  # all its values except 1, which is upright

# The entries in which Pillow keeps what may name an orientation. A picture without any of them is
# not asked.
_WITH_ORIENTATION = frozenset(("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"))

_WITH_ALPHA = frozenset(("RGBA", "LA", "PA", "RGBa", "La"))  # Pillow's modes with transparency

# TIFF's numbers for its tags, and its value for "0 is white".
_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC = 256, 257, 258, 262
_WHITE_IS_ZERO = 0

# What Pillow does to the values of a PNG that it brings to 8 bits. The one value that is
# transparent it leaves as the file has it.
_TO_8_BITS = {"L;2": lambda v: 85 * v, "L;4": lambda v: 17 * v, "RGB;16B": lambda v: v >> 8}

# Floating-point pictures have been resized or computed: values may round to so much beyond 0..1.
_OVERSHOOT = 1e-3


def check_pixels(pixels: Any) -> Bytes:
    """H×W×C uint8 of an array that is a picture; an array of H×W gains its one channel."""
    pixels = as_numpy("picture", pixels)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim != 3 or pixels.dtype != np.uint8 or pixels.shape[2] not in (1, 3):
        transparent = pixels.ndim == 3 and pixels.dtype == np.uint8 and pixels.shape[2] in (2, 4)
        raise ShapeError(
            f"a picture must be H×W×3 or H×W×1 uint8, got {pixels.dtype} of shape {pixels.shape}"
            + ("; one with transparency may be a Pillow image: Image.fromarray" * transparent)
            + conversion(pixels.dtype, pixels.shape)
        )
    if pixels.size == 0:
        raise ShapeError(f"a picture must have pixels, got shape {pixels.shape}")
    return pixels


def conversion(dtype: np.dtype[Any], shape: Sequence[int]) -> str:
    """What makes of an array x the uint8 pictures that it may be, after "; " for a message.

    "" where it is no array of pictures, of one H×W×C or of many N×H×W×C, that is known here.
    """
    advice = []
    if channels_first(shape):
        whole = len(shape) == 3
        layout, order = ("H×W×C", "1, 2, 0") if whole else ("N×H×W×C", "0, 2, 3, 1")
        advice.append(f"x.transpose({order}) makes {layout} of it")
    if dtype.kind == "f":
        advice.append("(x * 255).round().astype(np.uint8) makes uint8 of values in 0..1")
    elif dtype.kind in "iu" and dtype != np.uint8:
        advice.append("x.astype(np.uint8) makes uint8 of values in 0..255")
    return "".join(f"; {words}" for words in advice)


def channels_first(shape: Sequence[int]) -> bool:
    """Whether pictures of this shape, C×H×W or N×C×H×W, look as if channels stood first."""
    return len(shape) in (3, 4) and shape[-3] in (1, 3) and shape[-1] not in (1, 2, 3, 4)


def check_ground(ground: Any) -> RGB:
    """Three whole numbers 0..255; ArgumentError for anything else."""
    try:
        values = tuple(int(value) for value in ground)
        fits = len(values) == 3 and all(
            0 <= value <= 255 and value == given for value, given in zip(values, ground)
        )
    except (TypeError, ValueError, OverflowError):
        fits = False
    if not fits or isinstance(ground, (str, bytes)):
        raise ArgumentError(f"ground must be three whole numbers 0..255 (RGB), got {ground!r}")
    red, green, blue = values
    return red, green, blue


# The module is kept: it is asked for with each picture, and an import costs a hundredth of decoding
# a small one.
@functools.cache
def pillow() -> Any:
    """Pillow's `Image` module; ArgumentError, with the command that helps, where it is missing."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ArgumentError("reading pictures needs Pillow: pip install 'ninc[images]'") from error
    with contextlib.suppress(ImportError):  # where pillow-heif is installed, Pillow reads HEIC
        import pillow_heif

        pillow_heif.register_heif_opener()
    return Image


def open_picture(picture: Any, ground: RGB = WHITE) -> Any:
    """The picture as an upright Pillow image of 8 bits a channel without transparency.

    picture: a file's path, the bytes of a file, a binary file object, H×W×C or H×W uint8, or a
        Pillow image.
    ground: RGB, what transparent pixels are laid over.

    Raises FileError, by name, for a file that is missing, damaged or beyond these rules,
    ShapeError for an array of another kind and ArgumentError for anything else.
    """
    Image = pillow()
    if is_array(picture):
        pixels = check_pixels(picture)
        return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    source = picture = user_path(picture)
    try:
        if isinstance(picture, (bytes, bytearray, memoryview)):
            source = io.BytesIO(picture)
        elif isinstance(picture, Image.Image):
            return _plain(picture, ground)
        elif not isinstance(picture, (str, os.PathLike)):
            picture_name(picture)  # raises for what can be no picture
        with Image.open(source) as image:
            return _plain(image, ground)
    except ArgumentError:
        raise
    # Over damaged bytes Pillow's decoders raise OSError, SyntaxError, struct.error, ValueError,
    # Pillow's own DecompressionBombError and others. All mean the same to the caller.
    except Exception as error:
        name = picture_name(picture)
        raise FileError.of(error, f"{name}: {_trouble(error, name)}", _file(picture)) from error


def _trouble(error: Exception, name: str) -> str:
    """Words for what is wrong with a picture that cannot be opened."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "is a folder, a picture is needed"
    if isinstance(error, pillow().UnidentifiedImageError):
        if name.lower().endswith(HEIC) and "pillow_heif" not in sys.modules:
            return "reading HEIC pictures needs pillow-heif: pip install pillow-heif"
        return "not a picture, or a damaged one"
    if isinstance(error, pillow().DecompressionBombError):
        return (
            f"{str(error).rstrip('.')}. Make it smaller, or, where it can be trusted, set "
            "PIL.Image.MAX_IMAGE_PIXELS higher"
        )
    return f"cannot read this picture ({error})"


def _file(picture: Any) -> Any:
    """The file that a picture is in, for an error's `filename`; None for what is in memory."""
    return picture if isinstance(picture, (str, os.PathLike)) else None


def picture_name(picture: Any) -> str:
    """What to call a picture in a message; ArgumentError for what can be none."""
    if isinstance(picture, (str, os.PathLike)):
        return os.fsdecode(picture)
    if isinstance(picture, (bytes, bytearray, memoryview)):
        return f"a picture of {len(picture):,} bytes"
    if hasattr(picture, "read"):
        name = getattr(picture, "name", None)
        return name if isinstance(name, str) else f"a picture read from {type(picture).__name__}"
    if isinstance(picture, pillow().Image):
        return getattr(picture, "filename", "") or f"a Pillow image of mode {picture.mode}"
    raise ArgumentError(
        "a picture must be a file name, the bytes of a file, a file object, an array or a Pillow "
        f"image, got {type(picture).__name__}"
    )


def picture_size(picture: Any) -> tuple[int, int]:
    """(height, width) of a file's picture as it is shown, from its header alone.

    Raises FileError as `open_picture` does, but does not find damage after the header.
    """
    Image = pillow()
    picture = user_path(picture)
    try:
        with Image.open(picture) as image:
            sideways = _orientation(image) > 4
            if image.format == "TIFF":  # newer Pillows tell a TIFF's size as it is shown
                sideways &= image.size == (image.tag_v2[_WIDTH], image.tag_v2[_HEIGHT])
            return (image.width, image.height) if sideways else (image.height, image.width)
    except Exception as error:
        message = f"{picture_name(picture)}: cannot read this picture ({error})"
        raise FileError.of(error, message, _file(picture)) from error


def _plain(image: Any, ground: RGB) -> Any:
    """The image, upright, 8-bit and opaque."""
    to_8_bits = _to_8_bits(image)
    image.load()  # Image.open reads only the header; damage after it shows here
    if 0 in image.size:
        raise ValueError("it has no pixels")
    tags = getattr(image, "tag_v2", {})
    # Pillow turns a TIFF as it reads it, and in some versions leaves the orientation's tag there.
    if not tags and _orientation(image) in _TURNED:
        from PIL import ImageOps

        image = ImageOps.exif_transpose(image)
    if image.mode[0] in "IF":
        return _scaled(image, ground, tags)
    if to_8_bits is not None:
        clear = image.info["transparency"]
        whole = isinstance(clear, int)
        image.info["transparency"] = to_8_bits(clear) if whole else tuple(map(to_8_bits, clear))
    if image.mode in _WITH_ALPHA or "transparency" in image.info or _palette_with_alpha(image):
        # Pillow converts premultiplied grey to nothing but plain grey with alpha.
        image = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        image = to_srgb(image)
        under = pillow().new("RGBA", image.size, (*ground, 255))
        return pillow().alpha_composite(under, image).convert("RGB")
    # Pillow converts LAB to RGB only. The profile of a palette picture is about the palette's
    # colours and not about the numbers that choose among them.
    if image.mode == "LAB" or (image.mode == "P" and "icc_profile" in image.info):
        image = image.convert("RGB")
    return to_srgb(image)


def _to_8_bits(image: Any) -> Any:
    """What Pillow will do to a PNG's values where one is transparent; None where it does nothing.

    This is known only before the picture is loaded.
    """
    if image.format != "PNG" or "transparency" not in image.info:
        return None
    tiles = getattr(image, "tile", ())
    return _TO_8_BITS.get(tiles[0][3]) if tiles else None


def _palette_with_alpha(image: Any) -> bool:
    return image.mode == "P" and image.palette is not None and image.palette.mode.endswith("A")


def _orientation(image: Any) -> int:
    """EXIF's number for the orientation: 1, upright, where there is none or it cannot be read."""
    if _WITH_ORIENTATION.isdisjoint(image.info) and not hasattr(image, "tag_v2"):
        return 1
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # what Pillow raises over damaged EXIF data; the pixels may still be whole
        return 1


def _scaled(image: Any, ground: RGB, tags: Any) -> Any:
    """Grey of 16 or 32 bits as grey of 8 bits. ValueError for values that fit no rule.

    tags: a TIFF's.
    """
    values = np.asarray(image)
    clear = values == image.info["transparency"] if "transparency" in image.info else None
    if image.mode == "F":
        low, high = float(values.min()), float(values.max())
        if not (low >= -_OVERSHOOT and high <= 1.0 + _OVERSHOOT):  # NaN fails every comparison
            raise ValueError(
                f"its floating-point values run from {low:g} to {high:g}; they are taken as grey "
                "from 0 to 1: scale them first"
            )
        grey = np.rint(np.clip(values, 0.0, 1.0) * 255.0).astype(np.uint8)
    else:
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > 65535:
            raise ValueError(
                f"its whole numbers run from {low} to {high}; they are taken as 16-bit grey from "
                "0 to 65535: scale them first"
            )
        # Values are rounded to the nearest; 65535 / 255 is 257, 4095 / 255 a little more than 16.
        if tags.get(_BITS) == (12,):
            grey = np.rint(values / (4095 / 255)).astype(np.uint8)
        else:
            grey = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    # Pillow does this for 8 bits only.
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        grey = 255 - grey
    if clear is None:
        return pillow().fromarray(grey)
    colours = np.where(clear[:, :, None], np.array(ground, np.uint8), grey[:, :, None])
    return pillow().fromarray(colours)
