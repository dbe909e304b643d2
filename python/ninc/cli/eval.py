"""Say how often a model is right, class by class

Takes the test set where DATA has one. Of data without one it takes the pictures that were held
out in training, as the model file tells, and refuses other data; --split all takes every picture.

examples:
  ninc eval nin.safetensors cifar10
  ninc eval pets.safetensors pets
  ninc eval pets.safetensors other-pets --split all
  ninc eval nin.safetensors cifar10 --json
  ninc eval nin.safetensors more-pictures --calibrate -o calibrated.safetensors
  ninc eval nin.safetensors cifar10 --report nin-report
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from .._base.plain_json import json_text
from .._base.plain_text import one_line
from .._base.progress import loss_text
from ..errors import remark
from . import calibrate, common, report
from .numbers import positive
from .terminal import left, right, width

if TYPE_CHECKING:
    from ..inference.evaluation import Evaluation

# Nobody reads a confusion matrix of more classes as a table; --json has it whole.
_WIDEST_MATRIX = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="model file, or cifar10")
    common.add_data(parser)
    parser.add_argument(
        "--split", choices=("train", "validation", "test", "all"), help="which pictures to take"
    )
    parser.add_argument("--batch-size", type=positive, default=128, metavar="N")
    common.add_tta(parser)
    calibrate.add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    report.add_option(parser)
    common.add_data_options(parser, "as in training")
    common.add_machine(parser)


def run(args: argparse.Namespace) -> int:
    from ..inference.evaluation import as_dict, evaluate

    calibrate.check_used(args)
    common.use_threads(args)
    if args.calibrate:
        return calibrate.run(args)
    folder = report.folder_of(args)
    network = common.load_network(args.model).to(args.device)
    data, words, doubt = common.load_for(network, args.data, args)
    if folder is None:
        result = evaluate(network, data, args.batch_size, progress=True, tta=args.tta)
    else:
        recorder = report.of_evaluation(args, folder, doubt)
        recorder.describe(network, data.input_shape, args.batch_size, training=False)
        result = recorder.finish(network, data, words, args.batch_size, args.tta)
    if doubt:
        remark(doubt)
    if args.json:
        print(json_text({"data": words, "tta": args.tta, **as_dict(result)}))
    else:
        print(_as_text(result, words))
        if folder is not None:
            print(f"\nwrote {folder.page}")
    return 0


def _as_text(result: Evaluation, words: str) -> str:
    lines = [
        words,
        f"accuracy {result.accuracy:.2%} ({result.correct:,} of {result.count:,}), "
        f"loss {loss_text(result.loss)}",
        *_more_figures(result),
        "",
        *_class_table(result),
    ]
    if len(result.classes) <= _WIDEST_MATRIX:
        lines += ["", "rows: what it is; columns: what the network said", *_matrix(result)]
    return "\n".join(lines)


def _more_figures(result: Evaluation) -> list[str]:
    """A line of what is measured beside accuracy and loss; none where nothing is."""
    figures = []
    if result.top5_accuracy is not None:
        figures.append(f"top-5 accuracy {result.top5_accuracy:.2%}")
    if result.calibration_error is not None:
        words = "no temperature" if result.temperature is None else f"{result.temperature:.4g}"
        figures.append(
            f"calibration error {result.calibration_error:.2%} "
            + (f"({words})" if result.temperature is None else f"at temperature {words}")
        )
    return [", ".join(figures)] if figures else []


def _class_table(result: Evaluation) -> list[str]:
    """For each class the number of pictures, and the shares that are found and that are right."""
    names = [one_line(name) for name in result.classes]
    column = max(map(width, ["class", *names]))
    lines = [f"{left('class', column)}  images  recall  precision"]
    counts = result.confusion.sum(axis=1)
    for name, count, recall, precision in zip(names, counts, result.recall, result.precision):
        shares = f"{_percent(recall):>6}  {_percent(precision):>9}"
        lines.append(f"{left(name, column)}  {count:>6,}  {shares}")
    return lines


def _matrix(result: Evaluation) -> list[str]:
    """The confusion matrix, in several blocks of columns where the terminal is narrow."""
    names = [one_line(name) for name in result.classes]
    column = max(map(width, names))
    counts = [[f"{value:,}" for value in row] for row in result.confusion.tolist()]
    cells = [
        max(width(name), *(len(row[index]) for row in counts)) for index, name in enumerate(names)
    ]
    room = shutil.get_terminal_size().columns - column
    lines: list[str] = []
    for block in _blocks(cells, room):
        if lines:
            lines.append("")
        lines.append(" " * column + "".join(f"  {right(names[i], cells[i])}" for i in block))
        for name, row in zip(names, counts):
            lines.append(left(name, column) + "".join(f"  {row[i]:>{cells[i]}}" for i in block))
    return lines


def _blocks(cells: Sequence[int], room: int) -> Iterator[list[int]]:
    """Blocks of columns, each of as many as fit into `room` with two blanks before each."""
    block: list[int] = []
    taken = 0
    for index, cell in enumerate(cells):
        if block and taken + 2 + cell > room:
            yield block
            block, taken = [], 0
        block.append(index)
        taken += 2 + cell
    yield block


def _percent(value: float) -> str:
    return "-" if value != value else f"{value:.1%}"
