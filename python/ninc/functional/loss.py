"""Softmax and the loss that classifiers are trained on."""

from __future__ import annotations

from .. import _core
from .._base.arguments import array, share_below_1
from .._base.array_types import Floats, FloatsLike, LabelsLike


def softmax(x: FloatsLike) -> Floats:
    """y[n, c] = exp(x[n, c]) / sum over d of exp(x[n, d]), without overflow.

    x: N×C, or N×C×H×W with the softmax over C at each place.
    """
    return _core.softmax(x)


def softmax_backward(dy: FloatsLike, y: FloatsLike) -> Floats:
    """dx[n, c] = y[n, c] * (dy[n, c] - sum over d of dy[n, d] * y[n, d]);   y: of `softmax`."""
    return _core.softmax_backward(dy, y)


def softmax_cross_entropy(
    logits: FloatsLike, labels: LabelsLike, *, label_smoothing: float = 0.0
) -> tuple[float, Floats]:
    """(loss, dlogits): loss = -mean over n of sum over c of t[n, c] * log softmax(logits)[n, c].

    logits: N×C
    labels: N integers in [0, C)
    label_smoothing: e in [0, 1); t is 1 - e + e/C at the label and e/C elsewhere (Szegedy et al.
        2016, section 7)

    dlogits = (softmax - t) / N.

    Raises ArgumentError for a label out of range.
    """
    where = "softmax_cross_entropy"
    smoothing = share_below_1(where, "label_smoothing", label_smoothing)
    return _core.softmax_cross_entropy(logits, array(where, "labels", labels), smoothing)
