"""Measure images a second and GFLOP/s

examples:
  ninc bench
  ninc bench nin-imagenet --batch 1
  ninc bench nin.safetensors --training --threads 2
  ninc bench nin-cifar10 --json
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from .._base.plain_json import json_text
from .common import add_machine, file_or_named_network, use_threads, usual_input
from .numbers import positive

# So many seconds are enough for the clock, and for a processor to reach its lasting speed.
_SECONDS = 3.0
_FEWEST_RUNS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        metavar="MODEL",
        nargs="?",
        default="nin-cifar10",
        help="model file, or a name (default nin-cifar10)",
    )
    parser.add_argument(
        "--batch", type=positive, default=64, metavar="N", help="images a run (default 64)"
    )
    parser.add_argument(
        "--training", action="store_true", help="measure training steps instead of inference"
    )
    parser.add_argument("--target", metavar="NAME", help="instruction set, as `ninc info` lists")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_machine(parser)


def run(args: argparse.Namespace) -> int:
    import numpy as np

    import ninc

    if args.target is not None:
        ninc.set_target(args.target)
    use_threads(args)
    network = file_or_named_network(args.model).to(args.device)
    shape = (args.batch, *usual_input(network, args.model))
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape, np.float32)
    if args.training:
        outputs = network.core.output_shape(shape)[1]
        labels = rng.integers(0, outputs, args.batch)
        # With a rate of almost nothing the work is the same, and the weights cannot run away.
        trainer = ninc.Trainer(network, ninc.SGD(1e-9, momentum=0.9))
        seconds = _median_seconds(lambda: float(trainer.step(x, labels)))
    else:
        seconds = _median_seconds(lambda: network(x))
    flops = network.core.plan_info(shape, training=args.training)["flops"]
    if args.json:
        results = {
            "model": args.model,
            "training": args.training,
            "batch": args.batch,
            "device": args.device,
            "threads": ninc.get_num_threads(),
            "target": ninc.target(),
            "seconds": seconds,
            "images_per_second": args.batch / seconds,
            "gflops_per_second": flops / seconds / 1e9,
        }
        print(json_text(results))
        return 0
    where = f"{ninc.get_num_threads()} threads" if args.device == "cpu" else args.device
    print(
        f"{args.model} {'training' if args.training else 'inference'}, batch {args.batch}, "
        f"{where}: {args.batch / seconds:,.1f} images/s, "
        f"{1e3 * seconds:,.2f} ms a run, {flops / seconds / 1e9:,.1f} GFLOP/s"
    )
    return 0


def _median_seconds(work: Callable[[], object]) -> float:
    """The median time of one call, after a first call that makes plans and packs weights."""
    work()
    times: list[float] = []
    while len(times) < _FEWEST_RUNS or sum(times) < _SECONDS:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]
