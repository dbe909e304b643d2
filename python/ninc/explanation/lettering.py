"""Draws words into pictures, in whatever script the names of classes are.

Pillow brings a font for Latin script. Names in others are written in a font of the system that has
their letters; letters that none has are drawn as "?".
"""

from __future__ import annotations

import functools
from typing import Any

# Many systems have these fonts; they are looked for by name where Pillow's own lacks letters.
_OTHERS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "wqy-zenhei.ttc",
    "Arial Unicode.ttf",
    "arial.ttf",
    "msgothic.ttc",
    "msyh.ttc",
    "malgun.ttf",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
)


class Lettering:
    """A text that can be drawn, and the font to draw it in.

    text: what is drawn. width: its width in pixels. whole: whether no letter is missing.
    """

    def __init__(self, text: str, points: int) -> None:
        self.font, missing = _best_font(text, points)
        self.text = "".join("?" if letter in missing else letter for letter in text)
        self.whole = not missing
        self.width = int(self.font.getbbox(self.text)[2]) + 1

    def draw(self, canvas: Any, place: tuple[int, int], colour: tuple[int, int, int]) -> None:
        """Draws it on an `ImageDraw` with its upper left corner at (x, y)."""
        canvas.text(place, self.text, fill=colour, font=self.font)


def line_height(points: int) -> int:
    """The distance of lines in pixels, whatever letters are in them."""
    return round(points * 1.4)


def shortened(text: str, points: int, width: int) -> Lettering:
    """The text; its middle is left out where it is wider than `width` pixels."""
    lettering = Lettering(text, points)
    kept = len(text)
    while lettering.width > width and kept > 2:
        kept = min(kept - 1, kept * width // lettering.width + 1)
        front = (kept + 1) // 2
        lettering = Lettering(text[:front] + "..." + text[len(text) - (kept - front) :], points)
    return lettering


def wrapped(text: str, points: int, width: int) -> list[Lettering]:
    """The text in lines of at most `width` pixels, broken between words."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and Lettering(longer, points).width <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return [shortened(line, points, width) for line in lines]


def _best_font(text: str, points: int) -> tuple[Any, frozenset[str]]:
    """The first font with all letters, or the one that lacks fewest, and the letters it lacks."""
    best = _own_font(points)
    fewest: frozenset[str] | None = None
    for font in (best, *_other_fonts(points)):
        missing = frozenset(letter for letter in set(text) if not _has(font, letter))
        if fewest is None or len(missing) < len(fewest):
            best, fewest = font, missing
        if not missing:
            break
    return best, fewest or frozenset()


@functools.cache
def _own_font(points: int) -> Any:
    from PIL import ImageFont

    try:
        return ImageFont.load_default(points)
    except TypeError:  # before 10.1 Pillow has letters of one size
        return ImageFont.load_default()


@functools.cache
def _other_fonts(points: int) -> tuple[Any, ...]:
    from PIL import ImageFont

    found = []
    for name in _OTHERS:
        try:
            found.append(ImageFont.truetype(name, points))
        except (OSError, ImportError):  # no such font here, or a Pillow without FreeType
            continue
    return tuple(found)


@functools.lru_cache(maxsize=4096)
def _has(font: Any, letter: str) -> bool:
    """Tells whether the font draws the letter otherwise than what is no letter at all."""
    if letter.isspace():
        return True
    try:
        font = _unshaped(font)
        return bytes(font.getmask(letter)) != bytes(font.getmask("\U0010ffff"))
    except UnicodeError:  # fonts of fixed pictures know Latin-1 alone
        return letter.isascii()


@functools.cache
def _unshaped(font: Any) -> Any:
    """The font without shaping, which may join a sign that the font lacks to a letter."""
    from PIL import ImageFont

    if not hasattr(font, "font_variant"):
        return font
    return font.font_variant(layout_engine=ImageFont.Layout.BASIC)
