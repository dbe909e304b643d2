"""Finds runs on disk: folders of reports, and folders that `--checkpoint` made."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

from .._base.files import reading, user_path
from ..errors import FileError
from .record import FINISHED, INTERRUPTED, NUMBERS, UNDER_WAY, Record, load

_ABOUT, _HISTORY = "run.json", "history.jsonl"


def load_run(path: str | os.PathLike[str]) -> Record:
    """The record of a report's folder, or of its report.json, or of a checkpoint's folder.

    A folder that is both gives its report. Raises FileError where there is none, or a damaged one.
    """
    place = Path(os.fsdecode(user_path(path)))
    if place.is_file() and place.name == NUMBERS:
        return load(place)
    if (place / NUMBERS).is_file():
        return load(place / NUMBERS)
    if (place / _ABOUT).is_file():
        return _of_checkpoints(place)
    if not place.exists():
        raise FileError(f"{path}: there is no such folder", errno.ENOENT, path)
    raise FileError(
        f"{path}: holds no run: neither {NUMBERS}, which --report DIR writes, nor {_ABOUT}, which "
        "ninc train --checkpoint DIR writes",
        filename=path,
    )


def _of_checkpoints(folder: Path) -> Record:
    """What run.json and history.jsonl tell; they have no confusion matrix and no pictures."""
    try:
        with reading(folder):
            about = json.loads((folder / _ABOUT).read_bytes())
            rows = _rows(folder / _HISTORY)
        sessions, settings = about.get("sessions") or [{}], about.get("settings") or {}
        results, counts = about.get("results"), about.get("data") or {}
        record = Record(
            kind="training",
            name=folder.name,
            command=str(sessions[-1].get("command", "")),
            state=_state(results),
            history=rows,
            epochs=int(settings["epochs"]) if "epochs" in settings else None,
            settings={str(name): str(value) for name, value in settings.items()},
        )
        record.data = record.settings.get("validation data", "")
        if results and settings.get("patience") != "none" and results.get("best"):
            record.epoch = int(results["best"]["epoch"])
        if counts.get("classes"):
            record.network = {"classes": len(counts["classes"])}
        for name in ("ninc", "numpy", "python", "target"):
            if name in about:
                record.machine[name] = str(about[name])
    except FileError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        message = f"{folder / _ABOUT}: is no run of ninc, or a damaged one ({error!r})"
        raise FileError(message, filename=folder) from error
    return record


def _state(results: Any) -> str:
    if not results:
        return UNDER_WAY
    return FINISHED if results.get("ended_by") in ("epochs", "patience") else INTERRUPTED


def _rows(file: Path) -> list[dict[str, float | None]]:
    """The history's rows; a last line that a crash cut short is left out."""
    rows = []
    lines = file.read_text().splitlines() if file.exists() else []
    for number, line in enumerate(lines):
        try:
            row = json.loads(line)
            known = {name: value for name, value in row.items() if _is_number(value)}
            rows.append({**known, "epoch": row["epoch"]})
        except (ValueError, KeyError, TypeError, AttributeError):
            if number + 1 < len(lines):
                raise
    return rows


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))
