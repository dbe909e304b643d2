"""Describe this build, or a model

examples:
  ninc info
  ninc info nin.safetensors
  ninc info nin-imagenet
  ninc info cifar10
  ninc info nin.safetensors --json
"""

from __future__ import annotations

import argparse
from typing import Any

from .._base.arguments import few
from .._base.plain_json import json_text
from .common import file_or_named_network, is_packaged, usual_input


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        metavar="MODEL",
        nargs="?",
        help="model file, or a name such as nin-cifar10, or cifar10 for the packaged network",
    )
    parser.add_argument(
        "--plan", action="store_true", help="show also the steps that run for one picture"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    if args.json:
        print(json_text(_build() if args.model is None else _network(args)))
    elif args.model is None:
        _print_build()
    else:
        _print_network(args)
    return 0


def _build() -> dict[str, Any]:
    import ninc

    from .. import packaged
    from ..control import device_info

    return {
        "version": ninc.__version__,
        "build": ninc.build_info(),
        "targets": ninc.targets(),
        "target": ninc.target(),
        "devices": device_info(),
        "threads": ninc.get_num_threads(),
        "pretrained": [packaged.about(name) for name in packaged.NAMES],
    }


def _network(args: argparse.Namespace) -> dict[str, Any]:
    from .. import packaged

    network = file_or_named_network(args.model)
    shape = (1, *usual_input(network, args.model))
    plan = network.core.plan_info(shape)
    return {
        "parameters": network.num_parameters,
        "layers": [{"name": node.name, "op": node.operation} for node in network.graph],
        "input_shape": list(shape),
        "flops": plan["flops"],
        "arena_bytes": plan["arena_bytes"],
        "classes": network.classes,
        "preprocessing": network.preprocessing,
        "temperature": network.temperature,
        "pretrained": packaged.about(args.model) if is_packaged(args.model) else None,
        "held_out": None if network.held_out is None else network.held_out.to_dict(),
    }


def _print_build() -> None:
    about = _build()
    print(f"ninc {about['version']}")
    for name, value in about["build"].items():
        print(f"{name}: {value}")
    print(f"targets of this build on this processor: {', '.join(about['targets'])}")
    for device in about["devices"]:
        state = f"not usable: {device['problem']}" if device["problem"] else device["description"]
        print(f"device {device['name']}: {state}")
    print(f"threads: {about['threads']}")
    for each in about["pretrained"]:
        print(f"packaged network {each['name']}: {_told(each)}")


def _told(about: dict[str, Any]) -> str:
    """Of a packaged network: its classes, and how often it is right."""
    return (
        f"{few(about['classes'])}; accuracy {about['test_accuracy']:.2%} on the test pictures of "
        f"{about['data_set']}, with flip averaging {about['test_accuracy_flip']:.2%}"
    )


def _print_network(args: argparse.Namespace) -> None:
    from .. import packaged
    from ..formats.metadata import stored_preprocessing

    network = file_or_named_network(args.model)
    shape = (1, *usual_input(network, args.model))
    if is_packaged(args.model):
        about = packaged.about(args.model)
        print(f"packaged network {args.model}: {_told(about)}\ntrained by: {about['command']}\n")
    print(network.summary(shape))
    if network.classes is not None:
        print(f"{len(network.classes)} classes: {few(network.classes)}")
    preprocessing = stored_preprocessing(network.core)
    if preprocessing is not None:
        print(f"pictures: {preprocessing.describe()}")
    if network.temperature is not None:
        print(f"temperature: {network.temperature:.4g}")
    if network.held_out is not None:
        print(f"held out in training: {network.held_out.describe()}")
    if args.plan:
        print(network.plan(shape).describe())
