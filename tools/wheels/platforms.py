"""Which wheels there are: for which Pythons, of which compiler, tried where."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "wheels"  # what is fetched and compiled, kept between runs

# ziglang is a C++ compiler with the headers of every glibc and of musl in one wheel.
ZIG = "ziglang==0.17.1"


@dataclass(frozen=True)
class Python:
    """tag: of its wheels, "cp313", or "cp313t" without the global lock.

    suite: the release of Debian that has its headers and, with the lock, its interpreter; None:
    both are this machine's. source: the release of whose source one is built where no package has
    it.
    """

    tag: str
    suite: str | None
    source: str | None = None

    @property
    def free_threaded(self) -> bool:
        return self.tag.endswith("t")

    @property
    def version(self) -> str:
        """ "3.13" """
        digits = self.tag[2:].rstrip("t")
        return f"{digits[0]}.{digits[1:]}"

    def suffix(self, triplet: str) -> str:
        """What its modules' names end with."""
        return f".cpython-{self.tag[2:]}-{triplet}.so"


PYTHONS = (
    Python("cp39", "bullseye"),
    Python("cp310", None),
    Python("cp311", "bookworm"),
    Python("cp312", None),
    Python("cp313", "trixie", source="trixie"),
    Python("cp313t", "trixie", source="trixie"),
    Python("cp314", "sid"),
    Python("cp314t", "sid"),
)

# The minor version of the C library in Debian's releases that are older than some wheels.
_GLIBC = {"bullseye": 31}


@dataclass(frozen=True)
class Platform:
    """One libninc and the modules that go with it.

    tag: the wheels' platform. debian: Debian's name of the architecture. triplet: what Python calls
    it in its modules' names. zig: its target for zig, or empty where `settings` name a compiler.
    """

    name: str
    tag: str
    debian: str
    triplet: str
    pythons: tuple[str, ...]
    settings: tuple[str, ...] = ()
    zig: str = ""

    @property
    def folder(self) -> Path:
        return WORK / self.name

    def runs_in(self, suite: str) -> bool:
        """Whether the C library of that release of Debian is as new as these wheels' tag."""
        match = re.match(r"manylinux_2_(\d+)_", self.tag)
        return match is not None and int(match[1]) <= _GLIBC.get(suite, 1000)

    @property
    def python_list(self) -> list[Python]:
        return [python for python in PYTHONS if python.tag in self.pythons]


_ALL = tuple(python.tag for python in PYTHONS)
PLATFORMS = (
    Platform(
        "x86_64",
        "manylinux_2_34_x86_64",
        "amd64",
        "x86_64-linux-gnu",
        _ALL,
        ("-DNINC_CUDA=ON",),
    ),
    Platform(
        "aarch64",
        "manylinux_2_34_aarch64",
        "arm64",
        "aarch64-linux-gnu",
        ("cp311", "cp313"),
        ("--toolchain", "cmake/toolchains/aarch64-linux-gnu.cmake", "-DNINC_CUDA=OFF"),
    ),
    # For systems with an older C library.
    Platform(
        "x86_64-old",
        "manylinux_2_17_x86_64",
        "amd64",
        "x86_64-linux-gnu",
        _ALL,
        ("-DNINC_CUDA=ON",),
        zig="x86_64-linux-gnu.2.17",
    ),
    # For Alpine. The driver of NVIDIA's GPUs is made for glibc alone.
    Platform(
        "x86_64-musl",
        "musllinux_1_2_x86_64",
        "amd64",
        "x86_64-linux-musl",
        ("cp311", "cp312", "cp313", "cp314"),
        ("-DNINC_CUDA=OFF",),
        zig="x86_64-linux-musl",
    ),
)


def named(names: list[str]) -> list[Platform]:
    """The platforms of these names, all where there are none. SystemExit for an unknown one."""
    known = {platform.name: platform for platform in PLATFORMS}
    for name in names:
        if name not in known:
            raise SystemExit(
                f"wheels: no platform is called {name!r}; there are {', '.join(known)}"
            )
    return [known[name] for name in names or known]
