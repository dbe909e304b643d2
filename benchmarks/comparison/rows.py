"""What is measured: networks, batches, inference or a training step."""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
from collections.abc import Callable

import numpy as np

import ninc

from .. import networks

INFERENCE = "inference"
TRAINING = "training"
IMPORTED = "imported"


@dataclasses.dataclass(frozen=True)
class Measured:
    """A network that rows are about: how it is printed, (H, W) of its pictures, what makes it."""

    label: str
    size: tuple[int, int]
    build: Callable[[], ninc.Network]


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the comparison: a network, what is done with it, and on how many images."""

    name: str
    network: Measured
    kind: str
    batch: int

    @property
    def title(self) -> str:
        what = "inference" if self.kind == INFERENCE else "training step"
        return f"{self.network.label}, {what}, batch {self.batch}"

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        return (self.batch, 3, *self.network.size)

    @property
    def missing(self) -> str | None:
        """Why the row cannot be measured here, or None."""
        if self.network is not TEXT_DIRECTION or networks.TEXT_DIRECTION.exists():
            return None
        return f"NINC_TEST_DATA names no folder with {networks.TEXT_DIRECTION.name}"

    def build(self) -> ninc.Network:
        return self.network.build()

    def data(self, classes: int) -> tuple[np.ndarray, np.ndarray]:
        """(x, labels) as normalised pictures are spread: mean 0, deviation 1."""
        rng = np.random.default_rng(0)
        x = rng.standard_normal(self.input_shape, dtype=np.float32)
        return x, rng.integers(0, classes, self.batch)


def _nin(label: str, size: tuple[int, int], name: str, batch_norm: bool = False) -> Measured:
    make = functools.partial(ninc.models.create, name, batch_norm=batch_norm, seed=0)
    return Measured(label, size, make)


CIFAR = _nin("NIN-CIFAR", (32, 32), "nin-cifar10")
CIFAR_BN = _nin("NIN-CIFAR with batch norm", (32, 32), "nin-cifar10", batch_norm=True)
IMAGENET = _nin("NIN-ImageNet", (224, 224), "nin-imagenet")
RESNET20 = Measured("ResNet-20", (32, 32), networks.resnet20)
RESNET50 = Measured("ResNet-50", (224, 224), networks.resnet50)
VGG19 = Measured("VGG-19's convolutions", (224, 224), networks.vgg19)
SQUEEZENET = Measured("SqueezeNet 1.1", (224, 224), networks.squeezenet)
MOBILENET = Measured(
    "MobileNetV1", (224, 224), functools.partial(networks.mobilenet_v1, classes=1000)
)
SMALL_MOBILENET = Measured(
    "MobileNetV1 of a quarter's width",
    (96, 96),
    functools.partial(networks.mobilenet_v1, classes=1000, width=0.25),
)
TEXT_DIRECTION = Measured("text direction", (48, 192), networks.text_direction)

NIN_ROWS = (
    Row("cifar-b1", CIFAR, INFERENCE, 1),
    Row("cifar-b16", CIFAR, INFERENCE, 16),
    Row("cifar-b128", CIFAR, INFERENCE, 128),
    Row("imagenet-b1", IMAGENET, INFERENCE, 1),
    Row("imagenet-b16", IMAGENET, INFERENCE, 16),
    Row("cifar-train", CIFAR, TRAINING, 128),
    Row("cifar-train-bn", CIFAR_BN, TRAINING, 128),
    Row("imagenet-train", IMAGENET, TRAINING, 16),
)
# Networks that other people use. They are measured where they are asked for.
IMPORTED_ROWS = (
    Row("resnet20-b1", RESNET20, INFERENCE, 1),
    Row("resnet20-b16", RESNET20, INFERENCE, 16),
    Row("resnet50-b1", RESNET50, INFERENCE, 1),
    Row("resnet50-b16", RESNET50, INFERENCE, 16),
    Row("vgg19-b1", VGG19, INFERENCE, 1),
    Row("squeezenet-b1", SQUEEZENET, INFERENCE, 1),
    Row("squeezenet-b16", SQUEEZENET, INFERENCE, 16),
    Row("mobilenet-0.25-b1", SMALL_MOBILENET, INFERENCE, 1),
    Row("mobilenet-0.25-b16", SMALL_MOBILENET, INFERENCE, 16),
    Row("mobilenet-1.0-b1", MOBILENET, INFERENCE, 1),
    Row("mobilenet-1.0-b16", MOBILENET, INFERENCE, 16),
    Row("text-direction-b1", TEXT_DIRECTION, INFERENCE, 1),
    Row("text-direction-b16", TEXT_DIRECTION, INFERENCE, 16),
    Row("resnet20-train", RESNET20, TRAINING, 128),
    Row("mobilenet-0.25-train", SMALL_MOBILENET, TRAINING, 128),
)
ROWS = (*NIN_ROWS, *IMPORTED_ROWS)
MEMORY_ROWS = ("cifar-b128", "cifar-train")  # whose peak memory is measured
MEMORY = "memory"
NINS = tuple(row.name for row in NIN_ROWS)
NAMES = (*(row.name for row in ROWS), MEMORY)


def row(name: str) -> Row:
    return next(row for row in ROWS if row.name == name)


def select(patterns: list[str], others: tuple[str, ...] = (MEMORY,)) -> list[str]:
    """The names, `others` included, that a name, a pattern such as "cifar-*" or a kind means.

    "inference" and "training" are the NINs' rows of that kind, "imported" all of other networks.

    Raises ValueError for a pattern that means none.
    """
    names = [*(row.name for row in ROWS), *others]
    chosen = set()
    for pattern in patterns:
        found = set(fnmatch.filter(names, pattern))
        found |= {row.name for row in NIN_ROWS if row.kind == pattern}
        found |= {row.name for row in IMPORTED_ROWS if pattern == IMPORTED}
        if not found:
            raise ValueError(
                f"no row is called {pattern!r}; there are {INFERENCE}, {TRAINING}, {IMPORTED}, "
                f"{', '.join(names)}"
            )
        chosen |= found
    return [name for name in names if name in chosen]
