"""A network's scores of labelled pictures, batch after batch, for evaluation and calibration."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from functools import partial
from itertools import islice
from typing import Any, Protocol

import numpy as np

from .. import _core
from .._base.arguments import whole
from .._base.array_types import Floats, Integers
from .._base.progress import Counter
from ..data import as_dataset
from ..data.batches import batches_in_order
from ..data.dataset import Data
from ..errors import ArgumentError
from ..formats.metadata import needed_preprocessing
from .matching import count_outputs, matched
from .mirrored import is_flipped, mirrored

_HALF = np.float32(0.5)


class HasCore(Protocol):
    """A `Network`, which runs this file's functions and so cannot be imported here."""

    @property
    def core(self) -> _core.Model: ...


class Sharing(Protocol):
    """Processes that share out the batches of one evaluation; see `ninc.distributed.team`."""

    rank: int
    size: int

    def in_turn(self, items: Iterator[Floats], count: int) -> Iterator[Floats]: ...


class Scoring:
    """Labelled pictures that a network is to be run on, once it is clear that they fit it.

    data: as `evaluate` takes them; the attribute has labels counted as the network counts. where:
    the function's name, for messages. Raises as `evaluate` does.
    """

    def __init__(
        self, network: HasCore, data: Data, batch_size: int, where: str, tta: str | None = None
    ) -> None:
        self._flipped = is_flipped(where, tta)
        given = as_dataset(data, f"{where}: data")
        self._batch_size = whole(where, "batch_size", batch_size)
        if not len(given):
            raise ArgumentError(f"{where}: the data set is empty")
        self._model = model = network.core
        self._preprocessing = needed_preprocessing(model, where) if given.is_pictures else None
        self.data = matched(model, given, where, min(self._batch_size, len(given)))
        self.classes = count_outputs(model, self.data)

    def scores(
        self,
        progress: bool = False,
        check: Callable[[], None] | None = None,
        workers: Sharing | None = None,
    ) -> Generator[tuple[Floats, Integers], None, None]:
        """(logits N×classes, labels N) of all pictures; with tta the means of both looks.

        check: called before each batch; what it raises ends the work. workers: who share out the
        batches; each is given the logits of all.
        """
        count = -(-len(self.data) // self._batch_size)
        own = range(count) if workers is None else range(workers.rank, count, workers.size)
        logits: Iterator[Floats]
        counter = Counter("testing", len(self.data), shown=progress)
        with contextlib.closing(counter), contextlib.closing(self._logits(own, check)) as logits:
            if workers is not None:
                logits = workers.in_turn(logits, count)
            done = 0
            for each in logits:
                yield each, self.data.labels[done : done + len(each)]
                done += len(each)
                counter.advance(len(each))

    def _logits(
        self, numbers: range, check: Callable[[], None] | None
    ) -> Generator[Floats, None, None]:
        """Those of the batches of these numbers."""
        data, model = self.data, self._model
        # The trainer's loss leaves out a Softmax at the end, too, and trains these numbers.
        logits_of = model.before_softmax()
        views: list[Callable[[Any], Any]] = [lambda images: images]
        if self._flipped:
            views.append(partial(mirrored, last=data.is_pictures))
        batches = batches_in_order(
            data, self._preprocessing, self._batch_size, check, views, numbers
        )
        with contextlib.closing(batches):
            for x, _ in batches:
                if check is not None:
                    check()
                logits = model.run(x, logits_of).reshape(len(x), self.classes)
                for other, _ in islice(batches, len(views) - 1):
                    logits = (logits + model.run(other, logits_of).reshape(logits.shape)) * _HALF
                yield logits
