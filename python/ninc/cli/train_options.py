"""The options of `ninc train` and what they make of a recipe."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError
from ..training import schedules
from ..training.averages import EMA, SWA
from ..training.monitor import MONITOR
from ..training.optim import OPTIMIZERS
from . import numbers
from .augment_option import augmentation, forms
from .common import INPUTS, add_data, add_data_options, add_machine, model_name
from .picture_options import add_framing
from .report import add_option

if TYPE_CHECKING:
    from ..network import Network
    from ..training.trainer import Trainer

_SCHEDULES: dict[str, Callable[[], schedules.Schedule]] = {
    "constant": schedules.Constant,
    "step": lambda: schedules.Step((0.5, 0.75), relative=True),
    "cosine": schedules.Cosine,
    "one-cycle": schedules.OneCycle,
    "plateau": schedules.Plateau,
}
_AVERAGES = {"ema": EMA, "swa": SWA}
# What stands for the last weights, in place of a recipe's averages.
_NO_AVERAGE = "none"
_OPTIMIZERS = {name.lower(): kind for name, kind in OPTIMIZERS.items()}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="model file to write")
    beginning = parser.add_mutually_exclusive_group()
    beginning.add_argument(
        "--model",
        type=model_name,
        choices=sorted(INPUTS),
        default="nin-cifar10",
        metavar="NAME",
        help=f"one of {', '.join(INPUTS)} (default nin-cifar10)",
    )
    beginning.add_argument(
        "--init",
        metavar="FILE",
        help="go on from this model file or checkpoint, or from cifar10, the packaged network: its "
        "architecture, weights and picture size; for other classes with a new last layer",
    )
    parser.add_argument(
        "--pool2",
        choices=("avg", "max"),
        help="the network's second pool: max as in the authors' cuda-convnet, avg as in their "
        "Caffe model (default avg for nin-cifar10, else max; all of nin-imagenet's are max)",
    )
    parser.add_argument("--json", action="store_true", help="print the results as one JSON object")
    parser.add_argument("--plot", metavar="FILE", help="write loss and accuracy as a PNG picture")
    parser.add_argument("--history", metavar="FILE", help="write them as JSON, a line an epoch")
    add_option(parser)
    add_machine(parser)
    _add_checkpoints(parser.add_argument_group("to stop and go on"))
    _add_training(parser.add_argument_group("how to train; without these, as the recipe says"))
    pictures = parser.add_argument_group("which pictures")
    add_data_options(pictures)
    add_framing(pictures, "what the network was made for")


def _add_checkpoints(group: Any) -> None:
    group.add_argument(
        "--checkpoint",
        metavar="DIR",
        help="folder of this run's own: checkpoints, the best network, history and settings",
    )
    group.add_argument(
        "--resume",
        action="store_true",
        help="go on where the run in --checkpoint DIR stopped; begin it where there is none",
    )
    group.add_argument(
        "--checkpoint-every",
        type=_every,
        metavar="WHEN",
        help="checkpoints within an epoch: a number of steps, or a time such as 90s, 10m or 2h "
        "(default 10m; one is written at each epoch's end in any case)",
    )


def _add_training(group: Any) -> None:
    group.add_argument(
        "--recipe",
        choices=("original", "fast"),
        default="fast",
        help="the paper's settings, or batch norm with a one-cycle rate and settings by --model "
        "(default fast)",
    )
    group.add_argument(
        "--epochs", type=numbers.positive, metavar="N", help="passes over the pictures"
    )
    group.add_argument(
        "--batch-size",
        type=numbers.positive,
        metavar="N",
        help="pictures a step (default 128; with fast-cifar10 256, of original with nin-imagenet "
        "64; of fast, less where an epoch would have less than 16 steps)",
    )
    group.add_argument(
        "--shards",
        type=numbers.positive,
        default=1,
        metavar="N",
        help="compute each batch in N parts, one after another, which takes less memory; under "
        "mpiexec the workers share them out",
    )
    group.add_argument(
        "--sync-batch-norm",
        action="store_true",
        help="with --shards: batch norms normalise by the whole batch, not by each part, which "
        "takes the memory of a whole batch and more",
    )
    group.add_argument(
        "--wait",
        type=numbers.positive_real,
        metavar="SECONDS",
        help="under mpiexec: end where a worker has waited so long for another (default 600)",
    )
    group.add_argument(
        "--optimizer",
        choices=_OPTIMIZERS,
        default="sgd",
        help="adam and adamw take a rate of 0.001 and their own decay, 0 and 0.01, unless told "
        "(default sgd)",
    )
    group.add_argument("--lr", type=numbers.positive_real, metavar="RATE", help="learning rate")
    group.add_argument(
        "--momentum", type=numbers.share_or_none, metavar="M", help="SGD's momentum, below 1"
    )
    group.add_argument(
        "--weight-decay", type=numbers.not_negative_real, metavar="D", help="decay of the kernels"
    )
    group.add_argument(
        "--clip-norm",
        type=numbers.positive_real,
        metavar="NORM",
        help="limit the gradients' norm to this",
    )
    group.add_argument(
        "--label-smoothing",
        type=numbers.share_or_none,
        metavar="E",
        help="share of the target spread over classes; 0 for none",
    )
    group.add_argument(
        "--class-weights",
        choices=("balanced",),
        help="balanced: classes of few pictures count for more in the loss, so that all count the "
        "same together",
    )
    group.add_argument(
        "--schedule",
        choices=_SCHEDULES,
        help="how the rate moves: step falls at 50 and 75 %% of the run, plateau where the "
        "held-out loss stands still for 3 epochs, each time to a tenth",
    )
    group.add_argument(
        "--warmup",
        type=numbers.not_negative_real,
        metavar="EPOCHS",
        help="raise the rate from a tenth first; 0 for none",
    )
    group.add_argument(
        "--average",
        type=_average,
        metavar="KIND",
        help="train on, but test and save averaged weights: ema or ema:DECAY, swa or swa:START, "
        "a share of the run (ema:0.999, swa:0.75); none leaves out the recipe's average",
    )
    group.add_argument(
        "--preprocessing",
        choices=("normalize", "gcn_zca"),
        help="mean and deviation of each channel, or the paper's whitening",
    )
    augmenting = group.add_mutually_exclusive_group()
    augmenting.add_argument(
        "--augment",
        type=augmentation,
        metavar="STEPS",
        help="change pictures at random by these steps, such as padcrop:4,alternatingflip,cutout:8 "
        f"({forms()}; a step that ends in @EPOCHS is taken in so many first epochs)",
    )
    augmenting.add_argument(
        "--no-augment", action="store_true", help="take the pictures as they are, uncropped"
    )
    group.add_argument(
        "--freeze",
        action="append",
        default=[],
        metavar="PATTERN",
        help="hold layers or parameters still, batch norm's statistics too, such as 'conv1' or "
        "'*conv[12]*'; may be given several times",
    )
    group.add_argument(
        "--validation",
        type=numbers.share,
        metavar="SHARE",
        help="choose by a share of the training pictures, and look at the test set at the end only",
    )
    group.add_argument(
        "--patience",
        type=numbers.positive,
        metavar="N",
        help="end after N epochs without a better --monitor, and save the best network",
    )
    group.add_argument(
        "--monitor",
        choices=("val_accuracy", "val_loss"),
        help="what makes a network the best, for --patience and in --checkpoint DIR "
        f"(default {MONITOR})",
    )


def _every(text: str) -> int | str:
    from ..training.record.checkpoint import Pace

    every = int(text) if text.isdecimal() else text
    try:
        Pace(every)
    except ArgumentError:
        raise argparse.ArgumentTypeError(
            f"must be a number of steps or a time such as 90s, 10m or 2h, got {text!r}"
        ) from None
    return every


def _average(text: str) -> Any:
    if text == _NO_AVERAGE:
        return text
    name, _, number = text.partition(":")
    try:
        kind = _AVERAGES[name]
        return kind(float(number)) if number else kind()
    except (KeyError, ArgumentError, ValueError):
        raise argparse.ArgumentTypeError(
            "must be ema, ema:DECAY, swa or swa:START with a number between 0 and 1, or none, got "
            f"{text!r}"
        ) from None


def make_trainer(args: argparse.Namespace, network: Network, comm: Any = None) -> Trainer:
    """The recipe's trainer, changed where the command line says otherwise. comm: as of Trainer."""
    from ..training import recipes

    if comm is not None and args.wait is not None:
        from ..distributed import Workers

        comm = Workers(comm, args.wait)
    recipe = recipes.recipe(args.recipe, args.model)
    schedule = recipe.schedule if args.schedule is None else _SCHEDULES[args.schedule]()
    if args.warmup:
        schedule = schedules.Warmup(args.warmup, then=schedule)
    names = ("momentum", "weight_decay", "clip_norm")
    changed = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if args.momentum == 0:
        changed["nesterov"] = False  # Nesterov's step needs a momentum
    usual = None if args.no_augment else recipe.augment(args.epochs or recipe.epochs)
    trainer = recipe.trainer(
        network,
        usual if args.augment is None else args.augment,
        args.lr,
        args.seed,
        schedule=schedule,
        label_smoothing=args.label_smoothing,
        average=None if args.average == _NO_AVERAGE else args.average,
        optimizer=_OPTIMIZERS[args.optimizer],
        shards=args.shards,
        comm=comm,
        sync_batch_norm=args.sync_batch_norm,
        **changed,
    )
    if args.average == _NO_AVERAGE:
        trainer.average = None
    return trainer


def check_used(args: argparse.Namespace) -> None:
    """Ends with a usage error where an option would be ignored."""
    for option, given in (
        ("--resume", args.resume),
        ("--checkpoint-every", args.checkpoint_every is not None),
    ):
        if given and args.checkpoint is None:
            args.parser.error(f"{option} needs --checkpoint DIR")
    if args.sync_batch_norm and args.shards == 1:
        args.parser.error("--sync-batch-norm needs --shards N of 2 or more")
    if args.momentum is not None and args.optimizer != "sgd":
        args.parser.error(f"--momentum is SGD's; --optimizer {args.optimizer} has none")
    if args.monitor is not None and args.checkpoint is None and args.patience is None:
        args.parser.error("--monitor needs --patience N or --checkpoint DIR")


def fit_options(args: argparse.Namespace, images: int, pictures: bool = True) -> dict[str, Any]:
    """The arguments of `Trainer.fit` for so many images; `pictures`: whether they are uint8."""
    from ..training import recipes

    recipe = recipes.recipe(args.recipe, args.model)
    preprocessing = args.preprocessing
    if preprocessing is None:
        preprocessing = recipe.preprocessing if pictures else "normalize"
    every = "10m" if args.checkpoint is not None else None
    return dict(
        epochs=args.epochs or recipe.epochs,
        batch_size=args.batch_size or recipe.batch_size_for(images),
        checkpoint_dir=args.checkpoint,
        resume=args.resume,
        checkpoint_every=args.checkpoint_every or every,
        patience=args.patience,
        monitor=args.monitor or MONITOR,
        preprocessing=preprocessing,
        freeze=list(args.freeze),
        class_weights=args.class_weights,
    )
