"""Show where in a picture a model sees a class

Writes the picture with the class's map laid over it: bright where it spoke for the class.

examples:
  ninc explain nin.safetensors cat.jpg -o cat-map.png
  ninc explain nin.safetensors cat.jpg -o dog-map.png --class dog
"""

from __future__ import annotations

import argparse

from .common import add_device, add_threads, load_network, use_threads


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="model file")
    parser.add_argument("image", metavar="IMAGE", help="picture file")
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="PNG file to write")
    parser.add_argument(
        "--class",
        dest="label",
        metavar="NAME",
        help="explain this class, by name or number (default: the likeliest)",
    )
    add_device(parser)
    add_threads(parser)


def run(args: argparse.Namespace) -> int:
    from ..explanation import explain
    from ..files import check_writable

    check_writable(args.output)
    use_threads(args)
    network = load_network(args.model).to(args.device)
    explanation = explain(network, args.image, args.label)
    explanation.save(args.output)
    print(f"{args.image}: {explanation.name} {explanation.probability:.1%}")
    print(f"wrote {args.output}")
    return 0
