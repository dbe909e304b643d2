"""The trainer: a network, how it is to be trained, single steps and whole runs."""

from __future__ import annotations

import numbers
import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Union, cast

from .._base.arguments import flag, layout_told, path, real, share_below_1, whole
from .._base.array_types import FloatsLike, LabelsLike
from ..data import BatchStream, Dataset, as_dataset
from ..data.dataset import Data, is_batches
from ..errors import ArgumentError, ShapeError
from ..formats.held_out import HeldOut
from ..inference.evaluation import Evaluation, evaluate
from ..inference.matching import by_name, check_framing, count_outputs, matched
from ..network import Network
from . import fit_checks
from .augment import Augmentation
from .averages import EMA, SWA
from .beginning import begun
from .callbacks import Callback, checked_callbacks
from .class_weights import ClassWeights, weights_of_classes
from .freezing import frozen_parameters
from .loop import train_and_end
from .monitor import MONITOR
from .optim import SGD, Optimizer
from .pending_loss import PendingLoss
from .record.checkpoint import Pace
from .record.history import History
from .record.run_settings import Options
from .run import Listener, Run
from .schedules import Constant, Schedule
from .settings import Settings
from .stepper import Stepper

if TYPE_CHECKING:
    from ..distributed.team import Team

TrainingData = Union[Data, BatchStream, Iterable[tuple[Any, Any]]]


def _team(comm: Any) -> Team | None:
    if comm is None:
        return None
    from ..distributed.team import Team

    return Team(comm)


class Trainer(Settings):
    """Trains a network on softmax cross entropy.

    network: gives logits, N×classes; its weights change in place.
    optimizer: SGD, Adam or AdamW; SGD(0.1, momentum=0.9, weight_decay=1e-4) if None. It and its
        settings may be changed between steps: `trainer.optimizer.lr = 0.01`. One of another kind
        begins anew with what it keeps of each parameter.
    schedule: multiplies the rate over a `fit`; see `ninc.schedules`.
    augment: changes each training batch; see `ninc.augment`.
    label_smoothing: e in 0..1; the target is 1 - e + e/classes for the label, e/classes elsewhere.
    seed: of shuffling, augmentation and dropout. The same seed gives the same weights, bit for
        bit, on any number of threads of one kind of processor.
    average: the averaged weights that `fit` validates and ends with in place of the last ones; see
        `ninc.averages`.
    shards: above 1, each batch is computed in at most so many parts of ceil(N / shards) pictures,
        one after another, which takes less memory. The loss and its gradients are those of the
        whole batch, added up in an order that the number of shards decides, so that another
        number gives other last bits. Batch norms normalise each shard by itself; their running
        statistics follow the mean over the shards.
    sync_batch_norm: batch norms normalise by mean and variance of the whole batch, however it is
        cut. All shards of a process are then under way at once, so that they take the activations
        of a batch in one piece, and gradients and packed weights each; workers tell one another two
        numbers a channel and shard, in each batch norm forward and backward.
    comm: an mpi4py communicator, or `ninc.distributed.Workers` made of one, whose processes, the
        workers, train one network together. Each makes a Trainer of the same network and settings,
        calls the same methods with the same data, and changes settings at the same step. It makes
        ready and computes the pictures of its own shards, so there are at most as many workers as
        shards.
        The weights are those of one process with these shards, bit for bit. Worker 0 alone writes
        checkpoints and shows progress.

    The attribute `held_out` is what `fit` stores as `network.held_out` where the data themselves do
    not tell, such as those that were divided a second time: a `HeldOut`, or None. `listener` is who
    follows `fit` from outside, such as the report of `ninc train --report`, or None.

    A trainer is one thread's at a time; others may meanwhile use its network.

        trainer = ninc.Trainer(net, ninc.SGD(0.1, momentum=0.9), schedule=OneCycle())
        history = trainer.fit(train, test, epochs=10)
    """

    def __init__(
        self,
        network: Network,
        optimizer: Optimizer | None = None,
        schedule: Schedule | None = None,
        augment: Augmentation | None = None,
        label_smoothing: float = 0.0,
        seed: int = 0,
        average: EMA | SWA | None = None,
        shards: int = 1,
        comm: Any = None,
        sync_batch_norm: bool = False,
    ) -> None:
        smoothing = share_below_1("Trainer", "label_smoothing", label_smoothing)
        if not isinstance(network, Network):
            raise ArgumentError(f"Trainer: network must be a ninc.Network, got {network!r:.80}")
        self._network = network
        team = _team(comm)
        self.stepper = Stepper(network.core, smoothing, team)
        super().__init__(self.stepper.rates, smoothing, team)
        self.seed = seed
        usual = SGD(0.1, momentum=0.9, weight_decay=1e-4)
        self.optimizer = usual if optimizer is None else optimizer
        self.schedule = Constant() if schedule is None else schedule
        self.augment = augment
        self.average = average
        self.shards = shards
        self.sync_batch_norm = sync_batch_norm
        self.held_out: HeldOut | None = None
        self.listener: Listener | None = None
        self.history = History()

    @property
    def network(self) -> Network:
        """The network that is trained."""
        return self._network

    def step(self, x: FloatsLike, labels: LabelsLike) -> float | PendingLoss:
        """One update of the weights.

        x: N×C×H×W float32, N at least 1
        labels: N whole numbers

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
        stepper = self.stepper
        if stepper.team is not None and not stepper.is_checked:
            # Workers that differ in these would wait for one another.
            alike = {"shards": str(self.shards), "sync_batch_norm": str(self.sync_batch_norm)}
            stepper.team.check_alike(alike)
            stepper.team.check_weights(self.network.state_dict(), "at the first step")
            stepper.is_checked = True
        settings = stepper.settings(self, stepper.steps)
        loss: float | PendingLoss
        try:
            if self.network.device == "cpu" or stepper.team is not None:
                own = stepper.own_part(x, labels, self.shards)
                loss, _, _ = stepper.update(own, labels, settings)
            else:
                loss = stepper.launch(x, labels, settings)
        except ShapeError as error:
            if str(error).startswith("step: labels:"):
                raise
            raise layout_told(self.network.core, error, getattr(x, "shape", ())) from None
        stepper.steps += 1
        return loss

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
        monitor: str = MONITOR,
        preprocessing: str = "normalize",
        freeze: str | Sequence[str] = (),
        class_weights: ClassWeights = None,
        callbacks: Iterable[Callback] = (),
    ) -> History:
        """Trains for `epochs` passes over `train`; returns the history, one row an epoch.

        train, validation: a Dataset, or (x, y); for training also a BatchStream or what makes one,
            such as a list of batches, and for validation the share of the training set to hold
            out, of each class, by the trainer's seed.
        epochs: how many passes over `train`, those of an earlier part of a resumed run included.
        batch_size: images a step, at most: an epoch sees every image, in ceil(N / batch_size)
            batches that differ by one image at most. A stream has batches of its own.
        checkpoint_dir: a folder of this run's own with history, the
            best network and, written at each epoch's end, what it takes to go on.
        resume: go on from there; the result is byte for byte that of a run never interrupted. A run
            that has not begun begins. With more epochs than it was begun with a run is extended,
            where schedule and averages do not depend on their number: Constant, Step with
            milestones in epochs, Plateau, Warmup before one of these, a schedule of one's own with
            an attribute `extendable` that is true, and EMA. A larger patience goes on, too.
        progress: prints a line for each epoch to standard error, and on a terminal how far it is.
        checkpoint_every: checkpoints within epochs, too: a number of steps, or "90s", "10m", "2h".
        patience: end after so many epochs in a row in which `monitor`, "val_accuracy" or
            "val_loss", did not get better by more than `min_delta`, with the weights of the best.
        preprocessing: what uint8 pictures go through, fitted to this training set: "normalize" or
            "gcn_zca". It is stored with the network, as are the classes' names; a network that has
            its preprocessing keeps it. So is what `ninc.data.load` held out of data without a test
            set, where `validation` is just that, for `ninc eval` to test on.
        freeze: patterns of parameters ("conv1.*", "*.bias") or layers ("conv1", "bn_*") that this
            run holds still, to the bit, and takes no gradients of. A batch norm whose parameters
            are all among them normalises by its running statistics, as in inference, and leaves
            them as they are.
        callbacks: functions that are called one after another at each epoch's end, before its
            checkpoint, with an `EpochEnd`, whose `stop()` ends the run there. An exception in one
            ends it, too, with the checkpoint written, as an Error that names the function.
        class_weights: how much each class counts in the training loss, as
            torch.nn.CrossEntropyLoss(weight=...) has it: a sequence, one number above 0 for each
            class, or a mapping from classes' names (the others count 1). "balanced" counts a
            class N / (K * its pictures), for N pictures of K classes, so that all count the same
            together. The history's `loss` is then the weighted mean; results on held-out data
            are not weighted.

        A second fit of one trainer draws other batches than the first, and begins its history anew.

        Ctrl-C, SIGTERM and SIGHUP end the run at a step's end, with a checkpoint where there is a
        folder, and leave in the network what the run's own end would: the best weights with
        patience, else the averages, else the last. `Interrupted`, a KeyboardInterrupt that says
        which, is raised then. A second one ends it at once. A run whose result is no better than
        guessing ends with a `ninc.Remark`. Raises DivergedError, which names epoch, step and
        layer, when numbers stop being finite; the weights are then those before that step, with
        patience the best.
        FileError where files cannot be written or a checkpoint is damaged, ArgumentError where a
        run is resumed with other data or settings.
        """
        epochs = whole("fit", "epochs", epochs)
        batch_size = whole("fit", "batch_size", batch_size)
        pace = Pace(checkpoint_every)
        resume, progress = flag("fit", "resume", resume), flag("fit", "progress", progress)
        if checkpoint_dir is not None:
            checkpoint_dir = path("fit", "checkpoint_dir", checkpoint_dir)
        if checkpoint_dir is None and (resume or checkpoint_every is not None):
            name = "resume" if resume else "checkpoint_every"
            raise ArgumentError(f"fit: {name} needs a checkpoint_dir")
        if self._fitting:
            raise ArgumentError("fit: this trainer is at a fit already; make another Trainer")
        is_share = isinstance(validation, numbers.Real)
        train, validation = self._data(train, validation)
        # Of labels as the data count them.
        held_out = HeldOut.of_training(train, validation) or self.held_out
        if patience is not None:
            patience = whole("fit", "patience", patience)
        min_delta = real("fit", "min_delta", min_delta)
        fit_checks.check_watched(validation, patience, min_delta, monitor, self.schedule)
        if checkpoint_dir is None and patience is None and (min_delta or monitor != MONITOR):
            raise ArgumentError(
                "fit: monitor and min_delta tell which network is the best, which is kept with "
                "patience or a checkpoint_dir"
            )
        fit_checks.check_preprocessing(train, preprocessing)
        if isinstance(train, BatchStream):
            fit_checks.check_passes(self.network.core, self.average, train, epochs)
            batch_size = at_a_time = len(train.first()[0])
        else:
            at_a_time = min(batch_size, len(train))
        train, validation, outputs = self._matched(train, validation, at_a_time)
        fit_checks.check_outputs(outputs)
        if isinstance(train, Dataset):
            batch_size = fit_checks.check_batches(self.network.core, train, batch_size)
        if validation is not None and not is_share:
            fit_checks.remark_on_validation(train, validation)
        fit_checks.remark_on_settings(self.optimizer, patience, epochs)
        team = self.stepper.team
        if team is not None and not team.is_first:
            checkpoint_dir, resume, progress = None, False, False
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
            frozen=frozen_parameters(self.stepper.names, freeze),
            class_weights=weights_of_classes(class_weights, train, self.network.classes, outputs),
            callbacks=checked_callbacks(callbacks),
        )
        run = Run(
            self.network, self, self.stepper, self.evaluate, train, validation, outputs, options,
            held_out=held_out, listener=self.listener,
        )  # fmt: skip
        self._fitting = True
        try:
            with begun(run):
                self.history = run.history
                train_and_end(run)
        except BaseException as error:
            if team is not None:
                team.failed(error)
            raise
        finally:
            self._fitting = False
        return self.history

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
        given: Any = train
        if is_batches(given) and not isinstance(given, (Dataset, BatchStream)):
            given = BatchStream(given)
        if not isinstance(given, BatchStream):
            given = as_dataset(given, "fit: train")
            fit_checks.check_two_classes(given)
        if isinstance(validation, numbers.Real):
            if isinstance(given, BatchStream):
                raise ArgumentError("fit: a stream cannot be split; give validation data")
            return fit_checks.split(given, cast(float, validation), self.seed)
        if validation is None:
            return given, None
        held_out = as_dataset(cast(Data, validation), "fit: validation")
        if not len(held_out):
            raise ArgumentError("fit: the validation set is empty")
        return given, held_out

    def _matched(
        self, train: Dataset | BatchStream, validation: Dataset | None, batch_size: int
    ) -> tuple[Dataset | BatchStream, Dataset | None, int]:
        """Both sets, with labels counted as the network counts, or will count, its classes.

        The last value is how many classes the network tells apart.
        """
        train = matched(self.network.core, cast(Any, train), "fit", batch_size)
        outputs = count_outputs(self.network.core, train, batch_size)
        if validation is None:
            return train, None, outputs
        names = self.network.classes or train.classes
        if names is None:
            return train, matched(self.network.core, validation, "fit: validation"), outputs
        check_framing(self.network.core, validation, "fit: validation")
        count_outputs(self.network.core, validation)
        validation = by_name(validation, names, "fit: validation", "the training data's")
        return train, validation, outputs
