"""Which classes a network recognises, and which it takes for which: tables of an evaluation.

All take `results`, what `ninc eval --json` prints.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .markup import Markup, joined, tag
from .style import MOST_SHADE
from .words import NOTHING, percent

# A matrix of more classes is read by nobody; its largest entries stand in a table instead.
WIDEST_MATRIX = 25
_MOST_CONFUSIONS = 40
# Of more classes than this, the table of the weakest comes first and that of all is folded.
_MOST_ROWS = 50
_WEAKEST = 20
# Names of more letters may be broken into lines, and are shown whole in any case.
_LONG = 18


def class_tables(results: Mapping[str, Any]) -> Markup:
    """For each class how many pictures there are, which are found, and what they are taken for."""
    classes = list(range(len(results["classes"])))
    if len(classes) <= _MOST_ROWS:
        return _class_table(results, classes, "By class, in the network's order", "by-class")
    found = [i for i in classes if _is_number(results["recall"][i])]
    weakest = sorted(found, key=lambda i: results["recall"][i])[:_WEAKEST]
    words = f"The {len(weakest)} classes that are recognised least often"
    whole = _class_table(results, classes, "All classes, in the network's order", "by-class")
    return joined(
        _class_table(results, weakest, words, "weakest"),
        tag("details", tag("summary", f"All {len(classes):,} classes"), whole),
    )


def confusion(results: Mapping[str, Any]) -> Markup:
    """The confusion matrix, or of many classes a table of the most frequent confusions."""
    if len(results["classes"]) <= WIDEST_MATRIX:
        return _matrix(results)
    return _worst(results)


def scroll(table: Markup, label: str) -> Markup:
    """A table that may be wider than the page: the keyboard reaches it, and then moves it."""
    return tag("div", table, class_="scroll", role="region", aria_labelledby=label, tabindex=0)


def name_cell(kind: str, name: str, scope: str | None = None) -> Markup:
    """A cell with a name; long ones are broken into lines. kind: "th" or "td"."""
    looks = ["left"] * (kind == "td") + ["name"] + ["long"] * (len(name) > _LONG)
    return tag(kind, name, scope=scope, class_=" ".join(looks))


def _is_number(share: float | None) -> bool:
    return share is not None and not math.isnan(share)


def _class_table(results: Mapping[str, Any], chosen: list[int], words: str, ident: str) -> Markup:
    names, matrix = results["classes"], np.asarray(results["confusion"])
    rows = []
    for index in chosen:
        row = matrix[index].copy()
        row[index] = 0
        other = int(row.argmax())
        taken = f"{names[other]} ({row[other]:,})" if row[other] else NOTHING
        rows.append(
            tag(
                "tr",
                name_cell("th", names[index], scope="row"),
                tag("td", int(matrix[index].sum())),
                _share(results["recall"][index]),
                _share(results["precision"][index]),
                name_cell("td", taken),
            )
        )
    heads = ["class", "pictures", "recall", "precision", "most often taken for"]
    head = [
        tag("th", name, scope="col", class_="left" if name in (heads[0], heads[-1]) else None)
        for name in heads
    ]
    table = tag(
        "table",
        tag("caption", f"{words}.", id=ident),
        tag("thead", tag("tr", *head)),
        tag("tbody", *rows),
    )
    return scroll(table, ident)


def _share(share: float | None) -> Markup:
    """A cell with a share, and a bar of that length which says nothing more."""
    if share is None or not _is_number(share):
        return tag("td", NOTHING)
    bar = tag("span", tag("i", style=f"width:{100 * share:.0f}%"), class_="bar", aria_hidden="true")
    return tag("td", bar, percent(share))


def _matrix(results: Mapping[str, Any]) -> Markup:
    names, matrix = results["classes"], np.asarray(results["confusion"])
    totals = np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    shades = MOST_SHADE * np.sqrt(matrix / totals)
    rows = []
    for i, name in enumerate(names):
        cells = []
        for j, count in enumerate(matrix[i].tolist()):
            kind = "r" if i == j else "w"
            shade = f"--s:{shades[i, j]:.2f}" if count else None
            cells.append(tag("td", count, class_=kind if count else None, style=shade))
        rows.append(tag("tr", name_cell("th", name, scope="row"), *cells))
    heads = [name_cell("th", name, scope="col") for name in names]
    about = (
        "Rows: what a picture is; columns: what the network said. The stronger the colour, the "
        "larger the share of the row; what is right, in blue, lies on the diagonal."
    )
    table = tag(
        "table",
        tag("caption", "Confusion matrix, in pictures.", id="matrix"),
        tag("thead", tag("tr", tag("td"), *heads)),
        tag("tbody", *rows),
        class_="matrix",
    )
    return joined(tag("p", about, class_="faint"), scroll(table, "matrix"))


def _worst(results: Mapping[str, Any]) -> Markup:
    names, matrix = results["classes"], np.array(results["confusion"])
    totals = matrix.sum(axis=1)
    np.fill_diagonal(matrix, 0)
    order = np.argsort(-matrix, axis=None, kind="stable")[:_MOST_CONFUSIONS]
    pairs = [divmod(int(place), len(names)) for place in order]
    rows = [
        tag(
            "tr",
            name_cell("th", names[i], scope="row"),
            name_cell("td", names[j]),
            tag("td", int(matrix[i, j])),
            tag("td", percent(matrix[i, j] / totals[i])),
        )
        for i, j in pairs
        if matrix[i, j]
    ]
    if not rows:
        return tag("p", "No picture was taken for another class.")
    words = (
        f"The most frequent confusions among {len(names):,} classes; "
        "report.json has the whole matrix."
    )
    heads = (("is", "left"), ("taken for", "left"), ("pictures", None), ("of the class", None))
    table = tag(
        "table",
        tag("caption", words, id="confusions"),
        tag("thead", tag("tr", *(tag("th", name, scope="col", class_=c) for name, c in heads))),
        tag("tbody", *rows),
    )
    return scroll(table, "confusions")
