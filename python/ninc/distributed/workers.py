"""Who trains together: what users say of it, in place of a bare communicator."""

from __future__ import annotations

import math
from typing import Any

from .._base.arguments import real, shown
from ..errors import ArgumentError

# A worker waits so many seconds for another before it ends the run.
WAIT = 600.0


class Workers:
    """The processes of an MPI communicator, for `ninc.Trainer(..., comm=Workers(comm, wait=60))`.

    comm: an mpi4py communicator, such as `MPI.COMM_WORLD`. wait: seconds after which a worker that
    waits for another ends the run with an Error that names it; a bare communicator stands for 600.
    Raises ArgumentError for anything else.
    """

    def __init__(self, comm: Any, wait: float = WAIT) -> None:
        if not all(hasattr(comm, name) for name in ("Dup", "Get_rank", "Isend", "Irecv")):
            raise ArgumentError(f"Workers: comm must be an mpi4py communicator, got {shown(comm)}")
        self.comm = comm
        self.wait = real("Workers", "wait", wait)
        if not 0 < self.wait < math.inf:
            raise ArgumentError(f"Workers: wait must be a number above 0, got {shown(wait)}")

    def __repr__(self) -> str:
        return f"Workers({self.comm!r}, wait={self.wait:g})"
