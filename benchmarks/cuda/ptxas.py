"""What ptxas says of the kernels, and how many of a multiprocessor's warps that leaves room for.

Limits by compute capability are those of the CUDA C++ Programming Guide, "Compute Capabilities".
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ARCHITECTURES = ("sm_80", "sm_90", "sm_100", "sm_120")


class Figures(NamedTuple):
    """One kernel on one architecture; bytes a thread of spills, a block of shared memory."""

    registers: int
    spills: int
    shared: int


class Limits(NamedTuple):
    """What a multiprocessor holds."""

    warps: int
    blocks: int
    shared: int  # bytes


_LIMITS = {
    "sm_80": Limits(64, 32, 164 << 10),
    "sm_90": Limits(64, 32, 228 << 10),
    "sm_100": Limits(64, 32, 228 << 10),
    "sm_120": Limits(48, 24, 100 << 10),
}
_REGISTERS = 64 << 10  # of 32 bits, a quarter for each of the four schedulers
_RESERVED = 1 << 10  # bytes of shared memory that the system takes of each block


def read_logs(folder: Path) -> dict[str, dict[str, Figures]]:
    """Figures by kernel and architecture, from the logs of `nvcc -Xptxas -v` in a folder."""
    found: dict[str, dict[str, Figures]] = {}
    for log in sorted(folder.glob("*.log")):
        kernel = architecture = ""
        spills = 0
        for line in log.read_text(encoding="utf-8").splitlines():
            if match := re.search(r"Compiling entry function '(\w+)' for '(\w+)'", line):
                kernel, architecture = match.groups()
            elif match := re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", line):
                spills = int(match[1]) + int(match[2])
            elif match := re.search(r"Used (\d+) registers", line):
                shared = re.search(r"(\d+) bytes smem", line)
                found.setdefault(kernel, {})[architecture] = Figures(
                    int(match[1]), spills, int(shared[1]) if shared else 0
                )
    return found


def resident_blocks(architecture: str, registers: int, threads: int, shared: int) -> int:
    """How many such blocks one multiprocessor holds at a time."""
    limits = _LIMITS[architecture]
    warps = -(-threads // 32)
    # Registers are given out 256 at a time, to a warp of one scheduler.
    a_warp = -(-registers * 32 // 256) * 256
    by_registers = _REGISTERS // 4 // a_warp * 4 // warps
    by_shared = limits.shared // (-(-(shared + _RESERVED) // 128) * 128)
    return min(limits.warps // warps, limits.blocks, by_registers, by_shared)


def occupancy(architecture: str, registers: int, threads: int, shared: int) -> float:
    """Warps that fit on a multiprocessor, as a share of the most it can hold."""
    blocks = resident_blocks(architecture, registers, threads, shared)
    return blocks * -(-threads // 32) / _LIMITS[architecture].warps
