"""Interpreters that no package holds, built of Debian's source of Python.

Without the global lock, to run on this machine; and on musl, to run in a root of Debian whose C
library that is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import roots
from platforms import WORK, Python

_HERE = WORK / "interpreters"
_WHOLE = "whole.stamp"  # in an interpreter's folder: nothing of it is missing
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

# gcc for musl, but for its answer which system it is for: configure asks, and it says glibc's.
_MUSL_COMPILER = """#!/bin/sh
if [ "$1" = --print-multiarch ]; then echo x86_64-linux-musl; else exec musl-gcc "$@"; fi
"""


def without_lock(python: Python) -> str:
    """The path of an interpreter without the global lock, with pip."""
    prefix = _HERE / python.tag
    program = prefix / "bin" / f"python{python.version}t"
    if not (prefix / _WHOLE).exists():
        _build(python, prefix, ["--disable-gil", "--with-ensurepip"], {})
    return str(program)


def on_musl(python: Python) -> tuple[Path, str]:
    """A root with musl and an interpreter for it: the root, and the interpreter's path in it.

    Of other libraries it has zlib alone; without OpenSSL pip does not run there.
    """
    root = roots.musl_root()
    prefix = Path("/") / python.tag
    program = prefix / "bin" / f"python{python.version}"
    if not Path(f"{root}{prefix}", _WHOLE).exists():
        _HERE.mkdir(parents=True, exist_ok=True)
        compiler = _HERE / "musl-compiler"
        compiler.write_text(_MUSL_COMPILER)
        compiler.chmod(0o755)
        # Where its loader looks, since Pillow's wheel takes zlib from the system.
        library = "/usr/lib/x86_64-linux-musl"
        compile_for = {"CC": str(compiler), "CFLAGS": "-fPIC"}
        zlib = _source("zlib", "trixie")
        _make(zlib, Path("/usr/local"), [f"--libdir={library}"], compile_for, root)
        # The libraries that pkg-config finds are glibc's.
        tools = {"CC": str(compiler), "PKG_CONFIG": "false"}
        tools["ZLIB_CFLAGS"] = f"-I{root}/usr/local/include"
        tools["ZLIB_LIBS"] = f"-L{root}{library} -l:libz.a"
        _build(python, prefix, ["--without-ensurepip"], tools, root)
    return root, str(program)


def _build(
    python: Python,
    prefix: Path,
    options: list[str],
    tools: dict[str, str],
    root: Path | None = None,
) -> None:
    print(f"building Python for {python.tag}, which takes some minutes", flush=True)
    source = _source(f"python{python.version}", python.source)
    tools = {"OPT": "-O1 -DNDEBUG", **tools}
    _make(source, prefix, ["--disable-test-modules", *options], tools, root)
    Path(f"{root or ''}{prefix}", _WHOLE).touch()


def _make(
    source: Path, prefix: Path, options: list[str], tools: dict[str, str], root: Path | None = None
) -> None:
    """Configures, compiles and installs under `prefix`, within `root` where there is one."""
    folder = _HERE / f"build-{prefix.name}{'-musl' if root else ''}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    subprocess.run(["tar", "-xf", source, "--strip-components=1"], check=True, cwd=folder)
    commands = [
        ["./configure", f"--prefix={prefix}", *options],
        ["make", f"-j{os.cpu_count()}"],
        ["make", "install", f"DESTDIR={root or ''}"],
    ]
    log = folder.with_suffix(".log")
    with log.open("w") as out:
        for command in commands:
            done = subprocess.run(
                command, cwd=folder, env={**os.environ, **tools}, stdout=out, stderr=out
            )
            if done.returncode != 0:
                sys.exit(f"wheels: {' '.join(command)} in {folder} failed; {log} says why")
    shutil.rmtree(folder)


def _source(package: str, suite: str) -> Path:
    """The archive that a package is made of, which apt fetches and checks by Debian's signature."""
    folder = _HERE / f"source-{package}"
    name = f"{package}_*.orig.tar.?z"
    if not list(folder.glob(name)):
        for part in ("lists/partial", "cache/archives/partial"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "sources.list").write_text(
            f"deb-src [signed-by={_KEYRING}] http://deb.debian.org/debian {suite} main\n"
        )
        settings = {
            "Dir::Etc::sourcelist": folder / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State::lists": folder / "lists",
            "Dir::Cache": folder / "cache",
            "APT::Sandbox::User": "root",  # apt's own user may not write into this folder
        }
        apt = ["apt-get", "-qq"]
        apt += [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
        subprocess.run([*apt, "update"], check=True, cwd=folder)
        fetch = ["source", "--download-only", "--tar-only", package]
        subprocess.run([*apt, *fetch], check=True, cwd=folder)
    return next(folder.glob(name))
