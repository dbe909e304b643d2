"""One of the services that are compared: its server, two versions of its weights, its rounds."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from . import apps, client, server

RIGHT = ("first weights", "second weights")
TOLERANCE = 1e-4  # of a probability, where two engines compute it


@dataclasses.dataclass(frozen=True)
class Settings:
    """renew: seconds from one change of the weights to the next; 0 never changes them."""

    connections: int = 16
    workers: int = 2
    renew: float = 0.5


class Engine:
    """A service; `versions` are its model files with the first and the second weights.

    make: the service of a file, as the server's processes make it from `apps.environment`.
    tolerance: of a probability, where an answer's bytes are not those expected; 0 allows no others.
    """

    def __init__(
        self,
        name: str,
        application: str,
        versions: Sequence[Path],
        pictures: Sequence[np.ndarray],
        make: Callable[[Path], apps.service.Service],
        settings: Settings,
        variant: dict = apps.ONE_THREAD,
        tolerance: float = 0.0,
    ) -> None:
        self._tolerance = tolerance
        self.name, self._application, self._settings = name, application, settings
        self._versions, self._variant = versions, variant
        # What is served is a link that takes the old one's place, as a deployment does it.
        self._served = versions[0].with_stem("served")
        self._turn = 0
        self._put_next()
        self._requests = [client.request(picture.tobytes()) for picture in pictures]
        self.expected = [_answers(make(path), pictures) for path in versions]
        if any(map(alike, *self.expected)):
            raise RuntimeError("the answers of two versions of the weights cannot be told apart")
        self._known = [
            {json.dumps(answer).encode(): right for right, answer in zip(RIGHT, both)}
            for both in zip(*self.expected)
        ]
        self._rounds: list[client.Results] = []
        self._memory: list[float] = []

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Its server runs meanwhile."""
        environment = apps.environment(self._served, self._settings.renew / 2 or 1, self._variant)
        log = self._served.with_suffix(".log")
        with server.running(
            self._application, self._settings.workers, environment, log
        ) as self._server:
            yield

    def round(self, requests: int) -> client.Results:
        """So many requests, while the weights change now and then."""
        before = self._server.cpu_seconds()
        with self._renewing():
            results = client.run(
                self._server.port,
                self._requests,
                requests,
                self._settings.connections,
                self._settings.workers,
                self._check,
            )
        results.server_cpu_seconds = self._server.cpu_seconds() - before
        return results

    def keep(self, results: client.Results) -> None:
        """Lets a round count, and what the server's processes hold after it."""
        self._rounds.append(results)
        self._memory.append(self._server.resident())

    def figures(self) -> dict:
        """What was measured, for the report and for --json."""
        rounds = self._rounds
        latencies = np.sort(np.concatenate([one.latencies for one in rounds])) * 1e3
        counts = sum((one.counts for one in rounds), Counter())
        return {
            "name": self.name,
            "variant": self._variant,
            "requests": len(latencies),
            "counts": dict(counts),
            "errors": sum(count for what, count in counts.items() if what not in RIGHT),
            "rates": [len(one.latencies) / one.seconds for one in rounds],
            "median_ms": float(np.median(latencies)),
            "p99_ms": float(np.percentile(latencies, 99)),
            "worst_ms": float(latencies[-1]),
            "memory_mb": self._memory,
            "server_cpu_ms": 1e3 * sum(one.server_cpu_seconds for one in rounds) / len(latencies),
            "client_cpu_ms": 1e3 * sum(one.cpu_seconds for one in rounds) / len(latencies),
            "renewals": client.health(self._server.port)["renewals"],
        }

    # ---- Weights that change ---------------------------------------------------------------------

    def _put_next(self) -> None:
        new = self._served.with_stem("new")
        os.link(self._versions[self._turn % len(self._versions)], new)
        new.replace(self._served)
        self._turn += 1

    @contextlib.contextmanager
    def _renewing(self) -> Iterator[None]:
        if not self._settings.renew:
            yield
            return
        stop = threading.Event()

        def work() -> None:
            while not stop.wait(self._settings.renew):
                self._put_next()

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    # ---- Answers ---------------------------------------------------------------------------------

    def _check(self, picture: int, status: int, body: bytes) -> str:
        """Which weights the answer is of, or what is wrong with it."""
        known = self._known[picture]
        if status != 200:
            return f"status {status}"
        if body not in known:
            known[body] = self._judged(picture, json.loads(body))
        return known[body]

    def _judged(self, picture: int, found: dict) -> str:
        for right, answers in zip(RIGHT, self.expected):
            if alike(found, answers[picture], self._tolerance):
                return right
        return "wrong answer"


def alike(first: dict, second: dict, tolerance: float = TOLERANCE) -> bool:
    """Whether two answers name the same class, and have the same probabilities."""
    first, second = first["classes"], second["classes"]
    return first[0]["name"] == second[0]["name"] and all(
        abs(a["probability"] - b["probability"]) <= tolerance for a, b in zip(first, second)
    )


def _answers(service: apps.service.Service, pictures: Sequence[np.ndarray]) -> list[dict]:
    answers = []
    for picture in pictures:
        status, content = service.answer(picture.tobytes(), True)
        if status != 200:
            raise RuntimeError(f"the service refuses a picture: {content}")
        answers.append(content)
    return answers
