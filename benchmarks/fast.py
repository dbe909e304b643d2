"""Recipe "fast": how much accuracy how many minutes give, and the same training in PyTorch.

python -m benchmarks.fast cifar10 --seeds 0 1 2   # a folder of JPEGs: train/CLASS/*, test/CLASS/*
python -m benchmarks.fast cifar10 --model nin-cifar10
python -m benchmarks.fast cifar10 --engine torch  # channels last, the same batches and settings
python -m benchmarks.fast cifar10 --timed 2       # two epochs of each, in turns

What is trained is what `ninc train DATA --model MODEL --seed S` trains, to the bit. Nothing is
chosen by the test pictures: they are looked at once, behind the last epoch, as they are and with
their mirror images (--tta flip). Training multiply-adds are those of all convolutions counted
directly: forward, of the weights' gradient and of the data's, but for gradients that a first or a
frozen layer has no need of.

PyTorch gets the same first weights, batches, rates, averages and statistics. Each finished training
is a line of the JSON file at once; a training that stands there is not repeated.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any

import ninc
from ninc._base.files import append_line
from ninc._base.progress import LiveLine
from ninc.cli.numbers import positive
from ninc.data.batches import steps_per_epoch, training_batches
from ninc.inference.evaluation import evaluate
from ninc.preprocess import Preprocessing
from ninc.training import recipes

from . import stored_rows

ENGINES = ("ninc", "torch")
# What a stored row has at least.
_FIELDS = ("engine", "model", "seed", "accuracy", "flip_accuracy", "seconds")


class Job:
    """One training of the recipe, before its first step."""

    def __init__(self, model: str, train: ninc.data.Dataset, seed: int, epochs: int | None) -> None:
        self.model, self.train, self.seed = model, train, seed
        self.recipe = recipe = recipes.recipe("fast", model)
        self.epochs = epochs or recipe.epochs
        self.batch_size = recipe.batch_size_for(len(train))
        self.augment = recipe.augment(self.epochs)
        self.network = ninc.models.create(
            model, num_classes=len(train.classes), seed=seed, **recipe.network
        )
        self.frozen: list[str] = []
        if recipe.prepare is not None:
            self.frozen = recipe.prepare(self.network, train, recipe.preprocessing)
        if self.network.preprocessing is None:
            self.network.preprocessing = Preprocessing.fit(train.images, framing=train.framing)
        self.preprocessing = Preprocessing.from_dict(self.network.preprocessing)
        self.network.classes = train.classes

    def settings(self) -> dict[str, Any]:
        """What makes two trainings comparable but for engine and seed, as a stored row has it."""
        recipe = self.recipe
        return {
            "model": self.model,
            "parameters": self.network.num_parameters,
            "epochs": self.epochs,
            "batch": self.batch_size,
            "optimizer": repr(recipe.optimizer(self.network, recipe.lr)),
            "schedule": repr(recipe.schedule),
            "label smoothing": recipe.label_smoothing,
            "average": repr(recipe.average),
            "augmentation": repr(self.augment),
            "frozen": self.frozen,
            "training pictures": len(self.train),
            "training data": self.train.fingerprint(),
        }

    def trainer(self) -> ninc.Trainer:
        return self.recipe.trainer(self.network, self.augment, seed=self.seed)

    def batches(self, epoch: int) -> Iterator[tuple[Any, Any]]:
        """Those that `Trainer.fit` takes in this epoch, from 0."""
        return training_batches(
            self.train, self.preprocessing, self.batch_size, self.augment, self.seed, epoch
        )

    def factors(self, epoch: int) -> Iterator[float]:
        """What the rate is multiplied by at each step of the epoch."""
        steps = steps_per_epoch(self.train, self.batch_size)
        for step in range(steps):
            yield self.recipe.schedule(epoch + step / steps, self.epochs)


def multiply_adds(network: ninc.Network, shape: tuple[int, ...], frozen: list[str]) -> int:
    """Those of one picture's training step; see the module."""
    total, below_trained, parameters = 0, False, network.parameters()
    for node in network.graph:
        trained = [n for n in parameters if n.rpartition(".")[0] == node.name and n not in frozen]
        weight = f"{node.name}.weight"
        if node.operation in ("Conv2d", "Linear"):
            pixels = math.prod(network.core.output_shape((1, *shape), node.name)[2:])
            total += parameters[weight].size * pixels * (1 + (weight in trained) + below_trained)
        below_trained |= bool(trained)
    return total


# ---- Whole trainings -----------------------------------------------------------------------------


def trained(job: Job, engine: str, test: ninc.data.Dataset) -> dict[str, Any]:
    """Trains; returns the row. Data are in memory, and the clock runs for the epochs alone."""
    began = time.perf_counter()
    if engine == "ninc":
        job.trainer().fit(job.train, None, job.epochs, job.batch_size, freeze=job.frozen)
    else:
        from .peers.torch_recipe import Training

        peer, shown = Training(job, ninc.get_num_threads()), LiveLine()
        for epoch in range(job.epochs):
            shown.show(f"torch: epoch {epoch + 1} of {job.epochs}")
            peer.epoch(epoch)
        peer.finish()
        shown.clear()
    seconds = time.perf_counter() - began
    plain = evaluate(job.network, test)
    both = evaluate(job.network, test, tta="flip")
    return {"seconds": seconds, "accuracy": plain.accuracy, "flip_accuracy": both.accuracy}


def table(rows: list[dict]) -> str:
    """Markdown: a row for each training, and the mean of each engine's."""
    lines = [
        "| engine | seed | accuracy | with mirror images | minutes |",
        "|---|---|---|---|---|",
    ]
    names = ("accuracy", "flip_accuracy", "seconds")
    for engine in ENGINES:
        found = [row for row in rows if row["engine"] == engine]
        shown = [(str(row["seed"]), *(row[name] for name in names)) for row in found]
        if len(found) > 1:
            means = (statistics.mean(row[name] for row in found) for name in names)
            shown.append(("mean", *means))
        for seed, plain, both, seconds in shown:
            lines.append(f"| {engine} | {seed} | {plain:.2%} | {both:.2%} | {seconds / 60:.1f} |")
    return "\n".join(lines)


# ---- Time alone ----------------------------------------------------------------------------------


def timed(model: str, train: ninc.data.Dataset, epochs: int) -> dict[str, list[float]]:
    """Seconds of each of the first epochs, ninc's and PyTorch's in turns; batches are made anew."""
    from .peers.torch_recipe import Training

    own = Job(model, train, 0, None)
    trainer = own.trainer()
    trainer.stepper.core.set_frozen(own.frozen)
    peer = Training(Job(model, train, 0, None), ninc.get_num_threads())
    seconds: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    shown = LiveLine()
    for epoch in range(epochs):
        shown.show(f"ninc: epoch {epoch + 1} of {epochs}")
        began = time.perf_counter()
        for factor, (x, labels) in zip(own.factors(epoch), own.batches(epoch)):
            trainer.lr_factor = factor
            trainer.stepper.update(x, labels, trainer.stepper.settings(trainer, 0, 0.01))
        seconds["ninc"].append(time.perf_counter() - began)
        shown.show(f"torch: epoch {epoch + 1} of {epochs}")
        began = time.perf_counter()
        peer.epoch(epoch)
        seconds["torch"].append(time.perf_counter() - began)
    shown.clear()
    return seconds


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except (ImportError, ValueError, ninc.Error) as error:
        sys.exit(f"fast: {error}")
    except KeyboardInterrupt:
        sys.exit("fast: interrupted; finished trainings stand in --json FILE")


def _run(options: argparse.Namespace) -> int:
    if options.threads is not None:
        ninc.set_num_threads(options.threads)
    train = ninc.data.load(options.data, split="train", limit=options.limit, progress=True)
    if options.timed:
        seconds = timed(options.model, train, options.timed)
        best = {engine: min(values) for engine, values in seconds.items()}
        for engine in ENGINES:
            each = ", ".join(f"{value:.1f}" for value in seconds[engine])
            print(f"{engine}: {each} s an epoch, {len(train) / best[engine]:.0f} pictures/s")
        print(f"ninc is {best['torch'] / best['ninc']:.2f} times as fast")
        return 0
    test = ninc.data.load(options.data, split="test", limit=options.limit, progress=True)
    if options.save is not None:
        os.makedirs(options.save, exist_ok=True)
    rows = [] if options.json is None else stored_rows(options.json, _FIELDS)
    shared: dict[str, Any] = {}
    for seed in options.seeds:
        job = Job(options.model, train, seed, options.epochs)
        shared = job.settings()
        key = {"engine": options.engine, "seed": seed, **shared}
        if any(row.items() >= key.items() for row in rows):
            continue
        count = multiply_adds(job.network, train.input_shape, job.frozen)
        print(
            f"{options.engine}, {options.model}, seed {seed}: {job.epochs} epochs of "
            f"{len(train):,} pictures, {count * len(train) * job.epochs:.3g} multiply-adds",
            file=sys.stderr,
        )
        rows.append({**key, **trained(job, options.engine, test)})
        if options.json is not None:
            append_line(options.json, json.dumps(rows[-1]))
        if options.save is not None:
            job.network.save(os.path.join(options.save, f"{options.engine}-{seed}.safetensors"))
    print(table([row for row in rows if row.items() >= shared.items()]))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fast", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("data", metavar="DATA", help="data set with a test set of its own")
    parser.add_argument("--model", choices=("fast-cifar10", "nin-cifar10"), default="fast-cifar10")
    parser.add_argument("--engine", choices=ENGINES, default="ninc")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=positive, help="in place of the recipe's")
    parser.add_argument("--timed", type=positive, metavar="N", help="time N epochs of each engine")
    parser.add_argument("--limit", type=positive, metavar="N", help="so many pictures a class")
    parser.add_argument("--threads", type=positive)
    parser.add_argument("--json", metavar="FILE", help="keep each finished training in this file")
    parser.add_argument("--save", metavar="DIR", help="save the networks in this folder")
    return parser


if __name__ == "__main__":
    sys.exit(main())
