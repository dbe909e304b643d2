"""A server with worker processes, begun and ended by the measurement, and the memory it holds."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_PATIENCE = 60.0  # seconds for the workers to begin, and to end


class Server:
    """uvicorn with an application of `apps`; `port` on this machine alone."""

    def __init__(self, process: subprocess.Popen, port: int) -> None:
        self.process, self.port = process, port

    def processes(self) -> list[int]:
        """The worker processes, and whatever else the server began; not the server itself."""
        return _descendants(self.process.pid)

    def resident(self) -> float:
        """Megabytes that they hold together."""
        return sum(map(_resident, self.processes()))

    def cpu_seconds(self) -> float:
        """Processor time that they took so far."""
        return sum(map(_cpu_seconds, self.processes()))


@contextlib.contextmanager
def running(
    application: str, workers: int, environment: Mapping[str, str], log: Path
) -> Iterator[Server]:
    """Begins a server and ends it as a system does, by SIGTERM.

    log: a file for what it writes. Raises RuntimeError, with that, where the server does not begin
    or does not end well.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--factory", application, "--workers", workers]
    command += ["--port", port, "--no-access-log", "--log-level", "warning"]
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(map(str, command)),
            env={**os.environ, **environment, "PYTHONPATH": path},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the measurement, which then ends the server
        )
    try:
        _wait_for(port, log, process)
        yield Server(process, port)
    finally:
        status = _ended(process)
    # uvicorn ends its workers, and then itself by the signal that it got.
    if status not in (0, -signal.SIGTERM):
        words = log.read_text(errors="replace")
        raise RuntimeError(f"{application} ended with status {status}:\n{words}")


def _ended(process: subprocess.Popen) -> int:
    """The status of a server that was asked to end, with its workers, or was killed with them."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.wait()


def _wait_for(port: int, log: Path, process: subprocess.Popen) -> None:
    """Returns once the server takes connections. Raises RuntimeError where it does not."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        time.sleep(0.05)
    raise RuntimeError(f"the server did not begin:\n{log.read_text(errors='replace')}")


def _descendants(process: int) -> list[int]:
    found = []
    for thread in os.listdir(f"/proc/{process}/task"):
        for child in Path(f"/proc/{process}/task/{thread}/children").read_text().split():
            found += [int(child), *_descendants(int(child))]
    return found


def _resident(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _cpu_seconds(process: int) -> float:
    after_name = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, after_name[11:13])) / os.sysconf("SC_CLK_TCK")
