"""The folder of a training run.

last.safetensors    the checkpoint to resume from: a model file with the trainer's state
best.safetensors    the best network so far, by the held-out data; a plain model file
history.jsonl       a line for each finished epoch
history.png         the same as a picture, drawn at the end where matplotlib is there
run.json            command, seed, versions, target, data, settings; at the end the results
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np

from ... import _core
from ..._base.files import append_line, check_writable, locked_folder, make_folder, write_whole
from ..._base.plain_json import json_text
from .history import WALL_CLOCK, History, in_order


class RunFolder:
    """One run's folder, locked against a second run while it is open."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = make_folder(path)
        self.last = self.path / "last.safetensors"
        self.best = self.path / "best.safetensors"
        self.history = self.path / "history.jsonl"
        self.plot = self.path / "history.png"
        self.about = self.path / "run.json"
        self._lock = locked_folder(self.path, "another training run is using this folder")
        try:
            check_writable(self.last)
            self._remove_remains()
        except BaseException:
            self.close()  # another try in the same process must find the folder free
            raise

    def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _remove_remains(self) -> None:
        """Deletes temporary files of a process that was killed while it wrote."""
        for pattern in (".ninc-*.tmp", ".history.jsonl.*", ".run.json.*", ".history.png.*"):
            for remains in self.path.glob(pattern):
                remains.unlink(missing_ok=True)

    # ---- run.json --------------------------------------------------------------------------------

    def describe(
        self, settings: Mapping[str, str], counts: Mapping[str, Any], resumed: str
    ) -> None:
        """Writes run.json at the start of a run, or adds a session to it where one resumes."""
        about = self._read_about() if resumed else {}
        session = {
            "command": shlex.join([_program(), *sys.argv[1:]]),
            "threads": _core.get_num_threads(),
            "resumed": resumed or None,
        }
        about.update(
            ninc=_core.__version__,
            numpy=np.__version__,
            python=platform.python_version(),
            target=_core.target(),
            data=dict(counts),
            settings=dict(settings),
            sessions=[*about.get("sessions", []), session],
            results=None,
        )
        self._write_about(about)

    def conclude(self, results: Mapping[str, Any], history: History) -> None:
        """Adds the results to run.json and draws the history."""
        self._write_about({**self._read_about(), "results": dict(results)})
        if len(history) and find_spec("matplotlib") is not None:
            history.plot(self.plot)

    def _read_about(self) -> dict[str, Any]:
        try:
            about = json.loads(self.about.read_text())
        except (OSError, ValueError):  # run.json is lost or damaged; the run does not need it
            return {}
        return about if isinstance(about, dict) else {}

    def _write_about(self, about: Mapping[str, Any]) -> None:
        write_whole(self.about, (json_text(about, indent=2) + "\n").encode())

    # ---- history.jsonl ---------------------------------------------------------------------------

    def append_row(self, row: Mapping[str, float]) -> None:
        append_line(self.history, json_text(row))

    def restore_history(self, rows: list[dict[str, float]]) -> History:
        """The history up to a checkpoint, whose rows lack what depends on the clock.

        These numbers are taken from the file where it knows the epochs; afterwards the file ends
        where the checkpoint does.
        """
        whole = ({**row, **clock} for row, clock in zip(rows, self._clock(rows)))
        history = History([in_order(row) for row in whole])
        history.save(self.history)
        return history

    def _clock(self, rows: list[dict[str, float]]) -> list[dict[str, float]]:
        try:
            lines = self.history.read_text().splitlines()
        except (OSError, ValueError):
            lines = []
        known: dict[Any, dict[str, float]] = {}
        for line in lines:
            try:
                row = json.loads(line)
                known[row["epoch"]] = {name: row[name] for name in WALL_CLOCK}
            except (ValueError, KeyError, TypeError):  # a crash cut this line short
                continue
        return [known.get(row["epoch"], {}) for row in rows]


def _program() -> str:
    """The program's name without its folder: "ninc", also for `python -m ninc`."""
    folder, name = os.path.split(sys.argv[0])
    return os.path.basename(folder) if name == "__main__.py" else name
