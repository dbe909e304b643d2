"""Batches made ready by one thread while the core works on the one before."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np

from .augment import Augmentation
from .data import BatchStream, Dataset
from .preprocess import Preprocessing

Item = TypeVar("Item")
Batch = tuple[np.ndarray, np.ndarray]  # x: N×C×H×W float32, labels: N int64

# Streams of random numbers drawn from (seed, epoch, stream). Stream 0 shuffles; batch b has b + 1.
_SHUFFLE = 0

_END = object()


def generator(seed: int, epoch: int, stream: int) -> np.random.Generator:
    """Random numbers of one purpose: the same key, the same numbers, on any number of threads."""
    return np.random.default_rng([seed, epoch, stream])


def steps_per_epoch(data: Dataset | BatchStream, batch_size: int) -> int | None:
    """How many training batches an epoch has; None for a stream that cannot tell."""
    return data.steps if isinstance(data, BatchStream) else len(data) // batch_size


def training_batches(
    data: Dataset | BatchStream,
    preprocessing: Preprocessing | None,
    batch_size: int,
    augment: Augmentation | None,
    seed: int,
    epoch: int,
    first: int = 0,
) -> Iterator[Batch]:
    """One epoch's batches from number `first` on: shuffled, normalised, augmented.

    Those of a Dataset are all of `batch_size`. The images left over at the end are dropped: they
    would need a plan of their own, and batch norm over a handful is noise. The shuffle gives others
    to the next epoch. A stream's batches come in its own order and sizes.

    Batches do not depend on those before them: from `first` on they are, bit for bit, what an epoch
    begun at 0 would give.
    """

    def finish(index: int, images: np.ndarray, labels: np.ndarray) -> Batch:
        x = _normalised(images, preprocessing)
        if augment is not None:
            x = augment(x, generator(seed, epoch, index + 1))
        return x, labels

    def of_dataset() -> Iterator[Batch]:
        order = generator(seed, epoch, _SHUFFLE).permutation(len(data))
        for index in range(first, len(data) // batch_size):
            chosen = order[index * batch_size : (index + 1) * batch_size]
            yield finish(index, data.images[chosen], data.labels[chosen])

    def of_stream() -> Iterator[Batch]:
        for index, (images, labels) in islice(enumerate(data.epoch()), first, None):
            yield finish(index, images, labels)

    return ahead(of_stream() if isinstance(data, BatchStream) else of_dataset())


def batches_in_order(
    data: Dataset, preprocessing: Preprocessing | None, batch_size: int
) -> Iterator[Batch]:
    """Every image once, as it stands; the last batch may be smaller."""

    def make() -> Iterator[Batch]:
        for start in range(0, len(data), batch_size):
            chosen = slice(start, start + batch_size)
            yield _normalised(data.images[chosen], preprocessing), data.labels[chosen]

    return ahead(make())


def ahead(items: Iterable[Item], depth: int = 2) -> Iterator[Item]:
    """The items in order, up to `depth` of them fetched in advance by a thread."""
    iterator = iter(items)

    def fetch() -> Item | object:
        return next(iterator, _END)

    pool = ThreadPoolExecutor(1, thread_name_prefix="ninc-batches")
    try:
        waiting = deque(pool.submit(fetch) for _ in range(depth))
        while (item := waiting.popleft().result()) is not _END:
            waiting.append(pool.submit(fetch))
            yield item
    finally:
        pool.shutdown(cancel_futures=True)


def _normalised(images: np.ndarray, preprocessing: Preprocessing | None) -> np.ndarray:
    if images.dtype == np.uint8 and preprocessing is not None:
        # On this thread alone: the core's others are at work on the batch before, and a step that
        # finds them taken goes on by itself.
        return preprocessing.apply(images, threads=1)
    return images
