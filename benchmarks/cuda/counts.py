"""Counts of the emulated device, row by row as tests/cuda/kernels/count_layers.cc prints them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

# Limits that the layers after the first are to keep.
OPERATIONS, SECTORS, CONFLICTS = 1.15, 1.5, 0.05

PRECISIONS = ("float32", "strict", "fast")


def count(build: Path, network: str, batch: int, precision: str, full_batch: int) -> list[dict]:
    """Runs count_layers of a build with tests; one row for each layer and pass."""
    tests = build / "tests"
    environment = dict(os.environ, LD_LIBRARY_PATH=str(tests / "cuda_emulator"))
    done = subprocess.run(
        [tests / "cuda" / "cuda_count_layers", network, str(batch), precision, str(full_batch)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def kernels(row: dict) -> dict[str, dict]:
    """The row's kernels but the packing of weights, which a plan does once."""
    return {name: c for name, c in row["kernels"].items() if name != "ninc_conv2d_pack"}


def total(row: dict, *keys: str) -> int:
    return sum(counts[key] for counts in kernels(row).values() for key in keys)


def operations(row: dict, precision: str) -> float:
    """Multiply-adds done, where three products of TF32 make one of float32."""
    products = 3 if precision == "float32" else 1
    return total(row, "fma_operations") + total(row, "mma_operations") / products


def ratios(row: dict, precision: str) -> tuple[float, float, float]:
    """Operations and sectors beside the least there could be, conflicts a shared access."""
    return (
        operations(row, precision) / row["least"]["multiply_adds"],
        total(row, "global_load_sectors", "global_store_sectors") / row["least"]["sectors"],
        total(row, "bank_conflicts") / max(1, total(row, "shared_accesses")),
    )


def beyond_limits(rows: list[dict], precision: str) -> list[str]:
    """Rows after the first layer that cost more than the limits allow, and what does."""
    found = []
    for row in rows:
        if row["layer"] == "conv1":
            continue
        values = ratios(row, precision)
        limits = (("operations", OPERATIONS), ("sectors", SECTORS), ("bank conflicts", CONFLICTS))
        for (what, limit), value in zip(limits, values):
            if value > limit:
                found.append(
                    f"{row['layer']} {row['pass']}: {what} {value:.2f}, at most {limit:.2f}"
                )
    return found
