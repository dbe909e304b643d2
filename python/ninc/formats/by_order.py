"""Pairs a network's weights with a dictionary's by their order, where the names say nothing.

A state dict of torch has a module's parameters and buffers one after another: weight, bias,
running_mean, running_var, num_batches_tracked. A network has all its parameters first and then the
buffers. So both are paired by themselves, parameters with parameters and buffers with buffers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from .._base.array_types import FloatsLike
from .._base.arrays import as_numpy
from ..errors import DTypeError, ModelError, ShapeError
from .shapes import dims_text

_Array = npt.NDArray[Any]
Spec = tuple[str, tuple[int, ...], bool]  # name, shape, whether it is trained

_BUFFERS = ("running_mean", "running_var")
_PARAMETERS = ("weight", "bias")
_COUNTER = "num_batches_tracked"
_MOST_PAIRS_TOLD = 3


@dataclasses.dataclass
class Pairing:
    """What belongs together: `arrays` with the network's shapes, by its names.

    sources: the network's name -> the dictionary's, for all that were taken. misfits: the
    network's names at which a sequence ended. left: the dictionary's names of which nothing was
    taken. passed_over: those that are no weights.
    """

    arrays: dict[str, _Array]
    sources: dict[str, str]
    misfits: list[str]
    left: list[str]
    passed_over: list[str]


def pair_by_order(specs: Sequence[Spec], values: Mapping[str, FloatsLike], strict: bool) -> Pairing:
    """Pairs until the shapes of two do not fit; where strict, that and what is left are errors.

    Scalars and a batch norm's counters are passed over; other integers are a DTypeError. A batch
    norm's buffers are taken only where its parameters are.
    """
    arrays = {str(name): as_numpy(f"load_state_dict: {name}", values[name]) for name in values}
    passed = {name for name, array in arrays.items() if _is_passed_over(name, array)}
    weights = [name for name in arrays if name not in passed]
    ours = {name: shape for name, shape, _ in specs}
    theirs = {name: arrays[name].shape for name in weights}
    trained = _Sequence(
        "parameter",
        [name for name, _, is_trained in specs if is_trained],
        [name for name in weights if not name.endswith(_BUFFERS)],
    )
    kept = _Sequence(
        "buffer",
        [name for name, _, is_trained in specs if not is_trained],
        [name for name in weights if name.endswith(_BUFFERS)],
    )
    for sequence in (trained, kept):
        sequence.pair(ours, theirs)
        if strict:
            sequence.check(ours, theirs)
    incomplete = {_layer(name) for name in trained.ours[len(trained.pairs) :]}
    pairs = trained.pairs + [pair for pair in kept.pairs if _layer(pair[0]) not in incomplete]
    taken = {source for _, source in pairs}
    return Pairing(
        arrays={name: arrays[source].reshape(ours[name]) for name, source in pairs},
        sources=dict(pairs),
        misfits=[name for name in (trained.misfit, kept.misfit) if name is not None],
        left=[name for name in weights if name not in taken],
        passed_over=[name for name in arrays if name in passed],
    )


def _is_passed_over(name: str, array: _Array) -> bool:
    is_integer = array.dtype.kind in "biu"
    if not array.ndim or (is_integer and _last(name) == _COUNTER):
        return True
    if is_integer:
        raise DTypeError(
            f"load_state_dict: by order, {name[:200]} is of {array.dtype}, as no weights are; "
            "leave it out of the dictionary, or make float32 of it"
        )
    return False


class _Sequence:
    """The names of one kind on both sides, of which the first ones are `pairs`."""

    def __init__(self, kind: str, ours: list[str], theirs: list[str]) -> None:
        self.kind, self.ours, self.theirs = kind, ours, theirs
        self.pairs: list[tuple[str, str]] = []
        self.misfit: str | None = None

    def pair(
        self, ours: Mapping[str, tuple[int, ...]], theirs: Mapping[str, tuple[int, ...]]
    ) -> None:
        """Pairs up to the first two that do not fit."""
        for one, other in zip(self.ours, self.theirs):
            if not self._may_be(one, other) or _bare(ours[one]) != _bare(theirs[other]):
                self.misfit = one
                return
            self.pairs.append((one, other))

    def _may_be(self, one: str, other: str) -> bool:
        """Whether the last words of two names do not contradict one another."""
        words = _last(one), _last(other)
        if self.kind == "parameter":
            return words[0] == words[1] or not all(word in _PARAMETERS for word in words)
        return one.endswith(words[1])

    def check(
        self, ours: Mapping[str, tuple[int, ...]], theirs: Mapping[str, tuple[int, ...]]
    ) -> None:
        """Raises unless all are paired, with what stands at the first place where they are not."""
        count, numbers = len(self.pairs), (len(self.ours), len(self.theirs))
        if count == max(numbers):
            return

        def told(name: str, shapes: Mapping[str, tuple[int, ...]]) -> str:
            return f"{name} ({dims_text(shapes[name])})"

        if self.misfit is not None:
            first = (
                f"the {self.kind} {told(self.misfit, ours)} would get "
                f"{told(self.theirs[count], theirs)}, which does not fit"
            )
        elif count == len(self.theirs):
            first = f"nothing is left for the {self.kind} {told(self.ours[count], ours)}"
        else:
            first = f"no {self.kind} is left for {told(self.theirs[count], theirs)}"
        before = [
            f"{told(one, ours)} got {told(other, theirs)}"
            for one, other in self.pairs[-_MOST_PAIRS_TOLD:]
        ]
        kind = ShapeError if numbers[0] == numbers[1] else ModelError
        raise kind(
            f"load_state_dict: by order, {first}; "
            + (f"before that {', '.join(before)}; " if before else "")
            + f"the network has {numbers[0]} {self.kind}s and the dictionary {numbers[1]}"
        )


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _layer(name: str) -> str:
    return name.rpartition(".")[0]


def _bare(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape without ones at its end: a linear layer K×C and a convolution K×C×1×1 are one."""
    length = len(shape)
    while length and shape[length - 1] == 1:
        length -= 1
    return tuple(shape[:length])
