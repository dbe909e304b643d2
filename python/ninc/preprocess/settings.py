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

from .._base.arguments import array, listed, one_of, real, shown
from .._base.array_types import Bytes, Floats, FloatsLike, ImagesLike, OfAnyLibrary, PictureLike
from .._base.arrays import is_in_memory
from ..errors import ArgumentError, ShapeError
from .framing import FITS, Framing
from .pictures import RGB, WHITE, conversion
from .statistics import channel_statistics
from .whitening import Whitening

KINDS = ("normalize", "gcn_zca")

# What a whitening's arrays are called among a model's extras.
WHITENING_ARRAYS = MEAN, MATRIX = "preprocessing.mean", "preprocessing.matrix"

# Every entry of `to_dict`, and "crop", which older files have. A file with other entries is
# refused, since what they ask for would not be done. The core has the same list (stored_texts.cc).
_ENTRIES = frozenset(
    ("size", "resize", "crop", "fit", "ground", "channels", "scale", "mean", "std", "kind")
    + ("contrast", "epsilon")
)


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
    fit_mode: "crop", "pad" or "squash": how pictures of other proportions are brought to `size`.
        Stored as "fit".
    ground: RGB, what lies under transparent pixels and beside padded pictures.

    `Framing` says more of these five.
    """

    size: tuple[int, int] | None
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float = 255.0
    resize: int | None = None
    whitening: Whitening | None = None
    fit_mode: str = "crop"
    ground: RGB = WHITE

    def __post_init__(self) -> None:
        try:
            framing = self.framing
        except ArgumentError as error:
            raise ArgumentError(f"preprocessing: {error}") from None
        numbers: dict[str, Any] = {
            name: tuple(
                real("preprocessing", name, value)
                for value in listed("preprocessing", name, getattr(self, name), "numbers")
            )
            for name in ("mean", "std")
        }
        numbers["scale"] = real("preprocessing", "scale", self.scale)
        for name, value in {**numbers, "size": framing.size, "ground": framing.ground}.items():
            object.__setattr__(self, name, value)
        if len(self.mean) != self.channels or len(self.std) != self.channels:
            raise ArgumentError(
                f"preprocessing: {self.channels} channels need as many means and deviations, "
                f"got {len(self.mean)} and {len(self.std)}"
            )
        if not all(np.isfinite([*self.mean, *self.std, self.scale])):
            raise ArgumentError("preprocessing: mean, std and scale must be finite")
        if min(self.std) <= 0 or self.scale <= 0:
            raise ArgumentError("preprocessing: std and scale must be positive")
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            factor, shift = self.factors()
            extremes = [255 * factor, shift, 255 * factor + shift]
        if not np.isfinite(extremes).all():
            raise ArgumentError(
                "preprocessing: mean, std and scale give numbers that float32 cannot hold"
            )
        whitening = self.whitening
        if whitening is None:
            return
        if not isinstance(whitening, Whitening):
            raise ArgumentError(
                f"preprocessing: whitening must be a Whitening, got {shown(whitening)}"
            )
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

    @property
    def framing(self) -> Framing:
        """How a picture of any size and kind becomes the pixels that are normalised."""
        return Framing(self.size, self.channels, self.resize, self.fit_mode, self.ground)

    @classmethod
    def fit(
        cls,
        images: ImagesLike,
        kind: str = "normalize",
        *,
        framing: Framing | None = None,
        progress: bool = False,
    ) -> Preprocessing:
        """Fits a preprocessing to the training pictures `images`: N×H×W×C uint8, N at least 1.

        images: an array, or what has its shape and dtype and gives blocks of it by slicing, so
            that pictures may stay in a file.
        kind: "normalize" takes means and deviations over N, H and W; "gcn_zca" the paper's
            whitening, D³ operations for the D = H*W*C values of a picture.
        framing: how the pictures were brought to their size, where that is known, so that others
            are brought there in the same way.
        progress: shows how far a long fit is.

        Remarks on pictures that have one value all over, such as black ones, among others.

        Raises ArgumentError for an unknown kind, ShapeError for other arrays and for pictures too
        large to be whitened.
        """
        one_of("Preprocessing.fit", "kind", kind, KINDS)
        if framing is not None and not isinstance(framing, Framing):
            raise ArgumentError(
                f"Preprocessing.fit: framing must be a Framing, got {shown(framing)}"
            )
        pixels: Any = images
        if not hasattr(pixels, "dtype") or isinstance(pixels, np.ndarray) or is_in_memory(pixels):
            pixels = array("Preprocessing.fit", "images", pixels)
        if len(pixels.shape) != 4 or pixels.dtype != np.uint8 or 0 in pixels.shape:
            raise ShapeError(
                "Preprocessing.fit: needs N×H×W×C uint8 pictures, got "
                f"{pixels.dtype} of shape {pixels.shape}{conversion(pixels.dtype, pixels.shape)}"
            )
        _, height, width, channels = pixels.shape
        if channels not in (1, 3):
            raise ShapeError(
                f"Preprocessing.fit: pictures have 1 or 3 channels, got {channels}, of shape "
                f"{tuple(pixels.shape)}" + conversion(pixels.dtype, pixels.shape)
            )
        size = (int(height), int(width))
        framing = framing or Framing(size, channels)
        rest: dict[str, Any] = dict(
            resize=framing.resize, fit_mode=framing.fit, ground=framing.ground
        )
        if kind == "gcn_zca":
            ones, whitening = (1.0,) * channels, Whitening.fit(pixels, progress)
            return cls(size, channels, (0.0,) * channels, ones, 1.0, whitening=whitening, **rest)
        mean, std = channel_statistics(pixels)
        return cls(size, channels, mean, std, 255.0, **rest)

    @classmethod
    def from_dict(
        cls, settings: Mapping[str, Any], arrays: Mapping[str, FloatsLike] | None = None
    ) -> Preprocessing:
        """The inverse of `to_dict`, with the `arrays` that kind "gcn_zca" has beside it.

        Raises ArgumentError where an entry or array is missing or makes no sense.
        """
        for given in (settings, {} if arrays is None else arrays):
            if not isinstance(given, Mapping):
                raise ArgumentError(f"preprocessing: a dictionary is needed, got {shown(given)}")
        unknown = [name for name in settings if name not in _ENTRIES]
        if unknown:
            raise ArgumentError(
                f"preprocessing: entry {reprlib.repr(unknown[0])} is not known to this ninc, which "
                "would not do what it asks for"
            )
        resize, kind = settings.get("resize", "bilinear"), settings.get("kind", "normalize")
        fit = settings.get("fit", "crop")
        for name, value, known in (
            ("resize", resize, ("bilinear",)),
            ("crop", settings.get("crop", "center"), ("center",)),
            ("kind", kind, KINDS),
            ("fit", fit, FITS),
        ):
            if isinstance(value, str) and value not in known:
                raise ArgumentError(
                    f"preprocessing: {name} {reprlib.repr(value)} is not known, only "
                    f"{', '.join(known)}"
                )
        try:
            return cls(
                size=settings["size"],
                channels=operator.index(settings["channels"]),
                mean=settings["mean"],
                std=settings["std"],
                scale=settings.get("scale", 255.0),
                resize=None if resize == "bilinear" else operator.index(resize),
                whitening=None if kind == "normalize" else _whitening(settings, arrays or {}),
                fit_mode=fit,
                ground=settings.get("ground", WHITE),
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
            "fit": self.fit_mode,
            "ground": list(self.ground),
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

    def arrays(self) -> dict[str, Floats]:
        """What stands beside `to_dict` in a model file: of kind "gcn_zca" its mean and matrix."""
        if self.whitening is None:
            return {}
        return {MEAN: self.whitening.mean, MATRIX: self.whitening.matrix}

    def describe(self) -> str:
        """ "32×32 by crop, RGB, mean 0.4914, 0.4822, 0.4465, std 0.2470, 0.2435, 0.2616"."""
        parts = [self.framing.describe()]
        if self.whitening is not None:
            parts.append("contrast normalised and ZCA-whitened")
        else:
            parts.append("mean " + ", ".join(f"{value:.4f}" for value in self.mean))
            parts.append("std " + ", ".join(f"{value:.4f}" for value in self.std))
        return ", ".join(parts)

    def apply(self, images: OfAnyLibrary[np.uint8], threads: int | None = None) -> Floats:
        """N×H×W×C uint8 -> N×C×H×W float32, normalised or whitened. Sizes are not changed here.

        threads: whiten on so many; None uses what the process may. The bits are the same.

        Raises ShapeError for other arrays, and for another size than a whitening was fitted to.
        """
        pixels = array("preprocessing", "images", images)
        if pixels.ndim != 4 or pixels.dtype != np.uint8 or pixels.shape[3] != self.channels:
            raise ShapeError(
                f"preprocessing: needs N×H×W×{self.channels} uint8 pictures, got "
                f"{pixels.dtype} of shape {pixels.shape}{conversion(pixels.dtype, pixels.shape)}"
            )
        if self.whitening is not None:
            if pixels.shape[1:3] != self.size:
                fitted = "×".join(map(str, self.size or ()))
                raise ShapeError(
                    f"preprocessing: the whitening was fitted to pictures of {fitted}, got "
                    f"{pixels.shape[1]}×{pixels.shape[2]}; bring them to that size first"
                )
            return self.whitening.apply(pixels, threads)
        factor, shift = self.factors()
        planes = pixels.transpose(0, 3, 1, 2)
        out = np.empty(planes.shape, np.float32)
        np.multiply(planes, factor[:, None, None], out=out)
        out += shift[:, None, None]
        return out

    def factors(self) -> tuple[Floats, Floats]:
        """(factor, shift), a float32 a channel: normalising gives factor * x + shift."""
        std = np.asarray(self.std, np.float64)
        factor, shift = 1.0 / (self.scale * std), -np.asarray(self.mean) / std
        return factor.astype(np.float32), shift.astype(np.float32)

    def resize_and_crop(self, picture: PictureLike) -> Bytes:
        """One picture -> H×W×C uint8 of this model's size and channels; see `Framing.pixels`."""
        return self.framing.pixels(picture)


def _whitening(settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> Whitening:
    for name in (MEAN, MATRIX):
        if name not in arrays:
            raise ArgumentError(
                f"preprocessing: kind 'gcn_zca' needs the array {name!r} that is stored beside it"
            )
    return Whitening(
        arrays[MEAN], arrays[MATRIX], float(settings["contrast"]), float(settings["epsilon"])
    )
