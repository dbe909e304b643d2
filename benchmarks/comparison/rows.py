"""What is measured: networks, batches, inference or a training step."""

from __future__ import annotations

import dataclasses
import fnmatch

import numpy as np

import ninc

INFERENCE = "inference"
TRAINING = "training"


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the comparison: a network, what is done with it, and on how many images."""

    name: str
    network: str
    kind: str
    batch: int
    batch_norm: bool = False

    @property
    def title(self) -> str:
        what = "inference" if self.kind == INFERENCE else "training step"
        norm = " with batch norm" if self.batch_norm else ""
        return f"NIN-{_LABELS[self.network]}{norm}, {what}, batch {self.batch}"

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        return (self.batch, 3, *_SIZES[self.network])

    def build(self) -> ninc.Network:
        return ninc.models.create(self.network, batch_norm=self.batch_norm, seed=0)

    def data(self, classes: int) -> tuple[np.ndarray, np.ndarray]:
        """(x, labels) as normalised pictures are spread: mean 0, deviation 1."""
        rng = np.random.default_rng(0)
        x = rng.standard_normal(self.input_shape, dtype=np.float32)
        return x, rng.integers(0, classes, self.batch)


_LABELS = {"nin-cifar10": "CIFAR", "nin-imagenet": "ImageNet"}
_SIZES = {"nin-cifar10": (32, 32), "nin-imagenet": (224, 224)}

ROWS = (
    Row("cifar-b1", "nin-cifar10", INFERENCE, 1),
    Row("cifar-b16", "nin-cifar10", INFERENCE, 16),
    Row("cifar-b128", "nin-cifar10", INFERENCE, 128),
    Row("imagenet-b1", "nin-imagenet", INFERENCE, 1),
    Row("imagenet-b16", "nin-imagenet", INFERENCE, 16),
    Row("cifar-train", "nin-cifar10", TRAINING, 128),
    Row("cifar-train-bn", "nin-cifar10", TRAINING, 128, batch_norm=True),
    Row("imagenet-train", "nin-imagenet", TRAINING, 16),
)
MEMORY_ROWS = ("cifar-b128", "cifar-train")  # whose peak memory is measured
MEMORY = "memory"
NAMES = (*(row.name for row in ROWS), MEMORY)


def row(name: str) -> Row:
    return next(row for row in ROWS if row.name == name)


def select(patterns: list[str], others: tuple[str, ...] = (MEMORY,)) -> list[str]:
    """The names, `others` included, that a pattern such as "cifar-*" or "inference" means.

    Raises ValueError for a pattern that means none.
    """
    names = [*(row.name for row in ROWS), *others]
    chosen = set()
    for pattern in patterns:
        found = set(fnmatch.filter(names, pattern))
        found |= {row.name for row in ROWS if row.kind == pattern}
        if not found:
            raise ValueError(
                f"no row is called {pattern!r}; there are {INFERENCE}, {TRAINING}, "
                f"{', '.join(names)}"
            )
        chosen |= found
    return [name for name in names if name in chosen]
