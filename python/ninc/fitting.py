"""One `fit` under way: epochs of steps, with checkpoints, averages and early stopping."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import math
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core, checkpoint, monitor
from .averages import averaged
from .batches import Batch, steps_per_epoch, training_batches
from .checkpoint import State, described
from .data import BatchStream, Dataset
from .errors import ArgumentError, DivergedError, FileError, OutOfMemoryError
from .history import WALL_CLOCK, History
from .interrupt import Interrupted, Interrupts
from .preprocess import Preprocessing
from .progress import TrainingProgress
from .run_folder import RunFolder

if TYPE_CHECKING:
    from .network import Network
    from .trainer import Trainer


@dataclasses.dataclass(frozen=True)
class Options:
    """What a fit was asked for; `Trainer.fit` says what each means."""

    epochs: int
    batch_size: int
    checkpoint_dir: str | os.PathLike[str] | None
    resume: bool
    pace: checkpoint.Pace
    patience: int | None
    min_delta: float
    monitor: str
    preprocessing: str
    progress: bool
    frozen: list[str]


class Fit:
    """Trains, from the beginning or from a checkpoint, to the end."""

    def __init__(
        self,
        trainer: Trainer,
        train: Dataset | BatchStream,
        validation: Dataset | None,
        options: Options,
    ) -> None:
        self.trainer, self.train, self.validation = trainer, train, validation
        self.options = options
        self.network, self.core = trainer.network, trainer._core
        self.state = State(
            steps=trainer._steps, epoch_steps=steps_per_epoch(train, options.batch_size)
        )
        self.preprocessing: Preprocessing | None = None
        self.folder: RunFolder | None = None
        self.settings: dict[str, str] = {}
        # Without a folder the best weights stay in memory, with one they are in its file.
        self.best: dict[str, np.ndarray] | None = None

    def run(self) -> History:
        trainer = self.trainer
        with contextlib.ExitStack() as stack:
            if self.options.checkpoint_dir is not None:
                self.folder = RunFolder(self.options.checkpoint_dir)
                stack.callback(self.folder.close)
                self.settings = self._settings()
            self.core.set_frozen(self.options.frozen)
            stack.callback(self.core.set_frozen, [])
            begun = self._begin()
            done = self.state.epoch * (self.state.epoch_steps or 0) + self.state.step
            self.shown = TrainingProgress(
                self.options.epochs, self.state.epoch_steps, done, shown=self.options.progress
            )
            stack.callback(self.shown.close)
            if begun:
                self.shown.note(begun)
            self.interrupts = stack.enter_context(Interrupts(self.shown.note))
            self.options.pace.done(self.state.steps)
            try:
                while self.state.epoch < self.options.epochs and not self.state.stopped:
                    self._epoch()
                self._finish()
            except Interrupted as stop:
                raise self._interrupted(stop) from None
            finally:
                trainer._steps = self.state.steps
                trainer.lr_factor = 1.0
        return trainer.history

    # ---- Beginning -------------------------------------------------------------------------------

    def _settings(self) -> dict[str, str]:
        """Everything that shapes the run, in words; a resumed run must have the same."""
        trainer, options = self.trainer, self.options
        optimizer, model = trainer.optimizer, self.network._model
        graph = hashlib.blake2b(model.graph_json().encode(), digest_size=4).hexdigest()
        stopping = "none"
        if options.patience is not None:
            stopping = f"patience {options.patience}, min_delta {options.min_delta:g}"
        return {
            "network": f"of {self.network.num_parameters:,} parameters ({graph})",
            "seed": str(trainer.seed),
            "epochs": str(options.epochs),
            "batch size": str(options.batch_size),
            "precision": self.network.precision,
            "rate": str(optimizer.lr),
            "momentum": f"{optimizer.momentum}{' (Nesterov)' if optimizer.nesterov else ''}",
            "weight decay": str(optimizer.weight_decay),
            "parameter groups": str(optimizer.groups),
            "clip_norm": str(optimizer.clip_norm),
            "schedule": described(trainer.schedule),
            "augmentation": described(trainer.augment),
            "label smoothing": str(trainer.label_smoothing),
            "averages": described(trainer.average),
            "monitor": options.monitor,
            "early stopping": stopping,
            "preprocessing": options.preprocessing,
            "frozen": ", ".join(options.frozen) or "none",
            "training data": _fingerprint(self.train),
            "validation data": _fingerprint(self.validation),
        }

    def _begin(self) -> str:
        """Makes network, trainer and history ready; tells how the run begins, if unusually."""
        found = None
        if self.folder is not None:
            found = checkpoint.load(self.folder.last) if self.options.resume else None
            if not self.options.resume and self.folder.last.exists():
                raise FileError(
                    f"{self.folder.last}: a run is in this folder already; resume it, or begin "
                    "anew in another folder"
                )
        if found is not None:
            found.check_same(self.settings, _core.target())
            self.state = found.state
            if self.options.patience is not None and self.state.best is not None:
                self._stored_best()  # asked now: at the end it would be too late
            found.restore(self.network, self.core)
            self.trainer.history = self.folder.restore_history(self.state.rows)
        else:
            self.trainer.history = History()
        monitor.load_state(self.trainer.schedule, self.state.schedule)
        self.preprocessing = self.trainer._prepare(
            self.train, self.options.preprocessing, self.options.progress
        )
        if self.folder is None:
            return ""
        if found is None:
            self.folder.restore_history([])
        resumed = "" if found is None else self.state.place()
        self.folder.describe(self.settings, self._counts(), resumed)
        if found is None:
            if self.preprocessing is not None and self.preprocessing.whitening is not None:
                self._save()  # fitted again, a whitening may have other bits
            words = f"nothing to resume in {self.folder.path}: beginning a new run"
            return words if self.options.resume else ""
        if self.state.epoch == self.options.epochs or self.state.stopped:
            return f"the run in {self.folder.path} was finished already"
        words = f"going on after {resumed} of {self.options.epochs} epochs"
        if found.version == _core.__version__:
            return words
        return f"{words} (begun by ninc {found.version}: bits may differ)"

    def _counts(self) -> dict[str, Any]:
        def count(data: Dataset | BatchStream | None) -> int | None:
            return len(data) if isinstance(data, Dataset) else None

        held_out = self.network.held_out
        return {
            "training": count(self.train),
            "validation": count(self.validation),
            "classes": self.network.classes,
            "held_out": None if held_out is None else held_out.to_dict(),
        }

    # ---- Epochs ----------------------------------------------------------------------------------

    def _epoch(self) -> None:
        state = self.state
        begun, waited, images_before = time.monotonic(), 0.0, state.images
        batches = self._batches(state.epoch, state.step)
        with contextlib.closing(batches):
            while True:
                asked = time.monotonic()
                batch = next(batches, None)
                waited += time.monotonic() - asked
                if batch is None:
                    break
                self._step(*batch)
                seconds = time.monotonic() - begun
                self.shown.step(
                    state.epoch,
                    state.step - 1,
                    state.loss / state.images,
                    state.right / state.images,
                    (state.images - images_before) / max(seconds, 1e-9),
                )
                self._between_steps()
        if not state.step:
            raise ArgumentError(f"fit: the stream gave no batch in epoch {state.epoch + 1}")
        seconds = max(time.monotonic() - begun, 1e-9)
        row = {
            "epoch": state.epoch + 1,
            "lr": self.trainer.optimizer.lr * state.lr_factor,
            "loss": state.loss / state.images,
            "accuracy": state.right / state.images,
            "seconds": seconds,
            "images_per_second": (state.images - images_before) / seconds,
            "waited": waited / seconds,
        }
        # Before anything is kept or saved of this epoch.
        checkpoint.check_finite(self.network.state_dict(), self.state)
        self._validate(row)
        self._end_epoch(row)

    def _batches(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        trainer = self.trainer
        return training_batches(
            self.train,
            self.preprocessing,
            self.options.batch_size,
            trainer.augment,
            trainer.seed,
            epoch,
            first,
            self.interrupts.check,
        )

    def _step(self, x: np.ndarray, labels: np.ndarray) -> None:
        state, trainer = self.state, self.trainer
        # A stream that cannot tell how many batches it has is at its epoch's start until it ends.
        place = state.epoch + (state.step / state.epoch_steps if state.epoch_steps else 0.0)
        state.lr_factor = trainer.lr_factor = trainer.schedule(place, self.options.epochs)
        average = trainer.average
        rate = 0.0 if average is None else average.rate(place / self.options.epochs, state.averaged)
        try:
            loss, right, updated = trainer._update(x, labels, state.steps, rate)
        except OutOfMemoryError as error:
            raise OutOfMemoryError(f"{error}; a smaller batch size takes less") from error
        if not updated:
            self._diverged(x, labels, loss)
        state.step += 1
        state.steps += 1
        state.averaged += rate > 0.0
        state.loss += loss * len(labels)
        state.right += right
        state.images += len(labels)

    def _between_steps(self) -> None:
        """What may happen only where nothing is half done."""
        self.interrupts.check()
        last = self.state.step == self.state.epoch_steps  # the epoch's own checkpoint comes soon
        if self.folder is not None and not last and self.options.pace.due(self.state.steps):
            self._save()

    def _diverged(self, x: np.ndarray, labels: np.ndarray, loss: float) -> None:
        state, trainer = self.state, self.trainer
        number = state.step + 1
        what = "the gradients are not finite" if math.isfinite(loss) else f"the loss became {loss}"
        text = f"{what} at epoch {state.epoch + 1}, step {number}"
        if not np.isfinite(x).all():
            text += ": the images of this batch are not finite"
        else:
            found = self.core.find_non_finite(x, labels, trainer.seed, state.steps)
            rate = trainer.optimizer.lr * trainer.lr_factor
            if found:
                text += f": not finite first is {found}"
            text += f"; try a rate below {rate:.3g} or clip_norm"
        if self.folder is not None and self.folder.last.exists():
            text += f"; {self.folder.last} is the last good checkpoint"
        raise DivergedError(text)

    def _validate(self, row: dict[str, float]) -> None:
        """Adds the held-out data's loss and accuracy; keeps the network where it is the best."""
        if self.validation is None:
            return
        self.shown.validating(self.state.epoch)
        with self._averaged(self.state.epoch):
            result = self.trainer.evaluate(self.validation, check=self.interrupts.check)
            row.update(val_loss=result.loss, val_accuracy=result.accuracy)
            self._keep_best(row)

    def _keep_best(self, row: dict[str, float]) -> None:
        state, options = self.state, self.options
        value = row[options.monitor]
        before = None if state.best is None else state.best["value"]
        if not monitor.improves(options.monitor, value, before, options.min_delta):
            state.stale += 1
            state.stopped = options.patience is not None and state.stale >= options.patience
            return
        state.best, state.stale = {"epoch": row["epoch"], "value": value}, 0
        if self.folder is not None:
            self.network.save(self.folder.best)
        elif options.patience is not None:
            self.best = _copies(self.network)

    def _end_epoch(self, row: dict[str, float]) -> None:
        state = self.state
        monitor.observe(self.trainer.schedule, row)
        state.schedule = monitor.state_of(self.trainer.schedule)
        state.rows.append({name: v for name, v in row.items() if name not in WALL_CLOCK})
        state.epoch_steps = state.step  # a stream is now known; a Dataset was
        state.epoch += 1
        state.step = state.right = state.images = 0
        state.loss = 0.0
        self.trainer.history.append(row)
        self.shown.epoch(row)
        if self.folder is not None:
            self.folder.append_row(row)
            self._save()

    # ---- Checkpoints and ends --------------------------------------------------------------------

    def _save(self) -> None:
        checkpoint.save(self.folder.last, self.network, self.core, self.state, self.settings)
        self.options.pace.done(self.state.steps)

    def _interrupted(self, stop: Interrupted) -> Interrupted:
        where = f"interrupted ({stop.signal}) after {self.state.place()}"
        if self.folder is None:
            return Interrupted(where, stop.signal)
        self._save()
        return Interrupted(f"{where}; {self.folder.last} holds it all", stop.signal)

    def _averaged(self, epoch: int) -> contextlib.AbstractContextManager[None]:
        """Inside, the network holds the averages, where there are any yet.

        epoch: whose batches batch norm's statistics are estimated from.
        """
        if not self.state.averaged:
            return contextlib.nullcontext()
        return averaged(
            self.network,
            self.core,
            lambda: self._batches(epoch),
            self.trainer.average.norm_batches,
            self.interrupts.check,
        )

    def _finish(self) -> None:
        """Leaves in the network the best weights, the averages or the last, as asked."""
        state = self.state
        if self.options.patience is not None and state.best is not None:
            self.network._model.set_parameters(self.best or self._stored_best())
        elif state.averaged:
            with self._averaged(state.epoch - 1):
                averages = _copies(self.network)
            self.network._model.set_parameters(averages)
        if self.folder is not None:
            results = {
                "epochs": state.epoch,
                "stopped_early": state.stopped,
                "best": state.best,
                "last": self.trainer.history.rows[-1],
            }
            self.folder.conclude(results, self.trainer.history)

    def _stored_best(self) -> dict[str, np.ndarray]:
        best = self.folder.best
        if not best.exists():
            raise FileError(
                f"{best}: missing, but epoch {self.state.best['epoch']} was the best so far and "
                "early stopping ends with its weights"
            )
        model = _core.Model.load(os.fsencode(best))
        return {name: model.parameter(name) for name, _, _ in model.specs()}


def _copies(network: Network) -> dict[str, np.ndarray]:
    return {name: array.copy() for name, array in network.state_dict().items()}


def _fingerprint(data: Dataset | BatchStream | None) -> str:
    """Tells data apart. What a stream will give nobody knows: only its kind is compared."""
    if data is None:
        return "none"
    if isinstance(data, BatchStream):
        kind = "pictures" if data.is_pictures else "arrays"
        return f"a stream of {kind} {'×'.join(map(str, data.input_shape))}"
    return data.fingerprint()
