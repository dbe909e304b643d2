"""One `fit` under way, which `beginning` hands to `loop` and `loop` to `ending`."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Generator, Mapping
from typing import Protocol, cast

from .._base.array_types import Floats
from .._base.interrupt import Interrupts
from .._base.progress import TrainingProgress
from ..data import BatchStream, Dataset
from ..data.batches import Share, steps_per_epoch, training_batches
from ..data.stream import Batch
from ..formats.held_out import HeldOut
from ..inference.evaluation import Evaluation
from ..inference.scoring import Sharing
from ..network import Network
from ..preprocess import Preprocessing
from .averages import averaged
from .record import checkpoint
from .record.checkpoint import State
from .record.history import History
from .record.run_folder import RunFolder
from .record.run_settings import Options
from .settings import Settings
from .stepper import Stepper


class Listener(Protocol):
    """Follows a run from outside, such as a report of it; see `Trainer.listener`.

    What it raises ends the run.
    """

    def begun(self, settings: Mapping[str, str], history: History) -> None:
        """Called before the first step, with all that shapes the run and the epochs there are."""

    def evaluate(
        self,
        network: Network,
        data: Dataset,
        check: Callable[[], None] | None,
        workers: Sharing | None,
    ) -> Evaluation:
        """Evaluates in the place of `inference.evaluation.evaluate`, with the same result."""
        ...

    def epoch_ended(self, history: History) -> None:
        """Called when an epoch is finished and, of a run with a folder, stored."""


@dataclasses.dataclass
class Run:
    """What is trained, how and on what; and where it stands.

    settings: the trainer's, which may be set between two steps. evaluate: the trainer's, too.
    classes: how many the network tells apart. words: all that shapes the run, where it has a folder
    or a listener. best: the best weights, where they stay in memory: with a folder they are in its
    file. held_out: what `ninc.data.load` held out of these data, where it did, to be stored.
    listener: who follows the run, or None.
    """

    network: Network
    settings: Settings
    stepper: Stepper
    evaluate: Callable[..., Evaluation]
    train: Dataset | BatchStream
    validation: Dataset | None
    classes: int
    options: Options
    history: History = dataclasses.field(default_factory=History)
    folder: RunFolder | None = None
    words: dict[str, str] = dataclasses.field(default_factory=dict)
    preprocessing: Preprocessing | None = None
    held_out: HeldOut | None = None
    listener: Listener | None = None
    best: dict[str, Floats] | None = None
    stopped_by_callback: bool = False
    state: State = dataclasses.field(init=False)
    shown: TrainingProgress = dataclasses.field(init=False)
    interrupts: Interrupts = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        steps = steps_per_epoch(self.train, self.options.batch_size)
        self.state = State(steps=self.stepper.steps, before=self.stepper.epochs, epoch_steps=steps)

    @property
    def own_folder(self) -> RunFolder:
        """The folder, of a run that has one."""
        return cast(RunFolder, self.folder)

    def batches(
        self,
        epoch: int,
        first: int = 0,
        check: Callable[[], None] | None = None,
        share: Share | None = None,
    ) -> Generator[Batch, None, None]:
        """The run's epoch number `epoch`, from 0, from its batch number `first` on.

        share: as of `training_batches`.
        """
        return training_batches(
            self.train,
            self.preprocessing,
            self.options.batch_size,
            self.settings.augment,
            self.settings.seed,
            self.state.before + epoch,
            first,
            check or self.check,
            self.state.before,
            share,
        )

    def own_share(self) -> Share | None:
        """The pictures of a batch that this process computes, where several train together."""
        team, shards = self.stepper.team, self.settings.shards
        return None if team is None else lambda count: team.rows(count, shards)

    def check(self) -> None:
        """Raises Interrupted where a signal has come to this process, which trains alone.

        Several end together: each tells of its signal in the next step; see `check_between_steps`.
        """
        if self.stepper.team is None:
            self.interrupts.check()

    def check_between_steps(self) -> None:
        """Raises Interrupted where a signal has come to this process, or to another of a team."""
        team = self.stepper.team
        if team is not None:
            if team.signal is None:
                return
            self.interrupts.requested = team.signal
        self.interrupts.check()

    def averaged(
        self, batches: Callable[[], Generator[Batch, None, None]], check: Callable[[], None]
    ) -> contextlib.AbstractContextManager[None]:
        """Within the block, the network holds the averages, where there are any: see `averaged`."""
        average = self.settings.average
        if not self.state.averaged or average is None:
            return contextlib.nullcontext()
        core, number = self.stepper.core, average.norm_batches
        return averaged(self.network.core, core, batches, number, check)

    def save(self) -> None:
        """Writes a checkpoint of where the run stands."""
        optimizer = self.settings.optimizer
        self.state.optimizer = {"optimizer": type(optimizer).__name__, **optimizer.settings()}
        checkpoint.save(
            self.own_folder.last, self.network.core, self.stepper.core, self.state, self.words
        )
        self.options.pace.done(self.state.steps)
