"""One process for a row on one instruction set and number of threads: its engines in turn.

`run` starts it; the environment that holds the peers to an instruction set must be there before
they are imported.
"""

from __future__ import annotations

import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import ninc

from .. import peers, timing
from . import agreement, rows

# Peers read these once, when they are imported. ONEDNN_...: convolutions of torch and OpenVINO;
# ATEN_...: torch's own loops; MKL_...: torch's matrix products. ONNX Runtime has no such variable.
HOLD_PEERS = {
    "avx512": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"},  # bfloat16's products, no matrix units
    "avx2": {
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
}


def run(
    name: str, target: str, threads: int, rounds: int, seconds: float, engines: list[str]
) -> dict:
    """Measures the row of this name in a process of its own; what `measure` gives.

    Raises RuntimeError where the process fails; its own words stand on stderr.
    """
    environment = {**os.environ, **HOLD_PEERS.get(target, {}), "NINC_TARGET": target}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "row.json")
        settings = json.dumps(
            {"threads": threads, "rounds": rounds, "seconds": seconds, "engines": engines}
        )
        command = [sys.executable, "-m", __name__, name, settings, str(out)]
        if subprocess.run(command, env=environment).returncode:
            raise RuntimeError(f"measuring {name} on {target} with {threads} threads failed")
        return json.loads(out.read_text())


def measure(
    row: rows.Row,
    threads: int,
    rounds: int,
    seconds: float,
    progress: Callable[[str], None],
    engines: Sequence[str] = ("*",),
) -> dict:
    """A row's engines, ninc and the peers of these names or patterns, checked against each other
    and timed in turn.

    Raises agreement.Disagreement where ninc's results are not its peers'.
    """
    make, all_engines = (
        (_inference, peers.INFERENCE) if row.kind == rows.INFERENCE else (_training, peers.TRAINING)
    )
    chosen = peers.chosen(all_engines, engines)
    gflop, calls, described, left_out = make(row, chosen, threads, progress)
    left_out += [
        {"name": engine.name, "reason": "not asked for"}
        for engine in all_engines
        if engine not in chosen
    ]
    limit = _limit(threads)
    with timing.Disturbance() as others:
        times = timing.interleaved(calls, rounds, seconds, progress)
    limit = max(limit, _limit(threads))
    for name, values in times.items():
        described[name]["seconds"] = statistics.median(values)
        described[name]["fastest"] = min(values)
        described[name]["calls"] = len(values)
    scaling = _scaling(calls[peers.NINC], threads, rounds, seconds, progress)
    return {
        "row": row.name,
        "title": row.title,
        "target": ninc.target(),
        "best_target": _on_best_target(),
        "threads": threads,
        "batch": row.batch,
        "gflop": gflop,
        "limit_gflops": limit,
        "others_cores": others.cores,
        "engines": list(described.values()),
        "left_out": left_out,
        "scaling": scaling,
    }


def _scaling(call, threads, rounds, seconds, progress) -> dict | None:
    """Seconds of ninc's call on one thread and on all, in turns; None where there is one thread.

    limit_gain is how many times as many multiply-adds all threads made in registers meanwhile: a
    virtual machine's processors may share a core.
    """
    if threads == 1:
        return None

    def on(count):
        ninc.set_num_threads(count)
        call()

    calls = {"one_thread": functools.partial(on, 1), "all_threads": functools.partial(on, threads)}
    gains = []
    with timing.Disturbance() as others:
        times = timing.interleaved(
            calls, rounds, seconds, progress, lambda: gains.append(_limit(threads) / _limit(1))
        )
    ninc.set_num_threads(threads)
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {**medians, "limit_gain": statistics.median(gains), "others_cores": others.cores}


def _limit(threads: int) -> float:
    """GFLOP/s of multiply-adds in registers, once the engines' threads have stopped spinning."""
    time.sleep(timing.PAUSE)
    return ninc._core.measure_peak_gflops(threads)


def _inference(row, chosen, threads, progress):
    network = row.build()
    x, _ = row.data(1)

    def load(engine):
        with tempfile.TemporaryDirectory() as folder:
            path = engine.save(network, row.input_shape, folder)
            return engine.module().load(path, x, threads, **engine.variant)

    engines, left_out = _present(chosen, load, progress)
    described = _described(engines, agreement.compare_outputs(row.name, engines))
    gflop = network.plan(row.input_shape).flops / 1e9
    return gflop, {name: loaded.run for name, loaded in engines.items()}, described, left_out


def _training(row, chosen, threads, progress):
    network = row.build()
    x, labels = row.data(network.core.output_shape(row.input_shape)[1])

    def training(network, rate, weight_decay):
        return lambda engine: engine.module().Training(
            network, x, labels, threads, rate, weight_decay, **engine.variant
        )

    checked = training(agreement.steady(network), agreement.CHECK_RATE, 0.0)
    engines, left_out = _present(chosen, checked, progress)
    described = _described(engines, agreement.compare_training(row.name, engines))
    present = [engine for engine in chosen if engine.name in engines]
    del engines  # and the memory of their activations
    engines, _ = _present(present, training(network, 1e-3, 1e-4), progress)
    gflop = network.plan(row.input_shape, training=True).flops / 1e9
    return gflop, {name: built.step for name, built in engines.items()}, described, left_out


def _present(engines: Iterable[peers.Engine], load, progress):
    """What `load` makes of each engine, by name, and why some are left out."""
    loaded, left_out = {}, []
    for engine in engines:
        progress(f"loading {engine.name}")
        missing = engine.missing()
        if missing:
            left_out.append({"name": engine.name, "reason": f"{', '.join(missing)} not installed"})
            continue
        try:
            loaded[engine.name] = load(engine)
        # OpenVINO's bf16 asks for more than it is then allowed; not every peer has every layer.
        except (RuntimeError, ninc.ModelError) as error:
            reason = str(error).strip().splitlines()[-1]
            left_out.append({"name": engine.name, "reason": f"does not run here: {reason}"})
    return loaded, left_out


def _described(engines, differences) -> dict[str, dict]:
    return {
        name: {
            "name": name,
            "precision": loaded.precision,
            "instruction_set": loaded.instruction_set,
            "held": _on_best_target() or loaded.instruction_set == ninc.target(),
            "difference": differences[name].value,
            "disagreement": None if differences[name].agrees else str(differences[name]),
        }
        for name, loaded in engines.items()
    }


def _on_best_target() -> bool:
    return ninc.target() == ninc.targets()[0]


def main():
    name, settings, out = sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3])
    row = rows.row(name)
    prefix = f"{row.title}, {ninc.target()}, {settings['threads']} threads"
    try:
        result = measure(row, **settings, progress=functools.partial(show, prefix))
    except agreement.Disagreement as error:
        sys.exit(str(error))
    out.write_text(json.dumps(result))


def show(prefix: str, text: str) -> None:
    """A line of progress; on a terminal it takes the place of the one before."""
    if sys.stderr.isatty():
        print(f"\r\033[K{prefix}: {text}", end="", file=sys.stderr, flush=True)
    else:
        print(f"{prefix}: {text}", file=sys.stderr)


if __name__ == "__main__":
    main()
