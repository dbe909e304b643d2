"""Lets Ctrl-C and kind signals end a training run between two steps, where nothing is half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

# They come from Ctrl-C; from `kill`, a batch system or a shutdown; from a terminal that closes.
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


class Interrupted(KeyboardInterrupt):
    """A signal ended the run between two steps. `signal`: its name, such as "SIGTERM".

    The message says where the run stands, where its checkpoint is, and which weights the network
    has: with patience the best so far, else the averages, else the last. `weights` says only which
    weights these are, such as "the averaged weights".
    """

    def __init__(self, message: str, name: str, weights: str = "") -> None:
        super().__init__(message)
        self.signal, self.weights = name, weights


class Interrupts:
    """While entered, only remembers the first signal; a second one interrupts at once.

    This holds in the main thread, and for signals that Python still treats in its own way. What a
    program arranged for itself, and what `nohup` has ignored, stays as it is. At the first signal
    `told` is called with words for the user.
    """

    def __init__(self, told: Callable[[str], None]) -> None:
        self._told = told
        self._before: dict[int, Any] = {}
        self.requested: str | None = None

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is not threading.main_thread():
            return self
        for name in SIGNALS:
            number = getattr(signal, name, None)  # not every system has SIGHUP
            if number is None:
                continue
            current = signal.getsignal(number)
            if current in (signal.SIG_DFL, signal.default_int_handler):
                self._before[number] = current
                signal.signal(number, self._remember)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, _: object) -> None:
        if self.requested is not None:
            raise KeyboardInterrupt("interrupted at once")
        self.requested = signal.Signals(number).name
        self._told("ending after this step; a second Ctrl-C ends at once")

    def check(self) -> None:
        """Raises Interrupted if a signal has come."""
        if self.requested is not None:
            raise Interrupted(f"interrupted by {self.requested}", self.requested)
