"""Roots of Debian with a Python and its headers: to compile for it, and to try a wheel in it.

They are unpacked, not installed, which takes seconds and works for any architecture. Programs of
this machine's architecture run in a root by chroot, as root; those of 64-bit Arm by qemu-aarch64.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from platforms import WORK, Platform, Python

# Where a root's programs find the network's names and certificates.
_FROM_HERE = ("etc/resolv.conf", "etc/ssl/certs/ca-certificates.crt")

_INCLUDE = "import sysconfig; print(sysconfig.get_path('include'))"
# Enters a root that has this machine's /proc, which is gone from it with the command.
_ENTER = 'mkdir -p "$1/proc" && mount --bind /proc "$1/proc" && exec chroot "$@"'


def root_of(suite: str, architecture: str, python: str) -> Path:
    """The root of a release of Debian with its Python, made where it is missing.

    python: "3.13".
    """
    packages = [f"python{python}-venv", f"libpython{python}-dev", "gcc", "libc6-dev"]
    return _unpacked(suite, architecture, packages, f"{suite}-{architecture}")


def musl_root() -> Path:
    """A root with musl and a C compiler for it, musl-gcc. Its musl is newer than Debian 12's, whose
    loader does not know the relocations in numpy's wheels."""
    root = _unpacked("trixie", "amd64", ["musl-tools", "gcc", "dash"], "trixie-musl")
    for name, target in (("bin/sh", "dash"), ("lib/libc.musl-x86_64.so.1", "ld-musl-x86_64.so.1")):
        if not os.path.lexists(root / name):  # the second as Alpine has it
            (root / name).symlink_to(target)
    return root


def _unpacked(suite: str, architecture: str, packages: list[str], name: str) -> Path:
    path = WORK / "roots" / name
    if path.exists():
        return path
    print(f"unpacking Debian {suite} for {architecture}: {', '.join(packages)}", flush=True)
    part = path.with_name(f"{path.name}.part")  # until it is whole
    shutil.rmtree(part, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    command = ["mmdebstrap", "-q", "--variant=extract", f"--architectures={architecture}"]
    command += [f"--include={','.join(packages)}"]
    if suite == "sid":  # a mirror that lags behind has lists that the archive calls out of date
        command += ["--aptopt=Acquire::Check-Valid-Until false"]
    subprocess.run([*command, suite, str(part), "http://deb.debian.org/debian"], check=True)
    for folder in ("bin", "lib", "lib64", "sbin"):  # since Debian 12 they are links into /usr
        if not (part / folder).exists() and (part / "usr" / folder).exists():
            (part / folder).symlink_to(f"usr/{folder}")
    for name in _FROM_HERE:
        if os.path.exists(f"/{name}"):
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(f"/{name}", part / name)
    return part.rename(path)


def headers_of(platform: Platform, python: Python) -> list[Path] | None:
    """Folders with this Python's headers; None where it is to be had nowhere."""
    if python.suite is None:
        interpreter = interpreter_here(python)
        if interpreter is None or platform.debian != "amd64":
            return None
        return [Path(_output(interpreter, "-c", _INCLUDE))]
    include = root_of(python.suite, platform.debian, python.version) / "usr" / "include"
    # Only Python's of them: the rest of the root is of another C library.
    own = WORK / "headers" / f"{python.tag}-{platform.debian}"
    name = f"python{python.version}"
    if not own.exists():
        part = own.with_name(f"{own.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        for folder in (include / name, *include.glob(f"*-linux-gnu*/{name}")):
            shutil.copytree(folder, part / folder.relative_to(include))
        # Python 3.9 includes it, and zig has none. No module of ours calls anything of it.
        (part / "crypt.h").touch()
        if python.free_threaded:
            _take_lock_away(part)
        part.rename(own)
    return [own, own / name]


def _take_lock_away(headers: Path) -> None:
    """Makes of a Python's headers what its configure makes of them with --disable-gil."""
    undefined = "/* #undef Py_GIL_DISABLED */"
    texts = {path: path.read_text() for path in headers.rglob("pyconfig.h")}
    changed = {path: text for path, text in texts.items() if undefined in text}
    if not changed:
        sys.exit(f"wheels: no pyconfig.h in {headers} says {undefined}")
    for path, text in changed.items():
        path.write_text(text.replace(undefined, "#define Py_GIL_DISABLED 1"))


def interpreter_here(python: Python) -> str | None:
    """A Python of this version, with headers, on this machine's path or where pyenv keeps them."""
    name = f"python{python.version}"
    here = [Path(shutil.which(name) or "/")]
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for path in [*here, *sorted(versions.glob(f"{python.version}.*/bin/{name}"))]:
        if not path.is_file():
            continue
        done = subprocess.run(
            [path, "-c", f"import venv; {_INCLUDE}"], capture_output=True, text=True
        )
        if done.returncode == 0 and Path(done.stdout.strip(), "Python.h").exists():
            return str(path)
    return None


def command_in(root: Path, architecture: str, words: Sequence[str]) -> list[str]:
    """The command that runs a root's program; the first word is its path in the root."""
    if architecture == "amd64":
        return ["unshare", "--mount", "sh", "-c", _ENTER, "sh", str(root), *words]
    if architecture == "arm64":
        return ["qemu-aarch64", "-L", str(root), str(root) + words[0], *words[1:]]
    sys.exit(f"wheels: nothing here runs programs for {architecture}")


def _output(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
