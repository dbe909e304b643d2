"""Batches made ready by one thread while the core works on the one before."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from .augment import Augmentation
from .data import Dataset
from .preprocess import Preprocessing

Item = TypeVar("Item")
Batch = tuple[np.ndarray, np.ndarray]  # x: N×C×H×W float32, labels: N int64

# Streams of random numbers drawn from (seed, epoch, stream). Stream 0 shuffles; batch b has b + 1.
_SHUFFLE = 0


def generator(seed: int, epoch: int, stream: int) -> np.random.Generator:
    """Random numbers of one purpose: the same key, the same numbers, on any number of threads."""
    return np.random.default_rng([seed, epoch, stream])


def training_batches(
    data: Dataset,
    preprocessing: Preprocessing | None,
    batch_size: int,
    augment: Augmentation | None,
    seed: int,
    epoch: int,
) -> Iterator[Batch]:
    """One epoch's batches: shuffled, normalised, augmented, all of `batch_size`.

    The images left over at the end are dropped: they would need a plan of their own, and batch
    norm over a handful is noise. The shuffle gives others to the next epoch.
    """
    order = generator(seed, epoch, _SHUFFLE).permutation(len(data))

    def make(index: int) -> Batch:
        chosen = order[index * batch_size : (index + 1) * batch_size]
        x = _gather(data, chosen, preprocessing)
        if augment is not None:
            x = augment(x, generator(seed, epoch, index + 1))
        return x, data.labels[chosen]

    return ahead(make, len(data) // batch_size)


def batches_in_order(
    data: Dataset, preprocessing: Preprocessing | None, batch_size: int
) -> Iterator[Batch]:
    """Every image once, as it stands; the last batch may be smaller."""

    def make(index: int) -> Batch:
        chosen = slice(index * batch_size, (index + 1) * batch_size)
        return _gather(data, chosen, preprocessing), data.labels[chosen]

    return ahead(make, -(-len(data) // batch_size))


def ahead(make: Callable[[int], Item], count: int, depth: int = 2) -> Iterator[Item]:
    """make(0), make(1), ... in order, up to `depth` of them made in advance by a thread."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="ninc-batches")
    try:
        waiting = deque(pool.submit(make, index) for index in range(min(depth, count)))
        for index in range(count):
            item = waiting.popleft().result()
            if index + depth < count:
                waiting.append(pool.submit(make, index + depth))
            yield item
    finally:
        pool.shutdown(cancel_futures=True)


def _gather(
    data: Dataset, chosen: np.ndarray | slice, preprocessing: Preprocessing | None
) -> np.ndarray:
    images = data.images[chosen]
    return preprocessing.apply(images) if data.is_pictures and preprocessing else images
