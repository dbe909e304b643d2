"""The page of one run or evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import words
from .confusion import class_tables, confusion, scroll
from .curves import Series, chart, legend
from .document import document, facts_list, notes, section, tiles, typed
from .markup import Markup, joined, tag
from .pictures import Gallery, Shown
from .record import FAILED, FINISHED, INTERRUPTED, UNDER_WAY, Record

# What `ninc eval --json` prints and the page shows in places of its own; other numbers are listed.
_PLACED = ("data", "images", "accuracy", "loss", "classes", "recall", "precision", "confusion")

# A longer table of layers is folded.
_MOST_LAYERS = 15

# Columns of the table of epochs -> heading, and how their numbers are written.
_COLUMNS = {
    "loss": ("training loss", words.loss),
    "accuracy": ("training accuracy", lambda value: words.percent(value, 2)),
    "val_loss": ("held-out loss", words.loss),
    "val_accuracy": ("held-out accuracy", lambda value: words.percent(value, 2)),
    "lr": ("rate", words.plain),
    "seconds": ("time", words.duration),
    "images_per_second": ("pictures/s", lambda value: words.NOTHING if not words.known(value)
                          else f"{value:,.0f}"),
}  # fmt: skip


def page(record: Record, shown: Gallery | None) -> str:
    """The whole document."""
    training = record.kind == "training"
    sections = [
        section("results", "Results", _results(record)),
        section("curves", "Curves", _curves(record)) if record.history else None,
        section("classes", "Classes", class_tables(record.results)) if record.results else None,
        section("confusion", "Confusion", confusion(record.results)) if record.results else None,
    ]
    if shown is not None:
        sections.append(section("pictures", "Pictures", _pictures(shown)))
    if record.network:
        sections.append(section("network", "Network", _network(record)))
    sections.append(section("time", "Time and memory", facts_list(_costs(record))))
    sections.append(section("command", "Command", _command(record)))
    title = f"{record.name}: {'training' if training else 'evaluation'}"
    return document(title, _state(record), [part for part in sections if part is not None])


def _state(record: Record) -> Markup:
    """The line below the title: how far a run is, or how it ended."""
    if record.kind != "training":
        return tag("p", "An evaluation by ninc.", class_="faint")
    done = len(record.history)
    of = f" of {record.epochs:,}" if record.epochs else ""
    epochs = f"{done:,}{of} epoch{'' if (record.epochs or done) == 1 else 's'}"
    told = {
        UNDER_WAY: f"A training run by ninc, under way: {epochs}. Load the page again for more.",
        FINISHED: f"A training run by ninc, finished: {epochs}.",
        INTERRUPTED: f"A training run by ninc, interrupted after {epochs}: {record.said}",
        FAILED: f"A training run by ninc, ended by an error after {epochs}: {record.said}",
    }
    return tag("p", told[record.state], class_="faint")


# ---- Results and curves --------------------------------------------------------------------------


def _results(record: Record) -> Markup:
    results = record.results
    if results is None:
        return joined(tag("p", "No evaluation yet."), notes(_said(record)))
    accuracy, count = results["accuracy"], results["images"]
    entries: list[tuple[str, str, str]] = []
    if words.known(accuracy):
        low, high = words.interval(accuracy, count)
        right = f"{round(accuracy * count):,} of {count:,} right"
        chance = f"{right}; 95% interval {low:.1%} to {high:.1%}"
        entries.append(("accuracy", words.percent(accuracy, 2), chance))
    entries.append(("loss", words.loss(results["loss"]), "mean cross entropy"))
    for name, value in results.items():
        if name not in _PLACED and words.known(value) and not isinstance(value, bool):
            entries.append((name.replace("_", " "), words.plain(value), ""))
    if record.network:
        entries.append(("parameters", f"{record.network['parameters']:,}", ""))
    if record.kind == "training":
        entries.append(("training", words.duration(record.time.get("training")), _pace(record)))
    when = ""
    if record.state == UNDER_WAY and record.epoch:
        when = f", after epoch {record.epoch}"
    intro = tag("p", f"On {results['data']}{when}.")
    return joined(intro, tiles(entries), notes(_said(record)))


def _said(record: Record) -> list[str]:
    return [text for text in (record.choice, *record.remarks) if text]


def _pace(record: Record) -> str:
    rates = [row.get("images_per_second") for row in record.history]
    known = [rate for rate in rates if rate is not None and words.known(rate)]
    return f"{sum(known) / len(known):,.0f} pictures a second" if known else ""


def series(rows: Sequence[dict[str, Any]], column: str, name: str, number: int) -> Series:
    """One column of a history as a line."""
    return Series(name, [(row["epoch"], row.get(column)) for row in rows], number)


def _curves(record: Record) -> Markup:
    rows = record.history
    pairs = [
        [series(rows, column, "training", 0), series(rows, f"val_{column}", "held out", 1)]
        for column in ("loss", "accuracy")
    ]
    mark = None
    if record.state == FINISHED and record.epoch and record.epoch != len(rows):
        mark = (float(record.epoch), f"kept: {record.epoch}")
    charts = [
        chart("loss", "Loss", pairs[0], words.loss, mark),
        chart("accuracy", "Accuracy", pairs[1], lambda value: words.percent(value, 2), mark),
        chart("rate", "Learning rate", [series(rows, "lr", "rate", 0)], words.plain, mark),
    ]
    both = [line for line in pairs[0] if line.known]
    about = (
        "Training loss and accuracy are means over an epoch, of augmented pictures, with dropout, "
        "while the weights moved; held-out ones are of the weights at its end."
    )
    return joined(
        legend(both) if both else None,
        tag("div", *charts, class_="charts"),
        tag("p", about, class_="faint"),
        tag("details", tag("summary", "The numbers of each epoch"), _epoch_table(rows)),
    )


def _epoch_table(rows: Sequence[dict[str, Any]]) -> Markup:
    columns = [name for name in _COLUMNS if any(row.get(name) is not None for row in rows)]
    heads = [tag("th", _COLUMNS[name][0], scope="col") for name in columns]
    body = [
        tag(
            "tr",
            tag("th", f"{row['epoch']:g}", scope="row"),
            *(tag("td", _COLUMNS[name][1](row.get(name))) for name in columns),
        )
        for row in rows
    ]
    table = tag(
        "table",
        tag("caption", "The history, epoch by epoch.", id="epochs"),
        tag("thead", tag("tr", tag("th", "epoch", scope="col", class_="left"), *heads)),
        tag("tbody", *body),
    )
    return scroll(table, "epochs")


# ---- Pictures ------------------------------------------------------------------------------------


def _pictures(shown: Gallery) -> Markup:
    explained = any(entry.maps for entry in (*shown.mistakes, *shown.uncertain))
    parts: list[Markup] = []
    if explained:
        scale = tag("span", class_="heat", role="img", aria_label="from violet to light yellow")
        parts.append(
            tag(
                "p",
                "Beside each picture the same in grey, with colour where a place spoke for the "
                "class that the network said and, of a mistake, for the one it is: a little",
                scale,
                "much, on a scale of each picture's own, as ",
                tag("code", "ninc explain"),
                " draws it.",
            )
        )
    elif shown.without_maps:
        parts.append(tag("p", f"There are no class maps: {shown.without_maps}.", class_="faint"))
    if shown.as_arrays:
        parts.append(
            tag("p", "The data are arrays: each is shown between its least and greatest number.")
        )
    parts.append(tag("h3", "Most confident mistakes"))
    if shown.mistakes:
        why = "Look at the labels, too: wrong ones show up here."
        parts += [tag("p", why, class_="faint"), _cards(shown.mistakes)]
    else:
        parts.append(tag("p", "There are none: every answer is right."))
    if shown.uncertain:
        parts.append(tag("h3", "Most uncertain"))
        why = "The likeliest class has the lowest probability here."
        parts += [tag("p", why, class_="faint"), _cards(shown.uncertain)]
    return joined(*parts)


def _cards(pictures: Sequence[Shown]) -> Markup:
    return tag("ol", *(tag("li", _card(shown)) for shown in pictures), class_="cards")


def _card(shown: Shown) -> Markup:
    answer = shown.answer
    right = answer.label == answer.said
    said = f" {words.percent(answer.probability)}"
    if right:
        told = joined(tag("strong", shown.said), f"{said}, and it is.")
    else:
        told = joined(
            tag("strong", shown.said), f"{said}, but it is ", tag("strong", shown.label),
            f" ({words.percent(answer.of_label)}).",
        )  # fmt: skip
    panels = []
    size = {"width": shown.width, "height": shown.height}
    if shown.uri:
        alt = f"A picture of the class {shown.label}, {shown.file}"
        panels.append(tag("span", tag("img", src=shown.uri, alt=alt, **size), "the picture"))
    for entry in shown.maps:
        place = f"most at {entry.place}" if entry.place else "next to nothing speaks for it"
        alt = f"Where the network saw {entry.name}: {place}"
        panels.append(tag("span", tag("img", src=entry.uri, alt=alt, **size), entry.name))
    small = " small" if max(shown.width, shown.height) <= 64 else ""
    file = tag("span", shown.file, class_="faint file")
    return tag(
        "figure",
        tag("div", *panels, class_=f"panels{small}") if panels else None,
        tag("figcaption", told, tag("br"), file),
    )


# ---- What made it --------------------------------------------------------------------------------


def _network(record: Record) -> Markup:
    facts = record.network
    rows = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            tag("td", row[1], class_="left"),
            *(tag("td", cell) for cell in row[2:]),
        )
        for row in facts["layers"]
    ]
    shape = "×".join(map(str, facts["input"]))
    heads = [
        tag("th", name, scope="col", class_="left" if place < 2 else None)
        for place, name in enumerate(facts["header"])
    ]
    table = tag(
        "table",
        tag("caption", f"Layers, for an input of {shape}.", id="layers"),
        tag("thead", tag("tr", *heads)),
        tag("tbody", *rows[:-1]),
        tag("tfoot", *rows[-1:]),
    )
    about = "MMAC: millions of multiplications with an addition, a picture."
    if len(rows) <= _MOST_LAYERS:
        return joined(tag("p", about), scroll(table, "layers"))
    parameters, total = facts["layers"][-1][2:]
    about = f"Input {shape}, {parameters} parameters, {total} MMAC. {about}"
    told = tag("summary", f"All {len(rows) - 1:,} layers")
    return joined(tag("p", about), tag("details", told, scroll(table, "layers")))


def _costs(record: Record) -> list[tuple[str, str]]:
    taken, memory = record.time, record.memory
    entries = []
    if record.kind == "training":
        entries.append(("training", words.duration(taken.get("training"))))
    if record.results is not None:
        count, seconds = record.results["images"], taken.get("evaluation")
        rate = f", {count / seconds:,.0f} pictures a second" if seconds else ""
        entries.append(("evaluation", f"{words.duration(seconds)}{rate}"))
    step = "a training step" if record.kind == "training" else "a run"
    entries += [
        (f"memory of {step}'s values", words.memory(memory.get("values"))),
        ("packed weights", words.memory(memory.get("weights") or None)),
        ("most memory of the process", words.memory(memory.get("peak"))),
        *record.machine.items(),
    ]
    return [(name, value) for name, value in entries if value != words.NOTHING]


def _command(record: Record) -> Markup:
    parts = [tag("pre", typed(record.command), tabindex=0)]
    if record.settings:
        settings = facts_list(list(record.settings.items()))
        parts.append(tag("details", tag("summary", "All settings"), settings))
    return joined(*parts)
