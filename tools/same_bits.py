"""Whether two commits compute the same bits.

python tools/same_bits.py OLD NEW               # 3 training steps
python tools/same_bits.py OLD NEW --steps 20    # before a change of structure is called finished
python tools/same_bits.py OLD NEW --quick       # batches 1 and 5 alone

Builds both side by side, in build/same_bits, and keeps the builds for the next time. Compares, bit
for bit, what five networks give, with batch norm and without, for batches of 1, 5, 37 and 128, and
their weights after training steps: on every instruction set that this processor has and, where nvcc
is found, on the emulated GPU. There the kernels' PTX is compared as well.

Exit status 0 where all bits are the same, 1 where some differ, each named with its largest
difference.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
BUILDS = ROOT / "build" / "same_bits"

_MOST_LINES = 40  # of what differs


def git(*words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(ROOT), *words], check=True, capture_output=True, text=True
    ).stdout.strip()


def run(*words: object, **options) -> None:
    subprocess.run([str(word) for word in words], check=True, **options)


class Build:
    """One commit, checked out and built; `python` has the package, `driver` the emulated GPU."""

    def __init__(self, name: str) -> None:
        self.name = name
        commit = git("rev-parse", "--verify", f"{name}^{{commit}}")
        self.source = BUILDS / commit[:12]
        self.python = self.source / "python"
        self.binaries = self.source / "build"
        self.driver = self.binaries / "tests" / "cuda_emulator"
        if not self.source.exists():
            self.source.mkdir(parents=True)
            files = subprocess.Popen(
                ["git", "-C", str(ROOT), "archive", commit], stdout=subprocess.PIPE
            )
            run("tar", "-x", "-C", self.source, stdin=files.stdout)
            if files.wait():
                raise SystemExit(f"same_bits: cannot unpack {name}")
        self._build()

    def _build(self) -> None:
        print(f"building {self.name} in {self.source.relative_to(ROOT)}", flush=True)
        run(
            "cmake", "-S", self.source, "-B", self.binaries, "--log-level=WARNING",
            "-DCMAKE_BUILD_TYPE=Release", "-DNINC_BUILD_PYTHON=ON", "-DNINC_BUILD_TESTS=ON",
            "-DNINC_CUDA_COMPRESS=OFF", "-DNINC_CUDA_ARCHITECTURES=",
            f"-DPython_EXECUTABLE={sys.executable}",
        )  # fmt: skip
        # Older commits call the target as they do the file.
        own_name = "pybind11_add_module(_core" in (self.source / "CMakeLists.txt").read_text()
        self._make("_core" if own_name else "ninc_python")
        package = self.python / "ninc"
        (package / "lib").mkdir(exist_ok=True)
        for module in self.binaries.glob("_core*.so"):
            shutil.copy2(module, package)
        for library in self.binaries.glob("libninc.so*"):
            shutil.copy2(library, package / "lib", follow_symlinks=True)
        if self.ptx():
            self._make("ninc_fake_driver")

    def _make(self, target: str) -> None:
        run("cmake", "--build", self.binaries, "--target", target, stdout=subprocess.DEVNULL)

    def ptx(self) -> dict[str, bytes]:
        """Kernel file -> its PTX; empty where the build has none."""
        files = sorted((self.binaries / "cuda").glob("*.fatbin"))
        return {
            path.stem: without_build(path.read_bytes()) for path in files if path.stem != "probe"
        }

    def targets(self) -> list[str]:
        script = "import ninc; print(*ninc.targets())"
        return self._run_python("-c", script, capture_output=True, text=True).stdout.split()

    def arrays(
        self, title: str, options: list[str], variables: dict[str, str]
    ) -> dict[str, np.ndarray]:
        """What `same_bits_runs.py` gives on this build."""
        out = self.source / "arrays.npz"
        print(f"  {self.name}: {title}", flush=True)
        script = Path(__file__).with_name("same_bits_runs.py")
        self._run_python(str(script), str(out), *options, variables=variables)
        with np.load(out) as found:
            return dict(found)

    def _run_python(self, *words: str, variables: dict[str, str] | None = None, **options):
        environment = {**os.environ, "PYTHONPATH": str(self.python), **(variables or {})}
        return subprocess.run(
            [sys.executable, *words], check=True, env=environment, cwd=self.source, **options
        )


def without_build(ptx: bytes) -> bytes:
    """The text without what names the build: nvcc's hashes of its path, and comments."""
    ptx = re.sub(rb"(_INTERNAL|_GLOBAL__N_)_[0-9a-f]{8}_(\d+_\w+?_cu)_[0-9a-f]{8}", rb"\1_\2", ptx)
    return re.sub(rb"^//.*\n", b"", ptx, flags=re.MULTILINE)


def differences(old: dict[str, np.ndarray], new: dict[str, np.ndarray]) -> list[str]:
    """What is not the same, in words."""
    told = [f"{name}: only one of them has it" for name in sorted(set(old) ^ set(new))]
    for name in old:
        if name not in new or old[name].tobytes() == new[name].tobytes():
            continue
        if old[name].shape != new[name].shape:
            told.append(f"{name}: shapes {old[name].shape} and {new[name].shape}")
            continue
        gap = np.abs(old[name].astype(np.float64) - new[name]).max()
        told.append(f"{name}: {(old[name] != new[name]).sum():,} numbers, by {gap:.3g} at most")
    return told


def ptx_differences(old: dict[str, bytes], new: dict[str, bytes]) -> list[str]:
    """Kernel files whose PTX is not the same, in words."""
    return [
        f"PTX of {name}" for name in sorted(set(old) | set(new)) if old.get(name) != new.get(name)
    ]


def compare(old: Build, new: Build, options: list[str]) -> tuple[int, list[str]]:
    """(how many arrays and kernel files were compared, words for each that differs)."""
    runs = [
        (target, [], {"NINC_TARGET": target}, {"NINC_TARGET": target}) for target in old.targets()
    ]
    ptx = old.ptx(), new.ptx()
    if all(ptx):
        drivers = [{"LD_LIBRARY_PATH": str(build.driver)} for build in (old, new)]
        runs.append(("emulated GPU", ["--device", "cuda"], *drivers))
    else:
        print("  without nvcc there is no PTX: the emulated GPU is left out")
    compared, told = len(ptx[0]), ptx_differences(*ptx)
    for title, words, for_old, for_new in runs:
        before = old.arrays(title, [*options, *words], for_old)
        after = new.arrays(title, [*options, *words], for_new)
        compared += len(before)
        told += [f"{title}: {line}" for line in differences(before, after)]
    return compared, told


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", help="a commit")
    parser.add_argument("new", help="another")
    parser.add_argument("--steps", type=int, default=3, help="training steps (default 3)")
    parser.add_argument("--quick", action="store_true", help="batches 1 and 5 alone")
    args = parser.parse_args()
    options = ["--steps", str(args.steps)] + ["--quick"] * args.quick
    compared, told = compare(Build(args.old), Build(args.new), options)
    for line in told[:_MOST_LINES]:
        print(line)
    if len(told) > _MOST_LINES:
        print(f"and {len(told) - _MOST_LINES:,} more")
    print(f"{compared - len(told):,} of {compared:,} are the same, bit for bit")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
