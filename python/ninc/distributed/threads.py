"""How many threads a process was given by Ray or Dask, whose worker it is."""

from __future__ import annotations

import math
import sys


def given_threads() -> int | None:
    """The CPUs of this Ray actor or task, or the threads of this Dask worker; None elsewhere.

    Neither library is imported here: a process that works for one of them has it already.
    """
    of_ray = _of_ray()
    return _of_dask() if of_ray is None else of_ray


def _of_ray() -> int | None:
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return None
    context = ray.get_runtime_context()
    if context.get_task_id() is None:  # the program that asks Ray for work, and no worker
        return None
    # An actor may have a part of a CPU, or none, and needs a thread all the same. Ray leaves out
    # what an actor was not given: one that has a GPU alone may use what the process may use.
    cpus = context.get_assigned_resources().get("CPU")
    return None if cpus is None else max(1, math.ceil(cpus))


def _of_dask() -> int | None:
    # Somebody's own folder may be called like Dask's package.
    get_worker = getattr(sys.modules.get("distributed"), "get_worker", None)
    if get_worker is None:
        return None
    try:
        threads: int = get_worker().state.nthreads
    except ValueError:  # this thread computes no task of a worker
        return None
    return threads
