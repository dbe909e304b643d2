"""Bytes from worker to worker through MPI, none of which is waited for without an end."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import Error

# A worker that waits looks for messages in pauses of this share of the time it has waited, of so
# many seconds at most: soon enough where others are on time, and the processor is free for those
# that are not, where there are fewer processors than workers.
_PAUSE, _LONGEST_PAUSE = 0.05, 1e-3

_SIZE, _OBJECT = 1, 2  # kinds of messages; those of the arrays are the caller's, from 3 on

# A message's tag is its kind and the number of the run it belongs to, up to the 32,767 that every
# MPI takes.
_KINDS, _RUNS = 8, 4000

Array = npt.NDArray[Any]
Check = Callable[[], None]


class LostWorkerError(Error):
    """Another worker does not answer any more."""


def go_on() -> None:
    """Nobody asks the work to end."""


class Messages:
    """What the processes of an MPI communicator send one another, as one of them sees it.

    comm: an mpi4py communicator. wait: seconds after which who waits for another gives up with an
    Error that names it.
    """

    def __init__(self, comm: Any, wait: float) -> None:
        self._comm = comm.Dup()  # messages of the user's own do not meet these
        self.rank, self.size = int(comm.Get_rank()), int(comm.Get_size())
        self.wait = wait
        self._run = 0
        self._left: list[Any] = []

    def begin(self) -> None:
        """Begins another run: what was sent in one that was broken off is not taken for its own.

        All workers call it as often.
        """
        self._run = (self._run + 1) % _RUNS

    @property
    def others(self) -> list[int]:
        """The ranks of all but this worker."""
        return [rank for rank in range(self.size) if rank != self.rank]

    def objects_of_all(self, value: Any, check: Check = go_on) -> list[Any]:
        """What each worker gives here, by rank; each gets them all."""
        given = self._pickles(dict.fromkeys(self.others, value), self.others, check)
        return [value if rank == self.rank else given[rank] for rank in range(self.size)]

    def object_of_first(self, value: Any = None) -> Any:
        """What worker 0 gives here; what others give does not matter."""
        if self.rank == 0:
            self._pickles(dict.fromkeys(self.others, value), [])
            return value
        return self._pickles({}, [0])[0]

    def _pickles(
        self, send: Mapping[int, Any], sources: Sequence[int], check: Check = go_on
    ) -> dict[int, Any]:
        packed: dict[int, Array] = {}
        for rank, value in send.items():
            same = next((packed[r] for r in packed if send[r] is value), None)
            packed[rank] = np.frombuffer(pickle.dumps(value), np.uint8) if same is None else same
        sizes = {rank: np.zeros(1, np.int64) for rank in sources}
        self.exchange({r: np.array([len(p)]) for r, p in packed.items()}, sizes, _SIZE, check)
        received = {rank: np.empty(int(size[0]), np.uint8) for rank, size in sizes.items()}
        self.exchange(packed, received, _OBJECT, check)
        return {rank: pickle.loads(data.tobytes()) for rank, data in received.items()}

    def exchange(
        self, send: Mapping[int, Array], receive: Mapping[int, Array], kind: int, check: Check
    ) -> None:
        """Sends send[rank] to each of these workers and fills receive[rank] from each of those.

        Arrays are contiguous; empty ones are not sent. check: called while messages are waited for;
        what it raises ends the waiting.
        """
        tag = kind + _KINDS * self._run
        waiting = {
            rank: self._comm.Irecv(data.reshape(-1).view(np.uint8), rank, tag)
            for rank, data in receive.items()
            if data.size
        }
        sending = {
            rank: self._comm.Isend(data.reshape(-1).view(np.uint8), rank, tag)
            for rank, data in send.items()
            if data.size
        }
        try:
            self._wait(waiting, sending, check)
        except BaseException:
            # MPI may still write to these arrays and read from them.
            self._left.append((waiting, sending, send, receive))
            raise

    def _wait(self, waiting: dict[int, Any], sending: dict[int, Any], check: Check) -> None:
        since = time.monotonic()
        while True:
            for requests in (waiting, sending):
                for rank in [rank for rank in requests if self._done(requests[rank], rank)]:
                    del requests[rank]
            if not (waiting or sending):
                return
            check()
            waited = time.monotonic() - since
            if waited > self.wait:
                ranks = ", ".join(map(str, sorted({*waiting, *sending})))
                raise LostWorkerError(
                    f"worker {self.rank} has waited {self.wait:g} s for worker {ranks}, which may "
                    "have died or lost its network; the run ends here"
                )
            time.sleep(min(_PAUSE * waited, _LONGEST_PAUSE))

    def _done(self, request: Any, rank: int) -> bool:
        """Whether the message from or to this worker is there."""
        try:
            return bool(request.Test())
        except RuntimeError as error:  # mpi4py's exceptions are of this kind
            told = " ".join(str(error).split())
            raise LostWorkerError(
                f"worker {self.rank} has lost worker {rank}, which may have died; the run ends "
                f"here (MPI: {told:.200})"
            ) from error
