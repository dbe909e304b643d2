"""A lock that a process made by fork finds free, whichever thread held it at that moment.

Of all threads the child has the one alone that forked: a lock that another held stays locked there
for ever. What our locks guard is whole at every moment, or made anew by who finds it half made.
"""

from __future__ import annotations

import os
import threading
import weakref


class ForkSafeLock:
    """A lock for `with`, free in the child of a fork unless the thread that forked holds it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: int | None = None
        _all.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()
        self._owner = threading.get_ident()

    def __exit__(self, *_: object) -> None:
        self._owner = None
        self._lock.release()

    def renew(self) -> None:
        """Makes the lock as it should be in a child, which has this thread alone."""
        self._lock = threading.Lock()
        if self._owner == threading.get_ident():
            self._lock.acquire()
        else:
            self._owner = None


_all: weakref.WeakSet[ForkSafeLock] = weakref.WeakSet()


def _renew_all() -> None:
    for lock in list(_all):
        lock.renew()


if hasattr(os, "register_at_fork"):  # where there is no fork, nothing is to be done
    os.register_at_fork(after_in_child=_renew_all)
