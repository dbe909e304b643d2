"""Brings pictures that carry a colour profile of their own to sRGB, as viewers show them.

Cameras and phones write Adobe RGB and Display P3; colours of these that are taken for sRGB come out
pale.
"""

from __future__ import annotations

import functools
import io
from typing import Any

import numpy as np

_MODES = ("RGB", "RGBA")

# A profile that moves no colour of a grid by more than this is sRGB, whatever it is called.
_ROUNDING = 1


def to_srgb(image: Any) -> Any:
    """The image in sRGB where it has an RGB profile of another kind, else the image itself."""
    profile = image.info.get("icc_profile")
    if not profile:
        return image
    if image.mode == "P":
        image = image.convert("RGB")
    if image.mode not in _MODES:
        return image
    transform = _transform(profile, image.mode)
    return image if transform is None else transform.apply(image)


@functools.lru_cache(maxsize=32)  # a folder's pictures come from few cameras
def _transform(profile: bytes, mode: str) -> Any:
    """Pillow's transform from the profile's colours to sRGB's; None where nothing is to be done.

    A profile that cannot be read is passed over, as viewers do, since the pixels may still be
    whole.
    """
    try:
        from PIL import Image, ImageCms

        found = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if found.profile.xcolor_space.strip() != "RGB":
            return None
        transform = ImageCms.buildTransform(found, ImageCms.createProfile("sRGB"), mode, mode)
        steps = np.linspace(0, 255, 9).astype(np.uint8)
        grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
        colours = Image.fromarray(grid).convert(mode)
        moved = np.asarray(transform.apply(colours), np.int16) - np.asarray(colours)
        return None if np.abs(moved).max() <= _ROUNDING else transform
    except Exception:  # littlecms may be missing, and raises errors of many kinds over damaged data
        return None
