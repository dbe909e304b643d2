"""The process's threads and instruction set, and what this build is."""

from __future__ import annotations

import os

from . import _core
from ._base.arguments import integer, shown
from .errors import ArgumentError


def get_num_threads() -> int:
    """How many threads work on an operation.

    At first what affinity and cgroup limits leave this process, or NINC_NUM_THREADS.
    """
    return _core.get_num_threads()


def set_num_threads(count: int) -> None:
    """Lets `count` threads, at least 1, work on an operation. Results do not depend on it."""
    _core.set_num_threads(integer("set_num_threads", "count", count, highest=2**31 - 1))


def targets() -> list[str]:
    """Instruction sets that processor and build share, the best first.

    Out of "amx" (AVX-512 with matrix units), "avx512", "avx2", "neon" and "scalar".
    """
    return _core.targets()


def target() -> str:
    """The instruction set in use: the best, or the one of NINC_TARGET or `set_target`."""
    return _core.target()


def set_target(name: str) -> None:
    """Uses one of `targets` from now on, in the whole process. ArgumentError for others.

    Calls under way, plans and trainers keep the one they were made for.
    """
    if not (isinstance(name, str) and name.isascii()):
        raise ArgumentError(f"set_target: name must be one of `targets`, got {shown(name)}")
    _core.set_target(name)


def devices() -> list[str]:
    """Where networks can run: ["cpu"], or ["cpu", "cuda"] with a GPU that can be used."""
    return [device["name"] for device in _core.devices() if not device["problem"]]


def device_info() -> list[dict[str, str]]:
    """All devices ninc knows: name, description, and the problem, "" where there is none."""
    return _core.devices()


def build_info() -> dict[str, str]:
    """Version, compiler and parts of this build."""
    return _core.build_info()


def get_include() -> str:
    """The folder of the C and C++ headers: -I of a compiler."""
    return os.path.join(_installed(), "include")


def get_cmake_dir() -> str:
    """The folder that find_package(ninc) needs: -Dninc_DIR of CMake."""
    return os.path.join(_installed(), "lib", "cmake", "ninc")


def _installed() -> str:
    # Beside the compiled module: in an editable installation the Python files lie elsewhere.
    return os.path.dirname(os.path.abspath(_core.__file__))
