"""Evaluates a network: how often it is right, and which classes it takes for which."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.arguments import function
from .._base.array_types import Floats, Integers
from ..data.dataset import Data
from ..formats.metadata import stored_temperature
from .calibration import CalibrationGaps
from .scoring import HasCore, Scoring, Sharing


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """A network's results on a data set.

    loss: mean softmax cross entropy, without label smoothing; a Softmax that ends the network is
        not taken twice.
    confusion: classes×classes counts, confusion[truth, answer].
    top5_correct: how many pictures' class is among the five likeliest; None for five classes or
        fewer, where all are.
    calibration_error: the expected calibration error of the probabilities, by the temperature, 0..1
        (Guo et al. 2017, 15 bins); None where nobody measured it.
    temperature: what the network has stored; None for none. The loss is that without it.
    """

    loss: float
    confusion: Integers
    classes: list[str]
    top5_correct: int | None = None
    calibration_error: float | None = None
    temperature: float | None = None

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
    def top5_accuracy(self) -> float | None:
        """The share of pictures whose class is among the five likeliest, or None, 0..1."""
        return None if self.top5_correct is None else self.top5_correct / self.count

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
    top5 = {} if evaluation.top5_accuracy is None else {"top5_accuracy": evaluation.top5_accuracy}
    return {
        "images": evaluation.count,
        "accuracy": evaluation.accuracy,
        **top5,
        "loss": evaluation.loss,
        "calibration_error": evaluation.calibration_error,
        "temperature": evaluation.temperature,
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
    tta: str | None = None,
    each: Callable[[Floats, Integers], None] | None = None,
    workers: Sharing | None = None,
) -> Evaluation:
    """Runs every image through the network, in inference mode.

    data: a Dataset, or (x, y) as `Dataset` takes them. uint8 pictures are normalised as the
    network's own preprocessing says; ArgumentError where it has none, and where `matching` finds
    that classes or pictures are not the network's.
    check: called before each batch; what it raises ends the work.
    tta: "flip" has the network look at each image's mirror image, too; see `mirrored`.
    each: called with each batch's logits, N×classes, and its labels as the network counts them, in
        the order of the data.
    workers: who share out the batches and all call this; each gets the whole result.
    """
    check = function("evaluate", "check", check, "a function without arguments")
    looked = Scoring(network, data, batch_size, "evaluate", tta)
    classes, temperature = looked.classes, stored_temperature(network.core)
    confusion = np.zeros((classes, classes), np.int64)
    loss, among_five, calibration = 0.0, 0, CalibrationGaps(temperature or 1.0)
    scored = looked.scores(progress, check, workers)
    # The batches are closed here, since what `check` raises in the garbage collector would be lost.
    with contextlib.closing(scored):
        for logits, labels in scored:
            loss += cross_entropy_sum(logits, labels)
            among_five += int(among_likeliest(logits, labels, 5).sum())
            calibration.add(logits, labels)
            np.add.at(confusion, (labels, logits.argmax(axis=1)), 1)
            if each is not None:
                each(logits, labels)
    data = looked.data
    top5 = among_five if classes > 5 else None
    return Evaluation(
        loss / len(data), confusion, data.classes, top5, calibration.value, temperature
    )


def among_likeliest(logits: Floats, labels: Integers, count: int) -> npt.NDArray[np.bool_]:
    """For each picture whether its label is among the `count` largest of its logits, N×classes.

    Of equal logits the one of the lower class comes first, as in the answer. Where one is NaN
    nothing is told.
    """
    own = logits[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(logits.shape[1]) < labels[:, None]
    before = (logits > own) | ((logits == own) & earlier)
    return (before.sum(axis=1) < count) & ~np.isnan(logits).any(axis=1)


def cross_entropy_sum(logits: Floats, labels: Integers) -> float:
    """sum over n of log(sum_c exp(z[n, c])) - z[n, label(n)], in float64; logits: N×classes."""
    z = logits.astype(np.float64)
    with np.errstate(invalid="ignore"):  # infinite logits give a NaN, which tells enough
        z -= z.max(axis=1, keepdims=True)
    return float((np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), labels]).sum())
