"""The page of several runs: their results side by side, their curves in one drawing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from . import choice, words
from .confusion import name_cell, scroll
from .curves import Series, chart, legend
from .document import document, facts_list, notes, section, typed
from .markup import Content, Markup, joined, tag
from .page import series
from .record import Record

# The recall of more classes than this is left to the runs' own pages.
_MOST_CLASSES = 50


def summary(name: str, record: Record) -> dict[str, Any]:
    """What `ninc report --json` prints of one run, and the page's first table shows.

    accuracy and loss: of its evaluation; of a run without one those of the held-out data, after
    its last epoch or, with early stopping, its best. on: what they are about.
    """
    accuracy = loss = images = None
    on = ""
    if record.results is not None:
        results = record.results
        accuracy, loss, images = results["accuracy"], results["loss"], results["images"]
        on = str(results.get("data", ""))
    elif record.history:
        row = record.history[(record.epoch or len(record.history)) - 1]
        accuracy, loss = row.get("val_accuracy"), row.get("val_loss")
        on = f"held-out data, after epoch {row['epoch']:g}"
    seconds = [row.get("seconds") for row in record.history]
    return {
        "run": name,
        "state": record.state,
        "accuracy": accuracy,
        "loss": loss,
        "images": images,
        "on": on,
        "chosen_by": record.chosen_by,
        "epochs": len(record.history),
        "seconds": sum(value or 0.0 for value in seconds) if any(seconds) else None,
        "parameters": record.network.get("parameters"),
        "command": record.command,
    }


def page_of_runs(runs: Sequence[tuple[str, Record]], command: str) -> str:
    """The document. runs: names, each its own, with records; command: what asked for it."""
    sections = [section("runs", "Runs", _runs(runs))]
    if any(record.history for _, record in runs):
        sections.append(section("curves", "Curves", _curves(runs)))
    differing = _differing([record.settings for _, record in runs])
    if len(runs) > 1 and any(record.settings for _, record in runs):
        sections.append(section("settings", "Settings", _settings(runs, differing)))
    by_class = _by_class(runs)
    if by_class:
        sections.append(section("classes", "Classes", by_class))
    commands = [(name, typed(record.command)) for name, record in runs if record.command]
    commands.append(("this page", typed(command)))
    sections.append(section("commands", "Commands", facts_list(commands)))
    count = words.several(len(runs), "run")
    return document(count, tag("p", f"{count} of ninc side by side.", class_="faint"), sections)


def _table(
    ident: str, caption: str, heads: Sequence[str], rows: Sequence[Markup], words_from: int = 99
) -> Markup:
    """A table whose first column names its rows; columns from `words_from` on hold words."""
    columns = [
        tag(
            "th",
            name,
            scope="col",
            class_="left name" if not place or place >= words_from else "name",
        )
        for place, name in enumerate(heads)
    ]
    table = tag(
        "table",
        tag("caption", caption, id=ident),
        tag("thead", tag("tr", *columns)),
        tag("tbody", *rows),
    )
    return scroll(table, ident)


def _row(name: str, numbers: Sequence[Content], texts: Sequence[str] = ()) -> Markup:
    return tag(
        "tr",
        name_cell("th", name, scope="row"),
        *(tag("td", number) for number in numbers),
        *(tag("td", text, class_="left wrap") for text in texts),
    )


def _runs(runs: Sequence[tuple[str, Record]]) -> Markup:
    rows = []
    for name, record in runs:
        told = summary(name, record)
        reach = words.NOTHING
        if words.known(told["accuracy"]) and told["images"]:
            low, high = words.interval(told["accuracy"], told["images"])
            reach = f"{low:.1%} to {high:.1%}"
        parameters = told["parameters"]
        numbers = [
            words.percent(told["accuracy"], 2),
            reach,
            words.loss(told["loss"]),
            told["epochs"] or words.NOTHING,
            words.duration(told["seconds"]),
            f"{parameters:,}" if isinstance(parameters, int) else words.NOTHING,
        ]
        rows.append(_row(name, numbers, [told["state"], told["on"], _chosen_by(record)]))
    heads = ["run", "accuracy", "95% interval", "loss", "epochs", "training", "parameters"]
    heads += ["state", "evaluated on", "chosen by"]
    data = {record.data for _, record in runs}
    same = len(data) == 1 and "" not in data
    sentences = [choice.of_several(same)] if len(runs) > 1 else []
    return joined(
        _table("runs-table", "The runs and their results.", heads, rows, 7), notes(sentences)
    )


def _chosen_by(record: Record) -> str:
    """What chose a run's network, where its report tells."""
    if record.kind != "training" or not record.choice:
        return "not told"
    return f"the {record.chosen_by} set" if record.chosen_by else "nothing held out"


def _curves(runs: Sequence[tuple[str, Record]]) -> Markup:
    with_history = [(name, record.history) for name, record in runs if record.history]

    def drawn(ident: str, title: str, column: str, told: Callable[[float | None], str]) -> Markup:
        lines = [series(rows, column, name, i) for i, (name, rows) in enumerate(with_history)]
        return chart(ident, title, lines, told)

    def share(value: float | None) -> str:
        return words.percent(value, 2)

    keys = [Series(name, [], number) for number, (name, _) in enumerate(with_history)]
    charts = [
        drawn("val-accuracy", "Held-out accuracy", "val_accuracy", share),
        drawn("val-loss", "Held-out loss", "val_loss", words.loss),
        drawn("accuracy", "Training accuracy", "accuracy", share),
        drawn("loss", "Training loss", "loss", words.loss),
        drawn("rate", "Learning rate", "lr", words.plain),
    ]
    return joined(
        legend(keys),
        tag("div", *charts, class_="charts"),
        tag("details", tag("summary", "The numbers of each epoch"), _epochs(with_history)),
    )


def _epochs(runs: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]) -> Markup:
    """Each epoch's held-out accuracy, or training accuracy where nothing is held out, by run."""
    found: dict[float, list[str]] = {}
    for place, (_, rows) in enumerate(runs):
        for row in rows:
            cells = found.setdefault(row["epoch"], [words.NOTHING] * len(runs))
            cells[place] = words.percent(row.get("val_accuracy", row.get("accuracy")), 2)
    rows_ = [_row(f"{epoch:g}", found[epoch]) for epoch in sorted(found)]
    caption = (
        "Accuracy after each epoch: held-out, or of a run without held-out data its training's."
    )
    return _table("epochs", caption, ["epoch", *(name for name, _ in runs)], rows_)


def _differing(settings: Sequence[Mapping[str, str]]) -> list[str]:
    """The names of settings that are not the same in all runs that have any."""
    told = [entry for entry in settings if entry]
    names = list(dict.fromkeys(name for entry in told for name in entry))
    return [name for name in names if len({entry.get(name) for entry in told}) > 1]


def _settings(runs: Sequence[tuple[str, Record]], differing: Sequence[str]) -> Markup:
    with_settings = [(name, record.settings) for name, record in runs if record.settings]
    if not differing:
        return tag("p", "All settings that are known are the same.")
    rows = [
        _row(name, [], [settings.get(name, words.NOTHING) for _, settings in with_settings])
        for name in differing
    ]
    caption = "What differs; all other settings are the same."
    names = [name for name, _ in with_settings]
    return _table("settings-table", caption, ["setting", *names], rows, 1)


def _by_class(runs: Sequence[tuple[str, Record]]) -> Markup | None:
    """The recall of each class in each run, where they have the same classes."""
    evaluated = [(name, record.results) for name, record in runs if record.results is not None]
    classes = {tuple(results["classes"]) for _, results in evaluated}
    if len(evaluated) < 2 or len(classes) != 1 or len(next(iter(classes))) > _MOST_CLASSES:
        return None
    shares = np.array([[_share(r) for r in results["recall"]] for _, results in evaluated])
    rows = []
    for place, name in enumerate(next(iter(classes))):
        column = shares[:, place]
        best = np.nanmax(column) if np.isfinite(column).any() else np.nan
        cells: list[Content] = []
        for share in column.tolist():
            told = words.percent(share)
            cells.append(tag("strong", told) if share == best else told)
        rows.append(_row(name, cells))
    caption = "Recall by class, the best bold."
    return _table("class-table", caption, ["class", *(name for name, _ in evaluated)], rows)


def _share(value: float | None) -> float:
    return float("nan") if value is None else float(value)
