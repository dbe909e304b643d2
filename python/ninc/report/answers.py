"""What a network said of each picture of an evaluation, and which of them are worth a look."""

from __future__ import annotations

import dataclasses

import numpy as np

from .._base.array_types import Floats, Integers

# So many pictures of each kind are shown.
MOST_SHOWN = 12


@dataclasses.dataclass(frozen=True)
class Answer:
    """One picture's answer. index: its place in the data. label, said: classes.

    probability: of the class said; of_label: of the class it is.
    """

    index: int
    label: int
    said: int
    probability: float
    of_label: float


class Answers:
    """Takes note of an evaluation's answers, in sixteen bytes a picture."""

    def __init__(self) -> None:
        self._batches: list[tuple[np.ndarray, ...]] = []

    def add(self, logits: Floats, labels: Integers) -> None:
        """The `each` of `evaluate`. logits: N×classes, labels: N."""
        z = logits.astype(np.float64)
        with np.errstate(invalid="ignore"):  # logits that are not finite give NaN
            z = np.exp(z - z.max(axis=1, keepdims=True))
            probabilities = z / z.sum(axis=1, keepdims=True)
        rows = np.arange(len(labels))
        said = logits.argmax(axis=1)
        chances = (probabilities[rows, said], probabilities[rows, labels])
        self._batches.append(
            (
                labels.astype(np.int32),
                said.astype(np.int32),
                *(c.astype(np.float32) for c in chances),
            )
        )

    def confident_mistakes(self, count: int = MOST_SHOWN) -> list[Answer]:
        """The wrong answers with the highest probabilities, the highest first."""
        labels, said, probability, _ = self._joined()
        wrong = np.flatnonzero((labels != said) & np.isfinite(probability))
        order = np.argsort(-probability[wrong], kind="stable")
        return self._answers(wrong[order[:count]])

    def uncertain(self, count: int = MOST_SHOWN) -> list[Answer]:
        """Those whose likeliest class has the lowest probability, right or wrong, lowest first."""
        _, _, probability, _ = self._joined()
        finite = np.flatnonzero(np.isfinite(probability))
        order = np.argsort(probability[finite], kind="stable")
        return self._answers(finite[order[:count]])

    def _joined(self) -> list[np.ndarray]:
        if not self._batches:
            return [np.zeros(0, kind) for kind in (np.int32, np.int32, np.float32, np.float32)]
        return [np.concatenate(columns) for columns in zip(*self._batches)]

    def _answers(self, places: Integers) -> list[Answer]:
        labels, said, probability, of_label = self._joined()
        return [
            Answer(i, int(labels[i]), int(said[i]), float(probability[i]), float(of_label[i]))
            for i in places.tolist()
        ]
