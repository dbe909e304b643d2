"""Bring a network from one format to another

The format of IN is told by what the file holds, that of OUT by its ending.

  read:     caffemodel, of either of Caffe's formats; onnx; safetensors
  written:  safetensors; onnx

ONNX files need the package onnx: pip install "ninc[onnx]".

Most files do not say how their pictures are prepared, or what the classes are called. Options say
it here, and then OUT does: y = (x / scale - mean) / std, of pixels x from 0 to 255, in the order
red, green, blue.

A caffemodel describes its network by itself. Where the description for deployment is another, or
has the size of the pictures, --prototxt takes that one.

examples:
  ninc convert nin.caffemodel nin.safetensors
  ninc convert nin.caffemodel nin.safetensors --prototxt deploy.prototxt --rgb
  ninc convert nin.safetensors small.safetensors --dtype bfloat16
  ninc convert resnet18.onnx resnet18.safetensors --mean 0.485,0.456,0.406 \\
      --std 0.229,0.224,0.225 --resize 256 --size 224 --classes imagenet.txt
  ninc convert nin.safetensors nin.onnx
"""

from __future__ import annotations

import argparse
import dataclasses
import errno
import os
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from .._base.files import check_none_of, check_writable, reading, user_path
from ..errors import ArgumentError, FileError, ModelError, Remark
from ..formats.foreign import begins_as_onnx, begins_as_safetensors, kind_of
from ..formats.names import SET_PREPROCESSING
from .picture_options import add_description, classes_of, describe, describes_pictures

if TYPE_CHECKING:
    from ..network import Network


_LOOKED_AT = 512  # bytes of a file, by which every format is told


@dataclasses.dataclass(frozen=True)
class Format:
    """A format that is read. begins: tells it by a file's first bytes and its size.

    options: of the command, which go with this format alone.
    """

    name: str
    begins: Callable[[bytes, int], bool]
    read: Callable[[argparse.Namespace], Network]
    options: tuple[str, ...] = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", metavar="IN", help="model file of any format that is read, or cifar10"
    )
    parser.add_argument("target", metavar="OUT", help="model file to write, such as o.safetensors")
    parser.add_argument(
        "--prototxt",
        metavar="FILE",
        help="with a caffemodel: the network as this file describes it",
    )
    parser.add_argument(
        "--rgb",
        action="store_true",
        help="with a caffemodel: turn the first layer, so that pictures of red, green, blue are "
        "taken by a network that was trained on blue, green, red",
    )
    parser.add_argument(
        "--outputs",
        nargs="+",
        metavar="NAME",
        help="with onnx: the values, or the nodes that give them, which the network is to end in",
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "float16", "bfloat16"),
        help="with OUT in safetensors: how weights are stored (default: float32)",
    )
    add_description(parser.add_argument_group("what OUT says of pictures and classes"))


def run(args: argparse.Namespace) -> int:
    from ..packaged import get_pretrained_path, is_meant

    ending = os.path.splitext(args.target)[1].lower()
    if ending not in WRITERS:
        known = ", ".join(WRITERS)
        raise ArgumentError(f"{args.target}: the ending says no format that is written: {known}")
    if is_meant(args.source):
        args.source = get_pretrained_path(args.source)
    found = format_of(args.source)
    for option in ("prototxt", "rgb", "outputs"):
        if getattr(args, option) and option not in found.options:
            args.parser.error(f"--{option} does not go with {found.name}, which {args.source} is")
    if args.dtype is not None and ending != ".safetensors":
        args.parser.error(f"--dtype goes with safetensors, not with {args.target}")
    check_none_of(
        args.target, filter(None, (args.source, args.prototxt, args.classes)), "what is converted"
    )
    check_writable(args.target)
    classes = classes_of(args)
    with warnings.catch_warnings():
        if describes_pictures(args):
            warnings.filterwarnings("ignore", f".*{re.escape(SET_PREPROCESSING)}", Remark)
        network = found.read(args)
    describe(network, args, classes)
    WRITERS[ending](network, args)
    print(f"{args.target}: {network.num_parameters:,} parameters, from {found.name}")
    return 0


def format_of(path: str) -> Format:
    """The format of a file, by its content; ModelError where it is none that is read."""
    place = user_path(path)
    if os.path.isdir(place):
        raise FileError(f"{path}: is a folder, a model file is needed", errno.EISDIR, path)
    with reading(place), open(place, "rb") as file:
        head, size = file.read(_LOOKED_AT), os.fstat(file.fileno()).st_size
    for each in READERS:
        if each.begins(head, size):
            return each
    kind = kind_of(place)
    found = "is of no format that is read" if kind is None else f"is {kind}; what is read here"
    known = ", ".join(each.name for each in READERS)
    raise ModelError(f"{path}: {found}: {known}")


def foreign_format(path: str) -> str | None:
    """The name of the format, other than ninc's own, that a file seems to have; None for none."""
    try:
        name = format_of(path).name
    except (FileError, ModelError):
        return None
    return None if name == "safetensors" else name


# ---- Formats -------------------------------------------------------------------------------------


def _read_safetensors(args: argparse.Namespace) -> Network:
    import ninc

    return ninc.load(args.source)


def _is_caffemodel(head: bytes, size: int) -> bool:
    from ..formats.caffe.files import is_caffemodel

    return is_caffemodel(head, size)


def _read_caffemodel(args: argparse.Namespace) -> Network:
    import ninc

    return ninc.load_caffe(args.source, args.prototxt, rgb=args.rgb)


def _is_onnx(head: bytes, size: int) -> bool:
    return begins_as_onnx(head)


def _read_onnx(args: argparse.Namespace) -> Network:
    import ninc

    return ninc.load_onnx(args.source, outputs=args.outputs)


def _write_safetensors(network: Network, args: argparse.Namespace) -> None:
    network.save(args.target, args.dtype or "float32")


def _write_onnx(network: Network, args: argparse.Namespace) -> None:
    network.export_onnx(args.target)


# The first whose bytes these can be.
READERS = (
    Format("safetensors", begins_as_safetensors, _read_safetensors),
    Format("onnx", _is_onnx, _read_onnx, ("outputs",)),
    Format("caffemodel", _is_caffemodel, _read_caffemodel, ("prototxt", "rgb")),
)
WRITERS = {".safetensors": _write_safetensors, ".onnx": _write_onnx}
