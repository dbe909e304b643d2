"""Ends a run, by one path whatever ended it: the last epoch, patience, a callback or a signal.

The checkpoint was written before and holds the weights that training goes on with. The network is
left with the weights that users want: the best with patience, else the averages where there are
any.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Generator
from pathlib import Path

from .. import _core
from .._base.array_types import Floats
from .._base.interrupt import Interrupted
from ..data import Dataset
from ..data.stream import Batch
from ..errors import Error, FileError, remark
from ..network import Network
from .guessing import Guess, nothing_learned
from .run import Run

# How many seconds a run that is to end waits for a batch, which may never come.
_LONGEST_WAIT = 10.0


def end(run: Run, signal: str | None) -> str:
    """Leaves network and folder in their final state; tells which weights the network has.

    signal: the name of the signal that ended the run, or None. A signal that comes meanwhile is
    left to the caller; a second one interrupts at once, and the network keeps the last weights.
    """
    weights = _leave_weights(run, signal)
    state, history = run.state, run.history
    if run.folder is not None:
        results = {
            "epochs": state.epoch,
            "ended_by": signal or _ended_by(run),
            "stopped_early": state.stopped,
            "best": state.best,
            "last": history.rows[-1] if history.rows else None,
        }
        run.folder.conclude(results, history)
    if signal is None:
        _remark_on_result(run)
    return weights


def _ended_by(run: Run) -> str:
    if run.stopped_by_callback:
        return "callback"
    return "patience" if run.state.stopped else "epochs"


def _leave_weights(run: Run, signal: str | None) -> str:
    state, last = run.state, "the last weights"
    try:
        best = leave_best(run)
    except Error as error:
        if signal is None:
            raise
        return f"{last} ({error})"
    if best is not None:
        return best
    if not state.averaged:
        return last
    run.shown.averaging()
    since = [time.monotonic()]

    def batches() -> Generator[Batch, None, None]:
        # The epoch under way gives the batches, or the latest epoch that is finished.
        with contextlib.closing(run.batches(state.epoch - (state.step == 0), check=check)) as given:
            for batch in given:
                since[0] = time.monotonic()
                yield batch

    def check() -> None:
        asked = run.interrupts.requested
        if asked is not None and time.monotonic() - since[0] > _LONGEST_WAIT:
            raise Interrupted("no batch came", asked)

    try:
        with run.averaged(batches, check):
            averages = copies(run.network)
    except Interrupted:
        return f"{last}, as no batch came to estimate the averages' batch norm statistics from"
    run.network.core.set_parameters(averages)
    return "the averaged weights"


def leave_best(run: Run) -> str | None:
    """Puts the best weights so far into the network; None where there are none, or no patience."""
    best = run.state.best
    if run.options.patience is None or best is None:
        return None
    if run.best is None and run.folder is None:
        return None  # a worker that went on from worker 0's checkpoint gets them from there
    weights = run.best or stored_best(run.own_folder.best, best["epoch"])
    run.network.core.set_parameters(weights)
    return f"the best weights, those of epoch {best['epoch']}"


def _remark_on_result(run: Run) -> None:
    """Remarks where the weights that the run ends with are no better than guessing."""
    state, rows = run.state, run.history.rows
    row = rows[-1]
    if run.options.patience is not None and state.best is not None:
        row = rows[state.best["epoch"] - 1]
    training = held_out = None
    if isinstance(run.train, Dataset):
        smoothing, weights = run.settings.label_smoothing, run.options.class_weights
        training = Guess.of(run.train.labels, run.classes, smoothing, weights)
    if run.validation is not None:
        held_out = Guess.of(run.validation.labels, run.classes)
    steps = None if state.epoch_steps is None else state.epoch * state.epoch_steps
    words = nothing_learned(row, training, held_out, steps)
    if words is not None:
        remark(words)


def stored_best(file: Path, epoch: int) -> dict[str, Floats]:
    """The weights in a run's file of its best network, that of `epoch`; raises FileError."""
    if not file.exists():
        raise FileError(
            f"{file}: missing, but epoch {epoch} was the best so far and early stopping ends with "
            "its weights",
            errno.ENOENT,
            file,
        )
    return _core.Model.load(os.fsencode(file)).parameters()


def copies(network: Network) -> dict[str, Floats]:
    """All weights and statistics, in arrays of their own."""
    return {name: array.copy() for name, array in network.state_dict().items()}
