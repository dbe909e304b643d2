"""What Ray Data costs beside a plain loop of the same Predictor on the same processors."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Sequence
from typing import Any

from ninc.distributed import Predictor

from . import checks

_BATCH = 64


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


def measured(model: str, files: Sequence[str]) -> dict[str, float]:
    """Pictures a second of both, Ray's time over the plain loop's less 1, seconds to start."""
    plain, plain_start = rate(*of_plain_loop(model, files))
    ray, ray_start = rate(*of_ray(model, files))
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
        answers = checks.ray_answers(ray, Timed, model, list(files))
        return begun, [(row["time"], row["process"]) for row in answers.iter_rows()]


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
        contents = []
        for name in names:
            with open(name, "rb") as file:
                contents.append(file.read())
        answered = predict({"bytes": contents, "path": names})
        found += list(zip(answered["time"], answered["process"]))
    return found
