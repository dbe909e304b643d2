"""Evaluates a network: how often it is right, and which classes it takes for which."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .. import _core
from .._base.arguments import function, whole
from .._base.array_types import Floats, Integers
from .._base.progress import Counter
from ..data import as_dataset
from ..data.batches import batches_in_order
from ..data.dataset import Data
from ..errors import ArgumentError
from ..formats.metadata import needed_preprocessing
from .matching import count_outputs, matched


class HasCore(Protocol):
    """A `Network`, which evaluates itself by this file and so cannot be imported here."""

    @property
    def core(self) -> _core.Model: ...


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """A network's results on a data set.

    loss: mean softmax cross entropy, without label smoothing; a Softmax that ends the network is
        not taken twice.
    confusion: classes×classes counts, confusion[truth, answer].
    """

    loss: float
    confusion: Integers
    classes: list[str]

    @property
    def count(self) -> int:
        """How many images were looked at."""
        return int(self.confusion.sum())

    @property
    def correct(self) -> int:
        """How many of the answers are right."""
        return int(np.trace(self.confusion))

    @property
    def accuracy(self) -> float:
        """The share of right answers, 0..1."""
        return self.correct / self.count

    @property
    def recall(self) -> npt.NDArray[np.float64]:
        """For each class the share of its images that is recognised; NaN where there are none."""
        return _share(np.diag(self.confusion), self.confusion.sum(axis=1))

    @property
    def precision(self) -> npt.NDArray[np.float64]:
        """For each class the share of the answers naming it that is right; NaN without any."""
        return _share(np.diag(self.confusion), self.confusion.sum(axis=0))


def as_dict(evaluation: Evaluation) -> dict[str, Any]:
    """What `ninc eval --json` prints, and a report shows, of an evaluation; shares may be NaN."""
    return {
        "images": evaluation.count,
        "accuracy": evaluation.accuracy,
        "loss": evaluation.loss,
        "classes": evaluation.classes,
        "recall": evaluation.recall.tolist(),  # null for a class without pictures
        "precision": evaluation.precision.tolist(),  # null for a class never answered
        "confusion": evaluation.confusion.tolist(),
    }


def _share(part: Integers, whole: Integers) -> npt.NDArray[np.float64]:
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)


def evaluate(
    network: HasCore,
    data: Data,
    batch_size: int = 128,
    progress: bool = False,
    check: Callable[[], None] | None = None,
    each: Callable[[Floats, Integers], None] | None = None,
) -> Evaluation:
    """Runs every image through the network, in inference mode.

    data: a Dataset, or (x, y) as `Dataset` takes them. uint8 pictures are normalised as the
    network's own preprocessing says; ArgumentError where it has none, and where `matching` finds
    that classes or pictures are not the network's.
    check: called before each batch; what it raises ends the work.
    each: called with each batch's logits, N×classes, and its labels as the network counts them, in
        the order of the data.
    """
    data = as_dataset(data, "evaluate: data")
    batch_size = whole("evaluate", "batch_size", batch_size)
    check = function("evaluate", "check", check, "a function without arguments")
    if not len(data):
        raise ArgumentError("evaluate: the data set is empty")
    model = network.core
    preprocessing = needed_preprocessing(model, "evaluate") if data.is_pictures else None
    data = matched(model, data, "evaluate", min(batch_size, len(data)))
    classes = count_outputs(model, data)
    # The trainer's loss leaves out a Softmax at the end, too, and trains these numbers.
    logits_of = model.before_softmax()
    confusion = np.zeros((classes, classes), np.int64)
    loss = 0.0
    counter = Counter("testing", len(data), shown=progress)
    batches = batches_in_order(data, preprocessing, batch_size, check)
    # The batches are closed here, since what `check` raises in the garbage collector would be lost.
    with contextlib.closing(counter), contextlib.closing(batches):
        for x, labels in batches:
            if check is not None:
                check()
            logits = model.run(x, logits_of).reshape(len(x), classes)
            loss += cross_entropy_sum(logits, labels)
            np.add.at(confusion, (labels, logits.argmax(axis=1)), 1)
            if each is not None:
                each(logits, labels)
            counter.advance(len(labels))
    return Evaluation(loss / len(data), confusion, data.classes)


def cross_entropy_sum(logits: Floats, labels: Integers) -> float:
    """sum over n of log(sum_c exp(z[n, c])) - z[n, label(n)], in float64; logits: N×classes."""
    z = logits.astype(np.float64)
    with np.errstate(invalid="ignore"):  # infinite logits give a NaN, which tells enough
        z -= z.max(axis=1, keepdims=True)
    return float((np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), labels]).sum())
