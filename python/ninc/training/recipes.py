"""Ready-made settings to train a NIN with: the paper's own, and a fast one of today."""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
from collections.abc import Callable
from typing import Any

from ..errors import ArgumentError
from ..network import Network
from .augment import Augmentation, Compose, Flip, PadCrop
from .averages import EMA, SWA
from .optim import SGD, Optimizer
from .schedules import OneCycle, Schedule, Step
from .trainer import Trainer


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything about a training run but the data.

    batch_norm: which variant of the network it is meant for.
    optimizer: (network, lr) -> SGD, since the rules speak of parameters by name. lr: SGD's.
    steps: how many an epoch should have, of few pictures too; see `batch_size_for`.
    """

    batch_norm: bool
    optimizer: Callable[[Network, float], SGD]
    lr: float
    schedule: Schedule
    label_smoothing: float
    batch_size: int
    epochs: int
    steps: int | None = None

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
        **settings: float,
    ) -> Trainer:
        """A trainer that follows this recipe except in what is given.

        optimizer: one of another kind has its own rate and decay, and the recipe's rules by name.
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
            average,
        )


def _original_sgd(
    network: Network, lr: float, weight_decay: float = 1e-4, last: float = 0.1
) -> SGD:
    """Biases have twice their layer's rate and no decay, as in the nets' *_params.

    last: what the last layer's rate is multiplied by.
    """
    names = list(network.parameters())
    layer = names[-1].rpartition(".")[0]
    groups = [
        ("*.bias", dict(lr_mult=2.0, weight_decay=0.0)),
        (f"{layer}.weight", dict(lr_mult=last)),
        (f"{layer}.bias", dict(lr_mult=2.0 * last)),
    ]
    # A network from a model file may have no biases in its last layer, or none at all.
    groups = [group for group in groups if fnmatch.filter(names, group[0])]
    return SGD(lr, momentum=0.9, weight_decay=weight_decay, groups=groups)


def _fast_sgd(network: Network, lr: float) -> SGD:
    """Only kernels decay; biases and batch norm's scales, all of one dimension, do not."""
    vectors = [name for name, value in network.parameters().items() if value.ndim == 1]
    return SGD(
        lr,
        momentum=0.9,
        nesterov=True,
        weight_decay=5e-4,
        groups=[(name, dict(weight_decay=0.0)) for name in vectors],
    )


RECIPES = {
    # This is Lin, Chen, Yan 2013 and their cuda-convnet definition for CIFAR-10; `_ORIGINAL_OF` has
    # what differs for other pictures, and `preprocessing` the whitening.
    "original": Recipe(
        batch_norm=False,
        optimizer=_original_sgd,
        lr=0.1,
        schedule=Step((200 / 260, 230 / 260), gamma=0.1, relative=True),
        label_smoothing=0.0,
        batch_size=128,
        epochs=260,
    ),
    "fast": Recipe(
        batch_norm=True,
        optimizer=_fast_sgd,
        lr=0.1,
        schedule=OneCycle(warmup=0.25, start=0.1, end=0.0),
        label_smoothing=0.1,
        batch_size=128,
        epochs=10,
        steps=16,
    ),
}


# Where the authors' settings of "original" for a network differ from those for CIFAR-10. SVHN's do
# not, once its rate of 1 is multiplied by the loss's weight of 0.1 that stands beside it; MNIST's
# are not published. Where no length of the run is published either, CIFAR-10's is taken.
_ORIGINAL_OF: dict[str, dict[str, Any]] = {
    # A rate of 0.01 and a loss that counts twice are a rate of 0.02, and a decay of 0.001 beside
    # them, which the loss's weight does not reach, is one of 0.0005. All layers have one rate.
    "nin-cifar100": dict(
        lr=0.02, optimizer=functools.partial(_original_sgd, weight_decay=5e-4, last=1.0)
    ),
    # Of the Caffe model: 450,000 steps of 64 of 1,281,167 pictures are 22.5 epochs.
    "nin-imagenet": dict(
        lr=0.01,
        optimizer=functools.partial(_original_sgd, weight_decay=5e-4, last=1.0),
        schedule=Step((200 / 450, 400 / 450), gamma=0.1, relative=True),
        batch_size=64,
        epochs=22,
    ),
}


def recipe(name: str, model: str = "nin-cifar10") -> Recipe:
    """The recipe of this name for a network's pictures; ArgumentError where there is none.

    model: the published network's name, or that of the one `like` the pictures at hand.
    """
    if name not in RECIPES:
        raise ArgumentError(f"unknown recipe {name!r}; known are {', '.join(RECIPES)}")
    found = RECIPES[name]
    return (
        dataclasses.replace(found, **_ORIGINAL_OF.get(model, {})) if name == "original" else found
    )


def augmentation(model: str) -> Augmentation:
    """What may be done to pictures of this model's kind. Digits are not mirrored."""
    if model == "nin-mnist":
        return PadCrop(2)
    if model == "nin-svhn":
        return PadCrop(4)
    return Compose(PadCrop(16 if model == "nin-imagenet" else 4), Flip())


def like(channels: int, height: int, width: int) -> str:
    """The published network whose pictures are most like those of this shape.

    Recipes and augmentation depend on its name: grey pictures are taken for digits, large ones for
    ImageNet's, others for CIFAR's.
    """
    if channels == 1:
        return "nin-mnist"
    return "nin-imagenet" if min(height, width) >= 128 else "nin-cifar10"


def preprocessing(recipe: str, model: str) -> str:
    """The kind of preprocessing: the paper whitens CIFAR's pictures (section 4.1) and no others."""
    whitened = recipe == "original" and model in ("nin-cifar10", "nin-cifar100")
    return "gcn_zca" if whitened else "normalize"
