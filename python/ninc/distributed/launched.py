"""What a program that was begun by mpiexec does about it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import Any

from ..errors import ArgumentError, Error

# Where MPICH's and Open MPI's launchers say how many processes they began.
_SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")


def launched_comm() -> Any:
    """MPI's communicator of all processes that mpiexec began together; None of a process alone."""
    size = max(int(os.environ.get(name, "1")) for name in _SIZES)
    if size == 1:
        return None
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise ArgumentError(
            f"mpiexec has begun {size} processes, which need mpi4py to train together: "
            "pip install 'ninc[mpi]'"
        ) from error
    return MPI.COMM_WORLD


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
            who = "" if rank == 0 else f"worker {rank}: "
            print(f"ninc: {who}{error}", file=sys.stderr, flush=True)
            comm.Abort(1)
        if rank > 0:
            return 1
        raise
