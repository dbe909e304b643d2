"""Engines in turn: interleaved rounds, so that what slows the machine slows all of them."""

from __future__ import annotations

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
) -> dict[str, list[float]]:
    """Seconds of each call. Every round gives each engine seconds / rounds, and one call at least.

    The round's first engine is another one each time.
    """
    lengths = {}
    for name, call in calls.items():
        progress(f"{name}, first calls")
        call()  # compiles, packs, allocates
        lengths[name] = _timed(call)
    times = {name: [] for name in calls}
    names = list(calls)
    for turn in range(rounds):
        progress(f"round {turn + 1} of {rounds}")
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            time.sleep(PAUSE)
            if lengths[name] < _WARM_BELOW:
                calls[name]()
            end = time.perf_counter() + seconds / rounds
            times[name].append(_timed(calls[name]))
            while time.perf_counter() < end:
                times[name].append(_timed(calls[name]))
    return times


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
