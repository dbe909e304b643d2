"""Training steps that several processes make together.

Each worker computes some shards of a batch that follow one another, and adds up the parts of the
tree of shards that are wholly its own. Only the sums of these parts travel, twice:

    a worker's sums, slice by slice  →  the worker that the slice belongs to, which adds them up
    the sums of slices               →  all workers, each of which makes the same update

MPI moves bytes; every addition is made by the core, in the order of the tree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any, TypeVar, cast

import numpy as np

from .. import _core
from .._base.array_types import Floats, Integers
from .._base.interrupt import SIGNALS, Interrupted
from ..errors import ArgumentError, DivergedError, Error
from .messages import Messages
from .workers import Workers

Made = TypeVar("Made")

# So many items of `in_turn` a worker makes before all tell one another.
_AT_A_TIME = 4

# Kinds of the two messages of a step, and of those of batch norms over the whole batch.
_PARTS, _SUMS, _STATISTICS = 4, 5, 6

# Before its slices a message of parts has a digest of what all workers must have alike in a step,
# and a signal's number; in floats.
_DIGEST = 28
_HEAD = (_DIGEST + 4) // 4


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
        # The signal that some worker had been given when the last step began; all see the same.
        self.signal: str | None = None

    def begin(self) -> None:
        """Begins a run, as `Messages.begin` says."""
        self._messages.begin()
        self._arrays = {}  # a run that was broken off may have left some to MPI
        self.signal = None

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

    def check_weights(self, weights: Mapping[str, Floats], when: str) -> None:
        """Raises Error, in all workers, where one of them has other weights; when: for the text."""
        digests = self.of_all(digest_of(weights))
        for rank, digest in enumerate(digests):
            if digest != digests[0]:
                raise _of_all(
                    Error(
                        f"worker {rank} has other weights than worker 0 {when}; what sets weights "
                        "or an optimiser must do so in all workers alike"
                    )
                )

    def of_all(self, value: Made) -> list[Made]:
        """What each worker gives here, by rank."""
        return cast("list[Made]", self._messages.objects_of_all(value))

    def failed(self, error: BaseException) -> None:
        """Tells all other workers of an error that ends the run of this one, and marks it so.

        Where numbers have stopped being finite, or the run was interrupted, all know already.
        """
        if isinstance(error, Interrupted) or getattr(error, "in_all_workers", False):
            return
        if not isinstance(error, DivergedError):
            kind = "" if isinstance(error, Error) else f"{type(error).__name__}: "
            self._messages.tell_all(f"{kind}{error}")
        error.in_all_workers = True  # type: ignore[attr-defined]

    def first_of(self, text: str) -> str:
        """The text of the first worker that has any, in all workers; "" where none has."""
        return next(filter(None, self._messages.objects_of_all(text)), "")

    def in_turn(self, items: Iterator[Made], count: int) -> Iterator[Made]:
        """`count` items in their order, of which this worker makes number rank, rank + size, …"""
        for first in range(0, count, self.size * _AT_A_TIME):
            made = self.of_all(list(islice(items, _AT_A_TIME)))
            for number in range(min(count - first, self.size * _AT_A_TIME)):
                yield made[number % self.size][number // self.size]

    # ---- A step ----------------------------------------------------------------------------------

    def rows(self, examples: int, shards: int) -> slice:
        """The examples of a batch of so many that this worker computes, perhaps none."""
        tree = _core.ShardTree(examples, shards)
        return slice(*tree.rows(*self._own(tree, self.rank)))

    def rows_of_a_shard(self, examples: int, shards: int) -> int:
        """How many examples a shard has; the last may have fewer."""
        return int(_core.ShardTree(examples, shards).rows(0, 1)[1])

    def _own(self, tree: _core.ShardTree, rank: int) -> tuple[int, int]:
        """The shards [begin, end) of a worker."""
        return rank * tree.count // self.size, (rank + 1) * tree.count // self.size

    def step(
        self,
        core: _core.Trainer,
        x: Floats,
        labels: Integers,
        settings: Mapping[str, Any],
        signal: str | None = None,
    ) -> tuple[float, int, bool]:
        """As `_core.Trainer.step`, of which each worker computes its part.

        x: this worker's `rows` of the batch. labels: the whole batch's. signal: one that this
        process was given and that is to end the run; `self.signal` says then who asked in which
        step, to all workers alike.
        """
        tree = _core.ShardTree(len(labels), settings["shards"])
        begin, end = self._own(tree, self.rank)
        head = np.zeros(4 * _HEAD, np.uint8)
        head[:_DIGEST] = np.frombuffer(_digest(labels, settings), np.uint8)
        head[_DIGEST] = 0 if signal is None else 1 + SIGNALS.index(signal)
        if settings["sync_batch_norm"]:
            self._meet(head.view(np.float32))
        parts = core.add_shards(
            x, labels, begin=begin, end=end, gather=partial(self._gathered, tree), **settings
        )
        total = self._added(core, tree, parts, head.view(np.float32))
        return core.update_by_sum(total, (len(labels), *x.shape[1:]), **settings)

    def _meet(self, head: Floats) -> None:
        """As `_look`, before the workers wait for one another in the midst of a step."""
        others = {rank: np.empty(_HEAD, np.float32) for rank in self._messages.others}
        self._messages.exchange(dict.fromkeys(others, head), others, _STATISTICS)
        self._look(head, others)

    def _gathered(self, tree: _core.ShardTree, own: Floats, each: int) -> Floats:
        """`each` numbers of every shard, in their order, from those of this worker's shards."""
        bounds = [self._own(tree, rank) for rank in range(self.size)]
        found = np.empty(tree.count * each, np.float32)
        places = [found[begin * each : end * each] for begin, end in bounds]
        places[self.rank][:] = own
        self._messages.exchange(
            dict.fromkeys(self._messages.others, own) if own.size else {},
            {rank: places[rank] for rank in self._messages.others},
            _STATISTICS,
        )
        return found

    def _added(
        self, core: _core.Trainer, tree: _core.ShardTree, parts: Floats, head: Floats
    ) -> Floats:
        """The sum of all shards, from this worker's parts (parts × size) and all others'."""
        size = parts.shape[1]
        roots = [tree.roots(*self._own(tree, rank)) for rank in range(self.size)]
        bounds = [rank * size // self.size for rank in range(self.size + 1)]
        slices = [slice(*pair) for pair in zip(bounds, bounds[1:])]
        mine = slices[self.rank]
        sent, received = {}, {}
        for rank in self._messages.others:
            own = parts[:, slices[rank]]
            sent[rank] = self._array(f"to {rank}", _HEAD + own.size)
            sent[rank][:_HEAD], sent[rank][_HEAD:] = head, own.reshape(-1)
            floats = len(roots[rank]) * (mine.stop - mine.start)
            received[rank] = self._array(f"from {rank}", _HEAD + floats)
        self._messages.exchange(sent, received, _PARTS)
        self._look(head, {rank: data[:_HEAD] for rank, data in received.items()})
        sums = dict(zip(roots[self.rank], parts[:, mine]))
        for rank, data in received.items():
            rows: Any = data[_HEAD:].reshape(len(roots[rank]), -1) if roots[rank] else []
            sums.update(zip(roots[rank], rows))
        total = self._array("total", size)
        total[mine] = _sum_of(core, sums, 0, tree.count)
        self._messages.exchange(
            dict.fromkeys(sent, total[mine]), {rank: total[slices[rank]] for rank in sent}, _SUMS
        )
        return total

    def _look(self, head: Floats, others: Mapping[int, Floats]) -> None:
        """Raises Error where a worker has another batch; notes a signal that one was given."""
        heads = {self.rank: head.view(np.uint8)}
        heads.update((rank, other.view(np.uint8)) for rank, other in others.items())
        for rank in sorted(heads):
            if not np.array_equal(heads[rank][:_DIGEST], heads[self.rank][:_DIGEST]):
                raise _of_all(
                    Error(
                        f"worker {rank} has another batch or other settings in this step than "
                        f"worker {self.rank}; labels, rates, seeds and shards must be the same"
                    )
                )
        number = next((int(heads[r][_DIGEST]) for r in sorted(heads) if heads[r][_DIGEST]), 0)
        self.signal = SIGNALS[number - 1] if number else None

    def _array(self, name: str, size: int) -> Floats:
        """Memory that the step before has used, where its size is still the same."""
        found = self._arrays.get(name)
        if found is None or found.size != size:
            found = self._arrays[name] = np.empty(size, np.float32)
        return found


def digest_of(arrays: Mapping[str, Floats]) -> str:
    """16 hex digits that tell whether arrays by name are the same, to the bit."""
    digest = hashlib.blake2b(digest_size=8)
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()


def _digest(labels: Integers, settings: Mapping[str, Any]) -> bytes:
    """Of what all workers must have alike in a step, beside the pictures."""
    digest = hashlib.blake2b(np.ascontiguousarray(labels, "<i8").data, digest_size=_DIGEST)
    for name in ("lr", "weight_decay"):
        digest.update(np.ascontiguousarray(settings[name], "<f4").data)
    names = ("rule", "seed", "step", "clip_norm", "average_rate", "shards", "sync_batch_norm")
    digest.update(repr([settings[name] for name in names]).encode())
    return digest.digest()


def _of_all(error: Exception) -> Exception:
    """The error, marked as one that every worker raises."""
    if isinstance(error, Error):
        error.in_all_workers = True
    return error


def _sum_of(
    core: _core.Trainer, sums: Mapping[tuple[int, int], Floats], begin: int, end: int
) -> Floats:
    """What shards [begin, end) come to, in the order of the tree; some of `sums` become it."""
    found = sums.get((begin, end))
    if found is not None:
        return found
    middle = _core.ShardTree.middle(begin, end)
    total = _sum_of(core, sums, begin, middle)
    core.add_sum(_sum_of(core, sums, middle, end), total)
    return total
