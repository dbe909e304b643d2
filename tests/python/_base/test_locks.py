"""Python's own locks in a forked child, while another thread of the parent held them."""

import contextlib
import os
import signal
import threading

import numpy as np
import pytest

from ninc import network, nn
from ninc._base.locks import fork_safe_lock
from ninc.data.batches import ahead
from ninc.data.pictures import DecodedSource
from ninc.data.source import WholeSource
from ninc.errors import Error

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
    # Newer Pythons warn of every fork beside threads, which is what is tested.
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]

SECONDS = 20  # a child that hangs is ended by then


def in_child(work):
    """Whether `work()` ends well in a child made by fork; one that hangs is killed."""
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(SECONDS)
            os._exit(0 if work() else 1)
        os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@contextlib.contextmanager
def held_elsewhere(lock):
    """Another thread holds the lock within the block."""
    held, done = threading.Event(), threading.Event()

    def hold():
        with lock:
            held.set()
            done.wait(2 * SECONDS)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(SECONDS)
    yield
    done.set()
    thread.join()


def locked(lock):
    """Whether some thread holds the lock."""
    taken = threading.Event()

    def take():
        with lock:
            taken.set()

    threading.Thread(target=take, daemon=True).start()
    return not taken.wait(0.3)


def test_the_child_finds_it_free_and_the_parent_keeps_it():
    lock = fork_safe_lock()

    def use():
        for _ in range(2):
            with lock:
                assert locked(lock)
        return not locked(lock)

    with held_elsewhere(lock):
        assert in_child(use)
        assert locked(lock)
    assert not locked(lock)


def test_the_thread_that_forks_keeps_what_it_holds():
    lock = fork_safe_lock()
    inside = []

    def use():
        inside.append(locked(lock))
        return inside == [True]

    with lock:
        assert in_child(use)

    def leave_it():  # the block that began before the fork ends in the child
        lock.__exit__(None, None, None)
        return not locked(lock)

    with lock:
        assert in_child(leave_it)
    assert not locked(lock)


def test_errors_let_it_go():
    lock = fork_safe_lock()
    with pytest.raises(KeyError), lock:
        raise KeyError
    assert not locked(lock)


def test_a_graph_is_made_in_the_child():
    made = nn.Graph()
    made.add(nn.GlobalAvgPool2d(), made.add(nn.Conv2d(1, 2, 1), made.input()))
    with held_elsewhere(network.making):
        assert in_child(lambda: len(made.core.specs()) == 2)
    assert len(made.core.specs()) == 2


def test_a_source_that_is_read_whole():
    source = WholeSource((3, 2), np.uint8, lambda: np.arange(6, dtype=np.uint8).reshape(3, 2))
    with held_elsewhere(source._lock):
        assert in_child(lambda: source[1].tolist() == [2, 3])
    assert source[2].tolist() == [4, 5]


def test_a_source_while_it_is_loaded():
    """The fork comes amid the loading itself; the child loads anew."""
    started, go_on = threading.Event(), threading.Event()

    def load():
        started.set()
        go_on.wait(SECONDS)
        return np.ones((2, 2), np.uint8)

    source = WholeSource((2, 2), np.uint8, load)
    reader = threading.Thread(target=source.read_all)
    reader.start()
    assert started.wait(SECONDS)

    def use():
        go_on.set()
        return source.read_all().sum() == 4

    assert in_child(use)
    go_on.set()
    reader.join()


class Numbers(DecodedSource):
    def decode(self, index):
        return np.full(self.shape[1:], index, np.uint8)


def test_decoded_pictures_are_kept_in_the_child():
    source = Numbers((5, 2, 2, 1), threads=2)
    source.keep(1 << 20)

    def use():
        source.keep(1 << 20)
        return source[:].sum() == source[:].sum() == 4 * (1 + 2 + 3 + 4)

    with held_elsewhere(source._lock):
        assert in_child(use)
    assert source[3].sum() == 12


def test_batches_under_way_end_in_the_child_with_an_error():
    """The thread that makes them ready has stayed in the parent."""
    go_on = threading.Event()

    def slow():
        yield 1
        go_on.wait(2 * SECONDS)
        yield 2

    items = ahead(slow())
    assert next(items) == 1

    def use():
        with pytest.raises(Error, match="is not in this process"):
            next(items)
        return True

    assert in_child(use)
    go_on.set()
    assert list(items) == [2]
