"""What happens to a picture before the network sees it, stored with the model.

    y[c, i, j] = (x[i, j, c] / scale - mean[c]) / std[c]

x: H×W×C uint8, RGB or grey; y: C×H×W float32. ``mean`` and ``std`` are those of the training
pictures, so a model file carries all it needs to read a new picture as it read the old ones.
"""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np

from .errors import ArgumentError, FileError, ShapeError

# Pictures counted at a time by `fit`: float64 sums of a whole data set would need 8 bytes a pixel.
_FIT_BLOCK = 1024

# A picture of one flat colour has deviation 0; dividing by it would end in infinities.
_SMALLEST_STD = 1e-3


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """Size, channels and normalisation of a network's pictures.

    size: (height, width) every picture is brought to, or None to take pictures as they are.
    channels: 3 (RGB) or 1 (grey).
    scale: what pixels are divided by first; 255 brings uint8 into 0..1.
    mean, std: one number a channel, in units of scaled pixels.
    """

    size: tuple[int, int] | None
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float = 255.0

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise ArgumentError(f"preprocessing: channels must be 1 or 3, got {self.channels}")
        if len(self.mean) != self.channels or len(self.std) != self.channels:
            raise ArgumentError(
                f"preprocessing: {self.channels} channels need as many means and deviations, "
                f"got {len(self.mean)} and {len(self.std)}"
            )
        if not all(np.isfinite([*self.mean, *self.std, self.scale])):
            raise ArgumentError("preprocessing: mean, std and scale must be finite")
        if min(self.std) <= 0 or self.scale <= 0:
            raise ArgumentError("preprocessing: std and scale must be positive")
        if self.size is not None and (len(self.size) != 2 or min(self.size) < 1):
            raise ArgumentError(f"preprocessing: size must be (height, width), got {self.size}")

    @classmethod
    def fit(cls, images: np.ndarray) -> Preprocessing:
        """Means and deviations of `images` (N×H×W×C uint8, N at least 1), over N, H and W.

        They may be an array or data read as it goes, which are looked at block by block.
        """
        if not hasattr(images, "shape"):
            images = np.asarray(images)
        if len(images.shape) != 4 or images.dtype != np.uint8 or 0 in images.shape:
            raise ShapeError(
                "Preprocessing.fit: needs N×H×W×C uint8 pictures, got "
                f"{images.dtype} of shape {images.shape}"
            )
        _, height, width, channels = images.shape
        total = np.zeros(channels)
        squares = np.zeros(channels)
        for start in range(0, len(images), _FIT_BLOCK):
            pixels = images[start : start + _FIT_BLOCK].reshape(-1, channels).astype(np.float64)
            total += pixels.sum(axis=0)
            squares += np.einsum("pc,pc->c", pixels, pixels)
        count = len(images) * height * width
        mean = total / count
        # E[x²] - E[x]² loses no digits that matter: float64 sums of integers below 2^53 are exact.
        std = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
        return cls(
            size=(height, width),
            channels=channels,
            mean=tuple((mean / 255.0).tolist()),
            std=tuple(np.maximum(std / 255.0, _SMALLEST_STD).tolist()),
        )

    @classmethod
    def from_dict(cls, settings: dict[str, Any]) -> Preprocessing:
        """The inverse of `to_dict`; ArgumentError where an entry is missing or makes no sense."""
        for name, only in (("resize", "bilinear"), ("crop", "center")):
            if settings.get(name, only) != only:
                raise ArgumentError(
                    f"preprocessing: {name} {settings[name]!r} is not known, only {only!r}"
                )
        try:
            size = settings["size"]
            return cls(
                size=None if size is None else (int(size[0]), int(size[1])),
                channels=int(settings["channels"]),
                mean=tuple(float(value) for value in settings["mean"]),
                std=tuple(float(value) for value in settings["std"]),
                scale=float(settings.get("scale", 255.0)),
            )
        except (KeyError, IndexError, TypeError, ValueError) as error:
            if isinstance(error, ArgumentError):
                raise
            raise ArgumentError(f"preprocessing: bad settings {settings!r} ({error})") from error

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, as they stand in a model file."""
        return {
            "size": None if self.size is None else list(self.size),
            "resize": "bilinear",
            "crop": "center",
            "channels": self.channels,
            "scale": self.scale,
            "mean": list(self.mean),
            "std": list(self.std),
        }

    def apply(self, images: np.ndarray) -> np.ndarray:
        """N×H×W×C uint8 -> N×C×H×W float32, normalised. Sizes are not changed here."""
        images = np.asarray(images)
        if images.ndim != 4 or images.dtype != np.uint8 or images.shape[3] != self.channels:
            raise ShapeError(
                f"preprocessing: needs N×H×W×{self.channels} uint8 pictures, got "
                f"{images.dtype} of shape {images.shape}"
            )
        std = np.asarray(self.std, np.float64)
        factor = (1.0 / (self.scale * std)).astype(np.float32)
        shift = (-np.asarray(self.mean) / std).astype(np.float32)
        planes = images.transpose(0, 3, 1, 2)
        out = np.empty(planes.shape, np.float32)
        np.multiply(planes, factor[:, None, None], out=out)
        out += shift[:, None, None]
        return out

    def resize_and_crop(self, picture: Any) -> np.ndarray:
        """One picture -> H×W×C uint8 of this model's size and channels.

        picture: a file's path, H×W×C or H×W uint8, or a Pillow image. The shorter side is
        resized (bilinear) and the centre cut out, so proportions stay. An array that fits already
        is returned untouched and needs no Pillow.
        """
        if isinstance(picture, np.ndarray):
            pixels = _check_pixels(picture)
            if pixels.shape[2] == self.channels and self.size in (None, pixels.shape[:2]):
                return pixels
        return fit_picture(open_picture(picture), self.size, self.channels)


def _check_pixels(pixels: np.ndarray) -> np.ndarray:
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
        pixels = _check_pixels(picture)
        return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    if isinstance(picture, Image.Image):
        return picture
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


def fit_picture(image: Any, size: tuple[int, int] | None, channels: int) -> np.ndarray:
    """H×W×C uint8 of a Pillow image: colours converted, shorter side resized, centre cut out."""
    from PIL import Image

    mode = "L" if channels == 1 else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    if size is not None and (image.height, image.width) != tuple(size):
        height, width = size
        ratio = max(height / image.height, width / image.width)
        resized = (
            max(width, round(image.width * ratio)),
            max(height, round(image.height * ratio)),
        )
        if resized != image.size:
            image = image.resize(resized, Image.BILINEAR)
        left = (image.width - width) // 2
        top = (image.height - height) // 2
        image = image.crop((left, top, left + width, top + height))
    pixels = np.asarray(image, np.uint8)
    return pixels[:, :, None] if channels == 1 else pixels
