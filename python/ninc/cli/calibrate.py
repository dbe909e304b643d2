"""`ninc eval --calibrate`: fits a model's temperature to pictures and writes the model with it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .._base.files import check_none_of, check_writable
from .._base.plain_json import json_text
from ..errors import ArgumentError, remark
from . import common

if TYPE_CHECKING:
    from ..data import Dataset
    from ..network import Network


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--calibrate",
        action="store_true",
        help="fit a temperature to the validation set, or to all pictures of data without parts, "
        "so that probabilities become as high as answers are right; the model with it is -o FILE",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="with --calibrate: model to write")


def check_used(args: argparse.Namespace) -> None:
    """Ends with a usage error where options do not go together."""
    if (args.output is not None) != args.calibrate:
        args.parser.error("--calibrate and -o FILE go together")
    if not args.calibrate:
        return
    if args.report is not None:
        args.parser.error("--calibrate writes a model and no report: leave out --report")
    if args.tta is not None:
        args.parser.error("--calibrate fits the answers of one look: leave out --tta")
    if args.split in ("train", "test"):
        args.parser.error(
            "--calibrate takes pictures that the model was neither trained on nor is tested on: "
            "--split validation, or --split all of other data"
        )


def run(args: argparse.Namespace) -> int:
    from ..inference.calibrate import calibration_of
    from ..inference.calibration import FEWEST

    check_writable(args.output)
    check_none_of(args.output, [args.data], "the data")
    network = common.load_network(args.model).to(args.device)
    data, words = _pictures(network, args)
    found = calibration_of(network, data, args.batch_size, progress=True)
    if found.images < FEWEST:
        remark(f"a temperature fitted to {found.images:,} pictures is much of it chance")
    network.save(args.output)
    if args.json:
        names = ("without", "with")
        told = {
            "data": words,
            "images": found.images,
            "temperature": found.temperature,
            "loss": dict(zip(names, found.loss)),
            "calibration_error": dict(zip(names, found.error)),
            "model": args.output,
        }
        print(json_text(told))
        return 0
    print(f"temperature {found.temperature:.4g}, fitted to {words}")
    print(
        f"on these pictures themselves: calibration error {found.error[0]:.2%}, with the "
        f"temperature {found.error[1]:.2%}; loss {found.loss[0]:.4g}, with it {found.loss[1]:.4g}"
    )
    print(f"wrote {args.output}")
    return 0


def _pictures(network: Network, args: argparse.Namespace) -> tuple[Dataset, str]:
    """What to fit to, and words for it; ArgumentError where these would be the test set."""
    from .. import data

    there = data.splits(args.data)
    if there == ("train",):
        if args.split == "validation":
            raise ArgumentError(
                f"{args.data}: has no validation set; --split all takes every picture"
            )
        args.split = "all"
        _check_others(network, args)
    elif args.split == "all" or "validation" not in there:
        raise ArgumentError(
            f"{args.data}: a temperature is fitted to a validation set, which these data "
            f"{'have: leave out --split all' if 'validation' in there else 'do not have'}; "
            "`ninc train --validation 0.1` fits one to pictures that it holds out of training"
        )
    else:
        args.split = "validation"
    loaded, words, _ = common.load_for(network, args.data, args)
    return loaded, words


def _check_others(network: Network, args: argparse.Namespace) -> None:
    """Raises ArgumentError where the data are those that the model was trained on."""
    record = network.held_out
    if record is None:
        return
    chosen = {"held_out": record.share, "seed": record.seed, "limit": record.limit}
    tested = common.load_split(args.data, "test", args, **chosen, **common.as_stored(network))
    if tested.fingerprint() == record.fingerprint:
        raise ArgumentError(
            f"{args.data}: {args.model} was trained on some of these pictures and is tested on the "
            "others; take further pictures, or `ninc train --validation 0.1`, which fits a "
            "temperature to pictures that it holds out of training"
        )
