"""Batches in shards beside whole ones, and workers beside one process of as many threads.

python -m benchmarks.scaling                   # shards, in one process
mpiexec -n 2 python -m benchmarks.scaling      # workers; needs 'ninc[mpi]'
python -m benchmarks.scaling --sync-batch-norm # with either: batch norms over the whole batch

NIN-CIFAR at batch 128, steps alone: pictures are made ready beside them. All figures are medians of
ratios of steps timed in turns. With workers the parts of a step are timed too, and the model of
docs/scaling.md made of them is put beside what one and two workers take, and asked for more; not so
with --sync-batch-norm, whose messages it knows nothing of.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from typing import Any

import ninc
from ninc.cli.numbers import positive
from ninc.distributed.launched import launched_comm

from . import measured, model

GOAL = 0.95  # of the speed of one process, or of the whole batch

# What the forecast is for: 16 pictures a shard, networks of 1, 10 and 100 Gbit/s.
_FORECAST_SHARDS = 512
_WORKERS = (1, 2, 3, 8, 32, 100, 128, 512)
_NETWORKS = {"1 Gbit/s": 0.117e9, "10 Gbit/s": 1.17e9, "100 Gbit/s": 11.7e9}
_LATENCY = 30e-6


def shards(rounds: int, sync: bool) -> bool:
    reached = True
    for norm in (True,) if sync else (True, False):
        for threads in (2, 1):
            ninc.set_num_threads(threads)
            found = measured.of_shards(norm, rounds, sync)
            words = ", ".join(
                f"{count}: {seconds * 1e3:.0f} ms ({ratio:.3f})"
                for count, (seconds, ratio) in found.items()
            )
            print(
                f"{'with' if norm else 'without'} batch norm, {threads} threads; shards, a step, "
                f"times as fast as 1: {words}",
                flush=True,
            )
            reached &= found[measured.SHARDS][1] >= GOAL
    return reached


def workers(comm: Any, rounds: int, sync: bool) -> bool:
    times = measured.of_workers(comm, rounds, sync)
    reached = True
    if comm.Get_rank() == 0:
        reached = compare(comm.Get_size(), times)
    if not sync:
        parts, added = measured.parts(comm, rounds)
        network = measured.network(comm, parts.size)
        if comm.Get_rank() == 0:
            put_beside_the_model(comm.Get_size(), times, parts, added, network)
    return reached


def compare(size: int, times: dict[str, list[float]]) -> bool:
    ratios = {
        name: statistics.median(a / b for a, b in zip(times[name], times["together"]))
        for name in ("alone", "whole")
    }
    step = {name: statistics.median(each) for name, each in times.items()}
    print(f"{size} workers of one thread: {step['together'] * 1e3:.1f} ms a step")
    print(
        f"one process of {size} threads: {step['alone'] * 1e3:.1f} ms in {measured.SHARDS} shards, "
        f"the workers {ratios['alone']:.3f} times as fast; {step['whole'] * 1e3:.1f} ms with whole "
        f"batches, {ratios['whole']:.3f} times"
    )
    return ratios["alone"] >= GOAL


def put_beside_the_model(
    size: int,
    times: dict[str, list[float]],
    parts: model.Parts,
    added: float,
    network: model.Network,
) -> None:
    step = {name: statistics.median(each) for name, each in times.items()}
    print(
        f"parts: {added * 1e3:.1f} ms for a worker's shards, {parts.update * 1e3:.1f} ms for the "
        f"update, sums of {parts.size:,} floats, {network.bandwidth / 1e9:.2f} GB/s and "
        f"{network.latency * 1e6:.0f} µs between workers"
    )
    for count, name in ((1, "one"), (size, "together")):
        predicted = model.step(count, measured.BATCH, measured.SHARDS, parts, network)
        print(
            f"workers: {count}; the model says {predicted * 1e3:.1f} ms, "
            f"{predicted / step[name]:.3f} of the {step[name] * 1e3:.1f} ms that they take"
        )
    forecast(parts)


def forecast(parts: model.Parts) -> None:
    """Steps of one batch that one thread and many workers share."""
    pictures = _FORECAST_SHARDS * measured.BATCH // measured.SHARDS
    print(f"\nforecast: {_FORECAST_SHARDS} shards of {measured.BATCH // measured.SHARDS} pictures")
    print(f"{'workers':>8}" + "".join(f"{name:>26}" for name in _NETWORKS))
    one = model.step(1, pictures, _FORECAST_SHARDS, parts, model.Network(1.0, 0.0))
    for count in _WORKERS:
        row = f"{count:>8}"
        for bandwidth in _NETWORKS.values():
            network = model.Network(bandwidth, _LATENCY)
            seconds = model.step(count, pictures, _FORECAST_SHARDS, parts, network)
            row += f"{pictures / seconds:>12,.0f}/s ({one / seconds / count:6.1%} each)"
        print(row)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scaling",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=positive, default=10)
    parser.add_argument("--sync-batch-norm", action="store_true")
    args = parser.parse_args()
    comm, sync = launched_comm(), args.sync_batch_norm
    reached = shards(args.rounds, sync) if comm is None else workers(comm, args.rounds, sync)
    if not reached:
        print(f"below the goal of {GOAL}")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
