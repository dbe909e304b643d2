"""Work on many pictures, shared out among threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from .. import _core

# Pictures decoded by one task: small enough to share a batch out evenly, large enough that handing
# tasks over costs nothing beside some 50 us a small JPEG takes.
_BLOCK = 16


def in_parallel(
    work: Callable[[int], None],
    places: Sequence[int],
    threads: int | None = None,
    advance: Callable[[int], None] | None = None,
) -> None:
    """work(place) for every place on up to `threads` threads; the first error ends it all.

    threads: None for as many as ninc uses. advance: told of places that are done, some at a time.
    Threads share the work well: Pillow releases the GIL while it decodes.
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
    # Not `with`: its exit would wait for every block still queued before an error could be told.
    pool = ThreadPoolExecutor(threads, thread_name_prefix="ninc-pictures")
    try:
        for count in pool.map(work_on, starts):
            if advance is not None:
                advance(count)
    finally:
        pool.shutdown(cancel_futures=True)
