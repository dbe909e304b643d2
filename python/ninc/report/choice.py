"""How a network was chosen, and what that means for its results: a report's plainest sentences."""

from __future__ import annotations

from collections.abc import Sequence

_LEAVES_OUT = "--validation 0.1 leaves the test set out of the training."


def under_way(chosen_by: str | None, kind: str, test_later: bool) -> str:
    """A sentence for a training run that has not ended.

    chosen_by: "test", "validation" or None, what steers the run. kind: "test" or "validation", what
    it looks at after each epoch. test_later: a test set is kept for its end.
    """
    if test_later:
        return "These are validation pictures; the test set is looked at once, at the end."
    if chosen_by is None:
        return f"The {kind} set is looked at after each epoch and chooses nothing."
    words = f"The {kind} set steers this run, so that the results are a little too good."
    return f"{words} {_LEAVES_OUT}" if kind == "test" else words


def of_training(chosen_by: str | None, kind: str, looked_at: bool, means: Sequence[str]) -> str:
    """Sentences for a training run that has ended.

    chosen_by: as above. kind: "test" or "validation", what the results are about. looked_at: the
    run looked at the same after each epoch. means: what it did by held-out results, each as in
    "early stopping kept the best epoch".
    """
    steered = " and ".join(means) or "held-out results steered the run"
    if not looked_at:
        words = "The test set was looked at once, at the end, and chose nothing."
        if chosen_by is None:
            return words
        return f"{steered[:1].upper()}{steered[1:]} by the validation pictures. {words}"
    if chosen_by is not None:
        words = (
            f"Chosen by the {kind} set itself: {steered} by these very pictures, so that the "
            "results are a little too good."
        )
    else:
        words = (
            f"The {kind} set was looked at after each epoch and chose nothing: the network is the "
            "last epoch's. Whoever compares several runs by these results and keeps the best one "
            "chooses by them."
        )
    return f"{words} {_LEAVES_OUT}" if kind == "test" else words


def of_evaluation(part: str | None) -> str:
    """A sentence for an evaluation of a model file. part: the split that was asked for, or None."""
    if part == "train":
        return (
            "The network may have been trained on these pictures: the results say how well it "
            "knows them, and nothing about others."
        )
    if part == "all":
        return (
            "These are all pictures, also those that the network may have been trained on: the "
            "results are too good if it was."
        )
    return (
        "A model file does not tell how its network was chosen. If these pictures chose between "
        "epochs, settings or networks, the results are a little too good."
    )


def of_several(same_data: bool) -> str:
    """Sentences for several runs side by side."""
    words = (
        "Whoever keeps the best of several runs by its test results chooses by the test set, and "
        "the best one's results are then a little too good."
    )
    if not same_data:
        words += " These runs were not all evaluated on the same pictures, or do not tell."
    return words
