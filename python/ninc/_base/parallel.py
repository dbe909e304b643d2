"""Shares out the work on many pictures among threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from .. import _core
from .array_types import Integers

# How many pictures one task decodes: few enough to share a batch out evenly, and enough that
# handing a task over costs nothing beside the 50 us or so that a small JPEG takes.
_BLOCK = 16


def in_parallel(
    work: Callable[[int], None],
    places: Sequence[int] | Integers,
    threads: int | None = None,
    advance: Callable[[int], None] | None = None,
) -> None:
    """Calls work(place) for every place, on up to `threads` threads; the first error ends it all.

    threads: None for as many as ninc uses. advance: called with the number of places that were done
    since the last call. Threads share this work well, since Pillow releases the GIL while it
    decodes.
    """

    def work_on(start: int) -> int:
        block = places[start : start + _BLOCK]
        for place in block:
            work(place)
        return len(block)

    starts = range(0, len(places), _BLOCK)
    threads = min(threads or _core.get_num_threads(), len(starts))
    if threads < 2:
        for start in starts:
            count = work_on(start)
            if advance is not None:
                advance(count)
        return
    # A `with` block would wait for every block still queued before an error could be raised.
    pool = ThreadPoolExecutor(threads, thread_name_prefix="ninc-pictures")
    try:
        for count in pool.map(work_on, starts):
            if advance is not None:
                advance(count)
    finally:
        pool.shutdown(cancel_futures=True)
