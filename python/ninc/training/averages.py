"""Weights averaged over the steps of a run, evaluated and saved in place of the last ones.

An average says, before each step, at which rate the averages follow the weights:

    average += rate * (weight - average)

It is called as ``rate(progress, count)``: `progress` is the share of the run that is done, 0..1,
`count` how many steps have been averaged so far; 0 leaves the averages alone. The arithmetic runs
in the core, inside the training step. Batch norm's statistics belong to the weights of their step;
before averages are evaluated or saved they are estimated anew over `norm_batches` training batches,
each statistic the mean over these.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING

from .._base.arguments import real, share_below_1, share_between, whole

if TYPE_CHECKING:
    from .. import _core
    from ..data.stream import Batch

__all__ = ["EMA", "SWA"]


class EMA:
    """An exponential moving average (Polyak, Juditsky 1992): of the last 1 / (1 - decay) steps.

        rate = max(1 - decay, 10 / (10 + count))

    so that at first it looks back over a tenth of the steps there have been.
    """

    extendable = True  # more epochs change nothing about earlier steps

    def __init__(self, decay: float = 0.999, norm_batches: int = 50) -> None:
        self.decay = share_between("EMA", "decay", decay)
        self.norm_batches = whole("EMA", "norm_batches", norm_batches)

    def rate(self, progress: float, count: int) -> float:
        return max(1.0 - self.decay, 10.0 / (10.0 + whole("EMA.rate", "count", count, 0)))

    def __repr__(self) -> str:
        return f"EMA(decay={self.decay:g}, norm_batches={self.norm_batches})"


class SWA:
    """The plain mean over the last part of the run (Izmailov et al. 2018).

    rate = 1 / (1 + count)   from `start` on, a share of the run
    """

    extendable = False

    def __init__(self, start: float = 0.75, norm_batches: int = 50) -> None:
        self.start = share_below_1("SWA", "start", start)
        self.norm_batches = whole("SWA", "norm_batches", norm_batches)

    def rate(self, progress: float, count: int) -> float:
        count = whole("SWA.rate", "count", count, 0)
        return 0.0 if real("SWA.rate", "progress", progress) < self.start else 1.0 / (1.0 + count)

    def __repr__(self) -> str:
        return f"SWA(start={self.start:g}, norm_batches={self.norm_batches})"


@contextlib.contextmanager
def averaged(
    model: _core.Model,
    core: _core.Trainer,
    batches: Callable[[], Generator[Batch, None, None]],
    norm_batches: int,
    check: Callable[[], None],
) -> Iterator[None]:
    """Within the block, the network holds the core's averages and statistics estimated for them.

    batches: gives training batches, of which the first `norm_batches` are used. check: called
    before each of them; what it raises ends the work and leaves all as it was before.
    """
    buffers = [name for name, _, trained in model.specs() if not trained]
    parameters = model.parameters()
    statistics = {name: parameters[name] for name in buffers}
    core.swap_averages()
    try:
        if statistics:
            with contextlib.closing(batches()) as stream:
                for index, (x, _) in zip(range(norm_batches), stream):
                    check()
                    core.estimate_statistics(x, 1.0 / (index + 1))
        yield
    finally:
        core.swap_averages()
        model.set_parameters(statistics)
