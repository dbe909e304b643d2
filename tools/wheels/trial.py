"""Each wheel installed and run: where its Python comes from Debian, in a root of that release."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import compilers
import roots
from builder import DIST
from platforms import PLATFORMS, ROOT, WORK, Platform, Python

# What float32 promises (docs/numerics.md): of the largest magnitude of an array.
_TOLERANCE = 2e-5
_HOME = "/ninc-trial"  # in a root
_FIRST = WORK / "trials" / "first.npz"


@dataclass
class Trial:
    """What became of a wheel: how it was tried, and how its results compare with the first's."""

    wheel: str
    bytes: int
    how: str
    result: str


def tried(platform: Platform, pictures: Path | None) -> list[Trial]:
    """Trials of this platform's wheels that lie in dist/wheels."""
    trials = []
    if platform is PLATFORMS[0]:
        _FIRST.unlink(missing_ok=True)
    for python in platform.python_list:
        for wheel in sorted(DIST.glob(f"ninc-*-{python.tag}-{platform.tag}.whl")):
            print(f"== {wheel.name}", flush=True)
            how, arrays = _run(platform, python, wheel, pictures)
            result = "built only" if arrays is None else _compared(platform, arrays)
            print(f"{how}: {result}", flush=True)
            trials.append(Trial(wheel.name, wheel.stat().st_size, how, result))
    return trials


def write(trials: list[Trial], path: Path) -> None:
    """Keeps them, beside those of other wheels that lie there."""
    kept = {one["wheel"]: one for one in json.loads(path.read_text())} if path.exists() else {}
    kept.update({trial.wheel: asdict(trial) for trial in trials})
    there = [one for name, one in sorted(kept.items()) if (path.parent / name).exists()]
    path.write_text(json.dumps(there, indent=1) + "\n")


# ---- Running -------------------------------------------------------------------------------------


def _run(
    platform: Platform, python: Python, wheel: Path, pictures: Path | None
) -> tuple[str, Path | None]:
    """In words how the wheel was run, and where its results lie; None where nothing runs it."""
    if "musl" in platform.tag:
        return "nothing here runs Python on musl", None
    if python.suite is None or not platform.runs_in(python.suite):
        return _run_here(platform, python, wheel, pictures)
    suite = python.suite
    root = roots.root_of(suite, platform.debian, python.version)
    home = Path(str(root) + _HOME)
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    shutil.copy(wheel, home / wheel.name)
    shutil.copy(Path(__file__).with_name("trial_program.py"), home)
    shutil.copytree(ROOT / "examples", home / "examples")
    words = [f"{_HOME}/trial_program.py", f"{_HOME}/results.npz", f"{_HOME}/examples"]
    if pictures is not None:
        shutil.copytree(pictures, home / "pictures")
        words.append(f"{_HOME}/pictures")
    interpreter = f"/usr/bin/python{python.version}"
    if platform.debian == "amd64":
        _call(roots.command_in(root, "amd64", [interpreter, "-m", "venv", f"{_HOME}/venv"]))
        own = f"{_HOME}/venv/bin/python"
        install = [own, "-m", "pip", "install", "-q", f"{_HOME}/{wheel.name}", "pillow"]
        _call(roots.command_in(root, "amd64", install))
        _call(roots.command_in(root, "amd64", [own, *words]))
        return f"run in Debian {suite}", home / "results.npz"
    # pip itself would start programs of the other architecture: this machine's installs for it.
    site = home / "site"
    install = [sys.executable, "-m", "pip", "install", "-q", "--target", str(site)]
    install += ["--python-version", python.version, "--implementation", "cp", "--abi", python.tag]
    for tag in (platform.tag, "manylinux_2_28_aarch64", "manylinux_2_17_aarch64"):
        install += ["--platform", tag]
    _call([*install, "--only-binary=:all:", str(wheel), "pillow"])
    words = [word.replace(_HOME, str(home)) for word in words]
    command = roots.command_in(root, platform.debian, [interpreter, *words])
    _call(["env", f"PYTHONPATH={site}", "CC=none", *command])
    # Its programs would start this machine's compiler; Debian's cross compiler is here.
    program, package = home / "predict", site / "ninc"
    where = [f"-I{package / 'include'}", f"-L{package / 'lib'}"]
    compiler = ["aarch64-linux-gnu-gcc", str(home / "examples" / "predict.c"), *where]
    _call([*compiler, f"-Wl,-rpath,{package / 'lib'}", "-lninc", "-o", str(program)])
    _call(
        ["qemu-aarch64", "-L", str(root), str(program), str(home / "net.safetensors"), "16", "16"]
    )
    return f"run in Debian {suite} under qemu-aarch64", home / "results.npz"


def _run_here(
    platform: Platform, python: Python, wheel: Path, pictures: Path | None
) -> tuple[str, Path | None]:
    interpreter = roots.interpreter_here(python)
    if interpreter is None:
        return f"there is no Python {python.version} here", None
    home = WORK / "trials" / f"{platform.name}-{python.tag}"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    _call([interpreter, "-m", "venv", str(home / "venv")])
    own = str(home / "venv" / "bin" / "python")
    _call([own, "-m", "pip", "install", "-q", str(wheel), "pillow"])
    program = Path(__file__).with_name("trial_program.py")
    more = [] if pictures is None else [str(pictures)]
    _call([own, str(program), str(home / "results.npz"), str(ROOT / "examples"), *more])
    return "run on this machine", home / "results.npz"


def _call(command: list[str]) -> None:
    done = subprocess.run(command)
    if done.returncode != 0:
        sys.exit(f"wheels: {' '.join(command)}: ended with status {done.returncode}")


# ---- Comparing -----------------------------------------------------------------------------------

_COMPARE = """
import sys
import numpy as np
first, second = (np.load(path) for path in sys.argv[1:3])
assert all(np.isfinite(one[name]).all() for one in (first, second) for name in one)
# An instruction set that the first has not, NEON, is held beside its best.
best = next(iter(first)).partition(".")[0]
beside = lambda name: name if name in first else f"{best}.{name.partition('.')[2]}"
pairs = [(first[beside(name)], second[name]) for name in second]
assert pairs
worst = 0.0
for a, b in pairs:
    assert a.shape == b.shape, (a.shape, b.shape)
    worst = max(worst, float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-30)))
same = all(a.tobytes() == b.tobytes() for a, b in pairs)
print("the same bits" if same else f"{worst:.1e}")
"""


def _compared(platform: Platform, arrays: Path) -> str:
    """The results beside those of the first trial of all. SystemExit where they differ."""
    if platform is PLATFORMS[0] and not _FIRST.exists():
        _FIRST.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(arrays, _FIRST)
        return "what the others are compared with"
    if not _FIRST.exists():
        sys.exit(f"wheels: try {PLATFORMS[0].name} first: what others give is compared with it")
    tools = compilers.environment(WORK / "compare", "numpy")
    done = subprocess.run(
        [tools, "-c", _COMPARE, _FIRST, arrays], capture_output=True, text=True, check=True
    )
    said = done.stdout.strip()
    if said == "the same bits":
        return said
    if platform is PLATFORMS[0] or float(said) > _TOLERANCE:
        sys.exit(
            f"wheels: results differ from the first wheel's by {said} of the largest magnitude"
        )
    return f"within {said} of the first wheel's largest magnitudes"
