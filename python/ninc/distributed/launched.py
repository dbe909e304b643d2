"""What a program that was begun by mpiexec does about it."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

from ..errors import ArgumentError, Error
from .messages import LostWorkerError

# Where the launchers of MPICH, Open MPI and Slurm say how many processes they began together.
_SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")

# What those of PMIx set in each process; it does not say how many there are.
_RANK = "PMIX_RANK"

# All who have lost a worker find it out at once. The first of them speaks and ends all processes;
# the others leave it so many seconds, each by its rank.
_TURN, _LONGEST_TURN = 0.3, 3.0


def launched_comm() -> Any:
    """MPI's communicator of all processes that mpiexec began together; None of a process alone."""
    sizes = [os.environ[name] for name in _SIZES if name in os.environ]
    if _RANK not in os.environ and all(size == "1" for size in sizes):
        return None
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise ArgumentError(
            f"mpiexec has begun {sizes[0] if sizes else 'several'} processes, which need mpi4py to "
            "train together: pip install 'ninc[mpi]'"
        ) from error
    comm = MPI.COMM_WORLD
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


def run_together(comm: Any, run: Callable[[], int]) -> int:
    """Runs a command in each process; worker 0 alone is heard, but for what fails elsewhere.

    A failure ends the processes of all, since the others would wait for the one that failed.
    """
    if comm is None:
        return run()
    rank = comm.Get_rank()
    try:
        with contextlib.ExitStack() as stack:
            if rank > 0:
                nothing = stack.enter_context(open(os.devnull, "w"))
                stack.enter_context(contextlib.redirect_stdout(nothing))
                stack.enter_context(contextlib.redirect_stderr(nothing))
            return run()
    except Error as error:
        if not error.in_all_workers:  # else all end by themselves
            if isinstance(error, LostWorkerError):
                time.sleep(min(rank * _TURN, _LONGEST_TURN))
            who = "" if rank == 0 else f"worker {rank}: "
            print(f"ninc: {who}{error}", file=sys.stderr, flush=True)
            comm.Abort(1)
        if rank > 0:
            return 1
        raise
    except Exception:
        print(f"ninc: worker {rank}:", file=sys.stderr)
        traceback.print_exc()
        sys.stderr.flush()
        comm.Abort(1)
        raise
