"""One training step: here, and nowhere else, a batch and its settings go to the core.

    Settings (what the user set)  →  StepSettings  →  _core.Trainer.step  →  the device

The trainer's `step` and the loop of `fit` both step through a `Stepper`.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from .. import _core
from .._base.arguments import array
from .optim import SGD, Rates
from .pending_loss import PendingLoss


@dataclasses.dataclass(frozen=True)
class StepSettings:
    """What a step goes by beside its batch: their one form, which the core takes as it is.

    lr, weight_decay: float32, an entry for each trainable parameter. clip_norm: 0 for no limit.
    seed, step: dropout draws by them. average_rate: how far the averages follow; 0 leaves them.
    """

    lr: np.ndarray
    weight_decay: np.ndarray
    momentum: float
    nesterov: bool
    seed: int
    step: int
    clip_norm: float
    average_rate: float


class Stepper:
    """Makes updates of a model's weights.

    names: the trainable parameters', in the core's order. steps, epochs: how many were done and
    begun, by which random numbers are drawn; whoever has steps made counts them.
    """

    def __init__(self, model: _core.Model, label_smoothing: float) -> None:
        self.core = _core.Trainer(model, label_smoothing)
        self.names = [name for name, _, trainable in model.specs() if trainable]
        self.rates = Rates(self.names)
        self.steps = self.epochs = 0

    def settings(
        self, optimizer: SGD, lr_factor: float, seed: int, step: int, average_rate: float = 0.0
    ) -> StepSettings:
        """Those of one step, as optimiser and schedule are now."""
        lr, weight_decay = self.rates.of(optimizer)
        return StepSettings(
            lr=lr * np.float32(lr_factor),
            weight_decay=weight_decay,
            momentum=optimizer.momentum,
            nesterov=optimizer.nesterov,
            seed=seed,
            step=step,
            clip_norm=optimizer.clip_norm or 0.0,
            average_rate=average_rate,
        )

    def update(
        self, x: np.ndarray, labels: np.ndarray, settings: StepSettings
    ) -> tuple[float, int, bool]:
        """One update: (mean loss, right answers, both before it; whether numbers were finite)."""
        return self.core.step(x, array("step", "labels", labels), **vars(settings))

    def launch(self, x: np.ndarray, labels: np.ndarray, settings: StepSettings) -> PendingLoss:
        """One update on a GPU, which is not waited for: the loss is, when it is looked at."""
        return PendingLoss(self.core.launch(x, array("step", "labels", labels), **vars(settings)))
