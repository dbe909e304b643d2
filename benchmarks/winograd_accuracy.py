"""Whether a network trained with Winograd's convolution is as right as one trained without.

python -m benchmarks.winograd_accuracy cifar10      # a folder of JPEGs: train/CLASS/*, test/CLASS/*
python -m benchmarks.winograd_accuracy cifar10 --images 50000 --epochs 10 --seeds 10
python -m benchmarks.winograd_accuracy --report --json winograd_accuracy.jsonl

Trains NIN-CIFAR twice from each seed, once with precision "float32", whose plans take Winograd's
convolution, and once with "strict", whose plans take none: the same weights to begin with, the same
pictures in the same batches, the same dropout. Plans that are not so are refused. The settings are
those that the recipe "fast" has for the larger networks of the paper: no averaged weights, which
would hide a part of the difference.

Rounding alone tells the two apart; training makes much of little, so that after some dozens of
steps they are two trainings, as those of two seeds are. The question is whether the difference of
their test accuracies is one of rounding (as often up as down, its mean within the spread of seeds)
or a loss.

Each finished training is a line of the JSON file at once, and a command given again goes on after
the last of them. A file of other settings is refused. Seeds may be shared out between machines of
one instruction set with --first-seed; their files, one after the other, are one file.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys

import ninc
from ninc._base.files import append_line
from ninc._base.progress import LiveLine
from ninc.augment import Compose, Flip, PadCrop
from ninc.cli.numbers import positive
from ninc.data.batches import batch_bounds, steps_per_epoch, training_batches
from ninc.preprocess import Preprocessing
from ninc.training.recipes.fast import fast_nin

from . import stored_rows

SIDE, CHANNELS, CLASSES = 32, 3, 10
# What a training is called here, and the precision that makes it so.
MODES = {"winograd": "float32", "direct": "strict"}
_RECIPE = fast_nin(Compose(PadCrop(4), Flip()))
# The step whose losses are compared beside the first one's.
_LATER = 10
# Two-sided 95 % quantiles of Student's t by degrees of freedom, from 1.
_T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


# ---- Training ------------------------------------------------------------------------------------


def made(mode: str, seed: int, options: argparse.Namespace) -> ninc.Network:
    """The network before its first step, whose plans are checked. ValueError if they are wrong."""
    network = ninc.models.nin_cifar10(batch_norm=not options.no_batch_norm, seed=seed)
    network.precision = MODES[mode]
    bounds = batch_bounds(options.images, options.batch)
    for size in {bounds[1], bounds[-1] - bounds[-2]}:  # an epoch's first batch and its last
        for training in (True, False):
            plan = network.plan((size, CHANNELS, SIDE, SIDE), training)
            check_plan(mode, training, plan.describe())
    return network


def check_plan(mode: str, training: bool, described: str) -> None:
    """ValueError where the plan's algorithms are not those that `mode` stands for."""
    taken, _, _ = described.partition("cost model")  # other candidates come after that
    found = "winograd" in taken
    if found != (mode == "winograd"):
        raise ValueError(
            f"{'training' if training else 'inference'} plan of precision {MODES[mode]!r}: "
            f"expected {'a' if mode == 'winograd' else 'no'} step by winograd, found "
            f"{'one' if found else 'none'}; the trainings would not be the two to compare"
        )


def run(mode: str, seed: int, train, test, options: argparse.Namespace, show) -> dict:
    """One training from its seed to its test: accuracy, loss, and the loss of every step."""
    network = made(mode, seed, options)
    network.preprocessing = preprocessing = Preprocessing.fit(train.images)
    augment = _RECIPE.augment(options.epochs)
    trainer = _RECIPE.trainer(network, augment, options.lr, seed)
    steps = steps_per_epoch(train, options.batch)
    losses = []
    for epoch in range(options.epochs):
        batches = training_batches(train, preprocessing, options.batch, augment, seed, epoch)
        for index, (x, labels) in enumerate(batches):
            trainer.lr_factor = trainer.schedule(epoch + index / steps, options.epochs)
            losses.append(float(trainer.step(x, labels)))
            if not math.isfinite(losses[-1]):
                raise ValueError(
                    f"seed {seed}, {mode}: the loss of step {len(losses)} is {losses[-1]}; "
                    "a lower --lr may help"
                )
            show(f"seed {seed}, {mode}: step {len(losses)} of {steps * options.epochs}")
    show(f"seed {seed}, {mode}: testing")
    found = trainer.evaluate(test)
    return {
        "seed": seed,
        "mode": mode,
        "accuracy": found.accuracy,
        "loss": found.loss,
        "losses": losses,
    }


# ---- What is kept --------------------------------------------------------------------------------


def stored(path: str) -> list[dict]:
    """The rows of a file of results, as `stored_rows` reads them."""
    return stored_rows(path, ("settings", "seed", "mode", "accuracy", "losses"))


def check_same(path: str, rows: list[dict], settings: dict) -> None:
    """ValueError where rows of other settings stand in the file, with the first that differs."""
    for row in rows:
        for name in dict.fromkeys((*settings, *row["settings"])):
            there, here = row["settings"].get(name), settings.get(name)
            if there != here:
                raise ValueError(
                    f"{path}: holds trainings whose {name} is {there}, here it is {here}; "
                    "give another --json FILE"
                )


def missing(rows: list[dict], seeds: range) -> list[tuple[int, str]]:
    """(seed, mode) still to train, the two of one seed one after the other."""
    done = {(row["seed"], row["mode"]) for row in rows}
    return [(seed, mode) for seed in seeds for mode in MODES if (seed, mode) not in done]


# ---- What it comes to ----------------------------------------------------------------------------


def pairs(rows: list[dict]) -> list[tuple[dict, dict]]:
    """(with Winograd, direct) of each seed that has both, by seed."""
    found = {(row["seed"], row["mode"]): row for row in rows}
    seeds = sorted({seed for seed, _ in found})
    both = [tuple(found.get((seed, mode)) for mode in MODES) for seed in seeds]
    return [pair for pair in both if None not in pair]


def mean_and_deviation(values: list[float]) -> tuple[float, float]:
    """Mean and sample standard deviation, which is NaN for one value."""
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else math.nan


def interval(differences: list[float]) -> tuple[float, float, float]:
    """Mean of paired differences, its standard error, half of its 95 % interval by Student's t."""
    mean, deviation = mean_and_deviation(differences)
    error, freedom = deviation / math.sqrt(len(differences)), len(differences) - 1
    if freedom > len(_T95):  # the quantile's expansion, right to three digits there
        return mean, error, error * (1.960 + 2.372 / freedom + 2.82 / freedom**2)
    return mean, error, error * (_T95[freedom - 1] if freedom else math.nan)


def apart(pair: tuple[dict, dict], step: int) -> float:
    """Relative difference of the two losses of a step, counted from 1, or of the last one."""
    winograd, direct = (row["losses"][min(step, len(row["losses"])) - 1] for row in pair)
    return abs(winograd - direct) / abs(direct)


def table(rows: list[dict]) -> list[str]:
    """Markdown: a row for each seed, mean ± deviation, and what the pairs say."""
    found = pairs(rows)
    if not found:
        return ["no seed has been trained both ways yet"]
    lines = [
        "| seed | Winograd | test loss | direct | test loss | difference of accuracy "
        f"| losses apart at step 1 | at step {_LATER} |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for winograd, direct in found:
        lines.append(
            f"| {winograd['seed']} | {winograd['accuracy']:.2%} | {winograd['loss']:.4f} "
            f"| {direct['accuracy']:.2%} | {direct['loss']:.4f} "
            f"| {100 * (winograd['accuracy'] - direct['accuracy']):+.2f} "
            f"| {apart((winograd, direct), 1):.1e} | {apart((winograd, direct), _LATER):.1e} |"
        )
    cells, deviations = [], []
    for index in range(2):
        mean, deviation = mean_and_deviation([pair[index]["accuracy"] for pair in found])
        loss, spread = mean_and_deviation([pair[index]["loss"] for pair in found])
        cells.append(f"{100 * mean:.2f} ± {100 * deviation:.2f} % | {loss:.4f} ± {spread:.4f}")
        deviations.append(deviation)
    differences = [winograd["accuracy"] - direct["accuracy"] for winograd, direct in found]
    mean, deviation = mean_and_deviation(differences)
    _, error, half = interval(differences)
    lines += [
        f"| mean ± sd | {' | '.join(cells)} | {100 * mean:+.2f} ± {100 * deviation:.2f} | | |",
        "",
        f"paired difference {100 * mean:+.2f} points, standard error {100 * error:.2f}, "
        f"95 % interval {100 * (mean - half):+.2f} to {100 * (mean + half):+.2f}",
    ]
    if len(found) > 1:
        spread = min(deviations)
        lines.append(
            f"the mean difference is {'within' if abs(mean) <= spread else 'BEYOND'} the spread of "
            f"seeds, {100 * spread:.2f} points (the smaller standard deviation of the two)"
        )
    return lines


# ---- The command ---------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.winograd_accuracy", description=__doc__.splitlines()[0]
    )
    parser.add_argument("data", nargs="?", help="folder of CIFAR-10, as pictures or batches")
    parser.add_argument("--images", type=int, default=10000, help="to train on (default 10000)")
    parser.add_argument("--test-images", type=int, default=10000, help="default 10000")
    parser.add_argument("--epochs", type=positive, default=4, help="default 4")
    parser.add_argument("--seeds", type=positive, default=5, help="how many (default 5)")
    parser.add_argument(
        "--first-seed", type=int, default=0, help="the seeds begin with (default 0)"
    )
    parser.add_argument("--batch", type=positive, default=128, help="default 128")
    parser.add_argument("--lr", type=float, help="the peak rate (default: the recipe's)")
    parser.add_argument("--no-batch-norm", action="store_true", help="the network without it")
    parser.add_argument("--threads", type=int, default=ninc.get_num_threads())
    parser.add_argument("--target", help="instruction set, for example avx2")
    parser.add_argument(
        "--json",
        metavar="FILE",
        default="winograd_accuracy.jsonl",
        help="lines of finished trainings (default winograd_accuracy.jsonl)",
    )
    parser.add_argument("--report", action="store_true", help="train nothing, show the file")
    return parser


def _checked(parser: argparse.ArgumentParser, arguments: list[str] | None) -> argparse.Namespace:
    options = parser.parse_args(arguments)
    if not options.report and options.data is None:
        parser.error("DATA is missing: the folder of CIFAR-10")
    for name in ("images", "test_images"):
        if getattr(options, name) < CLASSES or getattr(options, name) % CLASSES:
            parser.error(
                f"--{name.replace('_', '-')} wants a multiple of {CLASSES}, as many of each class, "
                f"got {getattr(options, name)}"
            )
    if options.batch > options.images:
        parser.error(f"--batch {options.batch} is more than the {options.images} --images")
    return options


def _train(options: argparse.Namespace) -> None:
    if options.target:
        ninc.set_target(options.target)
    ninc.set_num_threads(options.threads)
    sizes = dict(size=(SIDE, SIDE), channels=CHANNELS, progress=True)
    train, test = (
        ninc.data.load(options.data, split, limit=count // CLASSES, **sizes)
        for split, count in (("train", options.images), ("test", options.test_images))
    )
    settings = {
        "batch norm": not options.no_batch_norm,
        "training pictures": len(train),
        "test pictures": len(test),
        "epochs": options.epochs,
        "batch": options.batch,
        "peak rate": options.lr or _RECIPE.lr,
        "instruction set": ninc.target(),
        "version": ninc.__version__,
        "training data": train.fingerprint(),
        "test data": test.fingerprint(),
    }
    rows = stored(options.json)
    check_same(options.json, rows, settings)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    line = LiveLine()
    for seed, mode in missing(rows, seeds):

        def show(text: str) -> None:
            if line.due():
                line.show(text)

        row = run(mode, seed, train, test, options, show)
        append_line(options.json, json.dumps({"settings": settings, **row}))
        line.clear()
        print(
            f"seed {seed}, {mode}: accuracy {row['accuracy']:.2%}, loss {row['loss']:.4f}",
            file=sys.stderr,
            flush=True,
        )


def main(arguments: list[str] | None = None) -> None:
    parser = _parser()
    options = _checked(parser, arguments)
    try:
        if not options.report:
            _train(options)
        rows = stored(options.json)
    except (ValueError, ninc.Error) as error:
        sys.exit(f"winograd_accuracy: {error}")
    except KeyboardInterrupt:
        sys.exit(f"winograd_accuracy: interrupted; the same command goes on from {options.json}")
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
