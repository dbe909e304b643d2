"""Engines in turn: interleaved rounds, so that what slows the machine slows all of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

# Threads of some engines spin a while after a run; they would slow the engine whose turn is next.
PAUSE = 0.1
# A turn begins with a call that is not counted, to warm the caches, where that costs little.
_WARM_BELOW = 0.1


def interleaved(
    calls: Mapping[str, Callable[[], object]],
    rounds: int,
    seconds: float,
    progress: Callable[[str], None] = lambda text: None,
    between: Callable[[], object] = lambda: None,
) -> dict[str, list[float]]:
    """Seconds of each call. Every round gives each engine seconds / rounds, and one call at least.

    The round's first engine is another one each time. `between` is called before each round and
    after the last.
    """
    lengths = {}
    for name, call in calls.items():
        progress(f"{name}, first calls")
        call()  # compiles, packs, allocates
        lengths[name] = elapsed(call)
    times = {name: [] for name in calls}
    names = list(calls)
    for turn in range(rounds):
        progress(f"round {turn + 1} of {rounds}")
        between()
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            times[name] += turn_of(calls[name], seconds / rounds, lengths[name])
    between()
    return times


def turn_of(call: Callable[[], object], seconds: float, length: float) -> list[float]:
    """Seconds of each call of a turn, one at least; `length`: what a call takes, about."""
    time.sleep(PAUSE)
    if length < _WARM_BELOW:
        call()
    end = time.perf_counter() + seconds
    times = [elapsed(call)]
    while time.perf_counter() < end:
        times.append(elapsed(call))
    return times


class Disturbance:
    """How many cores other processes, or other guests of the machine, took meanwhile; from /proc.

    with Disturbance() as others: ...
    others.cores    # None where there is no /proc/stat
    """

    cores: float | None = None

    def __enter__(self) -> Disturbance:
        self._before = self._read()
        return self

    def __exit__(self, *error: object) -> None:
        after = self._read()
        if self._before and after:
            wall, busy, own = (now - then for now, then in zip(after, self._before))
            self.cores = max(0.0, (busy - own) / wall)

    @staticmethod
    def _read() -> tuple[float, float, float] | None:
        """Seconds since some time: on the wall, of all processors' work, of this process's."""
        try:
            with open("/proc/stat") as file:
                ticks = [int(field) for field in file.readline().split()[1:9]]
        except OSError:
            return None
        user, nice, system, _, _, irq, softirq, steal = ticks
        busy = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
        return time.perf_counter(), busy, time.process_time()


def elapsed(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
