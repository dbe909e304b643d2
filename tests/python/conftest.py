"""Fixtures and hypothesis settings of all Python tests."""

import signal

import numpy as np
import pytest

import ninc

try:
    import hypothesis
except ImportError:  # its tests skip themselves
    pass
else:
    # No deadline: the first run of a shape on a busy machine says nothing about the code.
    # Derandomised: the same examples each time, so that a failure is there for everyone.
    hypothesis.settings.register_profile("ninc", deadline=None, derandomize=True, max_examples=60)
    hypothesis.settings.load_profile("ninc")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def own_handler():
    """Ctrl-C as in a program of Python's own: a test run in the background may ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def threads():
    """`ninc.set_num_threads`; the number from before comes back afterwards."""
    before = ninc.get_num_threads()
    yield ninc.set_num_threads
    ninc.set_num_threads(before)
