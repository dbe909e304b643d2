"""What Ray Data costs beside a plain loop of the same Predictor on the same processors.

The network is NIN-CIFAR with batch norm, untrained. Both are given paths, and whoever answers
reads: tasks that only read would take the same two processors from the actors.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ninc
from ninc.distributed import Predictor

from . import checks

_BATCH = 256


class Timed(Predictor):
    """A Predictor that also tells when it had answered, and in which process."""

    def __call__(self, batch: Any) -> Any:
        found = super().__call__(batch)
        count = len(found["error"])
        return {
            "time": [time.time()] * count,
            "process": [os.getpid()] * count,
            "probability": found["probability"],
        }


def measured(files: Sequence[str], scratch: Path) -> dict[str, float]:
    """Pictures a second of both, Ray's time over the plain loop's less 1, seconds to start."""
    network = ninc.models.nin_cifar10(batch_norm=True)
    network.preprocessing = ninc.pretrained().preprocessing
    network.classes = ninc.pretrained().classes
    model = scratch / "nin.safetensors"
    network.save(model)
    plain, plain_start = rate(*of_plain_loop(str(model), files))
    ray, ray_start = rate(*of_ray(str(model), files))
    return {
        "plain": plain,
        "ray": ray,
        "overhead": plain / ray - 1.0,
        "plain_start": plain_start,
        "ray_start": ray_start,
    }


def rate(begun: float, answers: Sequence[tuple[float, int]]) -> tuple[float, float]:
    """(pictures a second, seconds to start) of (time, process) of each picture.

    Counted from when both processes had answered a batch. The last process to end sets the end, as
    it does for whoever waits.
    """
    first: dict[int, float] = {}
    for moment, process in sorted(answers):
        first.setdefault(process, moment)
    begin = max(first.values())
    end = max(moment for moment, _ in answers)
    count = sum(moment > begin for moment, _ in answers)
    return count / (end - begin), begin - begun


def of_ray(model: str, files: Sequence[str]) -> tuple[float, list[tuple[float, int]]]:
    with checks.ray_begun() as ray:
        begun = time.time()
        rows = [{"path": file} for file in files]
        paths = ray.data.from_items(rows, override_num_blocks=-(-len(rows) // _BATCH))
        found = []
        for batch in checks.by_actors(ray, paths, Timed, model, _BATCH).iter_batches(
            batch_size=None, batch_format="numpy"
        ):
            found += list(zip(batch["time"].tolist(), batch["process"].tolist()))
        return begun, found


def of_plain_loop(model: str, files: Sequence[str]) -> tuple[float, list[tuple[float, int]]]:
    begun = time.time()
    context = multiprocessing.get_context("spawn")
    batches = [files[start : start + _BATCH] for start in range(0, len(files), _BATCH)]
    with context.Pool(2) as pool:
        halves = pool.starmap(loop, [(model, batches[::2]), (model, batches[1::2])], chunksize=1)
    return begun, [answer for half in halves for answer in half]


def loop(model: str, batches: Sequence[Sequence[str]]) -> list[tuple[float, int]]:
    """Reads and answers one batch after another on one thread."""
    predict = Timed(model, threads=1)
    found = []
    for names in batches:
        answered = predict({"path": names})
        found += list(zip(answered["time"], answered["process"]))
    return found
