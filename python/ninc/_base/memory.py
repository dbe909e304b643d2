"""Tells how much memory this process may still take, and raises where that is too little."""

from __future__ import annotations

import os

from .. import _core
from ..errors import OutOfMemoryError


def available_memory() -> int:
    """How many bytes are free: the least that machine, control groups and NINC_MEMORY_LIMIT leave.

    Pages that only hold files, which the kernel can read again, count as free.
    """
    free = _core.free_memory()
    # Where a system does not say, such as macOS, this is what it has in all.
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if free is None else free


def check_room(file: str | os.PathLike[str], count: int, advice: str) -> None:
    """Raises OutOfMemoryError unless there is room for `count` bytes of `file` unpacked."""
    free = available_memory()
    if count > free:
        raise OutOfMemoryError(
            f"{os.fspath(file)}: unpacked it takes {size_text(count)} of memory and "
            f"{size_text(free)} are free; {advice}"
        )


def check_free(what: str, count: int) -> None:
    """Raises OutOfMemoryError, in words that begin with `what`, unless `count` bytes are free.

    As the core does, it does not look below a MiB, so that small things cost nothing.
    """
    if count < 1 << 20:
        return
    free = available_memory()
    if count > free:
        raise OutOfMemoryError(
            f"{what}: {size_text(count)} more are needed, and {size_text(free)} of memory are free"
        )


def size_text(count: float) -> str:
    """ "1.5 GB", "320 MB", "12 kB"."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if count >= scale:
            return f"{count / scale:.3g} {unit}"
    return f"{count / 1e3:.3g} kB"
