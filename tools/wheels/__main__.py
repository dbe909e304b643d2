"""Wheels for every platform and Python, and a trial of each.

    python tools/wheels build [PLATFORM...]    # into dist/wheels
    python tools/wheels try [PLATFORM...] [--pictures FOLDER]    # each installed and run

PLATFORM: x86_64, aarch64, x86_64-old (an older glibc) or x86_64-musl (Alpine); all where none is
named. A trial compares results with those of the first platform's first wheel, compiles a program
in C and, with a folder of pictures for each class in FOLDER, trains on them; what became of all is
written to dist/wheels/trials.json. It needs Debian, as root; what it fetches and compiles stays in
build/wheels. Debian has no Python 3.10 and 3.12: they are taken from this machine, and without them
the end is an error, unless --allow-missing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from platform import machine

import builder
import platforms
import trial


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python tools/wheels", description=__doc__.splitlines()[0]
    )
    parser.add_argument("what", choices=("build", "try"))
    parser.add_argument("platforms", nargs="*", metavar="PLATFORM")
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--allow-missing", action="store_true")
    options = parser.parse_args()
    chosen = platforms.named(options.platforms)
    if machine() != "x86_64":
        sys.exit(f"wheels: they are built on x86-64, got {machine()}")
    subprocess.run([platforms.ROOT / "tools" / "bootstrap.sh", "wheels"], check=True)
    if options.what == "build":
        missing = {python.version for one in chosen for python in builder.build(one)}
        if missing and not options.allow_missing:
            print(
                f"wheels: not all are built: there is no Python {', '.join(sorted(missing))} here"
            )
        return 1 if missing and not options.allow_missing else 0
    trials = [one for platform in chosen for one in trial.tried(platform, options.pictures)]
    trial.write(trials, builder.DIST / "trials.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
