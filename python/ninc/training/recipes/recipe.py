"""What a recipe is: all that is chosen for a training run but the data."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from ...data import Dataset
from ...network import Network
from ..augment import Augmentation
from ..averages import EMA, SWA
from ..optim import SGD, Optimizer
from ..schedules import Schedule
from ..trainer import Trainer


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything about a training run but the data.

    network: what `ninc.models.create` is told beside the network's name, such as batch_norm.
    optimizer: (network, lr) -> SGD, since the rules speak of parameters by name. lr: SGD's.
    augment: (epochs) -> what may be done to pictures of this kind in a run of so many.
    preprocessing: what uint8 pictures go through, "normalize" or "gcn_zca".
    steps: how many an epoch should have, of few pictures too; see `batch_size_for`.
    prepare: (network, train, preprocessing) -> names of parameters; makes a network that is new
        ready for these training pictures and tells what of it the run is to hold still.
    """

    network: dict[str, Any]
    optimizer: Callable[[Network, float], SGD]
    lr: float
    schedule: Schedule
    label_smoothing: float
    batch_size: int
    epochs: int
    augment: Callable[[int], Augmentation]
    preprocessing: str = "normalize"
    average: EMA | SWA | None = None
    steps: int | None = None
    prepare: Callable[[Network, Dataset, str], list[str]] | None = None

    def batch_size_for(self, images: int) -> int:
        """`batch_size`, or less where an epoch would have too few `steps`, but not below 16.

        A few hundred pictures in batches of 128 make a handful of steps, too few to learn from.
        """
        if self.steps is None:
            return self.batch_size
        return min(self.batch_size, max(min(16, images), images // self.steps))

    def trainer(
        self,
        network: Network,
        augment: Augmentation | None,
        lr: float | None = None,
        seed: int = 0,
        *,
        schedule: Schedule | None = None,
        label_smoothing: float | None = None,
        average: EMA | SWA | None = None,
        optimizer: Callable[..., Optimizer] = SGD,
        shards: int = 1,
        comm: Any = None,
        sync_batch_norm: bool = False,
        **settings: float,
    ) -> Trainer:
        """A trainer that follows this recipe except in what is given.

        augment: None for none. average: None for the recipe's own.
        optimizer: one of another kind has its own rate and decay, and the recipe's rules by name.
        shards, comm, sync_batch_norm: as of Trainer.
        settings: the optimiser's momentum, weight_decay or clip_norm.
        """
        made: Optimizer = self.optimizer(network, self.lr)
        if optimizer is not SGD:
            made = optimizer(groups=made.groups)
        if lr is not None:
            settings["lr"] = lr
        smoothing = self.label_smoothing if label_smoothing is None else label_smoothing
        return Trainer(
            network,
            made.replaced(**settings),
            self.schedule if schedule is None else schedule,
            augment,
            smoothing,
            seed,
            self.average if average is None else average,
            shards,
            comm,
            sync_batch_norm,
        )
