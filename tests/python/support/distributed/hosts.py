"""Two hosts with a cable between them, made of network namespaces of Linux on this machine."""

import contextlib
import os
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import pytest

ADDRESSES = ("10.87.0.1", "10.87.0.2")

# What hydra calls in the place of ssh, with a host and a command.
_LAUNCHER = """#!/bin/sh
host=$1
shift
exec ip netns exec "{prefix}$host" sh -c "$*"
"""


def _run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Hosts:
    """The namespaces `PREFIX10.87.0.1` and `PREFIX10.87.0.2`; each has a device `cable`."""

    def __init__(self, folder):
        self.prefix = f"ninc-{os.getpid()}-"
        self.launcher = Path(folder) / "launcher"
        self.launcher.write_text(_LAUNCHER.format(prefix=self.prefix))
        self.launcher.chmod(self.launcher.stat().st_mode | stat.S_IXUSR)

    def name(self, host):
        return self.prefix + ADDRESSES[host]

    def inside(self, host, *command):
        return _run("ip", "netns", "exec", self.name(host), *command)

    def plug(self):
        ends = [f"nc{os.getpid() % 100000}{side}" for side in "ab"]
        for host in (0, 1):
            _run("ip", "netns", "add", self.name(host))
        _run("ip", "link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for host, end in enumerate(ends):
            _run("ip", "link", "set", end, "netns", self.name(host), "name", "cable")
            self.inside(host, "ip", "link", "set", "cable", "addrgenmode", "none")  # no IPv6
            self.inside(host, "ip", "address", "add", f"{ADDRESSES[host]}/24", "dev", "cable")
            for device in ("lo", "cable"):
                self.inside(host, "ip", "link", "set", device, "up")

    def unplug(self):
        for host in (0, 1):
            with contextlib.suppress(subprocess.CalledProcessError):
                for process in _run("ip", "netns", "pids", self.name(host)).split():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(process), signal.SIGKILL)
                _run("ip", "netns", "delete", self.name(host))

    def slow_down(self, rate):
        """rate: as tc has it, such as "100mbit"."""
        for host in (0, 1):
            limit = ("rate", rate, "burst", "64kb", "latency", "200ms")
            self.inside(host, "tc", "qdisc", "add", "dev", "cable", "root", "tbf", *limit)

    def lose(self, one_in):
        """Drops one of so many packets that come, by chance."""
        rules = (
            "add table ip lossy; "
            "add chain ip lossy in { type filter hook input priority 0; }; "
            f"add rule ip lossy in iif cable numgen random mod {one_in} == 0 drop"
        )
        for host in (0, 1):
            self.inside(host, "nft", rules)

    def cut(self):
        self.inside(1, "ip", "link", "set", "cable", "down")

    def sent(self, host):
        """Bytes that went into the cable, with all headers."""
        return int(self.inside(host, "cat", "/sys/class/net/cable/statistics/tx_bytes"))


@contextlib.contextmanager
def two_hosts(folder):
    """Skips the test where namespaces, or the commands that make them, are not to be had."""
    missing = [name for name in ("ip", "tc", "nft") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"no {missing[0]} here")
    hosts = Hosts(folder)
    try:
        try:
            hosts.plug()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"network namespaces are not allowed here: {error.stderr.strip()}")
        yield hosts
    finally:
        hosts.unplug()
