"""Training steps that several processes make together.

Each worker computes some shards of a batch that follow one another, and adds up the parts of the
tree of shards that are wholly its own. Only the sums of these parts travel, twice:

    a worker's sums, slice by slice  →  the worker that the slice belongs to, which adds them up
    the sums of slices               →  all workers, each of which makes the same update

So a worker sends and receives about twice the size of the gradients a step, however many workers
there are. MPI moves bytes; every addition is made here or in the core, in the order of the tree.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import numpy as np

from .. import _core
from .._base.array_types import Floats
from ..errors import ArgumentError, Error

Made = TypeVar("Made")

# So many seconds a worker waits for another before it ends the run.
WAIT = 600.0

# A worker that waits looks for messages in pauses that grow up to so many seconds, so that the
# others find a processor free where there are fewer than workers.
_LONGEST_PAUSE = 1e-3

_PARTS, _SUMS = 1, 2  # tags of the two kinds of message


class Workers:
    """The processes of an MPI communicator, as one of them sees them.

    comm: an mpi4py communicator. wait: seconds after which a worker that waits for another gives up
    with an Error that names it.
    """

    def __init__(self, comm: Any, wait: float = WAIT) -> None:
        if not all(hasattr(comm, name) for name in ("Dup", "Isend", "Irecv", "allgather")):
            raise ArgumentError(f"Trainer: comm must be an mpi4py communicator, got {comm!r:.80}")
        self.comm = comm.Dup()  # messages of the user's own do not meet these
        self.rank, self.size = int(comm.Get_rank()), int(comm.Get_size())
        self.wait = wait

    @property
    def is_first(self) -> bool:
        """Whether this is worker 0, which alone writes files and tells the user."""
        return self.rank == 0

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
        told, made = self.comm.bcast((told, made))
        if failed is not None:
            raise _of_all(failed)
        if told is not None:
            raise _of_all(Error(f"worker 0: {told}"))
        return cast("Made", made)

    def own(self, shards: int, rank: int | None = None) -> tuple[int, int]:
        """The shards [begin, end) of a worker, this one if None."""
        rank = self.rank if rank is None else rank
        return rank * shards // self.size, (rank + 1) * shards // self.size

    def check_alike(self, words: Mapping[str, str]) -> None:
        """Raises ArgumentError, in all workers, where one of them differs from the first."""
        found: Sequence[Mapping[str, str]] = self.comm.allgather(dict(words))
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

    def step(
        self,
        core: _core.Trainer,
        x: Floats,
        labels: Any,
        settings: Mapping[str, Any],
        check: Callable[[], None],
    ) -> tuple[float, int, bool]:
        """As `_core.Trainer.step`, of which each worker computes its part. x: the whole batch.

        check: called while messages are waited for; what it raises leaves the weights unchanged.
        """
        shards = settings["shards"]
        tree = _core.ShardTree(len(labels), shards)
        begin, end = self.own(shards)
        first, last = tree.rows(begin, end)
        parts = core.add_shards(x[first:last], labels, begin=begin, end=end, **settings)
        total = self._added(tree, shards, parts, check)
        return core.update_by_sum(total, x.shape, **settings)

    def _added(
        self, tree: _core.ShardTree, shards: int, parts: Floats, check: Callable[[], None]
    ) -> Floats:
        """The sum of all shards, from this worker's parts (parts × size) and all others'."""
        size = parts.shape[1]
        roots = [tree.roots(*self.own(shards, rank)) for rank in range(self.size)]
        bounds = [rank * size // self.size for rank in range(self.size + 1)]
        slices = [slice(*pair) for pair in zip(bounds, bounds[1:])]
        mine = slices[self.rank]
        received = [np.empty((len(r), mine.stop - mine.start), np.float32) for r in roots]
        self._exchange([np.ascontiguousarray(parts[:, s]) for s in slices], received, _PARTS, check)
        sums = {root: row for rs, rows in zip(roots, received) for root, row in zip(rs, rows)}
        own_sum = _sum_of(sums, 0, tree.count)
        total = np.empty(size, np.float32)
        self._exchange([own_sum] * self.size, [total[s] for s in slices], _SUMS, check)
        return total

    def _exchange(
        self, send: list[Floats], receive: list[Floats], tag: int, check: Callable[[], None]
    ) -> None:
        """Sends send[rank] to each worker, and fills receive[rank] with what it sends here."""
        receive[self.rank][...] = send[self.rank]
        others = [rank for rank in range(self.size) if rank != self.rank]
        waiting = {
            rank: self.comm.Irecv(receive[rank].reshape(-1).view(np.uint8), rank, tag)
            for rank in others
            if receive[rank].size
        }
        sending = {
            rank: self.comm.Isend(send[rank].reshape(-1).view(np.uint8), rank, tag)
            for rank in others
            if send[rank].size
        }
        since, pause = time.monotonic(), 1e-6
        while waiting or sending:
            for requests in (waiting, sending):
                for rank in [rank for rank, request in requests.items() if request.Test()]:
                    del requests[rank]
            if not (waiting or sending):
                break
            check()
            if time.monotonic() - since > self.wait:
                ranks = ", ".join(map(str, sorted({*waiting, *sending})))
                raise Error(
                    f"worker {self.rank} has waited {self.wait:.0f} s for worker {ranks}, which "
                    "may have died or lost its network; the run ends here"
                )
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


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
