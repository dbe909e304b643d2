"""What a report says about the network, the machine, and the memory that the work takes."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import _core
from ..errors import Error
from ..inference.summary import HEADER, summary_rows
from ..network import Network


def network_facts(network: Network, input_shape: Sequence[int]) -> dict[str, Any]:
    """`Record.network`. input_shape: C, H, W."""
    channels, height, width = input_shape
    return {
        "input": [channels, height, width],
        "parameters": network.num_parameters,
        "header": list(HEADER),
        "layers": [list(row) for row in summary_rows(network.core, (1, channels, height, width))],
    }


def machine_facts(device: str) -> dict[str, str]:
    """`Record.machine`, of a network that is on `device`."""
    told = {entry["name"]: entry["description"] for entry in _core.devices()}
    facts = {
        "processor": _processor(),
        "instruction set": _core.target(),
        "threads": str(_core.get_num_threads()),
        "system": f"{platform.system()} {platform.machine()}",
        "ninc": _core.__version__,
        "numpy": np.__version__,
        "Python": platform.python_version(),
    }
    return facts if device == "cpu" else {"device": told.get(device, device), **facts}


def plan_facts(
    network: Network, input_shape: Sequence[int], batch_size: int, training: bool
) -> dict[str, int]:
    """Bytes of a step's or run's values and of its packed weights; {} where there is no plan."""
    try:
        plan = network.plan((batch_size, *input_shape), training)
    except Error:
        return {}
    return {"values": int(plan.arena_bytes), "weights": int(plan.packed_bytes)}


def peak_memory() -> dict[str, int]:
    """The most memory that this process has had, in bytes; {} where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return {}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"peak": peak if sys.platform == "darwin" else 1024 * peak}


def _processor() -> str:
    """The processor's name as the system tells it."""
    about = Path("/proc/cpuinfo")
    if os.access(about, os.R_OK):
        for line in about.read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
