"""Two hosts with a cable between them: fast, slow, one that loses packets, and one that is cut."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import ninc
from benchmarks.scaling.model import sent
from ninc._core import ShardTree
from support.distributed import mpi
from support.distributed.hosts import ADDRESSES, two_hosts
from support.small_training import bars

PICTURES, BATCH, SHARDS, EPOCHS, WAIT = 600, 32, 8, 2, 5
TRAIN = [
    sys.executable, "-m", "ninc", "train", "data.npz", "--model", "nin-mnist", "--size", "16",
    "--shards", str(SHARDS), "--batch-size", str(BATCH), "--epochs", str(EPOCHS),
    "--wait", str(WAIT),
]  # fmt: skip


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A folder with data and the file that one process makes of them."""
    folder = tmp_path_factory.mktemp("alone")
    data = bars(PICTURES)
    np.savez(folder / "data.npz", x=data.images, y=data.labels)
    subprocess.run([*TRAIN, "-o", "alone.safetensors"], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def hosts(tmp_path):
    with two_hosts(tmp_path) as made:
        yield made


def begun(hosts, folder, output, **options):
    """The launcher of a worker on each host."""
    where = ("-launcher", "rsh", "-launcher-exec", str(hosts.launcher))
    addresses = ("-hosts", ",".join(ADDRESSES), "-localhost", ADDRESSES[0])
    begin, environment = mpi.launcher("MPICH", 2, *where, *addresses)
    # MPICH takes memory that both share where it may: the kernel is the same.
    environment["UCX_TLS"] = "tcp,self"
    command = ["ip", "netns", "exec", hosts.name(0), *begin, *TRAIN, "-o", output]
    return subprocess.Popen(
        command, cwd=folder, env=environment, text=True, start_new_session=True, **options,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def bytes_of_steps(rank, folder):
    """What a worker of two sends in all steps, as docs/scaling.md has it."""
    network = ninc.load(folder / "alone.safetensors")
    statistics = network.state_dict().keys() - network.parameters().keys()
    # Gradients, new statistics, loss and right answers.
    size = sum(v.size for v in network.parameters().values())
    size += sum(network.state_dict()[name].size for name in statistics) + 2
    count = PICTURES - round(0.1 * PICTURES)  # a tenth is held out
    steps = -(-count // BATCH)
    batches = [count // steps + (i < count % steps) for i in range(steps)]
    return EPOCHS * sum(sent(rank, 2, batch, SHARDS, size)[0] for batch in batches)


@pytest.mark.parametrize("cable", ["fast", "100 Mbit/s", "1 % lost"])
def test_a_cable_changes_nothing_but_the_time(alone, hosts, cable):
    if cable == "100 Mbit/s":
        hosts.slow_down("100mbit")
    elif cable == "1 % lost":
        hosts.lose(100)
    output = f"{cable[:3].strip()}.safetensors"
    with begun(hosts, alone, output) as going:
        said = going.communicate(timeout=240)[0]
    assert going.returncode == 0, said
    assert (alone / output).read_bytes() == (alone / "alone.safetensors").read_bytes()
    for rank in (0, 1):
        # Headers of Ethernet, IP and TCP, what is sent again, and the rest of a run: its start, its
        # weights at the end, what MPI and the launcher say to one another.
        wire, wanted = hosts.sent(rank), bytes_of_steps(rank, alone)
        assert wanted < wire < 1.06 * wanted + 3e6, (wire, wanted)


def test_a_host_that_is_cut_off_is_told_within_the_stated_time(alone, hosts):
    with begun(hosts, alone, "cut.safetensors") as going:
        try:
            for line in going.stdout:
                if "epoch 1" in line:
                    break
            hosts.cut()
            cut = time.monotonic()
            said = next((line for line in going.stdout if "worker 0 has" in line), "")
            told = time.monotonic() - cut
        finally:
            os.killpg(going.pid, signal.SIGKILL)
    assert f"ninc: worker 0 has waited {WAIT} s for worker 1, which may have died, lost" in said
    assert told < WAIT + 10
    assert not (alone / "cut.safetensors").exists()


def test_what_a_step_sends_is_counted_from_the_tree():
    # Two workers with half of the shards each: half of the sum goes out, and half of the result.
    assert sent(0, 2, 32, 8, 1000) == (4000, 2)
    # Three workers: 8 shards are 2, 3 and 3, and the parts of the tree within them 1, 2 and 2.
    assert [len(ShardTree(32, 8).roots(a, b)) for a, b in ((0, 2), (2, 5), (5, 8))] == [1, 2, 2]
    assert sent(1, 3, 32, 8, 999) == (4 * (2 * 666 + 333 * 2), 4)
