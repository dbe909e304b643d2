"""Bytes from worker to worker through MPI, none of which is waited for without an end."""

from __future__ import annotations

import pickle
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import Error

# A worker that waits looks for messages in pauses of this share of the time it has waited, of so
# many seconds at most: soon enough where others are on time, and the processor is free for those
# that are not, where there are fewer processors than workers.
_PAUSE, _LONGEST_PAUSE = 0.05, 1e-3

_SIZE, _OBJECT, _ALARM = 1, 2, 3  # kinds of messages; those of arrays are the caller's, from 4 on

# A message's tag is its kind and the number of the run it belongs to, up to the 32,767 that every
# MPI takes.
_KINDS, _RUNS = 8, 4000

# A worker that waits looks every so many seconds whether the one it waits for has sent something
# else. Two looks must find so: between machines with several networks what was sent first may come
# last.
_PATIENCE = 1.0

# An alarm is a text of so many bytes, which a worker that fails gives so many seconds to leave.
_ALARM_BYTES, _ALARM_SECONDS = 1024, 2.0

Array = npt.NDArray[Any]


class WorkerFailedError(Error):
    """What another worker has failed with; all workers end."""

    in_all_workers = True


class LostWorkerError(Error):
    """Other workers, `lost` by their ranks, do not answer any more."""

    def __init__(self, message: str, lost: Sequence[int]) -> None:
        super().__init__(message)
        self.lost = list(lost)


class _Channel:
    """A duplicate of a communicator, so that messages of the user's own do not meet these.

    runs: how many were begun on it; what one that was broken off has sent is not taken for the
    next one's.
    """

    _known: dict[int, tuple[Any, _Channel]] = {}

    def __init__(self, comm: Any) -> None:
        self.comm = comm.Dup()
        self.runs = 0

    @classmethod
    def of(cls, comm: Any) -> _Channel:
        """That of a communicator, which stays, since MPI has no more than some thousands."""
        if id(comm) not in cls._known:
            cls._known[id(comm)] = comm, cls(comm)
        return cls._known[id(comm)][1]


class Messages:
    """What the processes of an MPI communicator send one another, as one of them sees it.

    comm: an mpi4py communicator. wait: seconds after which who waits for another, from which
    nothing has come meanwhile, gives up with a LostWorkerError.
    """

    def __init__(self, comm: Any, wait: float) -> None:
        self._channel = _Channel.of(comm)
        self._comm = self._channel.comm
        self.rank, self.size = int(comm.Get_rank()), int(comm.Get_size())
        self.wait = wait
        # mpi4py's number for any rank, where it is mpi4py's communicator.
        self._anyone = getattr(sys.modules.get("mpi4py.MPI"), "ANY_SOURCE", -1)
        self._left: list[Any] = []
        self.begin()

    def begin(self) -> None:
        """Begins another run. All workers call it as often."""
        self._channel.runs += 1
        self._run = self._channel.runs % _RUNS
        self._is_broken = False

    @property
    def others(self) -> list[int]:
        """The ranks of all but this worker."""
        return [rank for rank in range(self.size) if rank != self.rank]

    def objects_of_all(self, value: Any) -> list[Any]:
        """What each worker gives here, by rank; each gets them all."""
        given = self._pickles(dict.fromkeys(self.others, value), self.others)
        return [value if rank == self.rank else given[rank] for rank in range(self.size)]

    def object_of_first(self, value: Any = None) -> Any:
        """What worker 0 gives here; what others give does not matter."""
        if self.rank == 0:
            self._pickles(dict.fromkeys(self.others, value), [])
            return value
        return self._pickles({}, [0])[0]

    def _pickles(self, send: Mapping[int, Any], sources: Sequence[int]) -> dict[int, Any]:
        packed: dict[int, Array] = {}
        for rank, value in send.items():
            same = next((packed[r] for r in packed if send[r] is value), None)
            packed[rank] = np.frombuffer(pickle.dumps(value), np.uint8) if same is None else same
        sizes = {rank: np.zeros(1, np.int64) for rank in sources}
        self.exchange({r: np.array([len(p)]) for r, p in packed.items()}, sizes, _SIZE)
        received = {rank: np.empty(int(size[0]), np.uint8) for rank, size in sizes.items()}
        self.exchange(packed, received, _OBJECT)
        return {rank: pickle.loads(data.tobytes()) for rank, data in received.items()}

    def exchange(self, send: Mapping[int, Array], receive: Mapping[int, Array], kind: int) -> None:
        """Sends send[rank] to each of these workers and fills receive[rank] from each of those.

        Arrays are contiguous; empty ones are not sent.
        """
        if self._is_broken:
            raise Error(
                f"worker {self.rank}: an earlier step was broken off, after which nobody knows "
                "where the others are; begin a run by fit, or make another Trainer in each worker"
            )
        waiting: dict[int, Any] = {}
        sending: dict[int, Any] = {}
        try:
            for rank, data in receive.items():
                if data.size:
                    waiting[rank] = self._comm.Irecv(_bytes(data), rank, self._tag(kind))
            for rank, data in send.items():
                if data.size:
                    sending[rank] = self._comm.Isend(_bytes(data), rank, self._tag(kind))
            self._wait(waiting, sending, kind)
        except BaseException as error:
            self._is_broken = True
            # MPI may still write to these arrays and read from them.
            self._left.append((waiting, sending, send, receive))
            if _is_of_mpi(error):
                raise self._lost([*waiting, *sending], error) from error
            raise

    def _tag(self, kind: int, later: int = 0) -> int:
        """Of this run or, with later=1, of the next."""
        return kind + _KINDS * ((self._run + later) % _RUNS)

    def _wait(self, waiting: dict[int, Any], sending: dict[int, Any], kind: int) -> None:
        since = looked = time.monotonic()
        seen: list[int] = []
        while True:
            # Looked before the requests are asked: a worker sends in the order of its steps, so
            # that from one that has sent something else nothing more comes for this step.
            elsewhere: list[int] = []
            if time.monotonic() > looked + _PATIENCE:
                before, seen = seen, self._elsewhere(waiting, kind)
                looked, elsewhere = time.monotonic(), [rank for rank in seen if rank in before]
            for requests in (waiting, sending):
                done = [rank for rank in requests if self._done(requests[rank], rank)]
                for rank in done:
                    del requests[rank]
                    since = time.monotonic()
            if not (waiting or sending):
                return
            self._listen()
            for rank in filter(waiting.__contains__, elsewhere):
                raise Error(
                    f"worker {rank} is not where worker {self.rank} is: it has more batches or "
                    "fewer, or has begun another run; all workers need the same batches and the "
                    "same calls"
                )
            waited = time.monotonic() - since
            if waited > self.wait:
                lost = sorted({*waiting, *sending})
                raise LostWorkerError(
                    f"worker {self.rank} has waited {self.wait:g} s for {_named(lost)}, which may "
                    "have died, lost its network, or has no such step to make; the run ends here",
                    lost,
                )
            time.sleep(min(_PAUSE * waited, _LONGEST_PAUSE))

    def _elsewhere(self, ranks: Iterable[int], kind: int) -> list[int]:
        """Those of these workers from which something else has come, of this run or of the next."""
        tags = [self._tag(other) for other in range(_KINDS) if other not in (kind, _ALARM)]
        tags.append(self._tag(_SIZE, later=1))  # a run begins with objects
        return [rank for rank in ranks if any(self._has_sent(rank, tag) for tag in tags)]

    def _has_sent(self, rank: int, tag: int) -> bool:
        try:
            return bool(self._comm.Iprobe(rank, tag))
        except Exception as error:
            if _is_of_mpi(error):  # of one that is lost; what is waited for says so, too
                return False
            raise

    def _done(self, request: Any, rank: int) -> bool:
        """Whether the message from or to this worker is there."""
        try:
            return bool(request.Test())
        except Exception as error:
            if _is_of_mpi(error):
                raise self._lost([rank], error) from error
            raise

    def _lost(self, ranks: Sequence[int], error: BaseException) -> LostWorkerError:
        told, lost = " ".join(str(error).split()), sorted(set(ranks))
        return LostWorkerError(
            f"worker {self.rank} has lost {_named(lost)}, which may have died; the run ends here "
            f"(MPI: {told:.200})",
            lost,
        )

    def tell_all(self, text: str) -> None:
        """Ends the waiting of all other workers, now or later in this run, with this text.

        Some of them may be gone, so that nobody is waited for long.
        """
        data = np.zeros(_ALARM_BYTES, np.uint8)
        said = f"worker {self.rank}: {text}"
        if text.startswith(f"worker {self.rank} "):  # it says so itself
            said = text
        packed = np.frombuffer(said.encode(errors="replace")[:_ALARM_BYTES], np.uint8)
        data[: len(packed)] = packed
        try:
            sending = [self._comm.Isend(data, rank, self._tag(_ALARM)) for rank in self.others]
            self._left.append((sending, data))
            end = time.monotonic() + _ALARM_SECONDS
            while sending and time.monotonic() < end:
                sending = [request for request in sending if not request.Test()]
                time.sleep(_LONGEST_PAUSE)
        except Exception as error:
            if not _is_of_mpi(error):  # who has lost another may tell the rest no more
                raise

    def _listen(self) -> None:
        """Raises WorkerFailedError where another worker has told that it failed."""
        if self._comm.Iprobe(self._anyone, self._tag(_ALARM)):
            data = np.empty(_ALARM_BYTES, np.uint8)
            self._comm.Recv(data, self._anyone, self._tag(_ALARM))
            raise WorkerFailedError(data.tobytes().rstrip(b"\0").decode(errors="replace"))


def _named(ranks: Sequence[int]) -> str:
    return f"worker{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks))}"


def _bytes(data: Array) -> Array:
    return data.reshape(-1).view(np.uint8)


def _is_of_mpi(error: BaseException) -> bool:
    """Whether it is mpi4py's Exception, which cannot be imported everywhere."""
    return isinstance(error, RuntimeError) and type(error).__module__.startswith("mpi4py")
