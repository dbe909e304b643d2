"""What a model says about its pictures: their size, their channels and what is done to them.

    kind "normalize"    y[c, i, j] = (x[i, j, c] / scale - mean[c]) / std[c]
    kind "gcn_zca"      the paper's contrast normalisation and whitening; see `whitening`

x: H×W×C uint8, RGB or grey; y: C×H×W float32. Numbers are those of the training pictures, so a
model file carries all it needs to read a new picture as it read the old ones.
"""

from __future__ import annotations

import dataclasses
import operator
import reprlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from .pictures import check_pixels, fit_picture, open_picture
from .whitening import Whitening

KINDS = ("normalize", "gcn_zca")

# The names of a whitening's arrays among a model's extras.
WHITENING_ARRAYS = MEAN, MATRIX = "preprocessing.mean", "preprocessing.matrix"

# Pictures counted at a time by `fit`: float64 sums of a whole data set would need 8 bytes a pixel.
_FIT_BLOCK = 1024

# No network here takes larger pictures, and one of this size has 200 MB.
_LARGEST_SIDE = 8192

# A picture of one flat colour has deviation 0; dividing by it would end in infinities.
_SMALLEST_STD = 1e-3


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """Size, channels and normalisation of a network's pictures.

    size: (height, width) every picture is brought to, or None to take pictures as they are.
    channels: 3 (RGB) or 1 (grey).
    scale: what pixels are divided by first; 255 brings uint8 into 0..1.
    mean, std: one number a channel, in units of scaled pixels.
    resize: what the shorter side of a picture is brought to before `size` is cut out of its
        centre, such as 256 for 224×224; None: the least that covers `size`.
    whitening: what is done in place of the normalisation, whose numbers are then 0, 1 and 1. It
        ties the network to pictures of `size`.
    """

    size: tuple[int, int] | None
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float = 255.0
    resize: int | None = None
    whitening: Whitening | None = None

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
        if max((*(self.size or ()), self.resize or 0)) > _LARGEST_SIDE:
            raise ArgumentError(
                f"preprocessing: size and resize must be at most {_LARGEST_SIDE}, got "
                f"{self.size} and {self.resize}"
            )
        if self.resize is not None and (self.size is None or self.resize < max(self.size)):
            raise ArgumentError(
                f"preprocessing: resize must be at least both sides of size, got {self.resize} "
                f"for size {self.size}"
            )
        if self.whitening is not None:
            self._check_whitening(self.whitening)

    def _check_whitening(self, whitening: Whitening) -> None:
        if self.size is None or np.prod(self.size) * self.channels != len(whitening.mean):
            raise ArgumentError(
                f"preprocessing: a whitening of {len(whitening.mean)} values does not fit "
                f"{self.channels} channels of size {self.size}"
            )
        if any(self.mean) or (*self.std, self.scale) != (1.0,) * (self.channels + 1):
            raise ArgumentError("preprocessing: a whitening needs mean 0, std 1 and scale 1")

    @property
    def kind(self) -> str:
        """ "normalize" or "gcn_zca"."""
        return "normalize" if self.whitening is None else "gcn_zca"

    @classmethod
    def fit(
        cls,
        images: np.ndarray,
        kind: str = "normalize",
        *,
        resize: int | None = None,
        progress: bool = False,
    ) -> Preprocessing:
        """What fits the training pictures `images`: N×H×W×C uint8, N at least 1.

        images: an array, or what has its shape and dtype and gives blocks of it by slicing, so
            that pictures may stay in a file.
        kind: "normalize" takes means and deviations over N, H and W; "gcn_zca" the paper's
            whitening, D³ operations for the D = H*W*C values of a picture.
        resize: how the pictures were made; see `Preprocessing.resize`.
        progress: shows how far a long fit is.

        Raises ArgumentError for an unknown kind, ShapeError for other arrays and for pictures too
        large to be whitened.
        """
        if kind not in KINDS:
            raise ArgumentError(
                f"Preprocessing.fit: kind must be one of {', '.join(KINDS)}, got {kind!r}"
            )
        if not hasattr(images, "dtype"):
            images = np.asarray(images)
        if len(images.shape) != 4 or images.dtype != np.uint8 or 0 in images.shape:
            raise ShapeError(
                "Preprocessing.fit: needs N×H×W×C uint8 pictures, got "
                f"{images.dtype} of shape {images.shape}"
            )
        _, height, width, channels = images.shape
        if channels not in (1, 3):
            raise ShapeError(f"Preprocessing.fit: pictures have 1 or 3 channels, got {channels}")
        size = (int(height), int(width))
        if kind == "gcn_zca":
            ones, whitening = (1.0,) * channels, Whitening.fit(images, progress)
            return cls(size, channels, (0.0,) * channels, ones, 1.0, resize, whitening)
        mean, std = _statistics(images)
        return cls(size, channels, tuple(mean.tolist()), tuple(std.tolist()), 255.0, resize)

    @classmethod
    def from_dict(
        cls, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None
    ) -> Preprocessing:
        """The inverse of `to_dict`, with the `arrays` that kind "gcn_zca" has beside it.

        Raises ArgumentError where an entry or array is missing or makes no sense.
        """
        resize, kind = settings.get("resize", "bilinear"), settings.get("kind", "normalize")
        for name, value, known in (
            ("resize", resize, ("bilinear",)),
            ("crop", settings.get("crop", "center"), ("center",)),
            ("kind", kind, KINDS),
        ):
            if isinstance(value, str) and value not in known:
                raise ArgumentError(
                    f"preprocessing: {name} {reprlib.repr(value)} is not known, only "
                    f"{', '.join(known)}"
                )
        try:
            size = settings["size"]
            return cls(
                size=None if size is None else _whole_pair(size),
                channels=operator.index(settings["channels"]),
                mean=tuple(float(value) for value in settings["mean"]),
                std=tuple(float(value) for value in settings["std"]),
                scale=float(settings.get("scale", 255.0)),
                resize=None if resize == "bilinear" else operator.index(resize),
                whitening=None if kind == "normalize" else _whitening(settings, arrays or {}),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            if isinstance(error, ArgumentError):
                raise
            raise ArgumentError(
                f"preprocessing: bad settings {reprlib.repr(settings)} ({error})"
            ) from error

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, as they stand in a model file.

        "resize" is the shorter side's length where it is set, else "bilinear", the way pictures
        are resized in both cases. Kind "gcn_zca" has `arrays` beside it.
        """
        settings = {
            "size": None if self.size is None else list(self.size),
            "resize": "bilinear" if self.resize is None else self.resize,
            "crop": "center",
            "channels": self.channels,
            "scale": self.scale,
            "mean": list(self.mean),
            "std": list(self.std),
        }
        if self.whitening is not None:
            settings["kind"] = self.kind
            settings["contrast"] = self.whitening.scale
            settings["epsilon"] = self.whitening.epsilon
        return settings

    def arrays(self) -> dict[str, np.ndarray]:
        """What stands beside `to_dict` in a model file: of kind "gcn_zca" its mean and matrix."""
        if self.whitening is None:
            return {}
        return {MEAN: self.whitening.mean, MATRIX: self.whitening.matrix}

    def describe(self) -> str:
        """ "32×32, RGB, mean 0.4914, 0.4822, 0.4465, std 0.2470, 0.2435, 0.2616"."""
        size = "any size" if self.size is None else "×".join(map(str, self.size))
        if self.resize is not None:
            size += f" cut from a shorter side of {self.resize}"
        parts = [size, "RGB" if self.channels == 3 else "grey"]
        if self.whitening is not None:
            parts.append("contrast normalised and ZCA-whitened")
        else:
            parts.append("mean " + ", ".join(f"{value:.4f}" for value in self.mean))
            parts.append("std " + ", ".join(f"{value:.4f}" for value in self.std))
        return ", ".join(parts)

    def apply(self, images: np.ndarray, threads: int | None = None) -> np.ndarray:
        """N×H×W×C uint8 -> N×C×H×W float32, normalised or whitened. Sizes are not changed here.

        threads: whiten on so many; None uses what the process may. The bits are the same.

        Raises ShapeError for other arrays, and for another size than a whitening was fitted to.
        """
        images = np.asarray(images)
        if images.ndim != 4 or images.dtype != np.uint8 or images.shape[3] != self.channels:
            raise ShapeError(
                f"preprocessing: needs N×H×W×{self.channels} uint8 pictures, got "
                f"{images.dtype} of shape {images.shape}"
            )
        if self.whitening is not None:
            if images.shape[1:3] != self.size:
                raise ShapeError(
                    "preprocessing: the whitening was fitted to pictures of "
                    f"{self.size[0]}×{self.size[1]}, got {images.shape[1]}×{images.shape[2]}; "
                    "bring them to that size first"
                )
            return self.whitening.apply(images, threads)
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
        resized (bilinear) and the centre cut out, so proportions stay. An array of the right size
        is taken as cut out already: it is returned untouched and needs no Pillow.
        """
        if isinstance(picture, np.ndarray):
            pixels = check_pixels(picture)
            if pixels.shape[2] == self.channels and self.size in (None, pixels.shape[:2]):
                return pixels
        return fit_picture(open_picture(picture), self.size, self.channels, self.resize)


def _statistics(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and deviations of N×H×W×C uint8 over N, H and W, in units of 255."""
    channels = images.shape[3]
    total = np.zeros(channels)
    squares = np.zeros(channels)
    for start in range(0, len(images), _FIT_BLOCK):
        block = np.asarray(images[start : start + _FIT_BLOCK])
        pixels = block.reshape(-1, channels).astype(np.float64)
        total += pixels.sum(axis=0)
        squares += np.einsum("pc,pc->c", pixels, pixels)
    count = np.prod(images.shape[:3], dtype=np.float64)
    mean = total / count
    # E[x²] - E[x]² loses no digits that matter: float64 sums of integers below 2^53 are exact.
    std = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    return mean / 255.0, np.maximum(std / 255.0, _SMALLEST_STD)


def _whitening(settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Whitening:
    for name in (MEAN, MATRIX):
        if name not in arrays:
            raise ArgumentError(
                f"preprocessing: kind 'gcn_zca' needs the array {name!r} that is stored beside it"
            )
    return Whitening(
        arrays[MEAN], arrays[MATRIX], float(settings["contrast"]), float(settings["epsilon"])
    )


def _whole_pair(size: Any) -> tuple[int, int]:
    height, width = size
    return operator.index(height), operator.index(width)
