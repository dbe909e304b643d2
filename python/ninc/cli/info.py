"""Describe this build, or a model

examples:
  ninc info
  ninc info nin.safetensors
  ninc info nin-imagenet
"""

from __future__ import annotations

import argparse

from .common import file_or_named_network, usual_input


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", metavar="MODEL", nargs="?", help="model file, or a name such as nin-cifar10"
    )
    parser.add_argument(
        "--plan", action="store_true", help="show also the steps that run for one picture"
    )


def run(args: argparse.Namespace) -> int:
    if args.model is None:
        _print_build()
    else:
        _print_network(args)
    return 0


def _print_build() -> None:
    import ninc

    print(f"ninc {ninc.__version__}")
    for name, value in ninc.build_info().items():
        print(f"{name}: {value}")
    print(f"targets of this processor: {', '.join(ninc.targets())}")
    print(f"threads: {ninc.get_num_threads()}")


def _print_network(args: argparse.Namespace) -> None:
    network = file_or_named_network(args.model)
    shape = (1, *usual_input(network, args.model))
    print(network.summary(shape))
    if network.classes is not None:
        shown = ", ".join(network.classes[:10]) + (", ..." if len(network.classes) > 10 else "")
        print(f"{len(network.classes)} classes: {shown}")
    preprocessing = network._stored_preprocessing()
    if preprocessing is not None:
        print(f"pictures: {preprocessing.describe()}")
    if args.plan:
        print(network.plan(shape).describe())
