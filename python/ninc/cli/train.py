"""Train a network on a folder of images or another data set

DATA holds train/CLASS/*.jpg and test/CLASS/*.jpg, or CLASS/*.jpg alone (a share is held out);
or the files of CIFAR-10 or CIFAR-100, binary or pickled, or of MNIST or Fashion-MNIST (IDX, also
.gz); or it is a .npz file with arrays x and y.

Without --validation the test set is looked at after each epoch. --patience and --schedule plateau
then choose by the test set, and the result says so ("chosen_by" of --json: "test", "validation" or
null).

Ctrl-C ends the run after the step under way, with exit status 1; with --checkpoint nothing is lost.

examples:
  ninc train cifar10 -o nin.safetensors
  ninc train cifar10 -o nin.safetensors --recipe original --checkpoint run --resume
  ninc train pets -o pets.safetensors --epochs 30 --validation 0.1 --patience 5 --plot pets.png
  ninc train pets -o pets.safetensors --report pets-report
  ninc train cifar10 -o try.safetensors --limit 100 --epochs 2
  ninc train birds -o birds.safetensors --init pets.safetensors --freeze '*conv1*' --lr 0.01
  ninc train fashion-mnist -o clothes.safetensors --model nin-mnist --average ema --json
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from .._base.files import check_none_of, check_writable
from .._base.plain_json import json_text
from .._base.plain_text import one_line
from .._base.progress import loss_text
from ..errors import ArgumentError, Error, remark
from ..training.monitor import MONITOR
from . import report
from .common import HELD_OUT, load_split, use_threads
from .start import Start
from .terminal import say
from .train_options import add_arguments, check_used, fit_options, make_trainer

if TYPE_CHECKING:
    from ..data import Dataset
    from ..formats.held_out import HeldOut
    from ..network import Network
    from ..report.recorder import Recorder
    from ..training.trainer import Trainer

__all__ = ["add_arguments", "run"]

# The user is told where a larger share of the pictures loses much of its area.
_MANY = 0.1


def run(args: argparse.Namespace) -> int:
    from ..distributed.launched import check_shards, launched_comm, workers_here
    from ..training.fit_checks import check_two_classes

    comm = launched_comm()
    check_used(args)
    if comm is not None:
        check_shards(comm, args.shards)
    args.workers_here = workers_here(comm)
    is_first = comm is None or comm.Get_rank() == 0
    if not is_first:
        args.report = None  # worker 0 writes it
    if is_first:
        _check_outputs(args)
    if args.plot is not None and find_spec("matplotlib") is None:
        raise ArgumentError("--plot needs matplotlib: pip install 'ninc[train]'")
    folder = report.folder_of(args)
    use_threads(args)
    start = Start(args)
    data, record = _load(args, start)
    train, test = data["train"], data.get("test")
    check_two_classes(train)  # before a line says how they will be trained on
    network = start.network(train)
    network.held_out = record
    trainer = make_trainer(args, network, comm)
    trainer.held_out = record
    doubts = _announce(args, start, network, data)
    # Training looks at a validation part where there is one, else at the test set.
    seen = data.get("validation", test)
    if args.validation is not None:
        train, seen = train.split(args.validation, args.seed)
    options = fit_options(args, len(train), train.is_pictures)
    options["freeze"] += start.prepare(network, train, options["preprocessing"])
    _announce_run(trainer, len(train), options["epochs"], options["batch_size"])
    recorder = None
    if folder is not None:
        recorder = report.of_training(args, folder, trainer, cast(Any, seen), test, options, doubts)
    try:
        trainer.fit(train, seen, **options)
    except KeyboardInterrupt as stop:
        if recorder is not None:
            recorder.stopped(str(stop) or "at once, by Ctrl-C")
        if not is_first:
            return 1
        return _interrupted(args, trainer, stop)
    except Error as error:
        if recorder is not None:
            recorder.stopped(str(error), failed=True)
        raise
    if not is_first:
        return 0
    _calibrate(trainer, None if seen is test else seen)
    _save(args, trainer)
    _tell(args, trainer, test, seen, recorder)
    return 0


def _check_outputs(args: argparse.Namespace) -> None:
    """Hours of training must not end in "permission denied" or in a lost picture."""
    from ..data.listing import has_picture_ending

    for option, path in (("-o", args.output), ("--history", args.history), ("--plot", args.plot)):
        if path is None:
            continue
        if option == "--plot" and not path.lower().endswith(".png"):
            args.parser.error(f"--plot: {path} would be a PNG picture; give a name ending in .png")
        if option != "--plot" and has_picture_ending(path):
            args.parser.error(f"{option}: {path} is named as a picture, which it would not be")
        check_writable(path)
        check_none_of(path, [args.data], "the data")


def _load(args: argparse.Namespace, start: Start) -> tuple[dict[str, Dataset], HeldOut | None]:
    """The training set with the test set, the validation set or both, by these names.

    All are at the size that the network takes. The last value tells how the data were divided; it
    is None for data that are divided themselves.
    """
    from .. import data
    from ..formats.held_out import HeldOut

    there = data.splits(args.data)
    divided = there != ("train",)
    if divided and args.held_out is not None:
        args.parser.error(f"--held-out: {args.data} has a {there[-1]} set of its own")
    if "validation" in there and args.validation is not None:
        args.parser.error(f"--validation: {args.data} has a validation set of its own")
    others = [part for part in there if part != "train"]
    wanted = ["train", *(others or ["test"])]  # loading says so where there is no train part
    share = args.held_out or HELD_OUT
    options = dict(start.pictures, held_out=share, seed=args.seed, limit=args.limit)
    loaded = {split: load_split(args.data, split, args, **options) for split in wanted}
    record = None if divided else HeldOut.of(loaded["test"], share, args.seed, args.limit)
    return loaded, record


def _announce(
    args: argparse.Namespace, start: Start, network: Network, data: dict[str, Dataset]
) -> list[str]:
    """Prints what is trained, and on what; returns what it remarks on the results to come."""
    from ..data.listing import some_names
    from ..data.survey import shared_images

    train, words = data["train"], {"validation": "to choose by", "test": "to test with"}
    if network.held_out is not None:
        words["test"] = "held out to test with"
    others = [f"{len(data[name]):,} {words[name]}" for name in words if name in data]
    print(
        f"{start.describe(network)}, recipe {args.recipe}: "
        f"{len(train):,} pictures of {len(train.classes)} classes "
        f"({one_line(some_names(train.classes))}), {', '.join(others)}",
        file=sys.stderr,
    )
    _announce_framing(train)
    doubts = []
    for name in filter(data.get, words):
        twice = shared_images(train, data[name])
        if twice:
            doubts.append(
                f"{twice:,} of the {len(data[name]):,} pictures {words[name]} are also among those "
                "to train with, pixel for pixel: the accuracy on them says little"
            )
            remark(doubts[-1])
    return doubts


def _announce_framing(train: Dataset) -> None:
    """Prints how pictures are brought to the network's size, and what they lose by it."""
    from ..data.survey import MUCH, much_cut
    from ..preprocess import WHITE

    framing = train.framing
    if framing is None:
        channels, height, width = train.input_shape
        kind = "pictures" if train.is_pictures else "arrays"
        print(f"{kind}: {height}×{width} of {channels} channels, as they are", file=sys.stderr)
        return
    ground = "" if framing.ground == WHITE else f", ground {framing.ground}"
    print(f"pictures: {framing.describe()}{ground}", file=sys.stderr)
    cut, looked_at = much_cut(train)
    if cut > _MANY * looked_at:
        remark(
            f"{cut:,} of {looked_at:,} pictures lose more than {MUCH:.0%} of their area to the "
            "crop: --fit pad or --fit squash keeps all of it"
        )


def _announce_run(trainer: Trainer, images: int, epochs: int, batch_size: int) -> None:
    """Prints what a run is made of, also where the user has said nothing."""
    import ninc

    steps = -(-images // batch_size)
    kind = type(trainer.optimizer)
    optimizer = "" if kind is ninc.SGD else f"{kind.__name__}, "
    device, threads = trainer.network.device, ninc.get_num_threads()
    if device == "cpu":
        device += f", {threads} thread{'' if threads == 1 else 's'}"
    team = trainer.stepper.team
    if team is not None:
        device += f" in each of {team.size} workers"
    print(
        f"{epochs:,} epoch{'' if epochs == 1 else 's'} of {steps:,} "
        f"step{'' if steps == 1 else 's'} of {-(-images // steps):,} pictures, "
        f"{optimizer}rate {trainer.optimizer.lr:g}, on {device}",
        file=sys.stderr,
    )


def _interrupted(args: argparse.Namespace, trainer: Trainer, stop: KeyboardInterrupt) -> int:
    if args.checkpoint is not None:
        # No output is written, so that it does not matter which weights the network has in memory.
        told = str(stop).partition("; the network has ")[0] or "interrupted"
        team = trainer.stepper.team
        together = [] if team is None else ["mpiexec", "-n", str(team.size)]
        command = [*together, "ninc", *args.argv, *([] if args.resume else ["--resume"])]
        words = f"{told}; go on with: {shlex.join(command)}"
    elif len(trainer.history):
        _save(args, trainer)
        words = (
            f"interrupted after epoch {len(trainer.history)}; "
            f"{args.output} holds {getattr(stop, 'weights', 'the network as it is now')}; "
            f"--init {shlex.quote(args.output)} begins with these, and --checkpoint DIR would "
            "have kept the run"
        )
    else:
        words = "interrupted in the first epoch; nothing saved (--checkpoint DIR keeps a run)"
    say(words)
    return 1


def _calibrate(trainer: Trainer, validation: Dataset | None) -> None:
    """Fits the network's temperature to the validation pictures, where there are enough of them."""
    from ..inference.calibration import FEWEST

    if validation is None or len(validation) < FEWEST:
        return
    try:
        trainer.network.calibrate(validation)
    except ArgumentError as error:
        remark(str(error))


def _save(args: argparse.Namespace, trainer: Trainer) -> None:
    trainer.network.save(args.output)
    if args.history is not None:
        trainer.history.save(args.history)
    if args.plot is not None:
        trainer.history.plot(args.plot)


def _tell(
    args: argparse.Namespace,
    trainer: Trainer,
    test: Dataset | None,
    seen: Dataset | None,
    recorder: Recorder | None,
) -> None:
    """Prints the results on the test set, or without one on what training has looked at.

    Of a run with a report, which evaluates the network anew, these are the report's.
    """
    history, monitor = trainer.history, args.monitor or MONITOR
    row = history.rows[-1]
    best = (min if monitor == "val_loss" else max)(history, key=lambda row: row[monitor])
    if args.patience is not None:  # the saved network is the best one and not the last
        row = best
    kind = "validation" if test is None else "test"
    own = seen if test is None else test  # the data of the accuracy
    chosen_by = report.chosen_by(args, trainer, seen is test)
    if recorder is not None:
        accuracy = report.end(args, recorder, trainer, cast(Any, seen), test, row).accuracy
    elif own is seen:
        accuracy = row["val_accuracy"]
    else:
        accuracy = trainer.evaluate(cast(Any, own)).accuracy
    if args.json:
        results = {
            "model": os.fspath(args.output),
            "test_accuracy": accuracy,
            "chosen_by": chosen_by,
            "epochs": len(history),
            "epoch": row,
            "checkpoint": args.checkpoint,
            "temperature": trainer.network.temperature,
            "report": args.report,
        }
        print(json_text(results))
        return
    text = f"{kind} accuracy {accuracy:.2%}"
    if args.patience is not None:
        text += f" after epoch {row['epoch']}, the best of {len(history)}"
    if chosen_by == kind:
        text += f"; chosen by the {kind} set itself"
    if chosen_by == "test":
        text += ": --validation 0.1 leaves it out of the training"
    print(text)
    if trainer.network.temperature is not None:
        print(
            f"temperature {trainer.network.temperature:.4g}, fitted to the validation pictures, "
            "for its probabilities"
        )
    page = None if recorder is None else recorder.folder.page
    for path in (args.output, args.plot, args.history, page):
        if path is not None:
            print(f"wrote {path}")
    if args.checkpoint is not None and best[monitor] != row[monitor]:
        file = os.path.join(args.checkpoint, "best.safetensors")
        is_loss = monitor == "val_loss"
        value = loss_text(best[monitor]) if is_loss else f"{best[monitor]:.2%}"
        print(f"{file} has the best of {monitor}, epoch {best['epoch']}'s {value}")
