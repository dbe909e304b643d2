"""A run's settings in words, and which of them may differ when the run is resumed.

All settings stand in run.json and in each checkpoint. A resumed run must have the same, since its
result is that of a run never interrupted. Two may change, where the result is that of a run begun
so: the number of epochs, if neither schedule nor averages depend on it (they have an attribute
`extendable` that is true), and the patience, to a larger one or none.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from ... import _core
from ...data import BatchStream, Dataset
from ...errors import ArgumentError
from ...formats.metadata import stored_preprocessing
from ...network import Network
from ..settings import Settings
from .checkpoint import Checkpoint, Pace

_ANEW = "or begin anew in another folder"
# What checkpoints mean that were written before there was a choice.
_UNTOLD = {"optimizer": "SGD", "shards": "1", "batch norms": "shards"}


@dataclasses.dataclass(frozen=True)
class Options:
    """What a fit was asked for; `Trainer.fit` says what each means."""

    epochs: int
    batch_size: int
    checkpoint_dir: str | os.PathLike[str] | None
    resume: bool
    pace: Pace
    patience: int | None
    min_delta: float
    monitor: str
    preprocessing: str
    progress: bool
    frozen: list[str]
    class_weights: list[float]  # none: all count alike
    callbacks: tuple[Callable[[Any], Any], ...] = ()


def words_of(
    network: Network,
    settings: Settings,
    train: Dataset | BatchStream,
    validation: Dataset | None,
    options: Options,
) -> dict[str, str]:
    """Everything that shapes the run, in words."""
    stored = stored_preprocessing(network.core)
    graph = hashlib.blake2b(network.core.graph_json().encode(), digest_size=4).hexdigest()
    return {
        # Classes come first: other classes also mean another last layer, which would tell less.
        "classes": ", ".join(train.classes or ["not told"]),
        "network": f"of {network.num_parameters:,} parameters ({graph})",
        "seed": str(settings.seed),
        "epochs": str(options.epochs),
        "batch size": str(options.batch_size),
        "precision": network.precision,
        **settings.optimizer.words(),
        "schedule": described(settings.schedule),
        "augmentation": described(settings.augment),
        "label smoothing": str(settings.label_smoothing),
        "averages": described(settings.average),
        "shards": str(settings.shards),
        "batch norms": "the batch"
        if settings.sync_batch_norm and settings.shards > 1
        else "shards",
        "monitor": options.monitor,
        "min_delta": f"{options.min_delta:g}",
        "patience": "none" if options.patience is None else str(options.patience),
        "preprocessing": options.preprocessing if stored is None else stored.kind,
        "frozen": ", ".join(options.frozen) or "none",
        "class weights": ", ".join(map(str, options.class_weights)) or "none",
        "pictures": _pictures(train),
        "training data": _fingerprint(train),
        "validation data": _fingerprint(validation),
    }


def check_same(
    found: Checkpoint,
    words: Mapping[str, str],
    options: Options,
    model: _core.Model,
    settings: Settings,
) -> None:
    """Raises ArgumentError unless a run of these settings may go on from this checkpoint."""
    for name in {**words, **found.settings}:
        before = found.settings.get(name, _UNTOLD.get(name, "none"))
        now = words.get(name, "none")
        if before == now:
            continue
        if name == "epochs":
            _check_epochs(found, before, options.epochs, settings)
        elif name == "patience":
            _check_patience(found, before, options.patience)
        elif name.endswith(" data"):
            raise ArgumentError(
                f"{found.path}: cannot resume: the {name} are not those the run was begun with; "
                f"bring them back, {_ANEW}"
            )
        else:
            raise ArgumentError(
                f"{found.path}: cannot resume: the run was begun with {name} {_short(before)}, now "
                f"it is {_short(now)}; give the same, {_ANEW}"
            )
    _check_preprocessing(found, model)
    target = _core.target()
    if found.target != target:
        raise ArgumentError(
            f"{found.path}: cannot resume: the run was begun with {found.target} instructions "
            f"and {target} would give other bits; set NINC_TARGET={found.target}"
        )


def _check_preprocessing(found: Checkpoint, model: _core.Model) -> None:
    """Checks that a network with a preprocessing of its own has the one that the run has."""
    stored = model.metadata().get("preprocessing")
    if stored is not None and stored != found.model.metadata().get("preprocessing"):
        raise ArgumentError(
            f"{found.path}: cannot resume: the network's stored preprocessing is not the one that "
            f"the run was begun with; give the network the run began with, {_ANEW}"
        )


def bound_to_epochs(settings: Settings) -> list[object]:
    """Those of schedule and averages that depend on the number of epochs, or may do so.

    Where there are none, more epochs change nothing about the epochs that a run has done.
    """
    parts = (settings.schedule, settings.average)
    return [part for part in parts if part is not None and not getattr(part, "extendable", False)]


def _check_epochs(found: Checkpoint, before: str, epochs: int, settings: Settings) -> None:
    begun = found.state.epoch + (found.state.step > 0)
    if epochs < begun:
        raise ArgumentError(
            f"{found.path}: cannot resume: the run stands after {found.state.place()} already, now "
            f"epochs is {epochs}; give at least {begun}, {_ANEW}"
        )
    bound = bound_to_epochs(settings)
    if bound:
        raise ArgumentError(
            f"{found.path}: cannot resume: the run was begun with epochs {before}, now it is "
            f"{epochs}, on which {_short(described(bound[0]))} depends; what can be extended is "
            "Constant, Step with milestones in epochs, Plateau, Warmup before one of these, a "
            "schedule of your own that has extendable = True, and EMA as averages. Go on from this "
            f"network in another folder, with ninc train --init {found.path} or "
            f"Trainer(ninc.load({str(found.path)!r})), or give the same"
        )


def _check_patience(found: Checkpoint, before: str, patience: int | None) -> None:
    if before != "none" and (patience is None or patience > int(before)):
        return
    raise ArgumentError(
        f"{found.path}: cannot resume: the run was begun with patience {before}, now it is "
        f"{str(patience).lower()}; give the same{'' if before == 'none' else ', a larger one'} or "
        f"none, {_ANEW}"
    )


def described(value: object) -> str:
    """Words for a setting that are the same in every process: they hold no addresses of objects."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def _short(text: str) -> str:
    """The beginning of a long text, such as the settings of every parameter."""
    return text if len(text) <= 80 else text[:77] + "..."


def _pictures(data: Dataset | BatchStream) -> str:
    """How the training images were made, as far as that is known."""
    framing = getattr(data, "framing", None)
    if framing is not None:
        return f"of {framing.describe()} on ground {framing.ground}"
    return f"of {'×'.join(map(str, data.input_shape))}"


def _fingerprint(data: Dataset | BatchStream | None) -> str:
    """Words that tell data apart; of a stream the kind alone, as nobody knows what it will give."""
    if data is None:
        return "none"
    if isinstance(data, BatchStream):
        kind = "pictures" if data.is_pictures else "arrays"
        return f"a stream of {kind} {'×'.join(map(str, data.input_shape))}"
    return data.fingerprint()
