"""Peak memory of inference at batch 128: a process an engine, so that each answers for itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

import ninc

from . import peers, rows

_RUNS = 3


def measure(threads: int, progress) -> tuple[list[dict], list[dict]]:
    """Megabytes of every engine that is installed, and why others are left out.

    imported: resident once the engine's modules are loaded; peak: the most until it has run three
    times; growth: the peak beyond `imported`, which is what the network costs.
    """
    row = rows.row(rows.MEMORY_ROW)
    network = row.build()
    measured, left_out = [], []
    for engine in peers.INFERENCE:
        missing = engine.missing()
        if missing:
            left_out.append({"name": engine.name, "reason": f"{', '.join(missing)} not installed"})
            continue
        progress(f"peak memory of {row.title}: {engine.name}")
        with tempfile.TemporaryDirectory() as folder:
            path = engine.save(network, row.input_shape, folder)
            command = [sys.executable, "-m", __name__, engine.name, path, str(threads)]
            result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        measured.append(
            {
                "name": engine.name,
                "title": row.title,
                "target": ninc.target(),
                "threads": threads,
                **json.loads(result.stdout.splitlines()[-1]),
            }
        )
    return measured, left_out


def _resident(field: str) -> float:
    """Megabytes of this process, from /proc: "VmRSS" now or "VmHWM" at the most."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith(field + ":"))
    return int(line.split()[1]) * 1024 / 1e6


def main():
    name, path, threads = sys.argv[1:]
    engine = peers.named(name)
    x, _ = rows.row(rows.MEMORY_ROW).data(1)
    module = engine.module()
    imported = _resident("VmRSS")
    loaded = module.load(os.fspath(path), x, int(threads), **engine.variant)
    for _ in range(_RUNS):
        loaded.run()
    peak = _resident("VmHWM")
    print(
        json.dumps(
            {
                "precision": loaded.precision,
                "imported_mb": imported,
                "peak_mb": peak,
                "growth_mb": peak - imported,
            }
        )
    )


if __name__ == "__main__":
    main()
