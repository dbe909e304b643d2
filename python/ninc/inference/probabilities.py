"""From pictures of a network's size to class probabilities."""

from __future__ import annotations

import dataclasses

import numpy as np

from .. import _core
from .._base.array_types import Bytes, Floats
from ..errors import ShapeError
from ..formats.metadata import stored_temperature
from ..functional import softmax
from ..preprocess import Preprocessing
from .mirrored import mirrored


@dataclasses.dataclass(frozen=True)
class Reading:
    """How a network's output becomes probabilities.

        p = softmax(z / T),   z: the output, or its logarithm where the network ends in a Softmax

    The core's Classify does the same with the same roundings (cpp/preprocess/classify.cc).

    temperature: T, 1 where the network has none stored.
    has_softmax: the network ends in one, so that its output is the probabilities.
    flipped: z is the mean of a picture's and its mirror image's, see `mirrored`.
    """

    model: _core.Model
    preprocessing: Preprocessing
    temperature: float
    has_softmax: bool
    flipped: bool

    @classmethod
    def of(cls, model: _core.Model, preprocessing: Preprocessing, flipped: bool = False) -> Reading:
        """That of the model as it is now."""
        has_softmax = model.before_softmax() is not None
        temperature = stored_temperature(model) or 1.0
        return cls(model, preprocessing, temperature, has_softmax, flipped)

    def probabilities(self, pictures: Bytes) -> Floats:
        """N×classes of N×H×W×C uint8; raises ShapeError where the network cannot take them."""
        output = self._run(pictures)
        if not self.flipped:
            return self.of_output(output)
        scores = self._scores(output)
        scores = scores + self._scores(self._run(mirrored(pictures, last=True)))
        return self._softmax(scores * np.float32(0.5))

    def of_output(self, output: Floats) -> Floats:
        """N×classes of the network's output for one look."""
        if self.has_softmax and self.temperature == 1.0:
            return self._one_a_class(output)
        return self._softmax(self._scores(output))

    def _softmax(self, scores: Floats) -> Floats:
        if self.temperature != 1.0:
            scores = scores * np.float32(1.0 / self.temperature)
        return softmax(scores)

    def _scores(self, output: Floats) -> Floats:
        scores = self._one_a_class(output)
        if not self.has_softmax:
            return scores
        with np.errstate(divide="ignore"):  # a probability of 0 becomes 0 again
            return np.log(scores.astype(np.float64)).astype(np.float32)

    def _run(self, pictures: Bytes) -> Floats:
        """The network's output for N×H×W×C uint8."""
        model, preprocessing = self.model, self.preprocessing
        if model.device == "cpu" or preprocessing.whitening is not None:
            return squeezed(model.run(preprocessing.apply(pictures)))
        # Bytes are copied to the device, a quarter of the floats' size, and normalised there.
        return squeezed(model.run_pictures(pictures, *preprocessing.factors()))

    @staticmethod
    def _one_a_class(output: Floats) -> Floats:
        if output.ndim != 2:
            raise ShapeError(
                f"predict: the network's output is {'×'.join(map(str, output.shape[1:]))} a "
                "picture, not one number a class; end it with GlobalAvgPool2d or Linear"
            )
        return output


def squeezed(y: Floats) -> Floats:
    """A network's output as users get it: N×C of N×C×1×1, all else as it is."""
    return y.reshape(y.shape[:2]) if y.shape[2:] == (1, 1) else y
