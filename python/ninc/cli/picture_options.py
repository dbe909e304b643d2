"""Options that say how a network's pictures are prepared, and what they make of what it says."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING, Any

from .._base.files import reading, user_path
from ..errors import ArgumentError
from . import numbers

if TYPE_CHECKING:
    from ..network import Network
    from ..preprocess import Preprocessing

# The options that are fields of `Preprocessing`, as the command line and as the field have them.
_FIELDS = {name: name for name in ("mean", "std", "scale", "size", "resize", "ground")}
_FIELDS["fit"] = "fit_mode"


def add_framing(group: Any, size: str) -> None:
    """How pictures of any size become those that a network takes. size: the default, in words."""
    group.add_argument(
        "--resize",
        type=numbers.positive,
        metavar="N",
        help="bring the shorter side to N pixels before the centre is cut out "
        "(default: the least that covers --size)",
    )
    group.add_argument(
        "--size",
        type=numbers.size,
        metavar="N",
        help=f"height and width of the network's pictures, such as 64 or 48x64 (default: {size})",
    )
    group.add_argument(
        "--fit",
        choices=("crop", "pad", "squash"),
        help="what is done to pictures of other proportions: cut out the centre, pad all of it "
        "with the ground, or squash it (default crop)",
    )
    group.add_argument(
        "--ground",
        type=numbers.colour,
        metavar="COLOUR",
        help="what lies under transparent pixels and beside padded pictures: white, grey, black "
        "or #rrggbb (default white)",
    )


def add_description(group: Any) -> None:
    """What a network says of its pictures and classes, for files that do not say it."""
    group.add_argument(
        "--mean",
        type=numbers.row,
        metavar="R,G,B",
        help="mean of the training pictures in units of --scale, a number a channel; --mean=-1,0,1 "
        "where the first is below 0 (default 0)",
    )
    group.add_argument(
        "--std",
        type=numbers.row,
        metavar="R,G,B",
        help="standard deviation, likewise (default 1)",
    )
    group.add_argument(
        "--scale",
        type=numbers.positive_real,
        metavar="N",
        help="what pixels are divided by first: 255 for 0 to 1, 1 for whole numbers (default 255)",
    )
    add_framing(group, "pictures are taken as they are")
    group.add_argument(
        "--classes", metavar="FILE", help="names of the classes, one a line, in the outputs' order"
    )


def describes_pictures(args: argparse.Namespace) -> bool:
    """Whether the options say anything about how pictures are prepared."""
    return any(getattr(args, option) is not None for option in _FIELDS)


def classes_of(args: argparse.Namespace) -> list[str] | None:
    """The names in the file of --classes, one a line; None without the option."""
    if args.classes is None:
        return None
    place = user_path(args.classes)
    try:
        with reading(place), open(place, encoding="utf-8-sig") as file:
            names = file.read().rstrip("\n").split("\n")
    except UnicodeDecodeError as error:
        raise ArgumentError(f"{args.classes}: is no text in UTF-8 ({error.reason})") from None
    for number, name in enumerate(names, 1):
        if not name.strip():
            raise ArgumentError(f"{args.classes}: line {number} has no name of a class")
    return names


def describe(network: Network, args: argparse.Namespace, classes: list[str] | None) -> None:
    """Stores what the options say; what they do not say stays as the network has it."""
    if describes_pictures(args):
        network.preprocessing = _preprocessing(network, args)
    if classes is not None:
        try:
            network.classes = classes
        except ArgumentError as error:
            raise ArgumentError(f"{args.classes}: {error}") from None


def _preprocessing(network: Network, args: argparse.Namespace) -> Preprocessing:
    from ..formats.metadata import stored_preprocessing
    from ..preprocess import Preprocessing

    changes = {
        field: getattr(args, option)
        for option, field in _FIELDS.items()
        if getattr(args, option) is not None
    }
    stored = stored_preprocessing(network.core)
    if stored is not None:
        return dataclasses.replace(stored, **changes)
    # The first of the channels is the input's, which is open where no layer needs a certain number.
    count = next(iter(network.core.channels().values())) or len(changes.get("mean", (0.0,) * 3))
    settings = dict(size=None, channels=count, mean=(0.0,) * count, std=(1.0,) * count)
    return Preprocessing(**{**settings, **changes})
