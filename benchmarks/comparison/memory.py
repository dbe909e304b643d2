"""Peak memory at batch 128, inference and training: a process an engine, so that each answers for
itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

import ninc

from .. import peers
from . import rows

_RUNS = 3


def measure(threads: int, progress) -> tuple[list[dict], list[dict]]:
    """Megabytes of every engine that is installed, and why others are left out.

    imported: resident once the engine's modules are loaded; peak: the most until it has run three
    times; growth: the peak beyond `imported`, which is what the network costs.
    """
    measured, left_out = [], []
    for name in rows.MEMORY_ROWS:
        row = rows.row(name)
        for engine in _engines(row):
            missing = engine.missing()
            if missing:
                reason = f"{', '.join(missing)} not installed, {row.title} left out"
                left_out.append({"name": engine.name, "reason": reason})
                continue
            progress(f"peak memory of {row.title}: {engine.name}")
            measured.append(
                {
                    "name": engine.name,
                    "row": row.name,
                    "title": row.title,
                    "target": ninc.target(),
                    "threads": threads,
                    **_in_process(row, engine, threads),
                }
            )
    return measured, left_out


def _engines(row: rows.Row) -> tuple[peers.Engine, ...]:
    return peers.INFERENCE if row.kind == rows.INFERENCE else peers.TRAINING


def _in_process(row: rows.Row, engine: peers.Engine, threads: int) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        path = ""
        if row.kind == rows.INFERENCE:
            path = engine.save(row.build(), row.input_shape, folder)
        command = [sys.executable, "-m", __name__, row.name, engine.name, path, str(threads)]
        result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def _resident(field: str) -> float:
    """Megabytes of this process, from /proc: "VmRSS" now or "VmHWM" at the most."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith(field + ":"))
    return int(line.split()[1]) * 1024 / 1e6


def main():
    row_name, name, path, threads = sys.argv[1:]
    row = rows.row(row_name)
    engine = next(engine for engine in _engines(row) if engine.name == name)
    module = engine.module()
    if row.kind == rows.INFERENCE:
        x, _ = row.data(1)
        imported = _resident("VmRSS")
        loaded = module.load(os.fspath(path), x, int(threads), **engine.variant)
        run = loaded.run
    else:
        network = row.build()
        x, labels = row.data(network.core.output_shape(row.input_shape)[1])
        imported = _resident("VmRSS")
        loaded = module.Training(network, x, labels, int(threads), 1e-3, 1e-4, **engine.variant)
        run = loaded.step
    for _ in range(_RUNS):
        run()
    peak = _resident("VmHWM")
    figures = {"imported_mb": imported, "peak_mb": peak, "growth_mb": peak - imported}
    print(json.dumps({"precision": loaded.precision, **figures}))


if __name__ == "__main__":
    main()
