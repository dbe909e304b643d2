"""A web service with two worker processes, ninc beside ONNX Runtime in the same server: NIN-CIFAR.

python -m benchmarks.serving                      # 100,000 requests to each; needs uvicorn
python -m benchmarks.serving --requests 20000 --rounds 4 --json results.json
python -m benchmarks.serving --peer none          # ninc alone, to see that it endures

examples/service.py as it stands, under uvicorn; and the same program with a session of ONNX Runtime
where it has its network. Each process predicts on four threads, while another thread renews the
weights whenever the model file changes, which it does twice a second here. One client, on the same
processors, keeps 16 connections busy. The two take turns in rounds; both servers are up meanwhile.

Every answer is compared with what the network says with the first or with the second weights: one
of a mixture would be neither. Requests a second and their ratio are medians of the rounds. Memory
is what the worker processes hold after each round. ONNX Runtime is first tried with one thread a
run and with two, and is measured with what serves most.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np

import ninc
from benchmarks import peers, timing, write_json
from benchmarks.comparison import report
from ninc.cli.numbers import positive
from ninc.preprocess import Preprocessing

from .service import apps
from .service.engine import RIGHT, TOLERANCE, Engine, Settings, alike

GOAL = 1.2  # times the peer's requests a second
_PEER = next(engine for engine in peers.INFERENCE if engine.name == peers.ONNX_RUNTIME)
_TRIAL = 500  # requests with which each variant of the peer is tried
_TRIALS = 5  # times
_PICTURES = 32
_SIDE = 32
_SPREAD = 300.0  # how much larger the last layer's weights are


def networks() -> list[ninc.Network]:
    """An untrained NIN-CIFAR, with its first weights and with its second.

    Its last layer is made larger: else all classes are as likely as another to three digits, and
    answers of different weights hard to tell apart.
    """
    made = [ninc.models.nin_cifar10(seed=seed) for seed in range(len(RIGHT))]
    for network in made:
        name, weight = [
            item for item in network.state_dict().items() if item[0].endswith(".weight")
        ][-1]
        network.load_state_dict({name: _SPREAD * weight}, strict=False)
        network.preprocessing = Preprocessing((_SIDE, _SIDE), 3, (0.5,) * 3, (0.25,) * 3)
        network.classes = [f"class {number}" for number in range(10)]
    return made


def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return list(rng.integers(0, 256, (_PICTURES, _SIDE, _SIDE, 3), dtype=np.uint8))


def own_engine(folder: Path, settings: Settings) -> Engine:
    versions = [folder / f"{number}.safetensors" for number in range(len(RIGHT))]
    for network, path in zip(networks(), versions):
        network.save(path)
    application = "benchmarks.service.apps:ninc"
    make = apps.own_service
    return Engine(peers.NINC, application, versions, pictures(), make, settings)


def peer_engine(folder: Path, settings: Settings, variant: dict) -> Engine:
    folder.mkdir()
    versions = [folder / f"{number}.onnx" for number in range(len(RIGHT))]
    for network, path in zip(networks(), versions):
        _PEER.module().save(network, (1, 3, _SIDE, _SIDE), path)
        apps.save_settings(network, path)
    apps.save_settings(network, folder / "served.onnx")
    application = "benchmarks.service.apps:onnxruntime"
    make = apps.onnx_service
    return Engine(_PEER.name, application, versions, pictures(), make, settings, variant, TOLERANCE)


def best_variant(folder: Path, settings: Settings, progress) -> tuple[dict, dict[str, float]]:
    """How ONNX Runtime serves most, and requests a second of all that was tried, in turns."""
    rates: dict[str, list[float]] = {}
    with contextlib.ExitStack() as stack:
        engines = []
        for number, variant in enumerate(apps.VARIANTS):
            engines.append(peer_engine(folder / str(number), settings, variant))
            stack.enter_context(engines[-1].serving())
        for turn in range(_TRIALS + 1):
            progress(f"{_PEER.name}, each way in turn, {turn} of {_TRIALS}")
            for engine, variant in zip(engines, apps.VARIANTS):
                rate = _TRIAL / engine.round(_TRIAL).seconds
                if turn > 0:  # before that it optimises and allocates
                    rates.setdefault(described(variant), []).append(rate)
    medians = {way: statistics.median(found) for way, found in rates.items()}
    return max(apps.VARIANTS, key=lambda variant: medians[described(variant)]), medians


def described(variant: dict) -> str:
    if variant["threads"] == 1:
        return "1 thread a run"
    idle = "which spin" if variant["spinning"] else "which sleep"
    return f"{variant['threads']} threads a run, {idle} when idle"


def measure(requests: int, rounds: int, settings: Settings, with_peer: bool, progress) -> dict:
    """The figures of each engine after `requests` in all. RuntimeError where answers differ."""
    tried = {}
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        engines = [own_engine(folder, settings)]
        if with_peer:
            variant, tried = best_variant(folder, settings, progress)
            engines.append(peer_engine(folder / "peer", settings, variant))
            check_agreement(*engines)
        for engine in engines:
            stack.enter_context(engine.serving())
            engine.round(_TRIAL)  # compiles, packs, allocates
        others = []
        for turn in range(rounds):
            count = requests * (turn + 1) // rounds - requests * turn // rounds
            for engine in engines[:: 1 if turn % 2 == 0 else -1]:
                with timing.Disturbance() as disturbance:
                    results = engine.round(count)
                engine.keep(results)
                rate = count / results.seconds
                progress(f"round {turn + 1} of {rounds}: {engine.name} {rate:.0f} requests/s")
                if disturbance.cores is not None:
                    own = results.server_cpu_seconds / results.seconds
                    others.append(max(0.0, disturbance.cores - own))
        return {
            "settings": vars(settings),
            "tried": tried,
            "engines": [engine.figures() for engine in engines],
            "others_cores": sum(others) / len(others) if others else None,
        }


def check_agreement(first: Engine, second: Engine) -> None:
    """Raises RuntimeError unless both say the same of all pictures with either weights."""
    for own, other in zip(first.expected, second.expected):
        if not all(map(alike, own, other)):
            raise RuntimeError(f"{first.name} and {second.name} answer differently")


# ---- What is printed -----------------------------------------------------------------------------


def lines(results: dict) -> list[str]:
    settings = results["settings"]
    changes = f"every {settings['renew']:g} s" if settings["renew"] else "never"
    found = [
        f"NIN-CIFAR, {settings['workers']} worker processes, {settings['connections']} "
        f"connections, new weights {changes}, {ninc.target()}"
    ]
    for variant, rate in results["tried"].items():
        found.append(f"tried: {_PEER.name}, {variant}: {rate:.0f} requests/s")
    found.append(
        f"{'':14} {'requests':>9} {'errors':>7} {'requests/s':>11} {'median':>9} {'p99':>9} "
        f"{'worst':>9}   CPU a request: server, client"
    )
    for one in results["engines"]:
        rate = statistics.median(one["rates"])
        found.append(
            f"{one['name']:14} {one['requests']:9,} {one['errors']:7} {rate:11.0f} "
            f"{one['median_ms']:6.1f} ms {one['p99_ms']:6.1f} ms {one['worst_ms']:6.1f} ms   "
            f"{one['server_cpu_ms']:.2f} ms, {one['client_cpu_ms']:.2f} ms"
        )
    for one in results["engines"]:
        memory = one["memory_mb"]
        answers = ", ".join(f"{count:,} {what}" for what, count in sorted(one["counts"].items()))
        found.append(
            f"{one['name']}: memory {memory[0]:.1f} MB after the first round, {memory[-1]:.1f} MB "
            f"after the last, {max(memory):.1f} MB at the most; {one['renewals']} renewals in a "
            f"process; answers: {answers}"
        )
    if len(results["engines"]) == 2:
        own, peer = results["engines"]
        ratios = [one / other for one, other in zip(own["rates"], peer["rates"])]
        ratio = statistics.median(ratios)
        reached = "reached" if ratio >= GOAL else "not reached"
        found.append(
            f"{own['name']} serves {ratio:.2f} times as many requests a second ({min(ratios):.2f} "
            f"to {max(ratios):.2f} in a round), its p99 is {own['p99_ms'] / peer['p99_ms']:.2f} of "
            f"the peer's; goal {GOAL} times: {reached}"
        )
    if report.disturbance(results):
        found.append(report.disturbance(results))
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=positive, default=100_000, help="default: 100000")
    parser.add_argument("--rounds", type=positive, default=10, help="default: 10")
    parser.add_argument("--connections", type=positive, default=16, help="default: 16")
    parser.add_argument("--workers", type=positive, default=2, help="default: 2")
    parser.add_argument(
        "--renew",
        type=float,
        default=0.5,
        metavar="SECONDS",
        help="between changes of the weights, default: 0.5; 0 for none",
    )
    parser.add_argument("--peer", choices=["onnxruntime", "none"], default="onnxruntime")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    options = parser.parse_args(arguments)
    with_peer = options.peer != "none"
    missing = _PEER.missing() if with_peer else []
    if missing:
        parser.error(f"{', '.join(missing)} not installed; --peer none measures ninc alone")
    settings = Settings(options.connections, options.workers, options.renew)
    results = measure(
        options.requests,
        options.rounds,
        settings,
        with_peer,
        lambda text: print(text, file=sys.stderr, flush=True),
    )
    print("\n".join(lines(results)))
    write_json(options.json, results)
    if any(one["errors"] for one in results["engines"]):
        sys.exit("some answers were wrong")


if __name__ == "__main__":
    main()
