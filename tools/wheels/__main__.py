"""Wheels for every platform and Python, and a trial of each.

    python tools/wheels build [PLATFORM...]    # into dist/wheels
    python tools/wheels try [PLATFORM...] [--pictures FOLDER]    # each installed and run

PLATFORM: x86_64, aarch64, x86_64-old (an older glibc) or x86_64-musl (Alpine); all where none is
named. A trial compares results with those of the first platform's first wheel, compiles a program
in C and, with a folder of pictures for each class in FOLDER, trains on them; what became of all is
written to dist/wheels/trials.json. It needs Debian, as root; what it fetches and compiles stays in
build/wheels.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

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
    options = parser.parse_args()
    chosen = platforms.named(options.platforms)
    subprocess.run([platforms.ROOT / "tools" / "bootstrap.sh", "wheels"], check=True)
    if options.what == "build":
        for platform in chosen:
            builder.build(platform)
        return 0
    trials = [one for platform in chosen for one in trial.tried(platform, options.pictures)]
    trial.write(trials, builder.DIST / "trials.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
