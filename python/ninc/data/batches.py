"""Has one thread make the next batch ready while the core works on the one before it."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from queue import Empty, Queue
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from .._base.array_types import Integers
from ..errors import Error
from ..preprocess import Preprocessing
from .dataset import Dataset
from .draws import Augment, BatchGenerator, all_take_parts, in_stages
from .stream import Batch, BatchStream

Item = TypeVar("Item")
Check = Callable[[], None]
View = Callable[[Any], Any]
Share = Callable[[int], slice]

# Streams of random numbers drawn from (seed, epoch, stream). Stream 0 shuffles; batch b has b + 1.
_SHUFFLE = 0

_END = object()

# So many seconds pass before who waits for a batch looks again whether to go on waiting.
_LOOK_SECONDS = 0.1


def generator(seed: int, epoch: int, stream: int) -> np.random.Generator:
    """Random numbers for one purpose; the same key gives the same numbers on any threads."""
    return np.random.default_rng([seed, epoch, stream])


def steps_per_epoch(data: Dataset | BatchStream, batch_size: int) -> int | None:
    """How many training batches an epoch has; None for a stream that cannot tell."""
    return data.steps if isinstance(data, BatchStream) else -(-len(data) // batch_size)


def batch_bounds(images: int, batch_size: int) -> list[int]:
    """Where an epoch's batches begin and end in its order: batch b is [bounds[b], bounds[b + 1]).

    Every image is in one of ceil(images / batch_size) batches, whose sizes differ by one at most. A
    last batch of a handful would be noise to batch norm, and weigh as much as a whole one in the
    update. The larger batches come first, so that a network's plan changes once an epoch.
    """
    count = -(-images // batch_size)
    size, larger = divmod(images, count)
    return [index * size + min(index, larger) for index in range(count + 1)]


def training_batches(
    data: Dataset | BatchStream,
    preprocessing: Preprocessing | None,
    batch_size: int,
    augment: Augment | None,
    seed: int,
    epoch: int,
    first: int = 0,
    check: Check | None = None,
    earlier: int = 0,
    share: Share | None = None,
) -> Generator[Batch, None, None]:
    """One epoch's batches from number `first` on: shuffled, normalised, augmented.

    Those of a Dataset hold every image once, at most `batch_size` of them each; see `batch_bounds`.
    A stream's batches come in its own order and sizes. Steps of `augment` that change pixels come
    before the normalisation.

    Batches do not depend on those before them: from `first` on they are, bit for bit, what an epoch
    begun at 0 would give. check: as in `ahead`. earlier: how many of `epoch` were of earlier runs.

    share: the pictures of a batch of so many that are made ready here, all if None; the labels are
    the whole batch's all the same. A step of `augment` that cannot do parts is given whole batches.
    """

    on_pixels, on_arrays = in_stages(augment)
    in_parts = all_take_parts([*on_pixels, *on_arrays])

    def finish(index: int, read: View, labels: Integers, places: Integers) -> Batch:
        rows = None if share is None else share(len(places))
        if rows is None or not in_parts:
            x = finished(index, read(slice(None)), places, None)
            return x if rows is None else x[rows], labels
        # A share without pictures gets its shape from one that is not used.
        some = slice(0, 1) if rows.start == rows.stop else rows
        return finished(index, read(some), places, some)[: rows.stop - rows.start], labels

    def finished(
        index: int, images: npt.NDArray[Any], places: Integers, rows: slice | None
    ) -> npt.NDArray[Any]:
        rng = BatchGenerator(seed, epoch, index + 1, places, epoch - earlier, rows)
        is_pixels = images.dtype == np.uint8
        for step in on_pixels if is_pixels else ():
            images = step(images, rng)
        x = _normalised(images, preprocessing, len(places), rows)
        for step in on_arrays if is_pixels or augment is None else (augment,):
            x = step(x, rng)
        return x

    def of_dataset(data: Dataset) -> Iterator[Batch]:
        order = generator(seed, epoch, _SHUFFLE).permutation(len(data))
        bounds = batch_bounds(len(data), batch_size)
        for index in range(first, len(bounds) - 1):
            chosen = order[bounds[index] : bounds[index + 1]]

            def read(rows: slice, chosen: Integers = chosen) -> npt.NDArray[Any]:
                return data.images[chosen[rows]]

            yield finish(index, read, data.labels[chosen], chosen)

    def of_stream(data: BatchStream) -> Iterator[Batch]:
        place = 0
        for index, (images, labels) in enumerate(data.epoch()):
            if index >= first:
                places = np.arange(place, place + len(images))
                yield finish(index, images.__getitem__, labels, places)
            place += len(images)

    return ahead(of_stream(data) if isinstance(data, BatchStream) else of_dataset(data), check)


def batches_in_order(
    data: Dataset,
    preprocessing: Preprocessing | None,
    batch_size: int,
    check: Check | None = None,
    views: Sequence[View] = (lambda images: images,),
    numbers: range | None = None,
) -> Generator[Batch, None, None]:
    """Every image once, as it stands; the last batch may be smaller. check: as in `ahead`.

    numbers: which of the batches are wanted, all if None.
    views: each gives the images, as the data have them, in another way; a batch comes once in each.
    """

    def make() -> Iterator[Batch]:
        for number in range(-(-len(data) // batch_size)) if numbers is None else numbers:
            chosen = slice(number * batch_size, (number + 1) * batch_size)
            images, labels = data.images[chosen], data.labels[chosen]
            for view in views:
                yield _normalised(view(images), preprocessing), labels

    return ahead(make(), check)


def ahead(items: Iterable[Item], check: Check | None = None) -> Generator[Item, None, None]:
    """Gives the items in order, up to two of them fetched in advance by a thread.

    check: called ten times a second while an item is waited for; what it raises ends the waiting.
    When the iterator is closed, it waits for the item under way, since `items` may belong to
    somebody who goes on with them. A KeyboardInterrupt does not wait for the thread, which may
    never come back.
    """
    iterator = iter(items)
    ready: Queue[tuple[Item | object, BaseException | None]] = Queue(1)  # the thread holds another
    closed = threading.Event()

    def fetch() -> None:
        while not closed.is_set():
            error = None
            try:
                item = next(iterator, _END)
            except BaseException as raised:
                item, error = _END, raised
            ready.put((item, error))
            if item is _END:
                return

    # It is a daemon: a thread that hangs in somebody's iterator must not keep the program running.
    thread = threading.Thread(target=fetch, name="ninc-batches", daemon=True)
    thread.start()
    try:
        while True:
            item, error = _awaited(ready, thread, check)
            if error is not None:
                raise error
            if item is _END:
                break
            yield cast(Item, item)
    finally:
        closed.set()
        with contextlib.suppress(Empty):
            while True:  # makes room for what the thread holds, so that it comes to its end
                ready.get_nowait()
        if not isinstance(sys.exc_info()[1], KeyboardInterrupt):
            while thread.is_alive():
                thread.join(_LOOK_SECONDS)
                if check is not None:
                    check()


def _awaited(ready: Queue[Item], thread: threading.Thread, check: Check | None) -> Item:
    while True:
        alive = thread.is_alive()  # asked first: what ends puts its last item there before
        with contextlib.suppress(Empty):
            return ready.get(timeout=_LOOK_SECONDS)
        if not alive:
            raise Error(
                "the thread that makes batches ready is not in this process, which was forked from "
                "the one that began to iterate; begin anew here"
            )
        if check is not None:
            check()


def _normalised(
    images: npt.NDArray[Any],
    preprocessing: Preprocessing | None,
    count: int = 0,
    rows: slice | None = None,
) -> npt.NDArray[Any]:
    """The images, rows `rows` of a batch of `count` or a whole batch, as the network takes them."""
    if images.dtype == np.uint8 and preprocessing is not None:
        if rows is not None and preprocessing.whitening is not None:
            # The last bits of a product of matrices depend on how many rows there are, so that a
            # part is whitened where it lies in a batch of otherwise empty pictures.
            batch = np.zeros((count, *images.shape[1:]), np.uint8)
            batch[rows] = images
            return _normalised(batch, preprocessing)[rows]
        # The whitening runs on this thread alone, since the core's other threads are at work on the
        # batch before, and a step that finds them taken would go on by itself.
        return preprocessing.apply(images, threads=1)
    return images
