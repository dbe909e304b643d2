"""Pictures that carry a colour profile of their own, brought to sRGB as viewers show them.

Cameras and phones write Adobe RGB and Display P3: taken for sRGB, their colours come out pale.
"""

from __future__ import annotations

import functools
import io
from typing import Any

_MODES = ("RGB", "RGBA")


def to_srgb(image: Any) -> Any:
    """The image in sRGB, where it has an RGB profile of another kind; else the image itself."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in _MODES:
        return image
    transform = _transform(profile, image.mode)
    return image if transform is None else transform.apply(image)


@functools.lru_cache(maxsize=32)  # a folder's pictures come from a few cameras
def _transform(profile: bytes, mode: str) -> Any:
    """What turns the profile's colours into sRGB's; None where nothing is to be done.

    A profile that cannot be read is passed over, as viewers do: the pixels may still be whole.
    """
    try:
        from PIL import ImageCms

        found = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = found.profile.xcolor_space.strip()
        if space != "RGB" or "srgb" in (found.profile.profile_description or "").lower():
            return None
        return ImageCms.buildTransform(found, ImageCms.createProfile("sRGB"), mode, mode)
    except Exception:  # littlecms may be missing, and raises errors of many kinds over damaged data
        return None
