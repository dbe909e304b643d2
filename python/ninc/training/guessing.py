"""Whether a run has learned anything: its loss and accuracy beside those of a guess.

A guess knows how often each class occurs, p, and nothing about the pictures:

    loss      -sum over c of t(c) * log t(c),   t = (1 - e) * p + e / classes,  e: label smoothing
    accuracy  max over c of p(c)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

# A loss within a hundredth of a guess's is no better than it.
_MARGIN = 0.01
# Fewer steps than this teach little, whatever the rate.
_FEW_STEPS = 100


@dataclasses.dataclass(frozen=True)
class Guess:
    """What guessing the labels of `count` pictures gives."""

    loss: float
    accuracy: float
    count: int

    @classmethod
    def of(
        cls,
        labels: np.ndarray,
        classes: int,
        smoothing: float = 0.0,
        weights: Sequence[float] = (),
    ) -> Guess:
        """labels: N whole numbers below `classes`, N at least 1. weights: of each class, or none.

        Where classes have weights, the best guess for the loss is in proportion to its weighted
        targets.
        """
        counts = np.bincount(labels, minlength=classes)
        counted = np.array(weights) if len(weights) else np.ones(classes)
        total = float(counts @ counted)
        target = counted * ((1.0 - smoothing) * counts + smoothing * len(labels) / classes) / total
        target = target[target > 0.0]
        # The targets' sum, 1 without weights, is what the loss's logarithms are of shares of.
        loss = float(-(target * np.log(target / target.sum())).sum())
        return cls(loss, float(counts.max()) / len(labels), len(labels))

    def is_as_good(self, loss: float, accuracy: float) -> bool:
        """True where neither of a network's results is better than this guess's.

        An accuracy is better if it exceeds the guess's by two of its standard deviations. Pictures
        of one class tell nothing, since a guess is always right about them.
        """
        if self.accuracy == 1.0:
            return False
        no_lower = not loss < (1.0 - _MARGIN) * self.loss
        return no_lower and accuracy <= self.accuracy + self.luck

    @property
    def luck(self) -> float:
        """Two standard deviations of a guess's accuracy: so much it may gain by chance."""
        return 2.0 * math.sqrt(self.accuracy * (1.0 - self.accuracy) / self.count)


def nothing_learned(
    row: Mapping[str, float], training: Guess | None, held_out: Guess | None, steps: int | None
) -> str | None:
    """What to tell about a run whose result is no better than guessing; None for other runs.

    row: the history's row of the epoch whose weights count. training: the guess for the training
    data; None where their labels are not known. steps: how many the run had, if known. Without
    held-out data the training loss counts. It is a mean over an epoch in which the weights moved,
    so that a first epoch's says nothing.
    """
    guess, prefix, name = held_out, "val_", "held-out"
    if guess is None:
        guess, prefix, name = training, "", "training"
        if guess is None or row["epoch"] < 2:
            return None
    loss, accuracy = row[f"{prefix}loss"], row[f"{prefix}accuracy"]
    if not math.isfinite(loss):
        return (
            f"fit: the {name} loss became {loss}: these pictures, or what the network gives for "
            "them, hold numbers that are not finite, and its results say nothing"
        )
    if not guess.is_as_good(loss, accuracy):
        return None
    words = (
        f"fit: the run has learned nothing that holds: {name} loss {loss:.4g} and accuracy "
        f"{accuracy:.1%} are no better than luck (a guess has {guess.loss:.4g} and "
        f"{guess.accuracy:.1%}, by chance up to {min(1.0, guess.accuracy + guess.luck):.1%})"
    )
    # Training pictures count as learned where their accuracy is past halfway from a guess's to 1.
    by_heart = training is not None and 2.0 * row["accuracy"] > 1.0 + training.accuracy
    if held_out is not None and by_heart:
        return (
            f"{words}, although the training pictures were learned ({row['accuracy']:.1%}); look "
            "whether both sets have the same classes in the same order and pictures made in the "
            "same way, or try more pictures, augmentation or weight decay"
        )
    if row["lr"] == 0.0:
        return f"{words}; the learning rate was 0 in the end: give a higher one"
    if steps is not None and steps < _FEW_STEPS:
        count = f"{steps} step{'' if steps == 1 else 's'}"
        return f"{words}, after {count}; try more epochs, a smaller batch size, another rate"
    if loss > 2.0 * guess.loss:
        return f"{words}; try a rate below {row['lr']:.3g}, clip_norm or a warm-up"
    return (
        f"{words}; try another rate (it was {row['lr']:.3g} in the end), more epochs, and look "
        "whether the labels belong to their pictures"
    )
