"""Checkpoints: a network's model file with all that a run needs to go on as if never interrupted.

The weights, what the optimiser keeps and averages are the file's arrays; where the run stands is a
JSON entry of its metadata. Nothing in it depends on the clock or the number of threads, so that an
interrupted run and one that never was write the same bytes.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ... import _core
from ..._base.arguments import whole
from ...errors import ArgumentError, DivergedError, Error, FileError, OutOfMemoryError
from ...formats.metadata import copy_stored
from ...formats.model_file import AVERAGE, TRAINING, forget_training
from ..optim import OPTIMIZERS

# Format 1: epochs left out pictures that did not fill a batch. Format 2: they see every picture.
_FORMAT = 2


@dataclasses.dataclass
class State:
    """Where a run stands, between two steps.

    epoch: finished epochs. step: steps done in the epoch under way; loss, right and images: sums
        over its images. epoch_steps: how many make an epoch; None while a stream has not told.
    steps: all steps done with this trainer, which dropout draws by. before: epochs that earlier
        runs of this trainer began; shuffling and augmentation draw by these and the run's own.
    averaged: steps averaged. lr: the rate of the latest step.
    rows: the history without what depends on the clock. best: the best epoch and its value.
    stale: epochs since then. stopped: ended early. schedule: what a stateful one remembers.
    optimizer: its kind and settings now, which may have been changed since the run began.
    """

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    right: int = 0
    images: int = 0
    epoch_steps: int | None = None
    steps: int = 0
    before: int = 0
    averaged: int = 0
    lr: float = 0.0
    rows: list[dict[str, float]] = dataclasses.field(default_factory=list)
    best: dict[str, Any] | None = None
    stale: int = 0
    stopped: bool = False
    schedule: dict[str, Any] = dataclasses.field(default_factory=dict)
    optimizer: dict[str, Any] | None = None

    def place(self) -> str:
        """ "epoch 3, step 120", as people count."""
        return f"epoch {self.epoch + 1}, step {self.step}" if self.step else f"epoch {self.epoch}"


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read."""

    path: Path
    model: _core.Model
    state: State
    settings: dict[str, str]
    target: str
    version: str

    def restore(self, network: _core.Model, core: _core.Trainer) -> None:
        """Puts all arrays in place, and what is known of the pictures."""
        model, extras = self.model, dict(self.model.extras())
        network.set_parameters(model.parameters())
        core.set_optimizer_state(
            {array: _with_prefix(extras, f"{array}:") for array in _core.OPTIMIZER_ARRAYS}
        )
        core.set_averages(_with_prefix(extras, AVERAGE))
        forget_training(model)
        copy_stored(model, network)


def check_finite(arrays: Mapping[str, np.ndarray], state: State) -> None:
    """Raises DivergedError, naming the first array with numbers that are not finite."""
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise DivergedError(
                f"{name.replace(':', ' of ')} holds numbers that are not finite after "
                f"{state.place()}; try a lower rate or clip_norm"
            )


def save(
    path: Path, model: _core.Model, core: _core.Trainer, state: State, settings: Mapping[str, str]
) -> None:
    """Writes a checkpoint, whole or not at all; raises FileError where it cannot be written.

    Raises DivergedError, and writes nothing, where an array holds numbers that are not finite.
    """
    arrays = {
        f"{kind}:{name}": array
        for kind, named in core.optimizer_state().items()
        for name, array in named.items()
    }
    arrays |= {f"{AVERAGE}{name}": array for name, array in core.averages().items()}
    check_finite({**model.parameters(), **arrays}, state)
    entry = {
        "format": _FORMAT,
        "ninc": _core.__version__,
        "target": _core.target(),
        "settings": dict(settings),
        "state": dataclasses.asdict(state),
    }
    model.save(os.fsencode(path), {TRAINING: json.dumps(entry, sort_keys=True)}, arrays)


def load(path: Path) -> Checkpoint | None:
    """The checkpoint in a file; None where there is no file.

    Raises FileError where it is damaged, and where a version of ninc with other rules wrote it,
    which can finish the run.
    """
    if not path.exists():
        return None
    try:
        model = _core.Model.load(os.fsencode(path))
        entry = json.loads(model.metadata()[TRAINING])
        written = entry["format"]
        if written == _FORMAT:
            state = _checked_state(entry["state"])
            settings = dict(entry["settings"])
            _check(all(isinstance(text, str) for pair in settings.items() for text in pair))
            return Checkpoint(path, model, state, settings, entry["target"], entry["ninc"])
        version = entry["ninc"]
    except OutOfMemoryError:
        raise  # the file may be whole
    except (Error, ValueError, KeyError, TypeError) as error:
        reason = "it is no checkpoint" if isinstance(error, (KeyError, TypeError)) else str(error)
        others = "best.safetensors beside it is another file and may be whole"
        message = f"{path}: damaged checkpoint ({reason}); {others}"
        raise FileError.of(error, message, path) from error
    why = "whose epochs left out the pictures that did not fill a batch" if written == 1 else ""
    raise FileError(
        f"{path}: cannot resume: ninc {version} began this run{why and ', ' + why} (checkpoint "
        f"format {written}, this is ninc {_core.__version__} with {_FORMAT}); finish it with that "
        "version, or begin anew in another folder, from this network if you like: ninc.load(file), "
        "or ninc train --init"
    )


def _checked_state(entry: Mapping[str, Any]) -> State:
    """The state that a checkpoint holds; raises TypeError where an entry makes no sense."""
    state = State(**entry)
    counts: list[Any] = [state.epoch, state.step, state.right, state.images, state.steps]
    counts += [state.before, state.averaged, state.stale, *(row["epoch"] for row in state.rows)]
    if state.epoch_steps is not None:
        counts.append(state.epoch_steps)
    numbers = [state.loss, state.lr, *(value for row in state.rows for value in row.values())]
    if state.best is not None:
        counts.append(state.best["epoch"])
        numbers.append(state.best["value"])
    _check(all(type(count) is int and count >= 0 for count in counts))
    _check(all(type(number) in (int, float) for number in numbers))
    _check(isinstance(state.schedule, dict) and len(state.rows) == state.epoch)
    _check(state.optimizer is None or state.optimizer.get("optimizer", "SGD") in OPTIMIZERS)
    return state


def _check(sound: bool) -> None:
    if not sound:
        raise TypeError("an entry of the checkpoint is of no use")


class Pace:
    """When a checkpoint within an epoch is due: after so many steps, or so much time.

    every: a number of steps, or a time such as "90s", "10m" or "2h"; None: never.
    """

    _UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}

    def __init__(self, every: int | str | None) -> None:
        self.steps: int | None = None
        self.seconds: float | None = None
        if isinstance(every, str):
            found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", every)
            if found is None:
                raise ArgumentError(
                    'checkpoint_every must be a number of steps or a time such as "90s", "10m" or '
                    f'"2h", got {every!r}'
                )
            self.seconds = float(found[1]) * self._UNITS[found[2]]
        elif every is not None:
            self.steps = whole("fit", "checkpoint_every", every)
        self.done(0)

    def due(self, step: int) -> bool:
        if self.steps is not None:
            return step - self._step >= self.steps
        return self.seconds is not None and time.monotonic() - self._time >= self.seconds

    def done(self, step: int) -> None:
        """Takes note that a checkpoint was written at this step, or that the run begins here."""
        self._step, self._time = step, time.monotonic()


def _with_prefix(extras: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name[len(prefix) :]: array for name, array in extras.items() if name.startswith(prefix)}
