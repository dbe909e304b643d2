"""Steps of the paper's network, timed in turns: in shards, by two workers, and their parts."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import ninc
from benchmarks.timing import elapsed, interleaved

from .model import Network, Parts, own

BATCH, SHARDS = 128, 8

_GO = 1  # tag of the message that ends a worker's waiting
_LOOK = 1e-3  # seconds between two looks for it, so that who waits leaves the processor alone

X = np.random.default_rng(0).standard_normal((BATCH, 3, 32, 32)).astype(np.float32)
LABELS = np.arange(BATCH) % 10


def trainer(norm: bool = True, **options: Any) -> ninc.Trainer:
    network = ninc.models.nin_cifar10(batch_norm=norm)
    return ninc.Trainer(network, ninc.SGD(0.01, momentum=0.9), **options)


def of_shards(norm: bool, rounds: int, sync: bool) -> dict[int, tuple[float, float]]:
    """Shards -> (seconds a step, how many times as fast as a whole batch), medians.

    sync: whether batch norms normalise by the whole batch.
    """
    trainers = {
        shards: trainer(norm, shards=shards, sync_batch_norm=sync) for shards in (1, 2, 4, SHARDS)
    }
    steps = {str(s): (lambda t=t: t.step(X, LABELS)) for s, t in trainers.items()}
    times = interleaved(steps, rounds, 0.0)
    whole = times["1"]
    return {
        int(shards): (
            statistics.median(each),
            statistics.median(a / b for a, b in zip(whole, each)),
        )
        for shards, each in times.items()
    }


def of_workers(comm: Any, rounds: int, sync: bool) -> dict[str, list[float]]:
    """Seconds of steps, as worker 0 sees them.

    "together": of all workers, with one thread each; "one": of one process of one thread; "alone":
    of one of as many threads as there are workers; "whole": of that with the batch in one part.
    """
    options = {"shards": SHARDS, "sync_batch_norm": sync}
    together, cut = trainer(comm=comm, **options), trainer(**options)
    size = comm.Get_size()
    alone = {"one": (1, cut), "alone": (size, cut), "whole": (size, trainer())}
    times: dict[str, list[float]] = {name: [] for name in ("together", *alone)}
    for turn in range(rounds + 1):
        ninc.set_num_threads(1)
        _step_in_time(comm)
        taken = {"together": [elapsed(lambda: together.step(X, LABELS)) for _ in range(3)]}
        _step_in_time(comm)
        if comm.Get_rank() == 0:
            for name, (threads, own_trainer) in alone.items():
                ninc.set_num_threads(threads)
                taken[name] = [elapsed(lambda t=own_trainer: t.step(X, LABELS)) for _ in range(3)]
        if turn:  # the first compiles, packs and allocates
            for name, each in taken.items():
                times[name].append(statistics.median(each))
    ninc.set_num_threads(1)
    _step_in_time(comm)
    return times


def _step_in_time(comm: Any) -> None:
    """Waits until all workers are here, without taking the processor from those that are not."""
    first, size = 0, comm.Get_size()
    if comm.Get_rank() == first:
        for rank in range(1, size):
            _wait(lambda rank=rank: comm.iprobe(rank, _GO))
            comm.recv(source=rank, tag=_GO)
        for rank in range(1, size):
            comm.send(None, rank, _GO)
    else:
        comm.send(None, first, _GO)
        _wait(lambda: comm.iprobe(first, _GO))
        comm.recv(source=first, tag=_GO)


def _wait(there: Callable[[], bool]) -> None:
    while not there():
        time.sleep(_LOOK)


def parts(comm: Any, rounds: int) -> tuple[Parts, float]:
    """(what the parts of a step take a worker, seconds to add up its shards), all at work."""
    alone = trainer(shards=SHARDS)
    stepper, settings = alone.stepper, alone.stepper.settings(alone, 0)
    begin, end = own(comm.Get_rank(), comm.Get_size(), BATCH, SHARDS)
    rows = slice(begin * BATCH // SHARDS, end * BATCH // SHARDS)
    adding, updating, size = [], [], 0
    for _ in range(rounds + 1):
        _step_in_time(comm)
        begun = time.perf_counter()
        sums = stepper.core.add_shards(X[rows], LABELS, begin=begin, end=end, **settings)
        adding.append(time.perf_counter() - begun)
        size = sums.shape[1]
        begun = time.perf_counter()
        stepper.core.update_by_sum(sums[0], X.shape, **settings)
        updating.append(time.perf_counter() - begun)
    added = statistics.median(adding[1:])
    return Parts(added / (end - begin), statistics.median(updating[1:]), size), added


def network(comm: Any, size: int, rounds: int = 30) -> Network:
    """Between workers 0 and 1: what both send at once, as in a step."""
    rank, times = comm.Get_rank(), {}
    for floats in (1, size // 2):
        given, taken = np.zeros(floats, np.float32), np.empty(floats, np.float32)
        _step_in_time(comm)
        each = []
        for _ in range(rounds if rank < 2 else 0):
            begun = time.perf_counter()
            comm.Sendrecv(given, 1 - rank, recvbuf=taken, source=1 - rank)
            each.append(time.perf_counter() - begun)
        times[floats] = statistics.median(each) if each else 1.0
    return Network(4 * (size // 2) / times[size // 2], times[1])
