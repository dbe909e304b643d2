"""One `fit` under way: epochs of steps, with checkpoints, averages and early stopping."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._base.interrupt import Interrupted, Interrupts
from .._base.progress import TrainingProgress
from ..data import BatchStream, Dataset
from ..data.batches import Batch, steps_per_epoch, training_batches
from ..errors import ArgumentError, DivergedError, FileError, OutOfMemoryError
from ..preprocess import Preprocessing
from . import ending, monitor
from .averages import averaged
from .record import checkpoint
from .record.checkpoint import Checkpoint, State
from .record.history import WALL_CLOCK, History
from .record.run_folder import RunFolder
from .record.run_settings import Options, check_same, described, is_extendable, settings_of

if TYPE_CHECKING:
    from .trainer import Trainer


class Fit:
    """Trains, from the beginning or from a checkpoint, to the end."""

    def __init__(
        self,
        trainer: Trainer,
        train: Dataset | BatchStream,
        validation: Dataset | None,
        classes: int,
        options: Options,
    ) -> None:
        self.trainer, self.train, self.validation = trainer, train, validation
        self.classes, self.options = classes, options
        self.network, self.core = trainer.network, trainer._core
        self.state = State(
            steps=trainer._steps,
            before=trainer._epochs,
            epoch_steps=steps_per_epoch(train, options.batch_size),
        )
        self.preprocessing: Preprocessing | None = None
        self.folder: RunFolder | None = None
        self.settings: dict[str, str] = {}
        # Without a folder the best weights stay in memory, with one they are in its file.
        self.best: dict[str, np.ndarray] | None = None

    def run(self) -> History:
        with contextlib.ExitStack() as stack:
            if self.options.checkpoint_dir is not None:
                self.folder = RunFolder(self.options.checkpoint_dir)
                stack.callback(self.folder.close)
                self.settings = settings_of(self.trainer, self.train, self.validation, self.options)
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
            stack.callback(self._hand_back)
            self._train_and_end()
        return self.trainer.history

    def _train_and_end(self) -> None:
        try:
            signal = self._train()
        except DivergedError as error:
            best = ending.leave_best(self)
            if best is None:
                raise
            raise DivergedError(f"{error}; the network has {best}") from error
        weights = ending.end(self, signal)
        signal = self.interrupts.requested  # it may have come while the run was ending
        if signal is not None:
            words = f"interrupted ({signal}) after {self.state.place()}"
            if self.folder is not None:
                words += f"; {self.folder.last} holds it all"
            raise Interrupted(f"{words}; the network has {weights}", signal, weights)

    def _train(self) -> str | None:
        """Epochs to the end; the name of the signal that ended them before it, or None."""
        try:
            while self.state.epoch < self.options.epochs and not self.state.stopped:
                self._epoch()
        except Interrupted as stop:
            # Where weights were ruined by a step whose loss was still a number, nobody has seen it.
            checkpoint.check_finite(self.network.state_dict(), self.state)
            if self.folder is not None:
                self._save()
            return stop.signal
        return None

    def _hand_back(self) -> None:
        """However the run ended, the trainer's next one draws other numbers."""
        trainer, state = self.trainer, self.state
        trainer._steps = state.steps
        trainer._epochs = state.before + state.epoch + (state.step > 0)
        trainer.lr_factor = 1.0

    # ---- Beginning -------------------------------------------------------------------------------

    def _begin(self) -> str:
        """Makes network, trainer and history ready; tells how the run begins, if unusually."""
        found = self._found()
        if found is not None:
            self._restore(found)
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
        if found.settings != self.settings:
            self._save()  # with the epochs and the patience that hold from now on
        return self._going_on(found)

    def _found(self) -> Checkpoint | None:
        """The checkpoint to go on from, once it is clear that this is the same run."""
        if self.folder is None:
            return None
        if self.options.resume:
            found = checkpoint.load(self.folder.last)
            if found is not None:
                check_same(found, self.settings, self.options, self.trainer)
            return found
        if self.folder.last.exists():
            raise FileError(
                f"{self.folder.last}: a run is in this folder already; resume it (resume=True, "
                "--resume), or begin anew in another folder"
            )
        return None

    def _restore(self, found: Checkpoint) -> None:
        state, patience = found.state, self.options.patience
        state.stopped = patience is not None and state.stale >= patience
        if patience is not None and state.best is not None:
            # Asked now: at the end it would be too late.
            ending.stored_best(self.folder.best, state.best["epoch"])
        self.state = state
        found.restore(self.network, self.core)
        if state.optimizer is not None:
            self.trainer.optimizer = self.trainer.optimizer.replaced(**state.optimizer)
        self.trainer.history = self.folder.restore_history(state.rows)

    def _going_on(self, found: Checkpoint) -> str:
        state, epochs = self.state, self.options.epochs
        finished = f"the run in {self.folder.path} was finished already"
        if state.stopped:
            return (
                f"{finished}, by patience {self.options.patience} after epoch {state.epoch} of "
                f"{epochs}; a larger patience goes on"
            )
        if state.epoch == epochs:
            return f"{finished}; more epochs go on" if is_extendable(self.trainer) else finished
        words = f"going on after {state.place()} of {epochs} epochs"
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
        batches = self.batches(state.epoch, state.step)
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
            "lr": state.lr,
            "momentum": self.trainer.optimizer.momentum,
            "weight_decay": self.trainer.optimizer.weight_decay,
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

    def batches(
        self, epoch: int, first: int = 0, check: Callable[[], None] | None = None
    ) -> Iterator[Batch]:
        """The run's epoch number `epoch`, from 0, from its batch number `first` on."""
        trainer = self.trainer
        return training_batches(
            self.train,
            self.preprocessing,
            self.options.batch_size,
            trainer.augment,
            trainer.seed,
            self.state.before + epoch,
            first,
            check or self.interrupts.check,
        )

    def _step(self, x: np.ndarray, labels: np.ndarray) -> None:
        state, trainer = self.state, self.trainer
        # A stream that cannot tell how many batches it has is at its epoch's start until it ends.
        place = state.epoch + (state.step / state.epoch_steps if state.epoch_steps else 0.0)
        self._set_factor(trainer.schedule(place, self.options.epochs), place)
        state.lr = trainer.optimizer.lr * trainer.lr_factor
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

    def _set_factor(self, factor: float, place: float) -> None:
        try:
            self.trainer.lr_factor = factor
        except ArgumentError:
            raise ArgumentError(
                f"fit: a schedule gives a number of 0 or more, but "
                f"{described(self.trainer.schedule)} gave {factor!r} at epoch {place:.4g}"
            ) from None

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
            if found:
                text += f": not finite first is {found}"
            text += f"; try a rate below {state.lr:.3g} or clip_norm"
        if self.folder is not None and self.folder.last.exists():
            text += f"; {self.folder.last} is the last good checkpoint"
        raise DivergedError(text)

    def _validate(self, row: dict[str, float]) -> None:
        """Adds the held-out data's loss and accuracy; keeps the network where it is the best."""
        if self.validation is None:
            return
        self.shown.validating(self.state.epoch)
        with self.averaged(lambda: self.batches(self.state.epoch), self.interrupts.check):
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
            self.best = ending.copies(self.network)

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

    # ---- Checkpoints and averages ----------------------------------------------------------------

    def _save(self) -> None:
        self.state.optimizer = self.trainer.optimizer.settings()
        checkpoint.save(self.folder.last, self.network, self.core, self.state, self.settings)
        self.options.pace.done(self.state.steps)

    def averaged(
        self, batches: Callable[[], Iterator[Batch]], check: Callable[[], None]
    ) -> contextlib.AbstractContextManager[None]:
        """Inside, the network holds the averages, where there are any yet.

        batches, check: as `ninc.averages.averaged` takes them.
        """
        if not self.state.averaged:
            return contextlib.nullcontext()
        return averaged(self.network, self.core, batches, self.trainer.average.norm_batches, check)
