"""What taking Python's own locks withstands: interrupts, and handlers that take them again."""

import contextlib
import sys
import threading

from ninc._base import locks


def test_an_interrupt_as_it_is_taken_leaves_it_free():
    """A signal's handler may raise between any two lines of Python's, also of a lock's own."""
    for place in range(8):
        lock = locks.fork_safe_lock()
        lines = []

        def interrupt(frame, event, arg, place=place, lines=lines):
            if frame.f_code.co_filename != locks.__file__:
                return None
            lines.append(event)
            if len(lines) > place:
                raise KeyboardInterrupt
            return interrupt

        before = sys.gettrace()
        sys.settrace(interrupt)
        try:
            with contextlib.suppress(KeyboardInterrupt), lock:
                pass
        finally:
            sys.settrace(before)
        taken = []
        other = threading.Thread(target=lambda lock=lock, to=taken: to.append(lock.acquire(False)))
        other.start()
        other.join()
        assert taken == [True], place


def test_its_thread_may_take_it_again():
    lock = locks.fork_safe_lock()
    seen = []

    def twice():
        with lock:
            with lock:
                seen.append("again")
            seen.append("once")

    thread = threading.Thread(target=twice, daemon=True)
    thread.start()
    thread.join(60)
    assert seen == ["again", "once"]
