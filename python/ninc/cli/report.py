"""Put several runs on one page

RUN is a folder that --report or --checkpoint wrote. The page has the runs' results side by side,
their curves in one drawing and what differs between their settings; it is one file, which opens
without a server.

examples:
  ninc report run-a run-b
  ninc report runs/* -o all.html
  ninc report run-a run-b --json
"""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._base.files import check_none_of, check_writable, write_whole
from .._base.plain_json import json_text
from ..report import choice

if TYPE_CHECKING:
    from ..data import Dataset
    from ..inference.evaluation import Evaluation
    from ..report.recorder import Folder, Recorder
    from ..training.trainer import Trainer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", help="folder of a report or of a run's checkpoints"
    )
    parser.add_argument(
        "-o",
        "--output",
        default="runs.html",
        metavar="FILE",
        help="page to write (default runs.html)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print the runs' results as one JSON object"
    )


def run(args: argparse.Namespace) -> int:
    from ..report.compare import page_of_runs, summary
    from ..report.runs import load_run

    names = list(dict.fromkeys(path.rstrip(os.sep) or path for path in args.runs))
    runs = [(name, load_run(name)) for name in names]
    check_writable(args.output)
    sources = [os.path.join(name, file) for name in names for file in os.listdir(_folder(name))]
    check_none_of(args.output, sources, "a file of one of the runs")
    write_whole(args.output, page_of_runs(runs, _typed(args)).encode())
    if args.json:
        told = {"page": args.output, "runs": [summary(name, record) for name, record in runs]}
        print(json_text(told))
    else:
        print(f"wrote {args.output}")
    return 0


def _folder(name: str) -> str:
    return name if os.path.isdir(name) else os.path.dirname(name) or os.curdir


def _typed(args: argparse.Namespace) -> str:
    """The command line as it was typed."""
    return shlex.join(["ninc", *args.argv])


# ---- --report of other commands ------------------------------------------------------------------


def add_option(parser: Any) -> None:
    """Adds --report to the options of a command."""
    parser.add_argument(
        "--report",
        metavar="DIR",
        help="write a page about it all, DIR/report.html, and the same in numbers, report.json",
    )


def folder_of(args: argparse.Namespace) -> Folder | None:
    """The report's folder, made and found to be writable before any work; None without --report."""
    if args.report is None:
        return None
    from ..report.recorder import Folder

    return Folder(args.report)


def chosen_by(args: argparse.Namespace, trainer: Trainer, seen_is_test: bool) -> str | None:
    """What steered a run: "test", "validation" or, where nothing held out did, None.

    seen_is_test: the run looks at the test set after each epoch.
    """
    from ..training.monitor import watched

    steered = args.patience is not None or watched(trainer.schedule) is not None
    return ("test" if seen_is_test else "validation") if steered else None


def of_training(
    args: argparse.Namespace,
    folder: Folder,
    trainer: Trainer,
    seen: Dataset,
    test: Dataset | None,
    options: Mapping[str, Any],
    doubts: Sequence[str],
) -> Recorder:
    """The report of a run that is about to begin, which then follows the trainer's `fit`.

    seen: the data that the run looks at after each epoch. test: the test set, if any. options: of
    `fit`. doubts: what its results were remarked with beforehand.
    """
    from ..report.record import Record
    from ..report.recorder import Recorder

    record = Record("training", Path(args.output).name, _typed(args), epochs=options["epochs"])
    record.chosen_by = chosen_by(args, trainer, seen is test)
    kind = "test" if seen is test else "validation"
    record.choice = choice.under_way(record.chosen_by, kind, test is not None and seen is not test)
    record.remarks = list(doubts)
    if args.limit is not None:
        record.remarks.append(f"A quick try: of each class at most {args.limit:,} pictures.")
    recorder = Recorder(folder, record)
    recorder.describe(trainer.network, seen.input_shape, options["batch_size"], training=True)
    recorder.looks_at(_which(args, trainer, seen, seen is test))
    trainer.listener = recorder
    return recorder


def end(
    args: argparse.Namespace,
    recorder: Recorder,
    trainer: Trainer,
    seen: Dataset,
    test: Dataset | None,
    row: Mapping[str, float],
) -> Evaluation:
    """Evaluates the network that a run has ended with, and writes the report.

    seen, test: as of `of_training`. row: the history's of the epoch that the network is of.
    """
    data = seen if test is None else test
    recorder.record.epoch = int(row["epoch"])
    recorder.record.choice = choice.of_training(
        recorder.record.chosen_by,
        "validation" if test is None else "test",
        data is seen,
        _means(args),
    )
    return recorder.finish(trainer.network, data, _which(args, trainer, data, data is test))


def _means(args: argparse.Namespace) -> list[str]:
    """What held-out results did in a run that they steered."""
    means = []
    if args.patience is not None:
        means.append(f"early stopping (--patience {args.patience}) kept the best epoch")
    if args.schedule == "plateau":
        means.append("--schedule plateau lowered the rate")
    return means


def _which(args: argparse.Namespace, trainer: Trainer, data: Dataset, is_test: bool) -> str:
    """What the data are, in the words of `ninc eval`."""
    told, place = f"{len(data):,} pictures", Path(args.data)
    if is_test and trainer.held_out is not None:
        return f"{told} held out of {place} when the network was trained"
    if is_test:
        return f"{told} in the test set of {place}"
    if args.validation is not None:
        return f"{told} held out of the training set of {place} to choose by"
    return f"{told} in the validation set of {place}"


def of_evaluation(args: argparse.Namespace, folder: Folder, doubt: str) -> Recorder:
    """The report of an evaluation by `ninc eval`. doubt: what its result is remarked with."""
    from ..report.record import Record
    from ..report.recorder import Recorder

    record = Record("evaluation", Path(args.model).name, _typed(args))
    record.choice = choice.of_evaluation(args.split)
    record.remarks = [doubt] if doubt else []
    return Recorder(folder, record)
