"""Say what is in a picture

examples:
  ninc predict nin.safetensors cat.jpg dog.jpg
  ninc predict nin.safetensors *.jpg --top 1 --json
"""

from __future__ import annotations

import argparse

from ..plain_json import json_text
from .common import add_device, add_threads, load_network, use_threads
from .numbers import positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="model file")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="picture files")
    parser.add_argument(
        "--top", type=positive, default=5, metavar="N", help="show N likeliest classes (default 5)"
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object a picture, a line each"
    )
    add_device(parser)
    add_threads(parser)


def run(args: argparse.Namespace) -> int:
    use_threads(args)
    network = load_network(args.model).to(args.device)
    probabilities = network.predict(args.images)  # N×classes
    names = network._class_names(probabilities.shape[1])
    for image, row in zip(args.images, probabilities):
        best = row.argsort(kind="stable")[::-1][: args.top]
        if args.json:
            classes = [{"class": names[i], "probability": float(row[i])} for i in best]
            print(json_text({"image": image, "predictions": classes}))
        else:
            print(f"{image}: " + ", ".join(f"{names[i]} {row[i]:.1%}" for i in best))
    return 0
