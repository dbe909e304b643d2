"""Train a network on a folder of images or another data set

DATA holds train/CLASS/*.jpg and test/CLASS/*.jpg, or CLASS/*.jpg alone (a share is held out);
or the files of CIFAR-10 or CIFAR-100, binary or pickled, or of MNIST or Fashion-MNIST (IDX, also
.gz); or it is a .npz file with arrays x and y.

examples:
  ninc train cifar10 -o nin.safetensors
  ninc train pets -o pets.safetensors --epochs 30 --plot pets.png
  ninc train cifar10 -o try.safetensors --limit 100 --epochs 2
  ninc train fashion-mnist -o clothes.safetensors --model nin-mnist
"""

from __future__ import annotations

import argparse
import sys

from .common import (
    INPUTS,
    add_data,
    add_data_options,
    add_threads,
    load_split,
    positive,
    positive_real,
    use_threads,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="model file to write")
    parser.add_argument(
        "--model",
        choices=sorted(INPUTS),
        default="nin-cifar10",
        metavar="NAME",
        help=f"one of {', '.join(INPUTS)} (default nin-cifar10)",
    )
    parser.add_argument(
        "--recipe",
        choices=("original", "fast"),
        default="fast",
        help="the paper's settings, or batch norm with a one-cycle rate (default fast)",
    )
    parser.add_argument("--epochs", type=positive, metavar="N", help="passes over the pictures")
    parser.add_argument("--batch-size", type=positive, metavar="N", help="pictures a step")
    parser.add_argument("--lr", type=positive_real, metavar="RATE", help="learning rate")
    parser.add_argument(
        "--no-augment", action="store_true", help="take the pictures as they are, uncropped"
    )
    parser.add_argument("--plot", metavar="FILE", help="write loss and accuracy as a PNG picture")
    parser.add_argument("--history", metavar="FILE", help="write them as JSON, a line an epoch")
    add_data_options(parser)
    add_threads(parser)


def run(args: argparse.Namespace) -> int:
    import ninc

    from .. import recipes
    from ..files import check_writable

    # Hours of training must not end in "permission denied".
    for path in (args.output, args.plot, args.history):
        if path is not None:
            check_writable(path)
    use_threads(args)
    train, test = _load(args)
    recipe = recipes.recipe(args.recipe)
    network = ninc.models.create(
        args.model,
        num_classes=len(train.classes),
        batch_norm=recipe.batch_norm,
        seed=args.seed,
    )
    augment = None if args.no_augment else recipes.augmentation(args.model)
    trainer = recipe.trainer(network, augment, args.lr, args.seed)
    _announce(args, network, train, test)
    try:
        trainer.fit(
            train,
            test,
            epochs=args.epochs or recipe.epochs,
            batch_size=args.batch_size or recipe.batch_size,
        )
    except KeyboardInterrupt:
        if not len(trainer.history):
            print("ninc: interrupted in the first epoch; nothing saved", file=sys.stderr)
            return 1
        _save(args, trainer)
        print(
            f"ninc: interrupted after epoch {len(trainer.history)}; "
            f"{args.output} holds the network as it is now",
            file=sys.stderr,
        )
        return 1
    _save(args, trainer)
    _report(args, trainer.history)
    return 0


def _load(args: argparse.Namespace) -> tuple:
    """(training set, test set), at the size the network takes."""
    side, channels = INPUTS[args.model]
    train, test = (
        load_split(args.data, split, (side, side), channels, args) for split in ("train", "test")
    )
    return train, test


def _announce(args: argparse.Namespace, network, train, test) -> None:
    held_out = "" if test is None else f", {len(test):,} to test with"
    print(
        f"{args.model}, {network.num_parameters:,} parameters, recipe {args.recipe}: "
        f"{len(train):,} pictures of {len(train.classes)} classes{held_out}",
        file=sys.stderr,
    )


def _save(args: argparse.Namespace, trainer) -> None:
    trainer.network.save(args.output)
    if args.history is not None:
        trainer.history.save(args.history)
    if args.plot is not None:
        trainer.history.plot(args.plot)


def _report(args: argparse.Namespace, history) -> None:
    row = history.rows[-1]
    if "val_accuracy" in row:
        print(f"test accuracy {row['val_accuracy']:.2%}")
    for path in (args.output, args.plot, args.history):
        if path is not None:
            print(f"wrote {path}")
