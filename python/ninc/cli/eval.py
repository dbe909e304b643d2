"""Say how often a model is right, class by class

Takes the test set where DATA has one. Of data without one it takes the pictures that `ninc train`
held out, as the model file tells, and refuses other data; --split all takes every picture.

examples:
  ninc eval nin.safetensors cifar10
  ninc eval pets.safetensors pets
  ninc eval pets.safetensors other-pets --split all
  ninc eval nin.safetensors cifar10 --json
"""

from __future__ import annotations

import argparse

from ..plain_json import json_text
from .common import (
    add_data,
    add_data_options,
    add_device,
    add_threads,
    load_for,
    load_network,
    use_threads,
)
from .numbers import positive

# A wider confusion matrix than this breaks every terminal's lines; --json has it whole.
_WIDEST_MATRIX = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="model file")
    add_data(parser)
    parser.add_argument("--split", choices=("train", "test", "all"), help="which pictures to take")
    parser.add_argument("--batch-size", type=positive, default=128, metavar="N")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_data_options(parser, "as in training")
    add_device(parser)
    add_threads(parser)


def run(args: argparse.Namespace) -> int:
    from ..evaluate import evaluate

    use_threads(args)
    network = load_network(args.model).to(args.device)
    data, words = load_for(network, args.data, args)
    result = evaluate(network, data, args.batch_size, progress=True)
    if args.json:
        print(json_text({"data": words, **_as_dict(result)}))
    else:
        print(_as_text(result, words))
    return 0


def _as_dict(result) -> dict:
    return {
        "images": result.count,
        "accuracy": result.accuracy,
        "loss": result.loss,
        "classes": result.classes,
        "recall": result.recall.tolist(),  # null for a class without pictures
        "precision": result.precision.tolist(),  # null for one never answered
        "confusion": result.confusion.tolist(),
    }


def _as_text(result, words: str) -> str:
    width = max(len("class"), *(len(name) for name in result.classes))
    lines = [
        words,
        f"accuracy {result.accuracy:.2%} ({result.correct:,} of {result.count:,}), "
        f"loss {result.loss:.4f}",
        "",
        f"{'class':<{width}}  images  found  precise",
    ]
    counts = result.confusion.sum(axis=1)
    for row in zip(result.classes, counts, result.recall, result.precision):
        name, count, recall, precision = row
        lines.append(f"{name:<{width}}  {count:>6,}  {_percent(recall)}  {_percent(precision):>7}")
    if len(result.classes) <= _WIDEST_MATRIX:
        lines += ["", "rows: what it is; columns: what the network said"]
        cell = max(len(f"{result.confusion.max()}"), 4)
        head = "".join(f" {name[:cell]:>{cell}}" for name in result.classes)
        lines.append(" " * width + head)
        for name, row in zip(result.classes, result.confusion):
            lines.append(f"{name:<{width}}" + "".join(f" {value:>{cell}}" for value in row))
    return "\n".join(lines)


def _percent(value: float) -> str:
    return "    -" if value != value else f"{value:5.1%}".rjust(5)
