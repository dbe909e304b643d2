"""Writes pictures in the format that a file's ending names."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from .._base.files import write_whole
from ..errors import ArgumentError, FileError
from ..preprocess.pictures import pillow

# Ending -> Pillow's name for the format, and the options for writing it.
_FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {"optimize": True}),
    ".jpg": ("JPEG", {"quality": 92, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 92, "subsampling": 0}),
    ".webp": ("WEBP", {"lossless": True}),
    ".avif": ("AVIF", {"quality": 90}),
    ".tif": ("TIFF", {"compression": "tiff_lzw"}),
    ".tiff": ("TIFF", {"compression": "tiff_lzw"}),
    ".bmp": ("BMP", {}),
    ".gif": ("GIF", {}),
    ".pdf": ("PDF", {"quality": 92, "resolution": 144.0}),
}

# The longest side that these formats can store; Pillow's own message for it helps nobody.
_LONGEST = {"WEBP": 16_383, "JPEG": 65_500, "GIF": 65_535}


def endings() -> list[str]:
    """The endings that this Pillow can write, ".png" first."""
    image = pillow()
    image.init()
    return [ending for ending, (name, _) in _FORMATS.items() if name in image.SAVE]


def check_ending(path: str | os.PathLike[str]) -> None:
    """Raises ArgumentError, naming the known endings, unless the ending is one of them."""
    ending = Path(os.fsdecode(path)).suffix.lower()
    if ending not in endings():
        got = f"{ending} is none that can be" if ending else "it has none"
        raise ArgumentError(
            f"{os.fsdecode(path)}: a picture's format is told by the file's ending, and {got}; "
            f"there are {', '.join(endings())}"
        )


def save_image(path: str | os.PathLike[str], image: Any) -> None:
    """Writes a Pillow image, whole or not at all; raises FileError where it cannot be written."""
    name, options = _FORMATS[Path(os.fsdecode(path)).suffix.lower()]
    longest = max(image.size)
    if longest > _LONGEST.get(name, longest):
        raise FileError(
            f"{os.fsdecode(path)}: {name} holds at most {_LONGEST[name]:,} pixels a side, and this "
            f"picture has {longest:,}; .png holds more"
        )
    content = io.BytesIO()
    try:
        image.save(content, format=name, **options)
    except (OSError, ValueError) as error:
        message = f"{os.fsdecode(path)}: cannot write {name} ({error})"
        raise FileError.of(error, message, path) from error
    write_whole(path, content.getvalue())
