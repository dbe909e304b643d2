"""Makes reports: of a training run, epoch by epoch, and of an evaluation."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .._base.files import check_writable, make_folder, write_whole
from ..data import Dataset
from ..errors import remark
from ..inference.evaluation import Evaluation, as_dict, evaluate
from ..inference.scoring import Sharing
from ..network import Network
from ..training.record.history import History
from . import facts
from .answers import Answers
from .page import page
from .pictures import Gallery, Shown, gallery
from .record import FAILED, FINISHED, INTERRUPTED, NUMBERS, PAGE, Record


class Folder:
    """A report's folder: the page, and the same in numbers."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Makes the folder; raises FileError where the report could not be written there."""
        self.path = make_folder(path)
        for name in (PAGE, NUMBERS):
            check_writable(self.path / name)

    @property
    def page(self) -> Path:
        """The page's file."""
        return self.path / PAGE

    def write(self, record: Record, shown: Gallery | None) -> None:
        """Writes both files, each whole or not at all; raises FileError."""
        record.save(self.path / NUMBERS)
        write_whole(self.page, page(record, shown).encode())


class Recorder:
    """The report of one run or evaluation while it grows; a `Listener` of a `Trainer`.

    folder: where it is written. record: what is known of it beforehand.
    """

    def __init__(self, folder: Folder, record: Record) -> None:
        self.folder, self.record = folder, record
        self._gallery: Gallery | None = None
        self._words = ""
        self._failed = False

    def describe(
        self, network: Network, input_shape: Sequence[int], batch_size: int, training: bool
    ) -> None:
        """Takes down what the network is and what its steps take. input_shape: C, H, W."""
        self.record.network = facts.network_facts(network, input_shape)
        self.record.machine = facts.machine_facts(network.device)
        self.record.memory = facts.plan_facts(network, input_shape, batch_size, training)

    # ---- While a run is under way ----------------------------------------------------------------

    def looks_at(self, words: str) -> None:
        """words: what the data are that the run is evaluated on after each epoch."""
        self._words = words

    def begun(self, settings: Mapping[str, str], history: History) -> None:
        """Takes note of a run's settings, and writes the report of a run that has just begun."""
        self.record.settings = dict(settings)
        self.epoch_ended(history)

    def evaluate(
        self,
        network: Network,
        data: Dataset,
        check: Callable[[], None] | None = None,
        workers: Sharing | None = None,
    ) -> Evaluation:
        """Evaluates as `evaluation.evaluate` does, and keeps what a report shows of it."""
        result, answers = self._evaluated(network, data, self._words, check=check, workers=workers)
        self._attempt(self._choose, network, data, result.classes, answers)
        return result

    def epoch_ended(self, history: History) -> None:
        """Writes the report as it is after an epoch."""
        self.record.history = [dict(row) for row in history]
        self.record.epoch = len(history) or None
        self._attempt(self._write)

    def stopped(self, words: str, failed: bool = False) -> None:
        """Writes the report of a run that ended before its time; words: why."""
        self.record.state, self.record.said = FAILED if failed else INTERRUPTED, words
        self._attempt(self._write)

    # ---- At the end ------------------------------------------------------------------------------

    def finish(
        self,
        network: Network,
        data: Dataset,
        words: str,
        batch_size: int = 128,
        tta: str | None = None,
    ) -> Evaluation:
        """Evaluates the network as it is now and writes the report; raises FileError.

        words: what the data are. tta: as `evaluate` takes it.
        """
        try:
            result, answers = self._evaluated(
                network, data, words, batch_size=batch_size, progress=True, tta=tta
            )
        except KeyboardInterrupt:
            if self.record.history:  # else nothing says yet that something is under way
                self.stopped("in the evaluation at its end")
            raise
        self._choose(network, data, result.classes, answers)
        self.record.data = data.fingerprint()
        self.record.state = FINISHED
        self._write()
        return result

    def _evaluated(
        self, network: Network, data: Dataset, words: str, **how: Any
    ) -> tuple[Evaluation, Answers]:
        answers, begun = Answers(), time.monotonic()
        result = evaluate(network, data, each=answers.add, **how)
        self.record.time["evaluation"] = time.monotonic() - begun
        self.record.results = {"data": words, "tta": how.get("tta"), **as_dict(result)}
        return result, answers

    def _choose(
        self, network: Network, data: Dataset, classes: Sequence[str], answers: Answers
    ) -> None:
        """Chooses and draws the pictures; of a run it is only now that it has these weights."""
        self._gallery = None
        self._gallery = gallery(network, data, classes, answers)
        self.record.pictures = {
            "mistakes": [_told(shown) for shown in self._gallery.mistakes],
            "uncertain": [_told(shown) for shown in self._gallery.uncertain],
        }

    def _write(self) -> None:
        rows = self.record.history
        if rows:
            self.record.time["training"] = sum(row.get("seconds") or 0.0 for row in rows)
        self.record.memory.update(facts.peak_memory())
        self.folder.write(self.record, self._gallery)

    def _attempt(self, work: Callable[..., None], *given: Any) -> None:
        """Does a report's work amid a run, which a full disk or a fault in here must not end."""
        try:
            work(*given)
        except Exception as error:
            if not self._failed:
                remark(f"report: {self.folder.path} is not up to date: {error}")
            self._failed = True


def _told(shown: Shown) -> dict[str, Any]:
    """A picture of the page for report.json, which has no pixels."""
    told = dataclasses.asdict(shown.answer)
    return {"file": shown.file, "is": shown.label, "answer": shown.said, **told}
