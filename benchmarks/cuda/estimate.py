"""A roofline estimate of whole networks on an H100, from counts. No device has run anything.

Each pass takes as long as the busiest of five units would alone:

    tensor cores        2 * products, at what mma.sync reaches
    float32 units       2 * multiply-adds outside of tensor cores
    instruction issue   warp instructions but moves, one a cycle of each of 4 schedulers
    L2 cache            32 bytes a sector
    memory              every array once

divided by the share of multiprocessors that its blocks keep busy, and a launch for each kernel.
Counts of a small batch are scaled to the full one: operations and instructions by the multiply-adds
of whole tiles, sectors by their minima, the summing of weight gradients by the number of sums. The
other layers are taken to cost their memory traffic.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from .counts import kernels, total


class Device(NamedTuple):
    name: str
    multiprocessors: int
    clock: float  # Hz
    tensor: float  # FLOP/s, dense TF32
    tensor_share: float  # of it that mma.sync reaches
    float32: float  # FLOP/s
    l2: float  # bytes/s
    memory: float  # bytes/s
    launch: float  # seconds from one kernel of a graph to the next


# NVIDIA's data sheet, whose 495 TFLOP/s are 132 multiprocessors at 1.83 GHz. What mma.sync reaches:
# Luo et al., arXiv 2501.12084. L2 cache: about what Chips and Cheese measured in 2023. The
# launch is an assumption.
H100 = Device("H100 SXM", 132, 1.83e9, 495e12, 0.62, 67e12, 5.5e12, 3.35e12, 1.5e-6)

UNITS = ("tensor", "float32", "issue", "L2", "memory")


class Network(NamedTuple):
    title: str
    full_batch: int
    parameters: int
    # Floats a picture of each layer beside the convolutions: what it reads and what it writes.
    pools: tuple[tuple[int, int], ...]
    dropouts: tuple[int, ...]
    maps: int  # floats a picture that are averaged


NETWORKS = {
    "nin-cifar10": Network(
        "NIN-CIFAR",
        128,
        966_986,
        ((32 * 32 * 96, 16 * 16 * 96), (16 * 16 * 192, 8 * 8 * 192)),
        (16 * 16 * 96, 8 * 8 * 192),
        8 * 8 * 10,
    ),
    "nin-imagenet": Network(
        "NIN-ImageNet",
        64,
        7_595_176,
        (
            (54 * 54 * 96, 27 * 27 * 96),
            (27 * 27 * 256, 13 * 13 * 256),
            (13 * 13 * 384, 6 * 6 * 384),
        ),
        (6 * 6 * 384,),
        6 * 6 * 1000,
    ),
}


class Cost(NamedTuple):
    """Seconds of one pass at the full batch, of all layers of its kind."""

    layer: str
    which: str
    units: tuple[float, ...]  # as UNITS
    busy: float  # share of the multiprocessors' time until the last block ends
    launches: int
    seconds: float


def cost(row: dict, device: Device = H100) -> Cost:
    least, full = row["least"], row["full"]
    grown = full["tiled"] / least["tiled"]
    instructions = 0.0
    for name, counts in kernels(row).items():
        scale = full["blocks"] / least["blocks"] if name == "ninc_conv2d_sum" else grown
        instructions += (counts["warp_instructions"] - counts["move"]) * scale
    sectors = total(row, "global_load_sectors", "global_store_sectors")
    units = (
        2 * total(row, "mma_operations") * grown / (device.tensor * device.tensor_share),
        2 * total(row, "fma_operations") * grown / device.float32,
        instructions / (4 * device.multiprocessors * device.clock),
        32 * sectors * full["sectors"] / least["sectors"] / device.l2,
        full["memory_bytes"] / device.memory,
    )
    rounds = full["blocks"] / device.multiprocessors
    busy = rounds / math.ceil(rounds)
    layers = row["layer"].count(",") + 1
    launches = len(kernels(row)) * layers
    seconds = max(units) / busy * layers + launches * device.launch
    return Cost(
        row["layer"], row["pass"], tuple(u * layers for u in units), busy, launches, seconds
    )


def passes(rows: list[dict], training: bool) -> list[dict]:
    """The rows that a forward run, or a training step, is made of."""
    wanted = {"forward", "training" if training else "inference"}
    if training:
        wanted |= {"backward data", "backward weights"}
    return [row for row in rows if row["pass"] in wanted and not row["chained"]]


def others(network: Network, rows: list[dict], training: bool, device: Device = H100) -> float:
    """Seconds of what is not a convolution: its traffic, and its launches."""
    images = network.full_batch
    floats = images * (sum(a + b for a, b in network.pools) + network.maps)
    launches = len(network.pools) + 2  # average, softmax
    if training:
        # Forward and backward read and write a dropout's map; a pool's gradient reads both maps.
        floats += images * (4 * sum(network.dropouts) + network.maps)
        floats += images * sum(2 * a + b for a, b in network.pools)
        launches += 2 * len(network.dropouts) + len(network.pools) + 2
        # Weights are packed twice. An update reads gradient, velocity and weight, writes two.
        floats += (2 * 2 + 5) * network.parameters
        layers = sum(r["layer"].count(",") + 1 for r in rows if r["pass"] == "backward weights")
        launches += 2 * layers + 2 * layers  # packing; weights and biases
    return 4 * floats / device.memory + launches * device.launch
