"""Locks that a process made by fork finds free, whichever thread held them at that moment.

Of all threads the child has the one alone that forked: a lock that another held stays locked there
for ever. What our locks guard is whole at every moment, or made anew by who finds it half made.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any


def fork_safe_lock() -> Any:
    """A lock for `with`, free in the child of a fork unless the thread that forked holds it.

    It is Python's own RLock, which has no Python code: a signal's handler that raises comes before
    the lock is taken, or within the block that gives it back. The thread that holds it may take it
    again, as a signal's handler does that uses what the interrupted code was at.
    """
    lock = threading.RLock()
    _all.add(lock)
    return lock


# Threads add to it and the collector takes away from it by single operations, which are whole with
# Python's global lock and without. It is iterated over in the child of a fork alone, by its only
# thread; without the global lock Python stops all threads for a fork, none of them amid such an
# operation.
_all: weakref.WeakSet[Any] = weakref.WeakSet()


def _renew_all() -> None:
    for lock in list(_all):
        # Private, but what Python's own modules, logging among them, do to their locks.
        if not lock._is_owned():
            lock._at_fork_reinit()


if hasattr(os, "register_at_fork"):  # where there is no fork, nothing is to be done
    os.register_at_fork(after_in_child=_renew_all)
