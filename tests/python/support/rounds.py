"""How often a test of threads or forks is repeated, and what it does in a forked child."""

import os
import signal

import pytest

# `make check-all` asks for many more: what goes wrong there goes wrong now and then.
ROUNDS = int(os.environ.get("NINC_TEST_ROUNDS", "20"))

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


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
