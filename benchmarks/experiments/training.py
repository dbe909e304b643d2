"""One training of an experiment: its network, its settings and its row of results."""

from __future__ import annotations

import dataclasses
import time

import ninc
from ninc import nn
from ninc.data import Dataset
from ninc.preprocess import Preprocessing
from ninc.training import recipes
from ninc.training.optim.optimizer import Groups

from .what import VARIANTS, Variant

MODEL = "nin-cifar10"
SIDE, CLASSES = 32, 10
# The map that the last mlpconv gives of a picture: two pools at stride 2, rounded up.
_MAP = SIDE // 4
# Of the published initial weights, in all layers.
_STD = 0.05
# The layer whose maps are averaged, or taken to a fully connected one.
_CLASS_MAPS = "cccp6"


def network(variant: Variant, batch_norm: bool, seed: int) -> nn.Sequential:
    """NIN-CIFAR as `ninc.models.nin_cifar10` makes it, but for what the variant changes.

    Layers that two variants have in common are the same ones; a fully connected head comes after
    them, with 10·8·8·10 weights and 10 biases.
    """
    std = None if batch_norm else _STD
    parts = dict(batch_norm=batch_norm, std=std)
    dropout = [nn.Dropout(0.5)] if variant.dropout else []
    if variant.pool2 == "max":
        pool2: nn.Layer = nn.MaxPool2d(3, 2, ceil_mode=True)
    else:
        pool2 = nn.AvgPool2d(3, 2, ceil_mode=True, count_include_pad=False)
    return nn.Sequential(
        nn.MlpConv(3, (192, 160, 96), 5, padding=2, **parts),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        *dropout,
        nn.MlpConv(96, (192, 192, 192), 5, padding=2, **parts),
        pool2,
        *dropout,
        nn.MlpConv(192, (192, 192, CLASSES), 3, padding=1, logits=batch_norm, **parts),
        *_head(variant.head, std),
        seed=seed,
    )


def _head(kind: str, std: float | None) -> list[nn.Layer]:
    if kind == "gap":
        return [nn.GlobalAvgPool2d()]
    linear = nn.Linear(CLASSES * _MAP * _MAP, CLASSES, std=std)
    return [nn.Flatten(), *([nn.Dropout(0.5)] if kind == "fc-dropout" else []), linear]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What all trainings of a table share.

    lr: the rate; None for the recipe's.
    clip_norm: the largest norm of a step's gradients; None for no limit, as in the recipes.
    """

    recipe: str
    epochs: int
    lr: float | None = None
    clip_norm: float | None = None

    def settings(self, train: Dataset, test: Dataset, pictures: str) -> dict[str, object]:
        """What makes two results comparable, as they stand beside each in the file of results."""
        return {
            "recipe": self.recipe,
            "epochs": self.epochs,
            "rate": self.lr or recipes.recipe(self.recipe, MODEL).lr,
            "clip norm": self.clip_norm,
            "batch": self.batch_size(train),
            "pictures": pictures,
            "training pictures": len(train),
            "test pictures": len(test),
            "training data": train.fingerprint(),
            "test data": test.fingerprint(),
        }

    def batch_size(self, train: Dataset) -> int:
        return recipes.recipe(self.recipe, MODEL).batch_size_for(len(train))

    def trainer(self, variant: Variant, seed: int) -> ninc.Trainer:
        """The recipe's trainer for a network of this variant, from this seed.

        The layer that makes the class maps learns at the recipe's rate for the last layer, whether
        a fully connected layer comes after it or not: "the other parts of the model remain the
        same" (section 4.6).
        """
        recipe = recipes.recipe(self.recipe, MODEL)
        made = network(variant, recipe.network["batch_norm"], seed)
        augment = recipe.augment(self.epochs) if variant.augmented else None
        changed = {} if self.clip_norm is None else {"clip_norm": self.clip_norm}
        trainer = recipe.trainer(made, augment, self.lr, seed, **changed)
        if variant.head != "gap" and self.recipe == "original":
            trainer.optimizer = trainer.optimizer.replaced(
                groups=_with_class_maps(trainer.optimizer.groups)
            )
        return trainer

    def run(
        self,
        name: str,
        seed: int,
        train: Dataset,
        test: Dataset,
        preprocessing: Preprocessing,
        progress: bool = True,
    ) -> dict[str, object]:
        """Trains from the seed and tests once, at the end: errors in per cent, seconds.

        error, loss: None where the training diverged, of which the row says how.
        seconds: of the training without the test.
        """
        trainer = self.trainer(VARIANTS[name], seed)
        trainer.network.preprocessing = preprocessing
        begun = time.monotonic()
        found: dict[str, object]
        try:
            history = trainer.fit(
                train, epochs=self.epochs, batch_size=self.batch_size(train), progress=progress
            )
        except ninc.DivergedError as error:
            seconds = time.monotonic() - begun
            found = {"error": None, "loss": None, "training losses": [], "diverged": str(error)}
        else:
            seconds = time.monotonic() - begun
            tested = trainer.evaluate(test)
            found = {
                "error": 100.0 * (1.0 - tested.accuracy),
                "loss": tested.loss,
                "training losses": [row["loss"] for row in history],
            }
        return {
            "variant": name,
            "seed": seed,
            **found,
            "seconds": seconds,
            "parameters": trainer.network.num_parameters,
            "machine": {
                "version": ninc.__version__,
                "instruction set": ninc.target(),
                "threads": ninc.get_num_threads(),
            },
        }


def _with_class_maps(groups: Groups) -> Groups:
    """The recipe's groups, with those of the head's rates for the layer of the class maps, too."""
    head = [(pattern, settings) for pattern, settings in groups if pattern.startswith("linear")]
    return [
        *groups,
        *((f"{_CLASS_MAPS}.{pattern.rpartition('.')[2]}", settings) for pattern, settings in head),
    ]
