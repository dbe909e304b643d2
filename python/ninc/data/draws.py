"""Random numbers for a training batch: some of the batch's own, and some of each picture's own.

A batch's generator is keyed by (seed, epoch, batch). A picture's numbers are keyed by (seed, epoch,
place), the place that it has among the training pictures, so that the picture gets the same ones in
a batch of any size, on any number of threads, and in a run that was resumed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from .._base.array_types import Floats, Integers
from ..errors import ShapeError

Augment = Callable[[Floats, np.random.Generator], Floats]  # see `ninc.augment`

# SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators", with the
# mixer of their reference code): number i of a stream is mix(key + (i + 1) * _GAMMA).
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FIRST_MIX, _SECOND_MIX = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_FIRST_SHIFT, _SECOND_SHIFT, _THIRD_SHIFT = np.uint64(30), np.uint64(27), np.uint64(31)

# A place has so many numbers in each stream before it would take those of the next place.
_NUMBERS_A_PLACE = 2**16

# Streams of a picture's numbers: one is another in each epoch, one is the same throughout the run.
_OF_EPOCH, _OF_RUN = 0x9_1C70, 0x9_1C71


class PictureDraws:
    """The numbers of each picture of a batch.

    places: N whole numbers of 0 or more, each picture's own.
    """

    def __init__(self, seed: int, epoch: int, places: Integers) -> None:
        self.epoch, self.places = epoch, places
        self._keys = {_OF_EPOCH: (seed, _OF_EPOCH, epoch), _OF_RUN: (seed, _OF_RUN)}
        self._used = dict.fromkeys(self._keys, 0)

    def uniform(self, numbers: int) -> npt.NDArray[np.float64]:
        """N×numbers in [0, 1), which nobody has had before in this epoch."""
        return self._next(_OF_EPOCH, numbers)

    def of_run(self, numbers: int) -> npt.NDArray[np.float64]:
        """N×numbers in [0, 1), which are the same in each epoch of the run."""
        return self._next(_OF_RUN, numbers)

    def _next(self, stream: int, numbers: int) -> npt.NDArray[np.float64]:
        key: Any = np.random.SeedSequence(self._keys[stream]).generate_state(1, np.uint64)
        first = self._used[stream]
        self._used[stream] += numbers
        index: Any = self.places.astype(np.uint64)[:, None] * np.uint64(_NUMBERS_A_PLACE)
        bits = splitmix64(key, index + np.arange(first, first + numbers, dtype=np.uint64))
        return (bits >> np.uint64(11)) * 2.0**-53


def splitmix64(key: npt.NDArray[np.uint64], index: npt.NDArray[np.uint64]) -> Any:
    """The numbers of these indices, from 0, in the stream that SplitMix64 begins with `key`."""
    z = key + (index + np.uint64(1)) * _GAMMA  # arrays of uint64 wrap around, as is meant
    z = (z ^ (z >> _FIRST_SHIFT)) * _FIRST_MIX
    z = (z ^ (z >> _SECOND_SHIFT)) * _SECOND_MIX
    return z ^ (z >> _THIRD_SHIFT)


class BatchGenerator(np.random.Generator):
    """The generator of a training batch, which also has its pictures' own numbers.

    stream: the batch's number from 1 on.
    run_epoch: the epoch's number in its own run, from 0; `epoch` counts those of a trainer's
        earlier runs too, so that another run draws other numbers.
    places: those of all pictures of the batch. rows: which of them are made ready here.
    """

    def __init__(
        self,
        seed: int,
        epoch: int,
        stream: int,
        places: Integers,
        run_epoch: int | None = None,
        rows: slice | None = None,
    ) -> None:
        super().__init__(np.random.PCG64([seed, epoch, stream]))
        self.pictures = PictureDraws(seed, epoch, places if rows is None else places[rows])
        self.run_epoch = epoch if run_epoch is None else run_epoch
        self.count, self.rows = len(places), rows


def picture_draws(where: str, rng: np.random.Generator, count: int) -> PictureDraws:
    """The pictures' own numbers that `rng` has, for a batch of `count`.

    Any other generator gives a seed for them, and the places in the batch count. Raises ShapeError,
    from `where`, where an earlier step has left another number of pictures.
    """
    if not isinstance(rng, BatchGenerator):
        return PictureDraws(int(rng.integers(2**63)), 0, np.arange(count))
    if len(rng.pictures.places) != count:
        raise ShapeError(
            f"{where}: the batch has {count} pictures, but it began with "
            f"{len(rng.pictures.places)}; a step before must keep their number and order"
        )
    return rng.pictures


def drawn_for(rng: np.random.Generator, count: int) -> tuple[int, slice]:
    """(how many pictures to draw numbers for, which of these numbers are the `count` pictures').

    Numbers that a batch's own generator gives depend on how many are asked for, so that for a part
    of a batch they are drawn for all of it.
    """
    rows = rng.rows if isinstance(rng, BatchGenerator) else None
    if not isinstance(rng, BatchGenerator) or rows is None:
        return count, slice(None)
    return rng.count, rows


Call = TypeVar("Call", bound=Callable[..., Any])


def takes_parts(call: Call) -> Call:
    """Marks the `__call__` of a step that gives a part of a batch what it gives it in the batch."""
    call.takes_parts = True  # type: ignore[attr-defined]
    return call


def all_take_parts(steps: Sequence[Augment]) -> bool:
    """Whether each step does. What nobody has marked may draw for the batch as it gets it."""
    return all(
        getattr(step, "takes_parts", getattr(type(step).__call__, "takes_parts", False))
        for step in steps
    )


def in_stages(augment: Augment | None) -> tuple[list[Augment], list[Augment]]:
    """(what changes N×H×W×C uint8 pixels, what changes the normalised pictures), each in order.

    A step that says `on_pixels` wants pixels, where the data are pictures; of several steps made
    one, each says so by itself.
    """
    if augment is None:
        return [], []
    split: Callable[[], list[Augment]] | None = getattr(augment, "single_steps", None)
    steps = [augment] if split is None else split()
    pixels = [step for step in steps if getattr(step, "on_pixels", False)]
    return pixels, [step for step in steps if not getattr(step, "on_pixels", False)]
