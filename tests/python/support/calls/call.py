"""What a valid call is, and arrays for such calls."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass
class Call:
    """function(*args, **kwargs) is right.

    more: names of further arguments that `**settings` takes. then: uses the result, so that what
    was taken without a word is found out. network: its weights stay unless `trains`.
    """

    function: Callable[..., Any]
    kwargs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    args: Sequence[Any] = ()
    more: Sequence[str] = ()
    then: Callable[[Any], Any] = lambda result: None
    network: Any = None
    trains: bool = False

    def run(self, **changed):
        args = [changed.pop(f"*{i}", value) for i, value in enumerate(self.args)]
        self.then(self.function(*args, **{**self.kwargs, **changed}))

    def names(self):
        """The arguments that can be changed, those given by their place as "*0", "*1"."""
        kinds = list(inspect.signature(self.function).parameters.values())
        named = [p.name for p in kinds if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        by_place = [p for p in kinds if p.kind is p.POSITIONAL_OR_KEYWORD][: len(self.args)]
        named = [name for name in named if name not in {p.name for p in by_place}]
        return [*named, *self.more, *(f"*{i}" for i in range(len(self.args)))]


def calling(function, **kwargs):
    return lambda: Call(function, kwargs)


def floats(*shape):
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


def pictures(count=4, channels=3):
    return np.random.default_rng(count).integers(0, 256, (count, 6, 6, channels), dtype=np.uint8)


LABELS = np.array([0, 1, 0, 1])
X, WEIGHT, BIAS = floats(2, 3, 5, 5), floats(4, 3, 3, 3), floats(4)
NORM = dict(mean=floats(3), var=np.ones(3, np.float32), weight=floats(3), bias=floats(3))
