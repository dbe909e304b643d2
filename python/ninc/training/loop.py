"""The training loop, from top to bottom: runs are epochs, epochs are steps.

train_and_end → _train → _epoch → _step → Stepper.update, which calls the core
                           │
                           └ after the steps: _validate, _end_epoch
"""

from __future__ import annotations

import contextlib
import math
import time

import numpy as np

from .._base.interrupt import Interrupted
from ..errors import ArgumentError, DivergedError, OutOfMemoryError
from ..inference.evaluation import evaluate
from . import ending, monitor
from .callbacks import EpochEnd, call_all
from .record import checkpoint
from .record.history import WALL_CLOCK
from .record.run_settings import described
from .run import Run
from .stepper import IMAGES


def train_and_end(run: Run) -> None:
    """Makes all steps that are left and ends the run; raises Interrupted or DivergedError."""
    try:
        signal = _train(run)
    except DivergedError as error:
        best = ending.leave_best(run)
        _share_weights(run, None)
        if best is None:
            raise
        raise DivergedError(f"{error}; the network has {best}") from error
    weights = ending.end(run, signal)
    _share_weights(run, signal)
    signal = run.interrupts.requested  # a signal may have come while the run was ending
    if signal is not None:
        words = f"interrupted ({signal}) after {run.state.place()}"
        if run.folder is not None:
            words += f"; {run.folder.last} holds it all"
        raise Interrupted(f"{words}; the network has {weights}", signal, weights)


def _share_weights(run: Run, signal: str | None) -> None:
    """Gives all workers the weights that worker 0 has ended with, from memory or from its files."""
    team = run.stepper.team
    if team is not None and signal is None:
        run.network.core.set_parameters(team.from_first(lambda: ending.copies(run.network)))


def _train(run: Run) -> str | None:
    """Runs epochs to the end; returns the name of the signal that ended them early, or None."""
    try:
        while run.state.epoch < run.options.epochs and not run.state.stopped:
            _epoch(run)
    except Interrupted as stop:
        # A step may have ruined the weights although its loss was still a number.
        checkpoint.check_finite(run.network.state_dict(), run.state)
        if run.folder is not None:
            run.save()
        return stop.signal
    return None


def _epoch(run: Run) -> None:
    state = run.state
    begun, waited, images_before = time.monotonic(), 0.0, state.images
    batches = run.batches(state.epoch, state.step, share=run.own_share())
    with contextlib.closing(batches):
        while True:
            asked = time.monotonic()
            batch = next(batches, None)
            waited += time.monotonic() - asked
            if batch is None:
                break
            _step(run, *batch)
            seconds = time.monotonic() - begun
            run.shown.step(
                state.epoch,
                state.step - 1,
                state.loss / state.images,
                state.right / state.images,
                (state.images - images_before) / max(seconds, 1e-9),
            )
            _between_steps(run)
    if not state.step:
        raise ArgumentError(f"fit: the stream gave no batch in epoch {state.epoch + 1}")
    seconds = max(time.monotonic() - begun, 1e-9)
    row = {
        "epoch": state.epoch + 1,
        "lr": state.lr,
        **run.settings.optimizer.row(),
        "loss": state.loss / state.images,
        "accuracy": state.right / state.images,
        "seconds": seconds,
        "images_per_second": (state.images - images_before) / seconds,
        "waited": waited / seconds,
    }
    # The check comes before anything of this epoch is kept or saved.
    checkpoint.check_finite(run.network.state_dict(), state)
    _validate(run, row)
    _end_epoch(run, row)


def _step(run: Run, x: np.ndarray, labels: np.ndarray) -> None:
    """Has the core make one update, at the rates that schedule and averages give at this place.

    x: the pictures of the batch that this process computes. labels: those of the whole batch.
    """
    state, settings, epochs = run.state, run.settings, run.options.epochs
    # While a stream does not tell its number of batches, the schedule is held at the epoch's start.
    place = state.epoch + (state.step / state.epoch_steps if state.epoch_steps else 0.0)
    _set_factor(run, settings.schedule(place, epochs), place)
    state.lr = settings.optimizer.lr * settings.lr_factor
    average = settings.average
    rate = 0.0 if average is None else average.rate(place / epochs, state.averaged)
    step_settings = run.stepper.settings(settings, state.steps, rate)
    try:
        loss, right, updated = run.stepper.update(x, labels, step_settings)
    except OutOfMemoryError as error:
        raise OutOfMemoryError(f"{error}; a smaller batch size takes less") from error
    if not updated:
        _diverged(run, x, labels, loss)
    state.step += 1
    state.steps += 1
    state.averaged += rate > 0.0
    state.loss += loss * len(labels)
    state.right += right
    state.images += len(labels)


def _set_factor(run: Run, factor: float, place: float) -> None:
    try:
        run.settings.lr_factor = factor
    except ArgumentError:
        raise ArgumentError(
            f"fit: a schedule gives a number of 0 or more, but "
            f"{described(run.settings.schedule)} gave {factor!r} at epoch {place:.4g}"
        ) from None


def _diverged(run: Run, x: np.ndarray, labels: np.ndarray, loss: float) -> None:
    state = run.state
    what = "the gradients are not finite" if math.isfinite(loss) else f"the loss became {loss}"
    text = f"{what} at epoch {state.epoch + 1}, step {state.step + 1}"
    found = run.stepper.find_non_finite(x, labels, run.settings, state.steps)
    if found == IMAGES:
        text += f": {IMAGES} are not finite"
    else:
        if found:
            text += f": not finite first is {found}"
        text += f"; try a rate below {state.lr:.3g} or clip_norm"
    if run.folder is not None and run.folder.last.exists():
        text += f"; {run.folder.last} is the last good checkpoint"
    raise DivergedError(text)


def _between_steps(run: Run) -> None:
    """Does what may happen only between two steps: checkpoints, and ending at a signal."""
    run.check_between_steps()
    last = run.state.step == run.state.epoch_steps  # the epoch's own checkpoint comes soon
    if run.folder is not None and not last and run.options.pace.due(run.state.steps):
        run.save()


def _validate(run: Run, row: dict[str, float]) -> None:
    """Adds the held-out data's loss and accuracy; keeps the network where it is the best."""
    if run.validation is None:
        return
    run.shown.validating(run.state.epoch)
    data, team, listener = run.validation, run.stepper.team, run.listener
    with run.averaged(lambda: run.batches(run.state.epoch), run.check):
        if listener is not None:
            result = listener.evaluate(run.network, data, check=run.check, workers=team)
        elif team is not None:
            result = evaluate(run.network, data, check=run.check, workers=team)
        else:
            result = run.evaluate(data, check=run.check)
        row.update(val_loss=result.loss, val_accuracy=result.accuracy)
        if result.top5_accuracy is not None:
            row["val_top5_accuracy"] = result.top5_accuracy
        _keep_best(run, row)


def _keep_best(run: Run, row: dict[str, float]) -> None:
    state, options = run.state, run.options
    value = row[options.monitor]
    before = None if state.best is None else state.best["value"]
    if not monitor.improves(options.monitor, value, before, options.min_delta):
        state.stale += 1
        state.stopped = options.patience is not None and state.stale >= options.patience
        return
    state.best, state.stale = {"epoch": row["epoch"], "value": value}, 0
    if run.folder is not None:
        run.network.save(run.folder.best)
    elif options.patience is not None:
        run.best = ending.copies(run.network)


def _end_epoch(run: Run, row: dict[str, float]) -> None:
    """Tells the schedule, the history, the user and the run's folder that an epoch is finished."""
    state, schedule = run.state, run.settings.schedule
    monitor.observe(schedule, row)
    state.schedule = monitor.state_of(schedule)
    state.rows.append({name: v for name, v in row.items() if name not in WALL_CLOCK})
    state.epoch_steps = state.step  # a stream's number of steps is known only now
    state.epoch += 1
    state.step = state.right = state.images = 0
    state.loss = 0.0
    run.history.append(row)
    run.shown.epoch(row)
    if run.folder is not None:
        run.folder.append_row(row)
    try:
        _call_back(run)
    finally:  # a callback that fails leaves a checkpoint of the epoch all the same
        if run.folder is not None:
            run.save()
        if run.listener is not None:
            run.listener.epoch_ended(run.history)


def _call_back(run: Run) -> None:
    """Calls the user's functions, before the checkpoint, which has what they set on the trainer.

    Where those of one worker end the run, it ends for all.
    """
    stop = False
    if run.options.callbacks:
        kept = "" if run.folder is None else f"; {run.folder.last} holds the run up to there"
        told = EpochEnd(run.settings, run.network, run.history)
        stop = call_all(run.options.callbacks, told, kept)
    if run.stepper.team is not None:
        stop = any(run.stepper.team.of_all(stop))
        when = f"after epoch {run.state.epoch}"
        run.stepper.team.check_weights(run.network.state_dict(), when)
    if stop:
        run.state.stopped = run.stopped_by_callback = True
