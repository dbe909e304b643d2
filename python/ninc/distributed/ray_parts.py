"""The parts of a bulk run by actors of Ray Data, each of which has a network of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import ArgumentError, Error
from .listing import Part
from .part_work import PartWork

# An actor has one part at work and the next at hand.
_PARTS_AN_ACTOR = 2


class PartActor:
    """Works on parts in a process of Ray's. What is wrong with the run is told and not raised.

    Ray would wrap an error in its own, with a traceback; and a part whose actor died it gives to
    another by itself.
    """

    def __init__(self, work: PartWork) -> None:
        os.chdir(work.base)  # a cluster's processes begin elsewhere
        self.work = work

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        counts, errors = [], []
        columns = (batch[name].tolist() for name in ("number", "start", "pictures"))
        for part in map(Part, *columns):
            error = ""
            try:
                self.work(part)
            except Error as raised:
                error = str(raised) or type(raised).__name__
            counts.append(part.pictures)
            errors.append(error)
        return {"done": counts, "error": errors}


def needed_ray() -> Any:
    """The module; ArgumentError, with the command that helps, where it is missing."""
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ArgumentError("--ray needs Ray: pip install 'ninc[ray]'") from error
    return ray


def work_by_ray(work: PartWork, parts: Sequence[Part], advance: Callable[[int], None]) -> None:
    """Shares the parts out among actors; `advance` is called with each finished part's pictures.

    The cluster is that of RAY_ADDRESS or one that runs on this machine; where there is none, one is
    begun for this run. An actor has as many CPUs as the predictor has threads, 1 where it does not
    say; there are as many actors as the cluster has room for.
    """
    ray = needed_ray()
    own = not ray.is_initialized()
    try:
        if own:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        ray.data.DataContext.get_current().enable_progress_bars = False
        with contextlib.redirect_stdout(sys.stderr):  # Ray prints there that an actor has died
            _work(ray, work, parts, advance)
    except Error:
        raise
    except Exception as error:  # Ray's kinds are many, one of them Exception itself
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise Error(f"--ray: Ray could not do the work: {lines[-1]}") from error
    finally:
        if own:
            ray.shutdown()


def _work(ray: Any, work: PartWork, parts: Sequence[Part], advance: Callable[[int], None]) -> None:
    threads = work.predictor.threads or 1
    cpus = int(ray.cluster_resources().get("CPU", 0))
    actors = min(cpus // threads, len(parts))
    if not actors:
        raise ArgumentError(
            f"--ray: an actor of {threads} threads needs as many CPUs, and Ray has {cpus}; give a "
            "smaller --threads"
        )
    pool = ray.data.ActorPoolStrategy(size=actors, max_tasks_in_flight_per_actor=_PARTS_AN_ACTOR)
    # A block for each part, so that a part is told of, or done again, by itself.
    items = ray.data.from_items(
        list(map(dataclasses.asdict, parts)), override_num_blocks=len(parts)
    )
    done = items.map_batches(
        PartActor, fn_constructor_args=(work,), compute=pool, num_cpus=threads, batch_size=1
    )
    for row in done.iter_rows():
        if row["error"]:
            raise Error(row["error"])
        advance(row["done"])
