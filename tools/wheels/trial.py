"""Each wheel installed and run: where its Python comes from Debian, in a root of that release."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import compilers
import interpreters
import roots
from builder import DIST
from platforms import PLATFORMS, ROOT, WORK, Platform, Python

# What float32 promises (docs/numerics.md): of the largest magnitude of an array.
_TOLERANCE = 2e-5
_HOME = "/ninc-trial"  # in a root
_FIRST = WORK / "trials" / "first.npz"

# Tests that a trial runs besides: of threads, where no lock keeps them apart; of threads that
# outlive the interpreter, which depends on the C++ library; emulated, those that start no other
# program.
_PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
_TEST_TOOLS = ("pytest", "hypothesis")
_TESTS_OF_THREADS = ("tests/python/machine", "tests/python/nn", "tests/python/data")
_TESTS_OF_EXIT = ("tests/python/machine/test_exit.py",)
_TESTS_EMULATED = ("tests/python/nn", "tests/python/functional")


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
    if python.free_threaded or "musl" in platform.tag:
        if python.source is None:
            return f"no package has this Python {python.version}", None
        if python.free_threaded:
            return _run_here(python, interpreters.without_lock(python), wheel, pictures)
        return _run_on_musl(platform, python, wheel, pictures)
    if python.suite is None or not platform.runs_in(python.suite):
        interpreter = roots.interpreter_here(python)
        if interpreter is None:
            return f"there is no Python {python.version} here", None
        return _run_here(python, interpreter, wheel, pictures)
    root = roots.root_of(python.suite, platform.debian, python.version)
    if platform.debian == "amd64":
        return _run_in_root(root, python, wheel, pictures)
    return _run_emulated(root, platform, python, wheel, pictures)


def _run_in_root(
    root: Path, python: Python, wheel: Path, pictures: Path | None
) -> tuple[str, Path]:
    home, words = _home_in(root, pictures)
    shutil.copy(wheel, home / wheel.name)
    shutil.copy(ROOT / "README.md", home)
    own = f"{_HOME}/venv/bin/python"
    for command in (
        [f"/usr/bin/python{python.version}", "-m", "venv", f"{_HOME}/venv"],
        [own, "-m", "pip", "install", "-q", f"{_HOME}/{wheel.name}", "pillow"],
        [own, *words],
    ):
        _call(roots.command_in(root, "amd64", command))
    return f"run in Debian {python.suite}", home / "results.npz"


def _run_on_musl(
    platform: Platform, python: Python, wheel: Path, pictures: Path | None
) -> tuple[str, Path]:
    root, interpreter = interpreters.on_musl(python)
    home, words = _home_in(root, pictures)
    _install_for(platform, python, home / "site", [str(wheel), "pillow"])
    variables = ["env", f"PYTHONPATH={_HOME}/site", "CC=musl-gcc"]
    _call([*variables, *roots.command_in(root, "amd64", [interpreter, *words])])
    return "run in Debian trixie on musl", home / "results.npz"


def _run_emulated(
    root: Path, platform: Platform, python: Python, wheel: Path, pictures: Path | None
) -> tuple[str, Path]:
    home, words = _home_in(root, pictures)
    site = home / "site"
    _install_for(platform, python, site, [str(wheel), "pillow", *_TEST_TOOLS])
    python_in = [f"/usr/bin/python{python.version}"]
    variables = ["env", f"PYTHONPATH={site}", "CC=none"]
    words = [word.replace(_HOME, str(home)) for word in words]
    _call([*variables, *roots.command_in(root, "arm64", [*python_in, *words])])
    # The trial would start this machine's compiler; Debian's cross compiler is here.
    program, package = home / "predict", site / "ninc"
    where = [f"-I{package / 'include'}", f"-L{package / 'lib'}"]
    compiler = ["aarch64-linux-gnu-gcc", str(home / "examples" / "predict.c"), *where]
    _call([*compiler, f"-Wl,-rpath,{package / 'lib'}", "-lninc", "-o", str(program)])
    _call(
        ["qemu-aarch64", "-L", str(root), str(program), str(home / "net.safetensors"), "16", "16"]
    )
    tests = roots.command_in(root, "arm64", [*python_in, *_PYTEST, *_TESTS_EMULATED])
    _call([*variables, *tests], cwd=ROOT)
    return f"run in Debian {python.suite} under qemu-aarch64", home / "results.npz"


def _run_here(
    python: Python, interpreter: str, wheel: Path, pictures: Path | None
) -> tuple[str, Path]:
    home = WORK / "trials" / wheel.stem
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    _call([interpreter, "-m", "venv", str(home / "venv")])
    own = str(home / "venv" / "bin" / "python")
    # The newest release that has a wheel for this Python, which may not be the newest of all.
    install = [own, "-m", "pip", "install", "-q", "--only-binary=:all:"]
    _call([*install, str(wheel), "pillow", *_TEST_TOOLS])
    program = Path(__file__).with_name("trial_program.py")
    folders = [ROOT / "examples"] if pictures is None else [ROOT / "examples", pictures]
    _call([own, str(program), str(home / "results.npz"), *map(str, folders)])
    tests = _TESTS_OF_THREADS if python.free_threaded else _TESTS_OF_EXIT
    _call([own, *_PYTEST, *tests], cwd=ROOT)
    lock = " without the global lock" if python.free_threaded else ""
    return f"run on this machine{lock}", home / "results.npz"


def _home_in(root: Path, pictures: Path | None) -> tuple[Path, list[str]]:
    """A fresh folder in a root with the trial in it, and the trial's words as paths in the root."""
    home = Path(str(root) + _HOME)
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    shutil.copy(Path(__file__).with_name("trial_program.py"), home)
    shutil.copytree(ROOT / "examples", home / "examples")
    words = [f"{_HOME}/trial_program.py", f"{_HOME}/results.npz", f"{_HOME}/examples"]
    if pictures is not None:
        shutil.copytree(pictures, home / "pictures")
        words.append(f"{_HOME}/pictures")
    return home, words


def _install_for(platform: Platform, python: Python, site: Path, packages: list[str]) -> None:
    """By this machine's pip, where the other system's does not run."""
    tags = [platform.tag]
    if platform.debian == "arm64":
        tags += ["manylinux_2_28_aarch64", "manylinux_2_17_aarch64"]
    command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    command += ["--target", str(site), "--only-binary=:all:", "--implementation", "cp"]
    command += ["--python-version", python.version, "--abi", python.tag]
    _call([*command, *(word for tag in tags for word in ("--platform", tag)), *packages])


def _call(command: list[str], cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd)
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
