"""The drawn explanation: a picture beside its heat, with class, probability and a scale."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..preprocess.pictures import pillow
from .colours import overlay
from .heat import Box
from .lettering import Lettering, line_height, shortened, wrapped

# Small pictures are enlarged by a whole number, so that their pixels stay squares, until the longer
# side is near the first; large ones are shown smaller, with the second.
_USUAL_SIDE, _MOST_SIDE = 384, 640

PAPER, INK, FAINT, FRAME = (255, 255, 255), (25, 25, 25), (105, 105, 105), (200, 200, 200)
_TITLE, _TEXT = 22, 14  # of letters, in points
_MARGIN, _GAP = 24, 14
_BAR_WIDTH, _LEAST_BAR = 16, 120  # of the colour scale: its width and its least height
_LEAST_WIDTH = 480  # of a sheet, since words need room beside narrow pictures

# Where no place has more heat than this, the picture is grey and words say why.
_NOTHING = 0.05

_LEGENDS = {
    "cam": "Colour: by how much each place speaks more for the class than the weakest place does, "
    "in units of the class's score. The scale ends at the most that the picture has for any class.",
    "grad-cam": "Colour (Grad-CAM): by how much a layer's maps, weighted by the gradients of the "
    "class's score, raise it more at each place than at the weakest one, in units of the score. "
    "Each picture's scale ends at the most that it has for this class.",
}


@dataclasses.dataclass(frozen=True)
class Row:
    """One explanation, ready to be drawn: Pillow images of at most 640 pixels a side, and words.

    bar: the colour scale. title, facts, remarks: the lines above the pictures. method: which tells
    what the colours mean.
    """

    picture: Any
    overlay: Any
    bar: Any
    title: str
    facts: str
    remarks: tuple[str, ...]
    method: str


def row(explained: Any) -> Row:
    """The row of an `Explanation`, which keeps nothing of that large object."""
    longer = max(explained.heat.shape)
    times = max(1, round(_USUAL_SIDE / longer))
    scale = times if times > 1 else min(1.0, _MOST_SIDE / longer)
    shown, laid_over = panels(explained.picture, explained.heat, explained.seen, scale)
    percent = f"{explained.probability:.1%}"
    title = f"{explained.name}: {percent}"
    if not Lettering(title, _TITLE).whole:
        title = f"{explained.name} (class {explained.label}): {percent}"
    height, width = explained.heat.shape
    facts = f"{width} by {height} pixels"
    if explained.source:
        facts = f"{explained.source}, {facts}"
    if explained.method == "grad-cam":
        facts += f", by gradients at {explained.layer}"
    remarks = []
    left, top, right, bottom = explained.seen
    if left > 0 or top > 0 or right < width or bottom < height:
        remarks.append("The network did not see what is striped.")
    if explained.heat.max() < _NOTHING:
        remarks.append("Next to nothing in this picture speaks for this class.")
    bar = _bar(explained.scale, max(shown.height, _LEAST_BAR))
    return Row(shown, laid_over, bar, title, facts, tuple(remarks), explained.method)


def sheet(rows: Sequence[Row]) -> Any:
    """A Pillow image of rows below one another, and of what the colours mean."""
    width = max(2 * (row.picture.width + _GAP) + row.bar.width for row in rows)
    width = max(width, _LEAST_WIDTH)
    parts = [_drawn(row, width) for row in rows] + legends([row.method for row in rows], width)
    height = sum(part.height for part in parts) + 2 * _GAP * (len(parts) - 1)
    drawn = pillow().new("RGB", (width + 2 * _MARGIN, height + 2 * _MARGIN), PAPER)
    y = _MARGIN
    for part in parts:
        drawn.paste(part, (_MARGIN, y))
        y += part.height + 2 * _GAP
    return drawn


def _drawn(row: Row, width: int) -> Any:
    """A row as an image of `width`, which is enough for its pictures."""
    lines = [(shortened(row.title, _TITLE, width), line_height(_TITLE), INK)]
    lines.append((shortened(row.facts, _TEXT, width), line_height(_TEXT), FAINT))
    for remark in row.remarks:
        lines += [(line, line_height(_TEXT), INK) for line in wrapped(remark, _TEXT, width)]
    top = sum(height for _, height, _ in lines) + _GAP // 2
    drawn = pillow().new("RGB", (width, top + max(row.picture.height, row.bar.height)), PAPER)
    drawing = canvas(drawn)
    y = 0
    for line, height, colour in lines:
        line.draw(drawing, (0, y), colour)
        y += height
    step = row.picture.width + _GAP
    for panel, x in ((row.picture, 0), (row.overlay, step)):
        drawn.paste(panel, (x, top))
        # Without a frame a white picture would have no edge.
        drawing.rectangle((x, top, x + panel.width - 1, top + panel.height - 1), outline=FRAME)
    drawn.paste(row.bar, (2 * step, top))
    return drawn


def panels(pixels: np.ndarray, heat: np.ndarray, seen: Box, scale: float) -> tuple[Any, Any]:
    """The picture and its overlay, shown larger by a whole number or smaller by any."""
    image = pillow()
    height, width = heat.shape
    shown = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = image.fromarray(np.broadcast_to(pixels, (height, width, 3)).copy())
    warmth = image.fromarray(heat)
    if shown != (width, height):
        picture = picture.resize(shown, image.NEAREST if scale > 1 else image.LANCZOS)
        warmth = warmth.resize(shown, image.BICUBIC if scale > 1 else image.BOX)
    left, top, right, bottom = seen
    x, y = shown[0] / width, shown[1] / height
    heat = np.clip(np.asarray(warmth), 0.0, 1.0)
    coloured = overlay(np.asarray(picture), heat, (left * x, top * y, right * x, bottom * y))
    return picture, image.fromarray(coloured)


def _bar(scale: float, height: int) -> Any:
    """The colours from 0 to 1, as they look over mid grey, and the numbers they stand for."""
    high, low = Lettering(f"+{scale:.3g}", _TEXT), Lettering("0", _TEXT)
    width = _BAR_WIDTH + 6 + max(high.width, low.width)
    drawn = pillow().new("RGB", (width, height), PAPER)
    heat = np.repeat(np.linspace(1.0, 0.0, height)[:, None], _BAR_WIDTH, axis=1)
    grey = np.full((height, _BAR_WIDTH, 1), 128, np.uint8)
    colours = overlay(grey, heat, (0.0, 0.0, _BAR_WIDTH, height))
    drawn.paste(pillow().fromarray(colours), (0, 0))
    drawing = canvas(drawn)
    high.draw(drawing, (_BAR_WIDTH + 6, 0), INK)
    low.draw(drawing, (_BAR_WIDTH + 6, height - line_height(_TEXT) + 3), INK)
    return drawn


def legends(methods: Iterable[str], width: int) -> list[Any]:
    """What the colours of these methods mean, an image of `width` for each."""
    return [_words(_LEGENDS[method], width) for method in dict.fromkeys(methods)]


def _words(text: str, width: int) -> Any:
    """A paragraph as an image."""
    lines = wrapped(text, _TEXT, width)
    drawn = pillow().new("RGB", (width, line_height(_TEXT) * len(lines)), PAPER)
    for number, line in enumerate(lines):
        line.draw(canvas(drawn), (0, number * line_height(_TEXT)), FAINT)
    return drawn


def canvas(image: Any) -> Any:
    from PIL import ImageDraw

    return ImageDraw.Draw(image)
