"""Many explanations on one picture: each beside its heat, with what the network said beneath."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from .._base.arguments import integer, is_iterable, shown
from ..errors import ArgumentError
from ..preprocess.pictures import pillow
from .explanation import Explanation
from .figure import FAINT, FRAME, INK, PAPER, canvas, legends, panels
from .lettering import line_height, shortened

if TYPE_CHECKING:
    from PIL import Image

# A sheet of so many photographs has some 50 million pixels, what programs still open.
MOST_ON_A_CONTACT_SHEET = 500

# Sides of a picture in a cell: of small ones, which a whole number enlarges, and of photographs.
_SMALL_SIDE, _LARGE_SIDE = 128, 192

_TEXT, _TITLE = 13, 20  # of letters, in points
_MARGIN, _GAP, _SEAM = 24, 18, 4  # around the sheet, between cells, between picture and heat
_MARK = 12  # the side of the tick or cross in front of an answer
_LEAST_CELL = 180  # words need room beneath narrow pictures
_SHAPE = 4 / 3  # width by height that a sheet is near to where no number of columns is told

# Both are dark enough on white; the marks are told apart by their form, too.
_RIGHT, _WRONG = (20, 110, 45), (185, 25, 25)


@dataclasses.dataclass(frozen=True)
class Cell:
    """One explanation, ready to be drawn.

    right: whether the network's answer is the true class; None where nobody said which that is.
    answer: the first line. lines: those below it.
    """

    picture: Any
    overlay: Any
    right: bool | None
    answer: str
    lines: tuple[str, ...]
    method: str


def contact_sheet(
    explanations: Iterable[Explanation],
    truths: Sequence[str | None] | None = None,
    columns: int | None = None,
    title: str = "",
) -> Image.Image:
    """A Pillow image of many explanations, in rows from the upper left on.

        found = [ninc.explain(net, path) for path in paths]
        ninc.contact_sheet(found, [path.parent.name for path in paths]).save("sheet.png")

    explanations: at least one, at most 500. Of an iterator no more than a small picture each is
        kept, so that it may give any number of large ones.
    truths: the true class's name for each, None where it is not known. A tick or a cross then says
        whether the network was right, and the head of the sheet how often.
    columns: how many stand side by side; None for a sheet that is a little wider than high.
    title: a line above.

    Each cell has the picture, small ones enlarged by a whole number and large ones shown smaller,
    the heat over it, the network's answer with its probability, the true class where it is known,
    the class explained where that is another, and the file's name.

    Raises ArgumentError for no explanations, for too many, and for truths of another number.
    """
    where = "contact_sheet"
    if columns is not None:
        columns = integer(where, "columns", columns)
    if not isinstance(title, str):
        raise ArgumentError(f"{where}: title must be a string, got {shown(title)}")
    return sheet_of(_cells(where, explanations, truths), columns, title)


def sheet_of(cells: Sequence[Cell], columns: int | None = None, title: str = "") -> Any:
    """The sheet of at least one cell; see `contact_sheet`."""
    head = [text for text in (title, _count(cells)) if text]
    width = max(_LEAST_CELL, *(_width(cell) for cell in cells))
    above = max(cell.picture.height for cell in cells)
    height = above + 6 + line_height(_TEXT) * (1 + max(len(cell.lines) for cell in cells))
    if columns is None:
        ratio = _SHAPE * (height + _GAP) / (width + _GAP)
        columns = max(1, round(math.sqrt(len(cells) * ratio)))
    columns = min(columns, len(cells))
    rows = math.ceil(len(cells) / columns)
    inner = columns * (width + _GAP) - _GAP
    notes = legends([cell.method for cell in cells], inner)
    top = _MARGIN + line_height(_TITLE) * len(head) + (_GAP if head else 0)
    bottom = top + rows * (height + _GAP)
    under = sum(note.height + _GAP for note in notes) - _GAP + _MARGIN
    sheet = pillow().new("RGB", (inner + 2 * _MARGIN, bottom + under), PAPER)
    for number, text in enumerate(head):
        place = (_MARGIN, _MARGIN + number * line_height(_TITLE))
        shortened(text, _TITLE, inner).draw(canvas(sheet), place, INK)
    for number, each in enumerate(cells):
        row, column = divmod(number, columns)
        place = _MARGIN + column * (width + _GAP), top + row * (height + _GAP)
        _draw(sheet, each, place, width, above)
    for note in notes:
        sheet.paste(note, (_MARGIN, bottom))
        bottom += note.height + _GAP
    return sheet


def _cells(where: str, explanations: Any, truths: Any) -> list[Cell]:
    if isinstance(explanations, Explanation) or not is_iterable(explanations):
        raise ArgumentError(
            f"{where}: a list of explanations is needed, got {type(explanations).__name__}"
        )
    if truths is not None:
        if isinstance(truths, str) or not is_iterable(truths):
            raise ArgumentError(f"{where}: truths must be a list of names, got {shown(truths)}")
        truths = list(truths)
        for truth in truths:
            if not (truth is None or isinstance(truth, str)):
                raise ArgumentError(f"{where}: a truth must be a class's name, got {shown(truth)}")
    cells = []
    for number, explained in enumerate(explanations):
        if not isinstance(explained, Explanation):
            raise ArgumentError(
                f"{where}: explanation {number} must be what `explain` gives, got "
                f"{type(explained).__name__}"
            )
        if number == MOST_ON_A_CONTACT_SHEET:
            raise ArgumentError(
                f"{where}: a sheet holds at most {MOST_ON_A_CONTACT_SHEET} explanations, got more"
            )
        if truths is not None and number >= len(truths):
            raise ArgumentError(f"{where}: {len(truths)} truths for more explanations")
        cells.append(cell(explained, None if truths is None else truths[number]))
    if not cells:
        raise ArgumentError(f"{where}: there are no explanations to show")
    if truths is not None and len(truths) != len(cells):
        raise ArgumentError(f"{where}: {len(truths)} truths for {len(cells)} explanations")
    return cells


def cell(explained: Explanation, truth: str | None) -> Cell:
    """The cell of an `Explanation`, which keeps nothing of that large object."""
    longer = max(explained.heat.shape)
    # A whole number that does not go beyond the side: 4 for 32 pixels, 2 for 48.
    scale = _SMALL_SIDE // longer if longer <= _SMALL_SIDE else min(1.0, _LARGE_SIDE / longer)
    picture, overlay = panels(explained.picture, explained.heat, explained.seen, scale)
    said, certainty = explained.predicted, explained.predicted_probability
    if not said:  # an explanation that does not know: the class explained is what there is
        said, certainty = explained.name, explained.probability
    lines = [] if truth is None else [f"true class: {truth}"]
    if explained.name != said:
        lines.append(f"heat of: {explained.name} {explained.probability:.1%}")
    if explained.source:  # a path's beginning is mostly that of all the others
        lines.append("/".join(PurePath(explained.source).parts[-2:]))
    return Cell(
        picture=picture,
        overlay=overlay,
        right=None if truth is None else truth == said,
        answer=f"{said} {certainty:.1%}",
        lines=tuple(lines),
        method=explained.method,
    )


def _count(cells: Sequence[Cell]) -> str:
    """How often the network was right, of the pictures whose class is known; "" for none."""
    known = [cell.right for cell in cells if cell.right is not None]
    if not known:
        return ""
    count = f"{len(known)} picture{'' if len(known) == 1 else 's'}"
    if len(known) < len(cells):
        count += f" of {len(cells)} with a known class"
    return f"{count}: {sum(known)} right, {len(known) - sum(known)} wrong"


def _width(cell: Cell) -> int:
    return 2 * int(cell.picture.width) + _SEAM


def _draw(sheet: Any, cell: Cell, place: tuple[int, int], width: int, above: int) -> None:
    """Draws a cell at (x, y): pictures of at most `above` pixels' height, and words below these."""
    drawing = canvas(sheet)
    x, y = place
    for panel, left in ((cell.picture, x), (cell.overlay, x + cell.picture.width + _SEAM)):
        sheet.paste(panel, (left, y))
        # Without a frame a white picture would have no edge.
        drawing.rectangle((left, y, left + panel.width - 1, y + panel.height - 1), outline=FRAME)
    y += above + 6
    indent, colour = 0, INK
    if cell.right is not None:
        colour = _RIGHT if cell.right else _WRONG
        _mark(drawing, cell.right, (x, y + (line_height(_TEXT) - _MARK) // 2), colour)
        indent = _MARK + 6
    shortened(cell.answer, _TEXT, width - indent).draw(drawing, (x + indent, y), colour)
    for line in cell.lines:
        y += line_height(_TEXT)
        shortened(line, _TEXT, width).draw(drawing, (x, y), FAINT)


def _mark(drawing: Any, right: bool, place: tuple[int, int], colour: tuple[int, int, int]) -> None:
    """A tick or a cross, drawn, since not every font has them."""
    x, y = place
    last = _MARK - 1
    if right:
        tick = [(x, y + _MARK // 2), (x + _MARK // 3, y + last - 1), (x + last, y + 1)]
        drawing.line(tick, fill=colour, width=3)
        return
    drawing.line([(x + 1, y + 1), (x + last - 1, y + last - 1)], fill=colour, width=3)
    drawing.line([(x + 1, y + last - 1), (x + last - 1, y + 1)], fill=colour, width=3)
