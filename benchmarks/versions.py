"""Two builds of ninc in turn: whether a change made anything slower.

python -m benchmarks.versions OLD/python NEW/python      # folders with a package `ninc`
python -m benchmarks.versions OLD/python NEW/python --rows inference plan --threads 2 --rounds 30

OLD and NEW are what `pip install --target` made, or what tools/same_bits.py keeps in
build/same_bits. Each row has a process a build; they take turns of a fraction of a second, and the
ratio is that of two turns that follow each other. Printed is the median of these ratios, with the
interval that holds it in 95 of 100 cases whatever their distribution. Rows are those of
`benchmarks.compare`, and `plan`: the first picture of a size not met before less the second.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from . import timing, write_json
from .comparison import rows as table

PLAN = "plan"
NAMES = (*(row.name for row in table.ROWS), PLAN)


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    results = []
    for target in options.target:
        for threads in options.threads:
            for name in _chosen(options.rows):
                ratios = list(_ratios(options, name, target, threads))
                results.append(
                    {"row": name, "target": target, "threads": threads, **_summary(ratios)}
                )
                print(_line(results[-1]), flush=True)
                write_json(options.json, results)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.versions", description=__doc__.splitlines()[0]
    )
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument(
        "--rows",
        nargs="+",
        metavar="ROW",
        default=["*"],
        help=f"names or patterns; there are {', '.join(NAMES)}, and inference and training for all "
        "of a kind; default: all",
    )
    parser.add_argument("--threads", type=int, nargs="+", default=[0], help="default: all")
    parser.add_argument(
        "--target", nargs="+", default=["best"], help="instruction sets; default: the best"
    )
    parser.add_argument("--seconds", type=float, default=0.3, help="of a turn; default: 0.3")
    parser.add_argument("--rounds", type=int, default=20, help="turns of each; default: 20")
    parser.add_argument("--json", metavar="FILE", help="write the ratios there")
    return parser


def _chosen(patterns: list[str]) -> list[str]:
    kinds = {row.name: row.kind for row in table.ROWS}
    return [
        name
        for name in NAMES
        if any(fnmatch.fnmatch(name, p) or kinds.get(name) == p for p in patterns)
    ]


def _ratios(options, name: str, target: str, threads: int) -> Iterator[float]:
    """New by old, of each round's two turns; the first turn is another build's each round."""
    sides = [_Side(folder, name, target, threads) for folder in (options.old, options.new)]
    try:
        for side in sides:
            side.turn(0)  # compiles, packs, allocates
        for turn in range(options.rounds):
            order = sides if turn % 2 == 0 else sides[::-1]
            seconds = {side: side.turn(options.seconds) for side in order}
            yield seconds[sides[1]] / seconds[sides[0]]
    finally:
        for side in sides:
            side.close()


class _Side:
    """The process of a build."""

    def __init__(self, folder: Path, name: str, target: str, threads: int) -> None:
        environment = {**os.environ, "PYTHONPATH": str(folder.resolve())}
        if target != "best":
            environment["NINC_TARGET"] = target
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.versions", "--serve", name, str(threads)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        served = Path(self._read())
        if not served.is_relative_to(folder.resolve()):
            self.close()
            raise SystemExit(f"{folder} has no package ninc: {served} was imported")

    def turn(self, seconds: float) -> float:
        """The median of the calls that go into so many seconds, and one at least."""
        time.sleep(timing.PAUSE)
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self):
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(self._process.args)} failed")
        return json.loads(line)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def _summary(ratios: list[float]) -> dict:
    """Median and its interval by order statistics: the sign test's, normal approximation."""
    ordered = sorted(ratios)
    count = len(ordered)
    rank = max(0, int((count - 1.96 * count**0.5) / 2))
    return {
        "ratio": statistics.median(ordered),
        "low": ordered[rank],
        "high": ordered[count - 1 - rank],
        "rounds": count,
    }


def _line(result: dict) -> str:
    threads = result["threads"] or "all"
    return (
        f"{result['row']:16}{result['target']:>8}{threads:>4} threads   new/old "
        f"{result['ratio']:.3f} ({result['low']:.3f} to {result['high']:.3f})"
    )


def _serve(name: str, threads: int) -> None:
    """Answers each line, a number of seconds, with a median: one side's process."""
    import ninc

    if threads:
        ninc.set_num_threads(threads)
    print(json.dumps(ninc.__file__), flush=True)
    timed = _plan() if name == PLAN else _call(table.row(name), ninc.get_num_threads())
    for line in sys.stdin:
        end = time.perf_counter() + float(line)
        times = [timed()]
        while time.perf_counter() < end:
            times.append(timed())
        print(json.dumps(statistics.median(times)), flush=True)


def _call(row: table.Row, threads: int) -> Callable[[], float]:
    from .peers import own

    network = row.build()
    x, labels = row.data(network.core.output_shape(row.input_shape)[1])
    if row.kind == table.INFERENCE:
        return lambda: timing.elapsed(lambda: network(x))
    training = own.Training(network, x, labels, threads, 1e-3, 1e-4)
    return lambda: timing.elapsed(training.step)


def _plan() -> Callable[[], float]:
    """Seconds that a size of picture costs once: planning, compiling, memory."""
    import numpy as np

    import ninc

    network = ninc.models.nin_cifar10(seed=0)
    sizes = iter((h, w) for h in range(24, 10_000) for w in range(24, 56))

    def timed():
        x = np.zeros((1, 3, *next(sizes)), np.float32)
        first = timing.elapsed(lambda: network(x))
        return first - min(timing.elapsed(lambda: network(x)) for _ in range(3))

    return timed


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        _serve(sys.argv[2], int(sys.argv[3]))
    else:
        sys.exit(main())
