"""Measure images a second and GFLOP/s

examples:
  ninc bench
  ninc bench nin-imagenet --batch 1
  ninc bench nin.safetensors --training --threads 2
  ninc bench nin-cifar10 --json
  ninc bench nin-cifar10 --batch 1 --timeline run.json
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from .._base.files import check_none_of, check_writable, write_whole
from .._base.plain_json import json_text
from .._base.plain_text import one_line
from .common import add_machine, file_or_named_network, use_threads, usual_input
from .numbers import positive

if TYPE_CHECKING:
    from ..network import Network

Work = Callable[[], object]

# So many seconds are enough for the clock, and for a processor to reach its lasting speed.
_SECONDS = 3.0
_FEWEST_RUNS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        metavar="MODEL",
        nargs="?",
        default="nin-cifar10",
        help="model file, or a name such as cifar10 (default nin-cifar10)",
    )
    parser.add_argument(
        "--batch", type=positive, default=64, metavar="N", help="images a run (default 64)"
    )
    parser.add_argument(
        "--training", action="store_true", help="measure training steps instead of inference"
    )
    parser.add_argument("--target", metavar="NAME", help="instruction set, as `ninc info` lists")
    parser.add_argument(
        "--timeline",
        metavar="FILE",
        help="write when each step of a further run began and ended and what each thread did "
        "meanwhile, for https://ui.perfetto.dev",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_machine(parser)


def run(args: argparse.Namespace) -> int:
    import ninc

    if args.timeline is not None:
        if args.device != "cpu":
            args.parser.error(
                "--timeline shows what the processor's threads do: it goes with --device cpu"
            )
        check_writable(args.timeline)
        check_none_of(args.timeline, [args.model], "the model")
    if args.target is not None:
        ninc.set_target(args.target)
    use_threads(args)
    network = file_or_named_network(args.model).to(args.device)
    shape = (args.batch, *usual_input(network, args.model))
    work = _work(network, shape, args.training)
    seconds = _median_seconds(work)
    flops = network.core.plan_info(shape, training=args.training)["flops"]
    where = f"{ninc.get_num_threads()} threads" if args.device == "cpu" else args.device
    what = f"{args.model} {'training' if args.training else 'inference'}, batch {args.batch}"
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
    lines = [
        f"{what}, {where}: {args.batch / seconds:,.1f} images/s, "
        f"{1e3 * seconds:,.2f} ms a run, {flops / seconds / 1e9:,.1f} GFLOP/s"
    ]
    if args.timeline is not None:
        from .timeline import Timeline, told

        timeline = Timeline(work, ninc.get_num_threads())
        write_whole(args.timeline, json_text(timeline.trace(f"{what}, {where}")).encode())
        results["timeline"] = timeline.summary()
        lines += told(timeline.summary(), one_line(args.timeline))
    print(json_text(results) if args.json else "\n".join(lines))
    return 0


def _work(network: Network, shape: tuple[int, int, int, int], training: bool) -> Work:
    """One run of the network, or one training step, on random pictures."""
    import numpy as np

    import ninc

    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape, np.float32)
    if not training:
        return lambda: network(x)
    labels = rng.integers(0, network.core.output_shape(shape)[1], len(x))
    # With a rate of almost nothing the work is the same, and the weights cannot run away.
    trainer = ninc.Trainer(network, ninc.SGD(1e-9, momentum=0.9))
    return lambda: float(trainer.step(x, labels))


def _median_seconds(work: Work) -> float:
    """The median time of one call, after a first call that makes plans and packs weights."""
    work()
    times: list[float] = []
    while len(times) < _FEWEST_RUNS or sum(times) < _SECONDS:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]
