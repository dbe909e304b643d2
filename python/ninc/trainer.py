"""The trainer: a network, how it is to be trained, and one call into the core for each step."""

from __future__ import annotations

import numbers
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from . import _core
from .arguments import LARGEST_SEED, real, whole
from .augment import Augmentation
from .averages import EMA, SWA
from .checkpoint import Pace
from .data import BatchStream, Dataset, as_dataset
from .data.dataset import is_batches
from .errors import ArgumentError
from .evaluate import Evaluation, check_classes, evaluate, stored_preprocessing
from .fitting import Fit, Options
from .history import History
from .loss import PendingLoss
from .monitor import checked_monitor, watched
from .optim import SGD
from .preprocess import KINDS, Preprocessing
from .schedules import Constant, Schedule

if TYPE_CHECKING:
    from .network import Network

Data = Union[Dataset, tuple[np.ndarray, np.ndarray]]
TrainingData = Union[Data, BatchStream, Iterable[tuple[np.ndarray, np.ndarray]]]


_MONITOR = "val_accuracy"


class Trainer:
    """Trains a network by stochastic gradient descent on softmax cross entropy.

    network: gives logits, N×classes; its weights change in place.
    optimizer: SGD(0.1, momentum=0.9, weight_decay=1e-4) if None.
    schedule: multiplies the rate over a `fit`; see `ninc.schedules`.
    augment: changes each training batch; see `ninc.augment`.
    label_smoothing: e in 0..1; the target is 1 - e + e/classes for the label, e/classes elsewhere.
    seed: of shuffling, augmentation and dropout. The same seed gives the same weights, bit for
        bit, on any number of threads of one kind of processor.
    average: the averaged weights that `fit` validates and ends with in place of the last ones; see
        `ninc.averages`.

        trainer = ninc.Trainer(net, ninc.SGD(0.1, momentum=0.9), schedule=OneCycle())
        history = trainer.fit(train, test, epochs=10)
    """

    def __init__(
        self,
        network: Network,
        optimizer: SGD | None = None,
        schedule: Schedule | None = None,
        augment: Augmentation | None = None,
        label_smoothing: float = 0.0,
        seed: int = 0,
        average: EMA | SWA | None = None,
    ) -> None:
        self.label_smoothing = real("Trainer", "label_smoothing", label_smoothing)
        if not 0.0 <= self.label_smoothing < 1.0:
            raise ArgumentError(f"Trainer: label_smoothing must lie in 0..1, got {label_smoothing}")
        self.seed = whole("Trainer", "seed", seed, 0, LARGEST_SEED)
        self.network = network
        self.optimizer = optimizer or SGD(0.1, momentum=0.9, weight_decay=1e-4)
        self.schedule = schedule or Constant()
        self.augment = augment
        self.average = average
        self.history = History()
        # What the optimiser's rates are multiplied by. `fit` sets it by the schedule before every
        # step; a loop of one's own around `step` may set it too.
        self.lr_factor = 1.0
        names = [name for name, _, trainable in network._model.specs() if trainable]
        self._lr, self._weight_decay = self.optimizer.vectors(names)
        self._core = _core.Trainer(network._model, self.label_smoothing)
        self._steps = 0

    def step(self, x: np.ndarray, labels: np.ndarray) -> float | PendingLoss:
        """One update. x: N×C×H×W float32, N at least 1; labels: N whole numbers.

        Returns the batch's mean loss, as it was before the update; with the network on a GPU a
        number that is waited for only when it is looked at. Where the loss, or with
        clip_norm the gradients' norm, is not finite, nothing is updated. Raises ShapeError for a
        wrong shape, DTypeError for a wrong type and ArgumentError for a label out of range, or for
        a trainer with an `average`, which `fit` alone keeps; the weights are then unchanged.
        """
        if self.average is not None:
            raise ArgumentError(
                f"step: {self.average!r} is kept by fit alone, which knows how far the run is; "
                "give this Trainer no average"
            )
        arguments = self._arguments(x, labels, self._steps)
        if self.network.device == "cpu":
            loss, _, _ = self._core.step(**arguments)
        else:
            loss = PendingLoss(self._core.launch(**arguments))
        self._steps += 1
        return loss

    def _update(
        self, x: np.ndarray, labels: np.ndarray, step: int, average_rate: float = 0.0
    ) -> tuple[float, int, bool]:
        """One update: (mean loss, right answers, both before it; whether numbers were finite)."""
        return self._core.step(**self._arguments(x, labels, step), average_rate=average_rate)

    def _arguments(self, x: np.ndarray, labels: np.ndarray, step: int) -> dict[str, Any]:
        return {
            "x": x,
            "labels": np.asarray(labels),
            "lr": self._lr * np.float32(self.lr_factor),
            "weight_decay": self._weight_decay,
            "momentum": self.optimizer.momentum,
            "nesterov": self.optimizer.nesterov,
            "seed": self.seed,
            "step": step,
            "clip_norm": self.optimizer.clip_norm or 0.0,
        }

    def fit(
        self,
        train: TrainingData,
        validation: Data | float | None = None,
        epochs: int = 10,
        batch_size: int = 128,
        checkpoint_dir: str | os.PathLike[str] | None = None,
        resume: bool = False,
        progress: bool = True,
        *,
        checkpoint_every: int | str | None = None,
        patience: int | None = None,
        min_delta: float = 0.0,
        monitor: str = _MONITOR,
        preprocessing: str = "normalize",
    ) -> History:
        """Trains for `epochs` passes over `train`; returns the history, one row an epoch.

        train, validation: a Dataset, or (x, y); for training also a BatchStream or what makes one,
            such as a list of batches, and for validation the share of the training set to hold
            out, of each class, by the trainer's seed.
        batch_size: images a step; what is left over at an epoch's end waits for another epoch. A
            stream has batches of its own.
        checkpoint_dir: a folder of this run's own (see `ninc.run_folder`) with history, the best
            network and, written at each epoch's end, what it takes to go on.
        resume: go on from there; the result is byte for byte that of a run never interrupted. A run
            that has not begun begins.
        checkpoint_every: checkpoints within epochs, too: a number of steps, or "90s", "10m", "2h".
        patience: end after so many epochs in a row in which `monitor`, "val_accuracy" or
            "val_loss", did not get better by more than `min_delta`, with the weights of the best.
        preprocessing: what uint8 pictures go through, fitted to this training set: "normalize" or
            "gcn_zca". It is stored with the network, as are the classes' names; a network that has
            its preprocessing keeps it.

        Ctrl-C, SIGTERM and SIGHUP end the run at a step's end, with a checkpoint where there is a
        folder; `Interrupted`, a KeyboardInterrupt, is raised then. A second one ends it at once.
        Raises DivergedError, which names epoch, step and layer, when numbers stop being finite; the
        weights are then those before that step. FileError where files cannot be written or a
        checkpoint is damaged, ArgumentError where a run is resumed with other data or settings.
        """
        epochs = whole("fit", "epochs", epochs)
        batch_size = whole("fit", "batch_size", batch_size)
        pace = Pace(checkpoint_every)
        if checkpoint_dir is None and (resume or checkpoint_every is not None):
            name = "resume" if resume else "checkpoint_every"
            raise ArgumentError(f"fit: {name} needs a checkpoint_dir")
        train, validation = self._data(train, validation)
        if patience is not None:
            patience = whole("fit", "patience", patience)
        min_delta = real("fit", "min_delta", min_delta)
        self._check_watched(validation, patience, min_delta, monitor)
        if checkpoint_dir is None and patience is None and (min_delta or monitor != _MONITOR):
            raise ArgumentError(
                "fit: monitor and min_delta tell which network is the best, which is kept with "
                "patience or a checkpoint_dir"
            )
        self._check_preprocessing(train, preprocessing)
        if isinstance(train, BatchStream):
            self._check_passes(train, epochs)
            batch_size = len(train.first()[0])
        else:
            batch_size = min(batch_size, len(train))
        check_classes(self.network, train, batch_size)
        if validation is not None:
            check_classes(self.network, validation, 1)
        options = Options(
            epochs=epochs,
            batch_size=batch_size,
            checkpoint_dir=checkpoint_dir,
            resume=resume,
            pace=pace,
            patience=patience,
            min_delta=min_delta,
            monitor=monitor,
            preprocessing=preprocessing,
            progress=progress,
        )
        return Fit(self, train, validation, options).run()

    def evaluate(
        self, data: Data, batch_size: int = 128, check: Callable[[], None] | None = None
    ) -> Evaluation:
        """Loss, accuracy and confusion matrix on `data`, in inference mode.

        check: called before each batch; what it raises ends the work.
        """
        return evaluate(self.network, data, batch_size, check=check)

    def _data(
        self, train: TrainingData, validation: Data | float | None
    ) -> tuple[Dataset | BatchStream, Dataset | None]:
        """Training and validation data, neither of them empty."""
        train = _as_training_data(train)
        if isinstance(train, Dataset) and not len(train):
            raise ArgumentError("fit: the training set is empty")
        if isinstance(validation, numbers.Real):
            if isinstance(train, BatchStream):
                raise ArgumentError("fit: a stream cannot be split; give validation data")
            if not 0.0 < validation < 1.0:
                raise ArgumentError(
                    f"fit: validation as a share must lie between 0 and 1, got {validation!r}"
                )
            return train.split(float(validation), self.seed)
        if validation is None:
            return train, None
        validation = as_dataset(validation, "fit: validation")
        if not len(validation):
            raise ArgumentError("fit: the validation set is empty")
        return train, validation

    def _check_watched(
        self, validation: Dataset | None, patience: int | None, min_delta: float, monitor: str
    ) -> None:
        """ArgumentError where something is to watch a column that the history will not have."""
        checked_monitor("fit", monitor)
        if not monitor.startswith("val_"):
            raise ArgumentError(f"fit: monitor must be val_accuracy or val_loss, got {monitor!r}")
        if not min_delta >= 0.0:
            raise ArgumentError(f"fit: min_delta must be 0 or more, got {min_delta}")
        if validation is not None:
            return
        if patience is not None:
            raise ArgumentError("fit: patience needs validation data to watch")
        if min_delta or monitor != _MONITOR:
            raise ArgumentError("fit: monitor and min_delta need validation data to watch")
        column = watched(self.schedule)
        if column is not None:
            raise ArgumentError(f"fit: {self.schedule!r} needs validation data to watch {column}")

    def _check_passes(self, train: BatchStream, epochs: int) -> None:
        """ArgumentError where batches that can be had once will be needed twice."""
        if not train.one_epoch_only:
            return
        reason = f"{epochs} epochs need" if epochs > 1 else ""
        statistics = any(not trained for _, _, trained in self.network._model.specs())
        if not reason and self.average is not None and statistics:
            reason = f"batch norm's statistics for {self.average!r} need"
        if reason:
            raise ArgumentError(
                f"fit: {reason} the batches more than once, but an iterator gives them once; give "
                "a list, an object with __iter__, or a BatchStream of a function that returns a "
                "new iterator"
            )

    def _check_preprocessing(self, train: Dataset | BatchStream, kind: str) -> None:
        if kind not in KINDS:
            raise ArgumentError(
                f"fit: preprocessing must be one of {', '.join(KINDS)}, got {kind!r}"
            )
        if kind != KINDS[0] and not train.is_pictures:
            raise ArgumentError(
                f"fit: preprocessing {kind!r} is for uint8 pictures; float32 arrays are taken as "
                "they are"
            )

    def _prepare(
        self, train: Dataset | BatchStream, kind: str, progress: bool
    ) -> Preprocessing | None:
        """Stores with the network what a later user of it needs to know of this data."""
        outputs = check_classes(self.network, train, 1)
        classes = train.classes or []
        if self.network.classes is None and len(classes) == outputs:
            self.network.classes = classes
        if not train.is_pictures:
            return None
        preprocessing = stored_preprocessing(self.network)
        if preprocessing is None:
            if isinstance(train, BatchStream):
                raise ArgumentError(
                    "fit: for a stream of pictures the network needs its preprocessing first: "
                    "net.preprocessing = ninc.preprocess.Preprocessing.fit(some_pictures)"
                )
            preprocessing = Preprocessing.fit(
                train.images, kind, framing=train.framing, progress=progress
            )
            self.network.preprocessing = preprocessing
        return preprocessing


def _as_training_data(train: TrainingData) -> Dataset | BatchStream:
    """A list or another iterable of batches becomes a stream of them."""
    if isinstance(train, (Dataset, BatchStream)):
        return train
    if is_batches(train):
        return BatchStream(train)
    return as_dataset(train, "fit: train")
