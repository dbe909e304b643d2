"""zig as a compiler for CMake, in an environment of its own under build/wheels."""

from __future__ import annotations

import shlex
import subprocess
import venv
from pathlib import Path

from platforms import WORK, ZIG, Platform

_ZIG_HOME = WORK / "zig"


def environment(folder: Path, *packages: str) -> Path:
    """The interpreter of a virtual environment with these packages, made where it is missing."""
    python = folder / "bin" / "python"
    stamp = folder / "packages.txt"
    wanted = "\n".join(packages)
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing {', '.join(packages)}", flush=True)
        venv.create(folder, with_pip=True)
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, *packages], check=True)
        stamp.write_text(wanted)
    return python


def settings(platform: Platform) -> list[str]:
    """What CMake is told of the compiler."""
    if not platform.zig:
        return list(platform.settings)
    python = environment(_ZIG_HOME, ZIG)
    toolchain = platform.folder / "toolchain.cmake"
    toolchain.parent.mkdir(parents=True, exist_ok=True)
    tools = {
        # zig turns on the sanitizer of undefined behaviour by itself.
        "CMAKE_CXX_COMPILER": f"c++ -target {platform.zig} -fno-sanitize=undefined",
        "CMAKE_C_COMPILER": f"cc -target {platform.zig} -fno-sanitize=undefined",
        "CMAKE_AR": "ar",
        "CMAKE_RANLIB": "ranlib",
    }
    lines = ["set(CMAKE_SYSTEM_NAME Linux)", "set(CMAKE_SYSTEM_PROCESSOR x86_64)"]
    for variable, words in tools.items():
        script = platform.folder / f"zig-{words.split()[0]}"
        zig = f"{shlex.quote(str(python))} -m ziglang {words}"
        script.write_text(f'#!/bin/sh\nexec {zig} "$@"\n')
        script.chmod(0o755)
        lines.append(f"set({variable} {script})")
    text = "\n".join(lines) + "\n"
    if not toolchain.exists() or toolchain.read_text() != text:
        toolchain.write_text(text)
    return ["--toolchain", str(toolchain), *platform.settings]


def zig_variables() -> dict[str, str]:
    """Where zig keeps what it compiled of the C and C++ libraries."""
    cache = str(_ZIG_HOME / "cache")
    return {"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
