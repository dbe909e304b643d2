"""How far the algorithm that a convolution takes is behind the best of ours, over 200 shapes.

python -m benchmarks.regret                            # all shapes, one thread: some minutes
python -m benchmarks.regret --shapes 0:50 --json regret.json      # or in pieces
python -m benchmarks.regret --report --json regret.json
python -m benchmarks.regret --target avx2 --passes forward
python -m benchmarks.regret --seed 5                   # other shapes than those of the cost model

Every method that applies to a shape and keeps to 2e-5 is timed beside "auto", in turns; a shape
whose choice looks wrong is timed again, longer, and the second time counts. Where that still says
more than 10 %, auto and the fastest alone are timed ten times as long once more: what is left is
the choice's and not the clock's. A regret is how much longer auto takes than the fastest of them.
Where direct convolution alone applies (strides, 1×1 and large kernels, but for split products on
AMX) there is no choice and no regret, so the mean is printed for the others too.

The choice depends on shape, batch and target, never on threads; one thread is the quietest.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import random
import statistics
import sys

import ninc
from ninc import _core

from . import write_json

PASSES = ("forward", "backward_data", "backward_weights")
SHAPES = 200
# Of the shapes that the cost model's figures were fitted to.
_SEED = 4
# What is asked of each pass, over all shapes: mean and worst regret at most.
_ASKED = 0.03, 0.15
# A regret above this is measured again.
_SUSPICIOUS = 0.03
# A regret above this is settled by a timing that is longer by such a factor.
_WRONG = 0.10
_LONGER = 10
# Some milliseconds of a core, and what a shape's arrays may take, in floats.
_MOST_FLOPS = 1.2e9
_MOST_FLOATS = 8e6


@dataclasses.dataclass(frozen=True)
class Shape:
    """A convolution, padded so that a stride of 1 keeps the map's size."""

    batch: int
    channels: int
    size: int
    out_channels: int
    kernel: int
    stride: int

    @property
    def out_size(self) -> int:
        return (self.size - 1) // self.stride + 1

    @property
    def flops(self) -> float:
        pixels = self.batch * self.out_size**2
        return 2.0 * pixels * self.kernel**2 * self.channels * self.out_channels

    @property
    def floats(self) -> int:
        x = self.batch * self.channels * self.size**2
        y = self.batch * self.out_channels * self.out_size**2
        return x + y + 4 * self.kernel**2 * self.channels * self.out_channels

    @property
    def has_choice(self) -> bool:
        return self.kernel in (3, 5) and self.stride == 1

    def terms(self, which: str) -> int:
        """Of a pass's longest sums."""
        if which == "backward_weights":
            return self.batch * self.out_size**2
        if which == "forward":
            return self.kernel**2 * self.channels
        return math.ceil(self.kernel / self.stride) ** 2 * self.out_channels

    def __str__(self) -> str:
        return (
            f"{self.batch}×{self.channels}×{self.size}×{self.size} -> {self.out_channels}, "
            f"{self.kernel}×{self.kernel} stride {self.stride}"
        )


# Maps so large that few of them fit by chance.
_LARGE = (
    Shape(1, 3, 224, 32, 3, 1),
    Shape(1, 16, 224, 32, 3, 1),
    Shape(1, 3, 224, 64, 7, 2),
    Shape(1, 3, 224, 96, 11, 4),
    Shape(1, 16, 224, 24, 1, 1),
)


def shapes(seed: int = _SEED) -> list[Shape]:
    """The same 200 every time; for 120 of them Winograd's convolution is a choice."""
    rng = random.Random(seed)
    channels = (1, 3, 8, 16, 24, 32, 48, 64, 96, 128, 160, 192, 256, 320, 384, 512)
    sizes = (4, 5, 6, 7, 8, 10, 12, 13, 14, 16, 20, 24, 27, 28, 32, 56, 64, 112, 224)
    found = dict.fromkeys(_LARGE)
    choices = sum(shape.has_choice for shape in found)
    while len(found) < SHAPES:
        shape = Shape(
            batch=rng.choice((1, 1, 1, 2, 4, 8, 16, 32, 64)),
            channels=rng.choice(channels),
            size=rng.choice(sizes),
            out_channels=rng.choice(channels),
            kernel=rng.choice((1, 3, 3, 5, 5, 7, 11)),
            stride=rng.choice((1, 1, 2, 4)),
        )
        wanted = choices < 120 if shape.has_choice else len(found) - choices < SHAPES - 120
        fits = 1e6 <= shape.flops <= _MOST_FLOPS and shape.floats <= _MOST_FLOATS
        if wanted and fits and shape not in found:
            found[shape] = None
            choices += shape.has_choice
    return list(found)


def methods(shape: Shape, which: str) -> list[str]:
    """What may be chosen: limits are ProductShape's and WinogradIsPrecise's (conv2d_*.cc)."""
    direct = ["direct"]
    if _core.target() == "amx" and shape.terms(which) >= 16:
        direct.append("split")
    if not shape.has_choice:
        return direct
    summed = shape.out_channels if which == "backward_data" else shape.channels
    limits = {"winograd4": 1 << 30, "winograd6": 512 if shape.kernel == 3 else 1024}
    limits["winograd8"] = 256
    names = [n for n, most in limits.items() if which == "backward_weights" or summed <= most]
    if shape.kernel == 5:
        names.remove("winograd4")  # a tile of 4×4 has no output
    return [*direct, *names]


def timed(shape: Shape, which: str, method: str, threads: int, repeats: int) -> float:
    """Median seconds of one run."""
    padding = [shape.kernel // 2] * 4
    _, seconds = _core.time_conv2d(
        [shape.batch, shape.channels, shape.size, shape.size],
        shape.out_channels,
        [shape.kernel] * 2,
        [shape.stride] * 2,
        padding,
        [1, 1],
        1,
        which,
        repeats,
        threads,
        method,
    )
    return statistics.median(seconds)


def measure(shape: Shape, which: str, threads: int, time=timed) -> dict:
    """The row of one shape and pass: seconds of auto and of each method."""
    names = ["auto", *methods(shape, which)]
    row = {"shape": dataclasses.asdict(shape), "pass": which, "threads": threads}
    for rounds in (3, 12):
        row["seconds"] = _in_turns(shape, which, names, threads, time, rounds)
        if regret(row) <= _SUSPICIOUS or len(names) == 2:
            return row
    settled = set()
    while regret(row) > _WRONG and _fastest(row) not in settled:
        settled.add(_fastest(row))
        pair = ["auto", _fastest(row)]
        row["seconds"].update(_in_turns(shape, which, pair, threads, time, rounds, _LONGER))
    return row


def _in_turns(
    shape: Shape, which: str, names: list[str], threads: int, time, rounds: int, longer: int = 1
) -> dict[str, float]:
    """Seconds of each method: it has a turn of some milliseconds in every round, the least counts.

    Processors that others share are slower for seconds at a time, by up to a half: a method's
    fastest turn is the one that nobody disturbed. Rounds are shuffled: behind a method with much
    scratch memory the next one may be slower by 9 %, which must not always be the same one.
    """
    seconds: dict[str, list[float]] = {name: [] for name in names}
    first = {name: time(shape, which, name, threads, 1) for name in names}
    rng = random.Random(_SEED)
    for _ in range(rounds):
        for name in rng.sample(names, len(names)):
            repeats = longer * max(3, min(50, int(2e-3 / first[name])))
            seconds[name].append(time(shape, which, name, threads, repeats))
    return {name: min(values) for name, values in seconds.items()}


def _fastest(row: dict) -> str:
    """The fastest method, auto aside."""
    others = {name: value for name, value in row["seconds"].items() if name != "auto"}
    return min(others, key=others.get)


def regret(row: dict) -> float:
    """How much longer auto takes than the fastest method; 0 where there is no choice."""
    if len(row["seconds"]) == 2:
        return 0.0
    return max(0.0, row["seconds"]["auto"] / row["seconds"][_fastest(row)] - 1.0)


def _verdict(*found: float) -> str:
    """Whether mean and worst regret are what is asked."""
    asked = " and ".join(f"{most:.0%}" for most in _ASKED)
    reached = all(value <= most for value, most in zip(found, _ASKED))
    return f"{asked} {'reached' if reached else 'not reached'}"


def summary(rows: list[dict]) -> list[str]:
    """Mean and worst regret of each pass, and the shapes that are worst."""
    lines = []
    for which in PASSES:
        of_pass = [row for row in rows if row["pass"] == which]
        if not of_pass:
            continue
        mean, worst = statistics.mean(map(regret, of_pass)), max(map(regret, of_pass))
        line = f"{which:16}  {len(of_pass):3} shapes: mean {mean:5.1%}, worst {worst:5.1%}"
        chosen = [regret(row) for row in of_pass if len(row["seconds"]) > 2]
        if chosen:
            line += f"; the {len(chosen)} with a choice: {statistics.mean(chosen):5.1%}"
        lines.append(f"{line}; {_verdict(mean, worst)}")
    for row in sorted(rows, key=regret, reverse=True)[:10]:
        if regret(row) == 0:
            break
        cells = ", ".join(f"{n} {1e6 * s:.0f}" for n, s in row["seconds"].items())
        lines.append(f"{regret(row):6.1%}  {Shape(**row['shape'])}, {row['pass']}: {cells} us")
    return lines


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.regret", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--passes", nargs="+", choices=PASSES, default=list(PASSES))
    parser.add_argument("--shapes", metavar="FROM:TO", default=f"0:{SHAPES}", help="default: all")
    parser.add_argument(
        "--seed", type=int, default=_SEED, help="another number: 200 shapes that are not the fixed"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--target", help="instruction set, for example avx2")
    parser.add_argument("--json", metavar="FILE", help="add the results to those in the file")
    parser.add_argument("--report", action="store_true", help="measure nothing, show the file")
    options = parser.parse_args(arguments)
    try:
        first, last = (int(part) for part in options.shapes.split(":"))
    except ValueError:
        parser.error(f"--shapes wants two numbers such as 0:50, got {options.shapes!r}")
    if options.report and not options.json:
        parser.error("--report needs --json FILE, the results to show")
    if options.target:
        ninc.set_target(options.target)

    rows: dict[str, dict] = {}
    if options.json and os.path.exists(options.json):
        with open(options.json) as file:
            rows = json.load(file)
    for shape in [] if options.report else shapes(options.seed)[first:last]:
        for which in options.passes:
            if sys.stderr.isatty():
                print(f"\r\x1b[K{shape}, {which}", end="", file=sys.stderr, flush=True)
            key = f"{_core.target()} {options.threads} {shape} {which}"
            rows[key] = {"target": _core.target(), **measure(shape, which, options.threads)}
            write_json(options.json, rows)
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    for setting in dict.fromkeys((row["target"], row["threads"]) for row in rows.values()):
        print(f"{setting[0]}, threads: {setting[1]}")
        chosen = [row for row in rows.values() if (row["target"], row["threads"]) == setting]
        print("\n".join(summary(chosen)))


if __name__ == "__main__":
    main()
