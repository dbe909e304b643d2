"""What a report says, in numbers and words: the file `report.json`."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._base.files import reading, write_whole
from .._base.plain_json import json_text
from ..errors import FileError

PAGE, NUMBERS = "report.html", "report.json"

_FORMAT = 1

# A run that is under way, and how runs end.
UNDER_WAY, FINISHED, INTERRUPTED, FAILED = "under way", "finished", "interrupted", "failed"
_STATES = (UNDER_WAY, FINISHED, INTERRUPTED, FAILED)


@dataclasses.dataclass
class Record:
    """One run of `ninc train`, or one of `ninc eval`, as its report tells of it.

    kind: "training" or "evaluation". name: the model file's. command: as it was typed.
    state: "under way", "finished", "interrupted" or "failed"; said: why it ended, in words.
    results: what `ninc eval --json` prints, of the pictures named in its "data"; None before the
        first evaluation. epoch: after which epoch these were got, None for a model file.
    chosen_by: "test", "validation" or None, as `ninc train --json` says it.
    choice: how the network was chosen and what that means for the results; a sentence or more.
    remarks: what else a reader has to know about the results.
    history: the rows of `ninc.History`. epochs: how many the run is to have.
    settings: all that shaped the run, in words. network: "input" (C, H, W), "parameters", and the
        table of `Network.summary`: "header" and "layers". machine: where it ran, in words.
    time: seconds, "training" and "evaluation". memory: bytes, "values" and "weights" of a step's
        or run's plan, "peak" of the process.
    pictures: "mistakes" and "uncertain", what the page shows of them but for the pixels.
    data: a fingerprint of the pictures that `results` are about.
    """

    kind: str
    name: str
    command: str
    state: str = UNDER_WAY
    said: str = ""
    results: dict[str, Any] | None = None
    epoch: int | None = None
    chosen_by: str | None = None
    choice: str = ""
    remarks: list[str] = dataclasses.field(default_factory=list)
    history: list[dict[str, float | None]] = dataclasses.field(default_factory=list)
    epochs: int | None = None
    settings: dict[str, str] = dataclasses.field(default_factory=dict)
    network: dict[str, Any] = dataclasses.field(default_factory=dict)
    machine: dict[str, str] = dataclasses.field(default_factory=dict)
    time: dict[str, float] = dataclasses.field(default_factory=dict)
    memory: dict[str, int] = dataclasses.field(default_factory=dict)
    pictures: dict[str, list[dict[str, Any]]] = dataclasses.field(default_factory=dict)
    data: str = ""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the file, whole or not at all; what is not finite is null. Raises FileError."""
        content = {"format": _FORMAT, **dataclasses.asdict(self)}
        write_whole(path, (json_text(content) + "\n").encode())


def load(path: Path) -> Record:
    """The record in a file that `Record.save` wrote; raises FileError for any other."""
    try:
        with reading(path):
            content = json.loads(path.read_bytes())
        if content.get("format") != _FORMAT:
            raise FileError(
                f"{path}: a report of format {content.get('format')!r}, this ninc reads {_FORMAT}; "
                "the version that wrote it can show it",
                filename=path,
            )
        fields = {field.name for field in dataclasses.fields(Record)}
        record = Record(**{name: value for name, value in content.items() if name in fields})
        _check(record)
    except FileError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        message = f"{path}: is no report of ninc, or a damaged one ({error})"
        raise FileError(message, filename=path) from error
    return record


def _check(record: Record) -> None:
    """Raises TypeError unless every entry that pages read is of its kind."""
    texts = (record.kind, record.name, record.command, record.said, record.choice, record.data)
    _need(all(isinstance(value, str) for value in (*texts, *record.remarks)), "a text")
    _need(record.state in _STATES, "the state")
    for words in (record.settings, record.machine):
        _need(_all(words, str, str), "the settings")
    _need(_all(record.time, str, (int, float)), "the time")
    _need(_all(record.memory, str, int), "the memory")
    for row in record.history:
        _need(_all(row, str, (int, float, type(None))) and "epoch" in row, "the history")
    _need(isinstance(record.network, dict) and isinstance(record.pictures, dict), "the network")
    for number in (record.epoch, record.epochs):
        _need(number is None or type(number) is int, "the number of epochs")
    if record.results is not None:
        _check_results(record.results)


def _check_results(results: Mapping[str, Any]) -> None:
    classes = results["classes"]
    _need(isinstance(classes, list) and all(isinstance(name, str) for name in classes), "a class")
    _need(type(results["images"]) is int and results["images"] > 0, "the number of pictures")
    for name in ("accuracy", "loss"):
        _need(isinstance(results[name], (int, float, type(None))), f"the {name}")
    for name in ("recall", "precision"):
        shares = results[name]
        _need(len(shares) == len(classes), f"the {name}")
        _need(all(isinstance(share, (int, float, type(None))) for share in shares), f"the {name}")
    matrix = results["confusion"]
    rows = all(len(row) == len(classes) and all(type(n) is int for n in row) for row in matrix)
    _need(len(matrix) == len(classes) and rows, "the confusion matrix")


def _all(values: Any, names: Any, kinds: Any) -> bool:
    """Whether it is a dictionary from such names to such values."""
    return isinstance(values, dict) and all(
        isinstance(name, names) and isinstance(value, kinds) for name, value in values.items()
    )


def _need(sound: bool, what: str) -> None:
    if not sound:
        raise TypeError(f"{what} makes no sense")
