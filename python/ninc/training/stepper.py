"""One training step: only here a batch and its settings are handed to the core.

    Settings (what the user set)  →  Stepper.settings  →  _core.Trainer.step  →  the device

The trainer's `step` and the loop of `fit` both step through a `Stepper`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from .. import _core
from .._base.arguments import array
from .._base.array_types import Floats, FloatsLike, Integers, LabelsLike
from ..errors import ShapeError
from .optim import Rates
from .pending_loss import PendingLoss
from .settings import Settings

if TYPE_CHECKING:
    from ..distributed.team import Team


# What is not finite where the images of a batch themselves are not.
IMAGES = "the images of this batch"


def _labels(labels: LabelsLike) -> Integers:
    given: Integers = array("step", "labels", labels)
    if given.ndim != 1:
        raise ShapeError(f"step: labels: expected N of them, got shape {given.shape}")
    return given


class Stepper:
    """Makes updates of a model's weights.

    names: the trainable parameters', in the core's order. steps, epochs: how many were done and
    begun, by which random numbers are drawn; whoever has steps made counts them.
    team: who make each step together, or None. signal: one that is to end the run, which the
    team's other workers are told of.
    """

    def __init__(
        self, model: _core.Model, label_smoothing: float, team: Team | None = None
    ) -> None:
        self.core = _core.Trainer(model, label_smoothing)
        self.names = [name for name, _, trainable in model.specs() if trainable]
        self.rates = Rates(self.names)
        self.steps = self.epochs = 0
        self.team = team
        self.is_checked = False  # whether the team was found to have the same weights
        self.signal: Callable[[], str | None] = lambda: None

    def settings(self, now: Settings, step: int, average_rate: float = 0.0) -> dict[str, Any]:
        """What a step needs beside its batch, by the core's names, as the user's settings are now.

        Dropout draws by seed and step. average_rate: how far the averages follow; 0 leaves them.
        lr, weight_decay are float32, an entry for each trainable parameter; clip_norm is 0 for no
        limit.
        """
        optimizer = now.optimizer
        lr, weight_decay = self.rates.of(optimizer)
        return dict(
            lr=lr * np.float32(now.lr_factor),
            weight_decay=weight_decay,
            rule=optimizer.rule(),
            seed=now.seed,
            step=step,
            clip_norm=optimizer.clip_norm or 0.0,
            average_rate=average_rate,
            shards=now.shards,
            sync_batch_norm=now.sync_batch_norm,
        )

    def update(
        self, x: FloatsLike, labels: LabelsLike, settings: dict[str, Any]
    ) -> tuple[float, int, bool]:
        """Makes an update: (mean loss, right answers, both before it; whether all was finite).

        x: the pictures of the batch that this process computes. labels: those of the whole batch.
        """
        if self.team is not None:
            own, given = cast(Floats, x), _labels(labels)
            return self.team.step(self.core, own, given, settings, self.signal())
        return self.core.step(x, array("step", "labels", labels), **settings)

    def own_part(self, x: FloatsLike, labels: LabelsLike, shards: int) -> FloatsLike:
        """Of a whole batch the pictures that this process computes."""
        if self.team is None:
            return x
        whole, given = array("step", "x", x), _labels(labels)
        if whole.ndim != 4 or len(whole) != len(given):
            raise ShapeError(
                f"step: x: expected N×C×H×W with a label each, got shape {whole.shape} and "
                f"{len(given)} labels"
            )
        return whole[self.team.rows(len(given), shards)]

    def find_non_finite(self, x: Floats, labels: Integers, now: Settings, step: int) -> str:
        """What is not finite first in a batch, `IMAGES` or a layer's output; "" where all is.

        x, labels: as of `update`. Of several workers all give what the first that finds something
        finds in its own pictures. Dropout is drawn there as for a batch of these alone, so that
        what only the step's own draws would show is not found.
        """
        team, shards = self.team, now.shards
        if team is not None:
            each = team.rows_of_a_shard(len(labels), shards)
            labels = labels[team.rows(len(labels), shards)]
            shards = max(1, -(-len(x) // each))
        if now.sync_batch_norm:
            shards = 1  # batch norms normalise by all pictures that are here
        found = ""
        if not np.isfinite(x).all():
            found = IMAGES
        elif len(x):
            try:
                found = self.core.find_non_finite(x, labels, now.seed, step, shards)
            except ShapeError:
                # Alone this worker's pictures may be too few for a batch norm of the whole batch.
                if team is None or not now.sync_batch_norm:
                    raise
        return found if team is None else team.first_of(found)

    def launch(self, x: FloatsLike, labels: LabelsLike, settings: dict[str, Any]) -> PendingLoss:
        """Starts an update on a GPU; only who looks at its loss waits for it."""
        return PendingLoss(self.core.launch(x, array("step", "labels", labels), **settings))
