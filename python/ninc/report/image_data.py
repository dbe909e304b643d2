"""Small pictures as data URIs: parts of the page that need no file beside it."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from importlib.util import find_spec

import numpy as np

from .._base.array_types import Bytes

# Pictures up to this side stay as they are, to the pixel, and are written as PNG.
_SMALL = 64
# The longest side that is shown of others: as JPEG where Pillow is there, else as PNG.
_LONGEST = 144

_QUALITY = 80  # of JPEG


def longest_side() -> int:
    """No picture of a page is longer than this, in pixels."""
    return _LONGEST if find_spec("PIL") is not None else _SMALL


def reduced(values: np.ndarray, longest: int) -> np.ndarray:
    """H×W or H×W×C -> the same type, at most `longest` a side, by means of whole blocks."""
    height, width = values.shape[:2]
    times = -(-max(height, width) // longest)
    if times == 1:
        return values
    # A last block that is not whole repeats the edge.
    spare = ((0, -height % times), (0, -width % times), *((0, 0),) * (values.ndim - 2))
    padded = np.pad(values, spare, mode="edge")
    rows, columns = padded.shape[0] // times, padded.shape[1] // times
    blocks = padded.reshape(rows, times, columns, times, *values.shape[2:])
    means = blocks.mean(axis=(1, 3), dtype=np.float64)
    if values.dtype == np.uint8:
        means = np.rint(means)
    return means.astype(values.dtype)


def data_uri(pixels: Bytes) -> str:
    """H×W×3 or H×W×1 uint8 -> "data:image/png;base64,...", or of a JPEG."""
    if max(pixels.shape[:2]) > _SMALL and find_spec("PIL") is not None:
        kind, content = "jpeg", _jpeg(pixels)
    else:
        kind, content = "png", png(pixels)
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _jpeg(pixels: Bytes) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    flat = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    Image.fromarray(flat).save(content, "JPEG", quality=_QUALITY, optimize=True)
    return content.getvalue()


def png(pixels: Bytes) -> bytes:
    """A PNG file of H×W×3 or H×W×1 uint8 (ISO/IEC 15948), written without Pillow.

    Of three filters (none, difference to the left, difference to the row above) the one is taken
    that compresses the whole picture best.
    """
    height, width, channels = pixels.shape
    left, above = pixels.copy(), pixels.copy()
    left[:, 1:] -= pixels[:, :-1]  # differences modulo 256, as uint8 has them
    above[1:] -= pixels[:-1]
    filtered = []
    for number, rows in enumerate((pixels, left, above)):
        lines = np.full((height, 1 + width * channels), number, np.uint8)
        lines[:, 1:] = rows.reshape(height, -1)
        filtered.append(zlib.compress(lines.tobytes(), 9))
    colour_type = 0 if channels == 1 else 2
    head = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    chunks = (b"IHDR", head), (b"IDAT", min(filtered, key=len)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
