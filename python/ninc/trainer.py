"""Training: batches in, one call into the core for each step, a history out."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Union

import numpy as np

from . import _core
from .augment import Augmentation
from .batches import training_batches
from .data import Dataset, as_dataset
from .errors import ArgumentError, Error
from .evaluate import Evaluation, check_classes, evaluate, stored_preprocessing
from .history import History
from .optim import SGD
from .preprocess import Preprocessing
from .progress import TrainingProgress
from .schedules import Constant, Schedule

if TYPE_CHECKING:
    from .network import Network

Data = Union[Dataset, tuple[np.ndarray, np.ndarray]]


class DivergedError(Error):
    """The loss is no longer a finite number."""


class Trainer:
    """Trains a network by stochastic gradient descent on softmax cross entropy.

    network: gives logits, N×classes; its weights change in place.
    optimizer: SGD(0.1, momentum=0.9, weight_decay=1e-4) if None.
    schedule: multiplies the rate over a `fit`; see `ninc.schedules`.
    augment: changes each training batch; see `ninc.augment`.
    label_smoothing: e in 0..1; the target is 1 - e + e/classes for the label, e/classes elsewhere.
    seed: of shuffling, augmentation and dropout. The same seed gives the same weights, bit for
        bit, on any number of threads of one kind of processor.

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
    ) -> None:
        if not 0.0 <= label_smoothing < 1.0:
            raise ArgumentError(f"Trainer: label_smoothing must lie in 0..1, got {label_smoothing}")
        if seed < 0:
            raise ArgumentError(f"Trainer: seed must be 0 or more, got {seed}")
        self.network = network
        self.optimizer = optimizer or SGD(0.1, momentum=0.9, weight_decay=1e-4)
        self.schedule = schedule or Constant()
        self.augment = augment
        self.label_smoothing = float(label_smoothing)
        self.seed = int(seed)
        self.history = History()
        # What the optimiser's rates are multiplied by. `fit` sets it by the schedule before every
        # step; a loop of one's own around `step` may set it too.
        self.lr_factor = 1.0
        names = [name for name, _, trainable in network._model.specs() if trainable]
        self._lr, self._weight_decay = self.optimizer.vectors(names)
        self._core = _core.Trainer(network._model, self.label_smoothing)
        self._steps = 0

    def step(self, x: np.ndarray, labels: np.ndarray) -> float:
        """One update. x: N×C×H×W float32, N at least 1; labels: N whole numbers.

        Returns the batch's mean loss, as it was before the update. Raises ShapeError for a wrong
        shape, DTypeError for a wrong type and ArgumentError for a label out of range; the weights
        are then unchanged.
        """
        return self._update(x, labels)[0]

    def _update(self, x: np.ndarray, labels: np.ndarray) -> tuple[float, int]:
        """One update: (mean loss, how many answers were right), both before it."""
        result = self._core.step(
            x,
            np.asarray(labels),
            lr=self._lr * np.float32(self.lr_factor),
            weight_decay=self._weight_decay,
            momentum=self.optimizer.momentum,
            nesterov=self.optimizer.nesterov,
            seed=self.seed,
            step=self._steps,
        )
        self._steps += 1
        return result

    def fit(
        self,
        train: Data,
        validation: Data | None = None,
        epochs: int = 10,
        batch_size: int = 128,
        progress: bool = True,
    ) -> History:
        """Trains for `epochs` passes over `train`; returns the history, one row an epoch.

        train, validation: a Dataset, or (x, y). uint8 pictures are normalised: as the network
            does already, or by this training set's means and deviations, which are then stored
            with it, as are the classes' names.
        batch_size: images a step; what is left over at an epoch's end waits for another epoch.

        After KeyboardInterrupt, raised between two steps, `network` holds the weights of the last
        finished step and `self.history` the finished epochs. Raises DivergedError, with epoch and
        step, when the loss stops being finite.
        """
        train = as_dataset(train)
        validation = None if validation is None else as_dataset(validation)
        if epochs < 1 or batch_size < 1:
            raise ArgumentError(
                f"fit: epochs and batch_size must be at least 1, got {epochs} and {batch_size}"
            )
        for name, data in (("training", train), ("validation", validation)):
            if data is not None and not len(data):
                raise ArgumentError(f"fit: the {name} set is empty")
        batch_size = min(batch_size, len(train))
        outputs = check_classes(self.network, train, batch_size)
        if validation is not None:
            check_classes(self.network, validation, 1)
        preprocessing = self._prepare(train, outputs)

        self.history = History()
        shown = TrainingProgress(epochs, len(train) // batch_size, batch_size, shown=progress)
        try:
            for epoch in range(epochs):
                row = self._epoch(train, preprocessing, epoch, epochs, batch_size, shown)
                if validation is not None:
                    shown.validating(epoch)
                    result = self.evaluate(validation)
                    row.update(val_loss=result.loss, val_accuracy=result.accuracy)
                self.history.append(row)
                shown.epoch(row)
        finally:
            shown.close()
            self.lr_factor = 1.0
        return self.history

    def evaluate(self, data: Data, batch_size: int = 128) -> Evaluation:
        """Loss, accuracy and confusion matrix on `data`, in inference mode."""
        return evaluate(self.network, data, batch_size)

    def _prepare(self, train: Dataset, outputs: int) -> Preprocessing | None:
        """Stores with the network what a later user of it needs to know of this data."""
        if self.network.classes is None and len(train.classes) == outputs:
            self.network.classes = train.classes
        if not train.is_pictures:
            return None
        preprocessing = stored_preprocessing(self.network)
        if preprocessing is None:
            preprocessing = Preprocessing.fit(train.images)
            self.network.preprocessing = preprocessing
        return preprocessing

    def _epoch(
        self,
        train: Dataset,
        preprocessing: Preprocessing | None,
        epoch: int,
        epochs: int,
        batch_size: int,
        shown: TrainingProgress,
    ) -> dict[str, float]:
        steps = len(train) // batch_size
        batches = training_batches(train, preprocessing, batch_size, self.augment, self.seed, epoch)
        start = time.monotonic()
        total_loss, right = 0.0, 0
        for step, (x, labels) in enumerate(batches):
            self.lr_factor = self.schedule(epoch + step / steps, epochs)
            loss, correct = self._update(x, labels)
            if not math.isfinite(loss):
                raise DivergedError(
                    f"the loss became {loss} at epoch {epoch + 1}, step {step + 1}; "
                    f"try a rate below {self.optimizer.lr * self.lr_factor:.3g}"
                )
            total_loss += loss
            right += correct
            seconds = time.monotonic() - start
            shown.step(
                epoch, step, total_loss / (step + 1), right / ((step + 1) * batch_size), seconds
            )
        seconds = time.monotonic() - start
        return {
            "epoch": epoch + 1,
            "lr": self.optimizer.lr * self.lr_factor,
            "loss": total_loss / steps,
            "accuracy": right / (steps * batch_size),
            "seconds": seconds,
            "images_per_second": steps * batch_size / seconds,
        }
