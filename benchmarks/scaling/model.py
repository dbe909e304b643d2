"""How long a step of several workers takes, from what its parts take: the model of docs/scaling.md.

step = shards of the busiest worker × seconds a shard
     + bytes it sends / bandwidth + messages it sends × latency
     + seconds of the update, which every worker makes
"""

from __future__ import annotations

import dataclasses

from ninc._core import ShardTree

BYTES = 4  # of a float


@dataclasses.dataclass(frozen=True)
class Parts:
    """Measured of one worker. shard, update: seconds. size: floats of a sum of shards."""

    shard: float
    update: float
    size: int


@dataclasses.dataclass(frozen=True)
class Network:
    """bandwidth: bytes a second that a worker sends. latency: seconds a message."""

    bandwidth: float
    latency: float


def own(worker: int, workers: int, batch: int, shards: int) -> tuple[int, int]:
    """The shards [begin, end) of a worker, of those that have pictures."""
    count = ShardTree(batch, shards).count
    return worker * count // workers, (worker + 1) * count // workers


def sent(worker: int, workers: int, batch: int, shards: int, size: int) -> tuple[int, int]:
    """(bytes, messages) that a worker sends in a step.

    The slices of its sums go to their owners, and the sum of its own slice to all others.
    """
    roots = len(ShardTree(batch, shards).roots(*own(worker, workers, batch, shards)))
    mine = (worker + 1) * size // workers - worker * size // workers
    floats = roots * (size - mine) + mine * (workers - 1)
    return BYTES * floats, (workers - 1) * (2 if roots else 1)


def step(workers: int, batch: int, shards: int, parts: Parts, network: Network) -> float:
    """Seconds of a step of the slowest worker."""
    slowest = 0.0
    for worker in range(workers):
        begin, end = own(worker, workers, batch, shards)
        count, messages = sent(worker, workers, batch, shards, parts.size)
        told = count / network.bandwidth + messages * network.latency if workers > 1 else 0.0
        slowest = max(slowest, (end - begin) * parts.shard + told)
    return slowest + parts.update
