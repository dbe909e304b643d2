"""How much memory this process may still take: the machine's, or what a cgroup's limit leaves."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import OutOfMemoryError

# Where the limits are told; another root only in tests.
_ROOT = Path("/")


def available_memory(root: Path = _ROOT) -> int:
    """Bytes. Pages that only hold files the kernel can read again count as free."""
    amounts = [_of_machine(root), *_of_cgroups(root)]
    return max(0, min(amount for amount in amounts if amount is not None))


def check_room(file: str | os.PathLike[str], count: int, advice: str) -> None:
    """OutOfMemoryError unless `count` bytes of `file` unpacked have room."""
    free = available_memory()
    if count > free:
        raise OutOfMemoryError(
            f"{os.fspath(file)}: unpacked it takes {size_text(count)} of memory and "
            f"{size_text(free)} are free; {advice}"
        )


def size_text(count: float) -> str:
    """ "1.5 GB", "320 MB", "12 kB"."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if count >= scale:
            return f"{count / scale:.3g} {unit}"
    return f"{count / 1e3:.3g} kB"


def _of_machine(root: Path) -> int:
    for line in _read(root / "proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return int(rest.split()[0]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _of_cgroups(root: Path) -> list[int | None]:
    """What is left in each group this process is in, the groups around it included."""
    mount = root / "sys/fs/cgroup"
    left: list[int | None] = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "":
            left += [_left(place, "max", "current", "inactive_file") for place in _up(mount, path)]
        elif "memory" in controllers.split(","):
            names = ("limit_in_bytes", "usage_in_bytes", "total_inactive_file")
            left += [_left(place, *names) for place in _up(mount / "memory", path)]
    return left


def _up(mount: Path, path: str) -> list[Path]:
    """The group's folder and those above it, up to the mount. A container may not see its own."""
    parts = [part for part in path.split("/") if part not in ("", "..")]
    return [mount.joinpath(*parts[:length]) for length in range(len(parts), -1, -1)]


def _left(group: Path, limit: str, usage: str, reclaimable: str) -> int | None:
    most, used = (_read(group / f"memory.{name}").strip() for name in (limit, usage))
    if not (most.isdigit() and used.isdigit()):  # "max", or no such group here
        return None
    fields = dict(line.split()[:2] for line in _read(group / "memory.stat").splitlines() if line)
    return int(most) - int(used) + int(fields.get(reclaimable, 0))


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
