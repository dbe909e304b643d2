"""What several commands share: options, models by name, and data for a network."""

from __future__ import annotations

import argparse
import dataclasses
import errno
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._base.arguments import few
from .._base.files import user_path
from ..errors import ArgumentError, FileError, ModelError
from .numbers import not_negative, positive, share
from .terminal import say

if TYPE_CHECKING:
    from ..data import Dataset
    from ..formats.held_out import HeldOut
    from ..network import Network

# (height and width, channels) of the pictures each network was made for.
INPUTS = {
    "nin-cifar10": (32, 3),
    "nin-cifar100": (32, 3),
    "nin-svhn": (32, 3),
    "nin-mnist": (28, 1),
    "nin-imagenet": (224, 3),
    "fast-cifar10": (32, 3),
}

# This share of each class is held out of data without a test set.
HELD_OUT = 0.1

# What a split is called: in data that are divided, and in data that are not.
_PARTS = {
    "train": "in the training set",
    "validation": "in the validation set",
    "test": "in the test set",
    "all": "in all",
}
_SHARES = {"train": "not held out", "test": "held out", "all": "in all"}

_MODEL_ENDING = ".safetensors"

# Train, validation and test set may each keep decoded pictures.
_SPLITS = 3

# So many damaged pictures are named in one line; the Dataset's `skipped` has all.
_MOST_NAMES = 20


def add_threads(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--threads",
        type=positive,
        metavar="N",
        help="work on N threads (default: what this process may use)",
    )


def add_machine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--device",
        choices=("cpu", "cuda"),
        default="cpu",
        help="where to compute (default cpu); `ninc info` lists what this build has",
    )
    add_threads(parser)


def add_tta(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tta",
        choices=("flip",),
        help="look at each picture's mirror image, too, and take the mean of both scores before "
        "the softmax: a little more accurate, at twice the work",
    )


def use_threads(args: argparse.Namespace) -> None:
    import ninc

    if args.threads is not None:
        ninc.set_num_threads(args.threads)


def load_network(path: str) -> Network:
    """The network in a model file, or a packaged one by its name, where no file has this name.

    Raises FileError or ModelError where there is none.
    """
    import ninc

    from ..data.listing import has_picture_ending

    if is_packaged(path):
        return ninc.pretrained(path)
    # A missing file is found here to say so in the plainest words; the core finds all other faults.
    if not _exists(path):
        raise FileError(f"{path}: no such model file", errno.ENOENT, path)
    if os.path.isdir(path):
        raise FileError(f"{path}: is a folder, a model file is needed", errno.EISDIR, path)
    if has_picture_ending(path):
        message = f"{path}: is named as a picture; MODEL comes first, then the pictures"
        raise FileError(message, filename=path)
    try:
        return ninc.load(path)
    except ModelError as error:
        from .convert import foreign_format

        kind = foreign_format(path)
        if kind is None:
            raise
        raise ModelError(
            f"{path}: seems to be {kind}; `ninc convert {shlex.quote(path)} OUT.safetensors` makes "
            "a model file of such a network"
        ) from error


def is_packaged(word: str) -> bool:
    """Whether a packaged network is meant; a file of its name comes first, with a remark."""
    from ..packaged import is_meant

    return is_meant(word)


def model_and_pictures(args: argparse.Namespace) -> tuple[Network, list[str]]:
    """The network and the pictures of `[MODEL] IMAGE ...`; without MODEL the packaged network.

    Which network that is, stderr is told. Ends with a usage error where no picture is named.
    """
    import ninc

    from ..packaged import DEFAULT

    given = [word for word in (args.model, *(args.images or ())) if word is not None]
    if args.model is not None and not _is_picture(args.model, alone=len(given) == 1):
        if len(given) == 1:
            args.parser.error(f"a picture is missing: ninc {args.command} {args.model} IMAGE")
        return load_network(args.model), given[1:]
    if not given:
        args.parser.error("the following arguments are required: IMAGE")
    for name in given[1:]:
        if name.lower().endswith(_MODEL_ENDING):
            args.parser.error(f"{name} is named as a model: MODEL comes first, then the pictures")
    network = ninc.pretrained(DEFAULT)
    say(f"the packaged network {DEFAULT}: {few(network.classes or ())}")
    return network, given


def _is_picture(word: str, alone: bool) -> bool:
    """Whether the first word of `[MODEL] IMAGE ...` is a picture, or a folder of such.

    alone: whether no other word follows; then a file is a picture whatever its name, unless it is
        a model's. Before other words, cifar10 is the packaged network, whatever lies there.
    """
    from ..data.listing import has_picture_ending
    from ..packaged import NAMES
    from .convert import format_of

    if word in NAMES and not alone:
        return False
    if word == "-" or os.path.isdir(user_path(word)) or has_picture_ending(word):
        return True
    if not alone or word in NAMES or word.lower().endswith(_MODEL_ENDING):
        return False
    try:
        format_of(word)
    except (FileError, ModelError):
        return True
    return False


def add_model_and_pictures(parser: argparse.ArgumentParser) -> None:
    """Adds `[MODEL] IMAGE ...`, which `model_and_pictures` reads.

    Neither is required as argparse sees it: which of the two a single word is, is found later.
    """
    model = parser.add_argument(
        "model",
        metavar="[MODEL]",
        help="model file, or cifar10, the packaged network (default where IMAGE comes first)",
    )
    images = parser.add_argument(
        "images", metavar="IMAGE", nargs="+", help="picture files, or folders with such"
    )
    model.required = images.required = False


def file_or_named_network(name: str) -> Network:
    """The network of a model file, or one by name: a packaged one, or a published, untrained."""
    import ninc

    from ..packaged import NAMES

    published = _published(name)
    if published is not None:
        return ninc.models.create(published)
    if name not in NAMES and not _exists(name):
        message = f"{name}: no such model file, and not one of {', '.join((*INPUTS, *NAMES))}"
        raise FileError(message, errno.ENOENT, name)
    return load_network(name)


def model_name(text: str) -> str:
    """A published network's name as the command line has it, of its function's name, too."""
    return text.replace("_", "-")


def _published(name: str) -> str | None:
    """The published network that is meant; None for a model file, which may be called likewise."""
    if name in INPUTS:
        return name
    return model_name(name) if model_name(name) in INPUTS and not _exists(name) else None


def _exists(path: str) -> bool:
    """Whether the system finds something there, or will not say, which whoever opens it tells."""
    try:
        os.stat(user_path(path))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def usual_input(network: Network, name: str) -> tuple[int, int, int]:
    """(C, H, W) of a network's usual input: its pictures' size, or its name's, or 32×32."""
    settings = network.preprocessing
    if settings is not None and settings["size"] is not None:
        return settings["channels"], *settings["size"]
    published = _published(name)
    if published is not None:
        size, channels = INPUTS[published]
        return channels, size, size
    # The first convolution's O×I×R×S tells the channels; NIN takes any height and width.
    first = next(value for value in network.parameters().values() if value.ndim == 4)
    return first.shape[1], 32, 32


def load_for(network: Network, path: str, args: argparse.Namespace) -> tuple[Dataset, str, str]:
    """Labelled pictures as the network wants them, and words for which these are.

    The last value is what to remark on the results, "" for nothing. Without --split these are the
    test set where there is one, else what was held out of the data when the network was trained,
    else all pictures.
    """
    from .. import data

    pictures = as_stored(network)
    there, record = data.splits(path), network.held_out
    divided = there != ("train",)
    if divided or args.split not in ("train", "test"):
        for option, given in (("--held-out", args.held_out), ("--seed", args.seed)):
            if given is not None:
                args.parser.error(
                    f"{option} says what to hold out anew: it goes with --split train or test, of "
                    "data without a test set"
                )
    doubt = ""
    if args.split is None and record is not None and not divided:
        loaded = _load_recorded(record, path, args, pictures)
        words = f"held out of {Path(path)} when the network was trained"
    else:
        split = args.split or ("test" if divided else "all")
        share = args.held_out or (record.share if record else HELD_OUT)
        seed = args.seed if args.seed is not None else record.seed if record else 0
        chosen = {"held_out": share, "seed": seed, "limit": args.limit}
        loaded = load_split(path, split, args, **chosen, **pictures)
        if divided and split == "test" and "test" not in there:
            split = "validation"  # `load` takes the same part then
        words = f"{(_PARTS if divided else _SHARES).get(split, split)} of {Path(path)}"
        if split != "all" and not divided:
            words += f" with --held-out {share:g} and --seed {seed}"
        if args.split is None and not divided:
            doubt = (
                f"{args.model} does not say that any of these pictures were held out: the result "
                "is too good if the network was trained on some of them; --split test takes what "
                f"ninc.data.load(..., 'test') does, {HELD_OUT:g} of each class"
            )
    if not pictures and loaded.is_pictures:
        raise ArgumentError(f"{args.model}: the model says nothing about the pictures it takes")
    return loaded, f"{len(loaded):,} pictures {words}", doubt


def as_stored(network: Network) -> dict[str, Any]:
    """Options of `data.load` for pictures as the network takes them; none where it says nothing."""
    from ..formats.metadata import stored_preprocessing

    settings = stored_preprocessing(network.core)
    return {} if settings is None else dataclasses.asdict(settings.framing)


def _load_recorded(
    record: HeldOut, path: str, args: argparse.Namespace, pictures: Mapping[str, Any]
) -> Dataset:
    """What was held out when the network was trained; raises ArgumentError for other data."""
    from ..data.dataset import first_of_each

    chosen = {"held_out": record.share, "seed": record.seed, "limit": record.limit}
    loaded = load_split(path, "test", args, **chosen, **pictures)
    if loaded.fingerprint() != record.fingerprint:
        raise ArgumentError(
            f"{path}: not the data {args.model} was trained on, of which "
            f"{record.describe()} were held out; --split all takes every picture of these, and "
            "says little where some of them were trained on"
        )
    if args.limit is not None:
        loaded = loaded.subset(first_of_each(loaded.labels, args.limit))
    return loaded


def load_split(path: str, split: str, args: argparse.Namespace, **options: Any) -> Dataset:
    """One split of the data, read as command line and `options` say; reports what was left out.

    Of several workers each reads what it needs, and they share the memory of their machine.
    """
    from .. import data
    from .._base.memory import available_memory
    from ..data.listing import some_names

    workers = getattr(args, "workers_here", 1)
    loaded = data.load(
        path,
        split,
        **options,
        on_error="skip" if args.on_corrupt == "skip" else "raise",
        in_memory=False if args.stream or workers > 1 else None,
        cache=None if workers == 1 else available_memory() // (_SPLITS * 4 * workers),
        progress=True,
    )
    count = len(loaded.skipped)
    if count:
        names = some_names(loaded.skipped, _MOST_NAMES)
        say(f"left out {count:,} damaged picture{'' if count == 1 else 's'}: {names}")
    return loaded


def add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "data",
        metavar="DATA",
        help="folder of pictures, one folder a class; or with CIFAR, MNIST or SVHN files; or a "
        ".npz file, or a .csv table of files and classes",
    )


def add_data_options(parser: Any, defaults: str = "") -> None:
    """Adds the options that choose and read pictures; train and eval must mean the same.

    parser: a parser, or a group of its options.
    defaults: words for the values that the command finds by itself.
    """
    parser.add_argument(
        "--held-out",
        type=share,
        metavar="SHARE",
        help="without a test set, hold out this share of each class "
        f"(default {defaults or HELD_OUT})",
    )
    parser.add_argument(
        "--seed",
        type=not_negative,
        default=None if defaults else 0,
        metavar="N",
        help=f"seed of everything random, also of what is held out (default {defaults or 0})",
    )
    parser.add_argument(
        "--limit", type=positive, metavar="N", help="take N pictures a class, for a quick try"
    )
    parser.add_argument(
        "--on-corrupt",
        choices=("fail", "skip"),
        default="fail",
        help="what to do about a damaged picture: end there, or name it and go on (default fail)",
    )
    parser.add_argument(
        "--stream",
        action="store_true",
        help="read pictures as they are needed (default: only where memory has no room for all)",
    )
