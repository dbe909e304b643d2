"""Compiles every file of the core for systems that this project is not run on: Windows and macOS.

    python tools/check_targets.py [--jobs N] [--headers FOLDER...] [FILE...]

zig (pip install ziglang) brings these systems' headers. Nothing is linked or run, so this says only
that what is Linux's alone stays behind cpp/base/platform.h. It needs Highway's headers and
nlohmann-json's in one of the folders, by default where Debian installs them. Without files it takes
all that CMakeLists.txt names; without zig it says so and succeeds.
"""

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGETS = ("x86_64-windows-gnu", "x86_64-macos", "aarch64-macos")
EACH = 25  # a line tells how far it is after so many files
FLAGS = "-std=c++20 -Wall -Wextra -Wno-missing-field-initializers -Werror".split()
DEFINITIONS = ("NINC_BUILDING", 'NINC_VERSION="0"', "HWY_IS_DEBUG_BUILD=0")


def core_files():
    """The files of libninc without its kernels for GPUs, which are for Linux."""
    text = (ROOT / "CMakeLists.txt").read_text()
    patterns = re.search(r"GLOB_RECURSE NINC_SOURCES CONFIGURE_DEPENDS([^)]*)\)", text)[1].split()
    files = [
        path for pattern in patterns for path in ROOT.glob(re.sub(r"/(?=[^/]*$)", "/**/", pattern))
    ]
    return sorted(files) + [ROOT / "cuda" / "runtime" / "unavailable.cc"]


def link_headers(folders, into):
    """A folder of the two libraries alone: beside them lie those of the system that builds."""
    for name in ("hwy", "nlohmann"):
        found = [Path(folder, name) for folder in folders if Path(folder, name).is_dir()]
        if not found:
            sys.exit(f"no folder {name} in {' '.join(map(str, folders))}: --headers names others")
        Path(into, name).symlink_to(found[0].resolve())


def compile_one(file, target, headers, scratch):
    """What the compiler said; nothing where it is content."""
    output = Path(scratch, f"{target}-{'-'.join(file.relative_to(ROOT).parts)}.o")
    command = [sys.executable, "-m", "ziglang", "c++", "-target", target, *FLAGS]
    command += [f"-D{definition}" for definition in DEFINITIONS]
    command += ["-Icpp/include", "-Icpp", "-I.", "-isystem", str(headers)]
    command += ["-c", str(file.relative_to(ROOT)), "-o", str(output)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    output.unlink(missing_ok=True)
    return (done.stderr or f"ended with status {done.returncode}") if done.returncode else ""


def compile_all(files, target, headers, scratch, pool):
    """How many of the files do not compile for the target; says at once which, and why."""
    failed = 0
    said = pool.map(lambda file: compile_one(file, target, headers, scratch), files)
    for done, (file, text) in enumerate(zip(files, said), 1):
        if text:
            failed += 1
            print(f"{file.relative_to(ROOT)} does not compile for {target}:\n{text}", flush=True)
        if done % EACH == 0 and done < len(files):
            print(f"{target}: {done} of {len(files)} files", flush=True)
    print(f"{target}: {len(files) - failed} of {len(files)} files compile", flush=True)
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--headers", nargs="+", type=Path, default=[Path("/usr/include")])
    options = parser.parse_args()
    if importlib.util.find_spec("ziglang") is None:
        print("no zig here, so nothing was compiled for other systems: pip install ziglang")
        return 0
    files = [path.resolve() for path in options.files] or core_files()
    with tempfile.TemporaryDirectory() as scratch:
        headers = Path(scratch, "headers")
        headers.mkdir()
        link_headers(options.headers, headers)
        with ThreadPoolExecutor(options.jobs) as pool:
            failed = sum(compile_all(files, target, headers, scratch, pool) for target in TARGETS)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
