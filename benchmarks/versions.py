"""Two builds of ninc in turn: whether a change made anything slower.

python -m benchmarks.versions OLD/python NEW/python      # folders with a package `ninc`
python -m benchmarks.versions OLD/python NEW/python --rows inference plan --threads 2 1
python -m benchmarks.versions OLD/python OLD/python      # how much is the machine's

OLD and NEW are what `pip install --target` made, or what tools/same_bits.py keeps in
build/same_bits. Rows are those of `benchmarks.compare`, and `plan`: what the first picture of a
size costs more than the quickest of the three after it.

Each build runs in a process of its own, and the two take turns of a fraction of a second. Where a
process has its code and its memory moves its speed for as long as it lives, so a row has several
pairs of processes. A pair gives one ratio: the median of new by old, each of four turns, old, new,
new, old, so that neither comes first more often. Printed is the median of the pairs, with the
interval that holds it in at least 95 of 100 cases whatever the distribution (the sign test's).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import ninc

from . import compare, timing, write_json
from .comparison import rows as table

PLAN = "plan"
_FEWEST_PAIRS = 6  # below, no interval is as sure as 95 in 100
_PLANS = 32  # sizes a turn


def main(arguments: list[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.pairs < _FEWEST_PAIRS:
        parser.error(f"--pairs is {options.pairs}; an interval needs {_FEWEST_PAIRS} at least")
    try:
        names = table.select(options.rows, (PLAN,))
    except ValueError as error:
        parser.error(str(error))
    results = {**compare.machine(), "old": str(options.old), "new": str(options.new), "rows": []}
    for target in options.target:
        for threads in options.threads:
            for name in names:
                try:
                    row = _row(options, name, target, threads)
                except RuntimeError as error:
                    print(error, file=sys.stderr)
                    return 1
                results["rows"].append(row)
                print(_line(row), flush=True)
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
        default=[*table.NINS, PLAN],
        help=f"names or patterns as for benchmarks.compare, {PLAN} in place of {table.MEMORY}; "
        f"default: the NINs and {PLAN}",
    )
    everything = ninc.get_num_threads()
    parser.add_argument("--threads", type=int, nargs="+", default=[everything], help="default: all")
    parser.add_argument(
        "--target",
        nargs="+",
        default=[ninc.targets()[0]],
        choices=ninc.targets(),
        help="instruction sets; default: the best",
    )
    parser.add_argument("--seconds", type=float, default=0.3, help="of a turn; default: 0.3")
    parser.add_argument("--rounds", type=int, default=2, help="of four turns, a pair; default: 2")
    parser.add_argument("--pairs", type=int, default=9, help="of processes, a row; default: 9")
    parser.add_argument("--json", metavar="FILE", help="write the ratios there")
    return parser


def _row(options, name: str, target: str, threads: int) -> dict:
    ratios = []
    for pair in range(options.pairs):
        _show(f"{name}, {target}, {threads} threads: pair {pair + 1} of {options.pairs}")
        with contextlib.ExitStack() as stack:
            old, new = (
                stack.enter_context(Side(folder, name, target, threads))
                for folder in (options.old, options.new)
            )
            ratios.append(ratio_of(old.turn, new.turn, options.seconds, options.rounds))
    _show("")
    low, high = interval(ratios)
    return {
        "row": name,
        "target": target,
        "threads": threads,
        "ratio": statistics.median(ratios),
        "low": low,
        "high": high,
        "ratios": ratios,
    }


def _show(text: str) -> None:
    """On a terminal, a line of progress in the place of the one before."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


Turn = Callable[[float], float]  # seconds it may take -> seconds of a call


def ratio_of(old: Turn, new: Turn, seconds: float, rounds: int) -> float:
    """New by old: the median of `rounds` rounds of the turns old, new, new, old."""
    for turn in (old, new):
        turn(0)  # first calls compile, pack and allocate
    ratios = []
    for _ in range(rounds):
        first, second, third, fourth = old(seconds), new(seconds), new(seconds), old(seconds)
        ratios.append(math.sqrt(second * third / (first * fourth)))
    return statistics.median(ratios)


def interval(ratios: list[float]) -> tuple[float, float]:
    """What holds the median of their distribution in at least 95 of 100 cases, by their order."""
    ordered, count = sorted(ratios), len(ratios)
    # The median lies below the value of this rank, from 0, as often as so many tosses of a coin or
    # fewer are heads.
    rank, outside = 0, 2
    while (outside + 2 * math.comb(count, rank + 1)) * 20 <= 2**count:
        rank += 1
        outside += 2 * math.comb(count, rank)
    return ordered[rank], ordered[count - 1 - rank]


def _line(row: dict) -> str:
    return (
        f"{row['row']:16}{row['target']:>8}{row['threads']:>4} threads   new/old "
        f"{row['ratio']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
    )


class Side:
    """The process of a build. Raises RuntimeError, with the folder, where that cannot go on."""

    def __init__(self, folder: Path, name: str, target: str, threads: int) -> None:
        self._folder = folder
        environment = {**os.environ, "PYTHONPATH": str(folder.resolve()), "NINC_TARGET": target}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.versions", "--serve", name, str(threads)],
            env=environment,
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        served = Path(self._ask(None))
        if not served.is_relative_to(folder.resolve()):
            self.__exit__()
            raise RuntimeError(f"ninc was imported from {served}, not from {folder}")

    def turn(self, seconds: float) -> float:
        """The median of the calls that go into so many seconds, and one at least."""
        return self._ask(seconds)

    def _ask(self, seconds: float | None):
        line = ""
        with contextlib.suppress(BrokenPipeError):
            if seconds is not None:
                self._process.stdin.write(f"{seconds}\n")
                self._process.stdin.flush()
            line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._folder}: its process ended with {self._process.wait()}")
        return json.loads(line)

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()


def _serve(name: str, threads: int) -> None:
    """One side's process: answers each line, a number of seconds, with a turn's median."""
    ninc.set_num_threads(threads)
    print(json.dumps(ninc.__file__), flush=True)
    turn = _plans() if name == PLAN else _calls(table.row(name), threads)
    for line in sys.stdin:
        print(json.dumps(statistics.median(turn(float(line)))), flush=True)


def _calls(row: table.Row, threads: int) -> Callable[[float], list[float]]:
    from .peers import own

    network = row.build()
    x, labels = row.data(network.core.output_shape(row.input_shape)[1])
    if row.kind == table.INFERENCE:
        call = lambda: network(x)  # noqa: E731
    else:
        call = own.Training(network, x, labels, threads, 1e-3, 1e-4).step
    call()
    length = timing.elapsed(call)
    return lambda seconds: timing.turn_of(call, seconds, length)


def _plans() -> Callable[[float], list[float]]:
    """Turns of as many sizes, and the same for both builds, however long they take."""
    import numpy as np

    network = ninc.models.nin_cifar10(seed=0)
    heights = iter(range(24, 10_000))

    def cost(height, width):
        x = np.zeros((1, 3, height, width), np.float32)
        first, *later = (timing.elapsed(lambda: network(x)) for _ in range(4))
        return first - min(later)

    def turn(_seconds):
        height = next(heights)
        return [cost(height, width) for width in range(24, 24 + _PLANS)]

    return turn


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        _serve(sys.argv[2], int(sys.argv[3]))
    else:
        sys.exit(main())
