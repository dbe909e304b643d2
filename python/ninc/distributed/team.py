"""Training steps that several processes make together.

Each worker computes some shards of a batch that follow one another, and adds up the parts of the
tree of shards that are wholly its own. Only the sums of these parts travel, twice:

    a worker's sums, slice by slice  →  the worker that the slice belongs to, which adds them up
    the sums of slices               →  all workers, each of which makes the same update

So a worker sends and receives about twice the size of the gradients a step, however many workers
there are. MPI moves bytes; every addition is made here or in the core, in the order of the tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeVar, cast

import numpy as np

from .. import _core
from .._base.array_types import Floats
from ..errors import ArgumentError, Error
from .messages import Check, Messages, go_on
from .workers import Workers

Made = TypeVar("Made")

# So many items of `in_turn` a worker makes before all tell one another.
_AT_A_TIME = 4

_PARTS, _SUMS = 3, 4  # tags of the two kinds of message of a step


class Team:
    """The processes that train one network, as one of them sees them.

    workers: who they are; a communicator stands for those of it.
    """

    def __init__(self, workers: Any) -> None:
        if not isinstance(workers, Workers):
            workers = Workers(workers)
        self._messages = Messages(workers.comm, workers.wait)
        self.rank, self.size = self._messages.rank, self._messages.size
        self._arrays: dict[str, Floats] = {}  # of the last step, used again

    def begin(self) -> None:
        """Begins a run, as `Messages.begin` says."""
        self._messages.begin()
        self._arrays = {}  # a run that was broken off may have left some to MPI

    @property
    def is_first(self) -> bool:
        """Whether this is worker 0, which alone writes files and tells the user."""
        return self.rank == 0

    def check_shards(self, shards: int) -> None:
        """Raises ArgumentError where a batch has fewer shards than there are workers."""
        if self.size > shards:
            raise ArgumentError(
                f"Trainer: {shards} shards are too few for {self.size} workers; give "
                f"shards={self.size} or more, the same number for all runs that are to be compared"
            )

    def from_first(self, make: Callable[[], Made]) -> Made:
        """What `make` gives worker 0, in all workers; where it fails there, it fails in all."""
        made: Any = None
        failed: Exception | None = None
        if self.is_first:
            try:
                made = make()
            except Exception as error:
                failed = error
        told = None if failed is None else str(failed)
        told, made = self._messages.object_of_first((told, made))
        if failed is not None:
            raise _of_all(failed)
        if told is not None:
            raise _of_all(Error(f"worker 0: {told}"))
        return cast("Made", made)

    def check_alike(self, words: Mapping[str, str]) -> None:
        """Raises ArgumentError, in all workers, where one of them differs from the first."""
        found = self._messages.objects_of_all(dict(words))
        for rank, other in enumerate(found):
            for name in {**found[0], **other}:
                first, now = found[0].get(name, "none"), other.get(name, "none")
                if first != now:
                    raise _of_all(
                        ArgumentError(
                            f"worker {rank} differs from worker 0 in {name}: {now:.80} there, "
                            f"{first:.80} here; start all workers alike"
                        )
                    )

    def first_of(self, text: str) -> str:
        """The text of the first worker that has any, in all workers; "" where none has."""
        return next(filter(None, self._messages.objects_of_all(text)), "")

    def in_turn(self, items: Iterator[Made], count: int, check: Check | None) -> Iterator[Made]:
        """`count` items in their order, of which this worker makes number rank, rank + size, …"""
        for first in range(0, count, self.size * _AT_A_TIME):
            made = self._messages.objects_of_all(list(islice(items, _AT_A_TIME)), check or go_on)
            for number in range(min(count - first, self.size * _AT_A_TIME)):
                yield made[number % self.size][number // self.size]

    # ---- A step ----------------------------------------------------------------------------------

    def rows(self, examples: int, shards: int) -> slice:
        """The examples of a batch of so many that this worker computes, perhaps none."""
        begin, end = _core.ShardTree(examples, shards).rows(*self.own_shards(shards))
        return slice(begin, end)

    def own_shards(self, shards: int, rank: int | None = None) -> tuple[int, int]:
        """The shards [begin, end) of a worker, this one if None."""
        rank = self.rank if rank is None else rank
        return rank * shards // self.size, (rank + 1) * shards // self.size

    def step(
        self, core: _core.Trainer, x: Floats, labels: Any, settings: Mapping[str, Any], check: Check
    ) -> tuple[float, int, bool]:
        """As `_core.Trainer.step`, of which each worker computes its part.

        x: this worker's `rows` of the batch. labels: the whole batch's. check: called while
        messages are waited for; what it raises leaves the weights unchanged.
        """
        shards = settings["shards"]
        tree = _core.ShardTree(len(labels), shards)
        begin, end = self.own_shards(shards)
        parts = core.add_shards(x, labels, begin=begin, end=end, **settings)
        total = self._added(tree, shards, parts, check)
        return core.update_by_sum(total, (len(labels), *x.shape[1:]), **settings)

    def _added(self, tree: _core.ShardTree, shards: int, parts: Floats, check: Check) -> Floats:
        """The sum of all shards, from this worker's parts (parts × size) and all others'."""
        size = parts.shape[1]
        roots = [tree.roots(*self.own_shards(shards, rank)) for rank in range(self.size)]
        bounds = [rank * size // self.size for rank in range(self.size + 1)]
        slices = [slice(*pair) for pair in zip(bounds, bounds[1:])]
        mine = slices[self.rank]
        received = {
            rank: self._array(f"from {rank}", len(roots[rank]), mine.stop - mine.start)
            for rank in self._messages.others
        }
        sent = {rank: np.ascontiguousarray(parts[:, slices[rank]]) for rank in received}
        self._messages.exchange(sent, received, _PARTS, check)
        received[self.rank] = parts[:, mine]
        sums = {root: row for rank in received for root, row in zip(roots[rank], received[rank])}
        total = self._array("total", size)
        total[mine] = _sum_of(sums, 0, tree.count)
        self._messages.exchange(
            dict.fromkeys(sent, total[mine]),
            {rank: total[slices[rank]] for rank in sent},
            _SUMS,
            check,
        )
        return total

    def _array(self, name: str, *shape: int) -> Floats:
        """Memory that the step before has used, where its size is still the same."""
        found = self._arrays.get(name)
        if found is None or found.shape != shape:
            found = self._arrays[name] = np.empty(shape, np.float32)
        return found


def _of_all(error: Exception) -> Exception:
    """The error, marked as one that every worker raises."""
    if isinstance(error, Error):
        error.in_all_workers = True
    return error


def _sum_of(sums: Mapping[tuple[int, int], Floats], begin: int, end: int) -> Floats:
    """What shards [begin, end) come to, in the order of the tree."""
    found = sums.get((begin, end))
    if found is not None:
        return found
    middle = _core.ShardTree.middle(begin, end)
    return _sum_of(sums, begin, middle) + _sum_of(sums, middle, end)
