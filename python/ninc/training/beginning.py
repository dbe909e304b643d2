"""Begins a run: anew, or from a checkpoint once it is clear that it belongs to the same run."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .. import _core
from .._base.interrupt import Interrupts
from .._base.progress import TrainingProgress
from ..data import BatchStream, Dataset
from ..errors import ArgumentError, FileError
from ..formats.metadata import stored_preprocessing
from ..preprocess import Preprocessing
from . import ending, fit_checks, monitor
from .optim import OPTIMIZERS
from .record import checkpoint
from .record.checkpoint import Checkpoint
from .record.history import History
from .record.run_folder import RunFolder
from .record.run_settings import bound_to_epochs, check_same, words_of
from .run import Run


@contextlib.contextmanager
def begun(run: Run) -> Iterator[None]:
    """Within the block, the run stands before its first step, and signals wait for a step's end.

    Afterwards, however the run ended, the trainer's next run draws other random numbers.
    """
    core, options = run.stepper.core, run.options
    with contextlib.ExitStack() as stack:
        team = run.stepper.team
        if team is not None:
            team.begin()
            run.words = words_of(run.network, run.settings, run.train, run.validation, options)
            team.check_alike({**run.words, **_beginning_of(run)})
        _open_folder(run, stack)
        if not run.words and (run.folder is not None or run.listener is not None):
            run.words = words_of(run.network, run.settings, run.train, run.validation, options)
        core.set_frozen(options.frozen)
        stack.callback(core.set_frozen, [])
        core.set_class_weights(options.class_weights)
        stack.callback(core.set_class_weights, [])
        begins = _begin(run)
        done = run.state.epoch * (run.state.epoch_steps or 0) + run.state.step
        run.shown = TrainingProgress(
            options.epochs, run.state.epoch_steps, done, shown=options.progress
        )
        stack.callback(run.shown.close)
        if begins:
            run.shown.note(begins)
        run.interrupts = stack.enter_context(Interrupts(run.shown.note))
        stack.callback(setattr, run.stepper, "signal", run.stepper.signal)
        run.stepper.signal = lambda: run.interrupts.requested
        options.pace.done(run.state.steps)
        stack.callback(_hand_back, run)
        if run.listener is not None:
            run.listener.begun(run.words, run.history)
        yield


def _open_folder(run: Run, stack: contextlib.ExitStack) -> None:
    directory, team = run.options.checkpoint_dir, run.stepper.team

    def make() -> bool:
        if directory is not None:
            run.folder = RunFolder(directory)
            stack.callback(run.folder.close)
        return run.folder is not None

    if team is None:
        make()
    else:
        team.from_first(make)


def _beginning_of(run: Run) -> dict[str, str]:
    """What several workers must have alike beside the words that shape a run."""
    from ..distributed.team import digest_of

    network, core = run.network, run.stepper.core
    stored = stored_preprocessing(network.core)
    state = {
        f"{group} {key}": value
        for group, values in core.optimizer_state().items()
        for key, value in values.items()
    }
    return {
        "version of ninc": _core.__version__,
        "instructions": _core.target(),
        "device": network.device.partition(":")[0],
        "steps before this run": str(run.stepper.steps),
        "weights": digest_of(network.state_dict()),
        "optimiser's state": digest_of(state),
        "preprocessing": "none" if stored is None else repr(stored.to_dict()),
        "preprocessing's numbers": digest_of({} if stored is None else stored.arrays()),
    }


def _hand_back(run: Run) -> None:
    state = run.state
    run.stepper.steps = state.steps
    run.stepper.epochs = state.before + state.epoch + (state.step > 0)
    run.settings.lr_factor = 1.0


def _begin(run: Run) -> str:
    """Makes network, settings and history ready; tells the user if the run begins unusually."""
    found = _found_by_all(run)
    if found is not None:
        _restore(run, found)
    monitor.load_state(run.settings.schedule, run.state.schedule)
    run.preprocessing = _prepared(run)
    if run.folder is None:
        return ""
    if found is None:
        run.own_folder.restore_history([])
    resumed = "" if found is None else run.state.place()
    run.folder.describe(run.words, _counts(run), resumed)
    if found is None:
        if run.preprocessing is not None and run.preprocessing.whitening is not None:
            run.save()  # a whitening that is fitted again may have other bits
        words = f"nothing to resume in {run.folder.path}: beginning a new run"
        return words if run.options.resume else ""
    if found.settings != run.words:
        run.save()  # stores the epochs and the patience that hold from now on
    return _going_on(run, found)


def _found_by_all(run: Run) -> Checkpoint | None:
    """The checkpoint, which worker 0 gives to all where there are several."""
    team = run.stepper.team
    if team is None:
        return _found(run)
    own: list[Checkpoint | None] = []

    def content() -> bytes | None:
        own.append(_found(run))
        return None if own[0] is None else own[0].path.read_bytes()

    given = team.from_first(content)
    if own or given is None:
        return own[0] if own else None
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "last.safetensors"
        copy.write_bytes(given)
        return checkpoint.load(copy)


def _found(run: Run) -> Checkpoint | None:
    """The checkpoint to go on from, once it is clear that this is the same run."""
    if run.folder is None:
        return None
    if run.options.resume:
        found = checkpoint.load(run.folder.last)
        if found is not None:
            check_same(found, run.words, run.options, run.network.core, run.settings)
        return found
    if run.folder.last.exists():
        raise FileError(
            f"{run.folder.last}: a run is in this folder already; resume it (resume=True, "
            "--resume), or begin anew in another folder"
        )
    return None


def _restore(run: Run, found: Checkpoint) -> None:
    state, patience = found.state, run.options.patience
    state.stopped = patience is not None and state.stale >= patience
    if patience is not None and state.best is not None and run.folder is not None:
        # A missing file of the best network is found now; at the end it would be too late.
        ending.stored_best(run.own_folder.best, state.best["epoch"])
    run.state = state
    found.restore(run.network.core, run.stepper.core)
    if state.optimizer is not None:
        # Whatever the run had by then; checkpoints of a time with one kind do not name it.
        settings = {"optimizer": "SGD", **state.optimizer}
        run.settings.optimizer = OPTIMIZERS[settings.pop("optimizer")](**settings)
    if run.folder is None:
        run.history = History(list(state.rows))
    else:
        run.history = run.folder.restore_history(state.rows)


def _prepared(run: Run) -> Preprocessing | None:
    """The preprocessing; stores with the network what its later users need to know."""
    network, train = run.network, run.train
    classes = train.classes or []
    if network.classes is None and len(classes) == run.classes:
        network.classes = classes
    network.temperature = None  # it was fitted to the answers of other weights
    network.held_out = run.held_out  # of other data than an earlier run's, so that None clears it
    if not train.is_pictures:
        if isinstance(train, Dataset):
            fit_checks.remark_on_pictures(train, None)
        return None
    preprocessing = stored_preprocessing(network.core)
    fitted = None
    if preprocessing is None:
        if isinstance(train, BatchStream):
            raise ArgumentError(
                "fit: for a stream of pictures the network needs its preprocessing first: "
                "net.preprocessing = ninc.preprocess.Preprocessing.fit(some_pictures)"
            )
        kind, progress = run.options.preprocessing, run.options.progress

        def fit() -> Preprocessing:
            return Preprocessing.fit(train.images, kind, framing=train.framing, progress=progress)

        team = run.stepper.team
        preprocessing = fitted = fit() if team is None else team.from_first(fit)
        network.preprocessing = preprocessing
    if isinstance(train, Dataset):
        fit_checks.remark_on_pictures(train, fitted)
    return preprocessing


def _going_on(run: Run, found: Checkpoint) -> str:
    state, epochs = run.state, run.options.epochs
    finished = f"the run in {run.own_folder.path} was finished already"
    if state.stopped:
        return (
            f"{finished}, by patience {run.options.patience} after epoch {state.epoch} of "
            f"{epochs}; a larger patience goes on"
        )
    if state.epoch == epochs:
        return finished if bound_to_epochs(run.settings) else f"{finished}; more epochs go on"
    words = f"going on after {state.place()} of {epochs} epochs"
    if found.version == _core.__version__:
        return words
    return f"{words} (begun by ninc {found.version}: bits may differ)"


def _counts(run: Run) -> dict[str, Any]:
    def count(data: Dataset | BatchStream | None) -> int | None:
        return len(data) if isinstance(data, Dataset) else None

    held_out = run.network.held_out
    return {
        "training": count(run.train),
        "validation": count(run.validation),
        "classes": run.network.classes,
        "held_out": None if held_out is None else held_out.to_dict(),
    }
