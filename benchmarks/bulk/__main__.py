"""Bulk inference beside `ninc predict`: the same answers, each once, and what Ray costs.

python -m benchmarks.bulk cifar10/test                   # needs 'ninc[ray]' and dask distributed
python -m benchmarks.bulk pets --model pets.safetensors --count 10000 --json results.json

Answers for the pictures of a folder by `ninc predict`, and to be the same to the byte: by
`Predictor` in Ray Data, two actors of one processor each, one of which is killed in the middle; by
`ninc predict --bulk --ray`, whose driver is stopped by Ctrl-C, begun again, killed, and begun
again with an actor killed; and by `Predictor` in Dask, two workers of one thread each.

Then Ray Data against a plain loop: two processes of one thread each, which read and answer half of
the pictures each with the same Predictor. Both are timed from the moment at which both workers have
answered a batch to the last answer, so that starting up, seconds for Ray, is apart.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import write_json
from ninc.cli.numbers import positive
from ninc.packaged import get_pretrained_path

from . import checks, speed

GOAL = 0.10  # of the plain loop's time, what Ray may cost beside it


def predicted(model: str, files: list[str]) -> dict[str, list[float]]:
    """Path -> probabilities in the order of `ninc predict`, which has the likeliest first."""
    command = [sys.executable, "-m", "ninc", "predict", model, *files, "--json", "--top", "100000"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = map(json.loads, done.stdout.splitlines())
    return {row["image"]: [each["probability"] for each in row["predictions"]] for row in rows}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bulk",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", metavar="DATA", help="a folder of pictures")
    parser.add_argument("--model", metavar="FILE", default=get_pretrained_path())
    parser.add_argument("--count", type=positive, default=10_000, help="pictures (default 10,000)")
    parser.add_argument("--no-speed", action="store_true", help="checks alone")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as scratch:
        # A folder of its own with links, so that all ways see the same pictures.
        folder = Path(scratch) / "pictures"
        folder.mkdir()
        found = sorted(path for path in Path(args.data).rglob("*") if path.is_file())
        for number, path in enumerate(found[: args.count]):
            (folder / f"{number:06}{path.suffix}").symlink_to(path.resolve())
        files = sorted(str(path) for path in folder.iterdir())
        print(f"{len(files):,} pictures of {args.data}", flush=True)
        wanted = predicted(args.model, [str(folder)])
        assert list(wanted) == files, "ninc predict left out pictures"

        told = checks.all_of_them(args.model, str(folder), files, wanted, Path(scratch))
        if not args.no_speed:
            told.update(speed.measured(files, Path(scratch)))
            print(
                f"plain loop {told['plain']:,.0f} pictures/s, Ray Data {told['ray']:,.0f}: "
                f"{told['overhead']:+.1%} time, goal below {GOAL:.0%}; "
                f"started in {told['plain_start']:.1f} s and {told['ray_start']:.1f} s"
            )
        write_json(args.json, told)
    failed = [name for name, value in told.items() if value is False]
    if told.get("overhead", 0.0) >= GOAL:
        failed.append("overhead")
    print(f"failed: {', '.join(failed)}" if failed else "all as it should be")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
