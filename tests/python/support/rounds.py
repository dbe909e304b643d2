"""How often a test of threads or forks is repeated, and what it does in a forked child."""

import os
import signal
import sys

import pytest

# `make check-all` asks for many more: what goes wrong there goes wrong now and then.
ROUNDS = int(os.environ.get("NINC_TEST_ROUNDS", "20"))

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

# Without the global lock, Python forks while other threads hold locks of its dictionaries, and of
# pybind11's tables of types. Nobody gives them back in the child, which then waits for ever, in the
# first call that makes a string, say. A lock of pybind11's may even be held by a thread that Python
# has stopped for the fork, so that waiting for it before the fork is no way out.
needs_whole_forks = pytest.mark.skipif(
    not getattr(sys, "_is_gil_enabled", lambda: True)(),
    reason="Python's own locks are not whole in the child of a fork",
)


def holds_in_child(body, seconds=20):
    """Whether body() gives True in the child of a fork; a child that hangs is ended."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(seconds)
            status = 0 if body() else 1
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0
