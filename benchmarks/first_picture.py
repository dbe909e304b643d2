"""How long a program in C takes from its start to its first picture's classes: NIN-CIFAR.

python -m benchmarks.first_picture                  # 20 starts
python -m benchmarks.first_picture --starts 100 --json results.json

Compiles examples/predict.c against the installed package, gives it a network and a picture of
32×32, and times whole processes: fork, loading the library and the model file (4 MB, which the
system has in memory from the start before), planning, packing weights, one run, the printed lines
and the end. The goal is 50 ms. Beside each time stands what a program takes that does nothing.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

import numpy as np

import ninc
from benchmarks import timing, write_json
from benchmarks.comparison import report
from ninc.cli.numbers import positive
from ninc.preprocess import Preprocessing

GOAL = 0.050  # seconds
_EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "predict.c"


def compiled(source: Path, program: Path) -> Path:
    """The C program, linked with the installed package's libninc. RuntimeError says why not."""
    library = Path(ninc.get_include()).parent / "lib"
    command = [os.environ.get("CC", "cc"), "-O2", source, "-o", program, "-I", ninc.get_include()]
    command += [f"-L{library}", "-lninc", f"-Wl,-rpath,{library}"]
    try:
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    except OSError as error:
        raise RuntimeError(f"no C compiler: {error}") from error
    if done.returncode != 0:
        raise RuntimeError(f"{source} does not compile:\n{done.stderr}")
    return program


def network_and_picture(folder: Path) -> tuple[Path, Path]:
    """The files of an untrained NIN-CIFAR and of a picture of noise."""
    network = ninc.models.nin_cifar10(seed=0)
    network.preprocessing = Preprocessing((32, 32), 3, (0.5,) * 3, (0.25,) * 3)
    network.classes = [f"class {number}" for number in range(10)]
    network.save(folder / "network.safetensors")
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    picture = folder / "picture.ppm"
    picture.write_bytes(b"P6\n32 32\n255\n" + pixels.tobytes())
    return folder / "network.safetensors", picture


def measure(starts: int) -> dict[str, list[float]]:
    """Seconds of so many starts of the example, and as many of a program that does nothing."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        nothing = folder / "nothing.c"
        nothing.write_text("int main(void) { return 0; }\n")
        commands = {
            "predict": [compiled(_EXAMPLE, folder / "predict"), *network_and_picture(folder)],
            "nothing": [compiled(nothing, folder / "nothing")],
        }
        seconds = {name: [] for name in commands}
        for turn in range(starts + 1):
            for name, command in commands.items():
                took = timing.elapsed(
                    lambda command=command: subprocess.run(
                        command, check=True, stdout=subprocess.DEVNULL
                    )
                )
                if turn > 0:  # the first start reads files from the disk
                    seconds[name].append(took)
        return seconds


def lines(seconds: dict[str, list[float]]) -> list[str]:
    """What is printed: the median and the worst, and whether the goal is reached."""
    found = [
        f"{name:8} median {statistics.median(times) * 1e3:6.1f} ms   "
        f"worst {max(times) * 1e3:6.1f} ms   of {len(times)} starts"
        for name, times in seconds.items()
    ]
    reached = "reached" if statistics.median(seconds["predict"]) <= GOAL else "not reached"
    return [*found, f"goal     median {GOAL * 1e3:6.1f} ms   {reached}"]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=positive, default=20, help="default: 20")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    options = parser.parse_args(arguments)
    with timing.Disturbance() as others:
        seconds = measure(options.starts)
    print("\n".join(lines(seconds)))
    results = {"seconds": seconds, "others_cores": others.cores}
    if report.disturbance(results):
        print(report.disturbance(results))
    write_json(options.json, results)


if __name__ == "__main__":
    main()
