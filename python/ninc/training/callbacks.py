"""Functions of the user's that `Trainer.fit` calls at each epoch's end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from .._base.arguments import listed, shown
from ..errors import ArgumentError, Error

if TYPE_CHECKING:
    from ..network import Network
    from .record.history import History, Row
    from .settings import Settings


class EpochEnd:
    """What a callback of `Trainer.fit` is told at an epoch's end.

    epoch: how many epochs are finished, from 1.
    row: the epoch's row of the history, a number by each column's name.
    history: all rows so far.
    trainer: the one that trains; what is set on it, such as `trainer.optimizer.lr`, counts from the
        next step on.
    network: the one that is trained, with the weights that training goes on with, averages or not.
    """

    def __init__(self, trainer: Settings, network: Network, history: History) -> None:
        self.trainer, self.network, self.history = trainer, network, history
        self.row: Row = history.rows[-1]
        self.epoch = int(self.row["epoch"])
        self.stopped = False

    def stop(self) -> None:
        """Ends the run with this epoch, as its last epoch would; the other callbacks are called."""
        self.stopped = True


Callback = Callable[[EpochEnd], Any]


def checked_callbacks(callbacks: Iterable[Callback]) -> tuple[Callback, ...]:
    """The callbacks in their order; raises ArgumentError for what cannot be called."""
    wanted = "a list of functions (epoch_end) -> None"
    if callable(callbacks):
        raise ArgumentError(
            f"fit: callbacks must be {wanted}, got a single one: put it into a list"
        )
    given = listed("fit", "callbacks", callbacks, wanted)
    for one in given:
        if not callable(one):
            raise ArgumentError(f"fit: callbacks must be {wanted}, got {shown(one)} in it")
    return tuple(given)


def call_all(callbacks: Iterable[Callback], told: EpochEnd, kept: str) -> bool:
    """Calls each with what it is told; returns whether one asked to stop.

    Raises Error, with the callback's name and `kept` at its end, where one raises an exception.
    """
    for callback in callbacks:
        try:
            callback(told)
        except Exception as error:
            raise Error(
                f"fit: the callback {_name(callback)} failed after epoch {told.epoch}: "
                f"{type(error).__name__}: {error}{kept}"
            ) from error
    return told.stopped


def _name(callback: Callback) -> str:
    """What a reader knows it by: a function's name, or an object's class."""
    name = getattr(callback, "__qualname__", None)
    return name if isinstance(name, str) else type(callback).__qualname__
