"""Workers in processes of their own, under MPICH and Open MPI: one file, also when some are killed.

NINC_TEST_DISTRIBUTED=1 trains the paper's network, by every number of workers, and kills at five
moments; else a network of a few kernels stands for it.
"""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import ninc
from support.distributed import mpi
from support.small_training import bars

LONG = os.environ.get("NINC_TEST_DISTRIBUTED") == "1"
SIZES = (1, 2, 3, 4, 7, 8) if LONG else (1, 3)
MOMENTS = range(5 if LONG else 1)

TRAIN = [sys.executable, "-m", "ninc", "train", "data.npz", "-o"]
# The recipe has batch norm, dropout, crops and flips.
OPTIONS = ["--shards", "8", "--batch-size", "32"]


def options(long, epochs):
    model = ["nin-cifar10"] if long else ["nin-mnist", "--size", "16"]
    return [*OPTIONS, "--epochs", str(epochs), "--model", *model]


def pictures(folder, long, count):
    if long:
        rng = np.random.default_rng(0)
        x = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        y = rng.integers(0, 10, count)
    else:
        data = bars(count)
        x, y = data.images, data.labels
    np.savez(folder / "data.npz", x=x, y=y)


def run(command, folder, environment=None, **others):
    done = subprocess.run(
        command, cwd=folder, env=environment, timeout=600, capture_output=True, text=True, **others
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    pictures(folder, LONG, 64)
    code, _, told = run([*TRAIN, "alone.safetensors", *options(LONG, 2)], folder)
    assert code == 0, told
    return folder


@pytest.mark.parametrize("kind", mpi.KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_the_file_is_that_of_one_process(alone, kind, size):
    begin, environment = mpi.launcher(kind, size)
    name = f"{kind.replace(' ', '-')}-{size}.safetensors"
    code, said, told = run([*begin, *TRAIN, name, *options(LONG, 2)], alone, environment)
    assert code == 0, told
    assert told.count("epoch 2/2") == 1 and said.count("wrote") == 1
    assert (alone / name).read_bytes() == (alone / "alone.safetensors").read_bytes()


@pytest.mark.parametrize("kind", mpi.KINDS)
def test_so_it_is_with_batch_norms_of_the_whole_batch(alone, kind):
    synced = [*options(LONG, 1), "--sync-batch-norm"]
    code, _, told = run([*TRAIN, "synced.safetensors", *synced], alone)
    assert code == 0, told
    begin, environment = mpi.launcher(kind, 3)
    code, _, told = run([*begin, *TRAIN, "together.safetensors", *synced], alone, environment)
    assert code == 0, told
    plain = [*TRAIN, "plain.safetensors", *options(LONG, 1)]
    assert run(plain, alone)[0] == 0
    files = (alone / f"{name}.safetensors" for name in ("synced", "together", "plain"))
    synced, together, plain_file = (file.read_bytes() for file in files)
    assert synced == together != plain_file


@pytest.mark.parametrize("kind", mpi.KINDS)
def test_a_folder_is_read_in_shares_and_shown_once(tmp_path, kind):
    rng = np.random.default_rng(0)
    for number in range(60):
        place = tmp_path / "pictures" / ("even", "odd")[number % 2] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (20, 18, 3), dtype=np.uint8)
        ninc.preprocess.open_picture(pixels).save(place)
    (tmp_path / "pictures" / "odd" / "61.png").write_bytes(b"no picture")
    command = [
        sys.executable, "-m", "ninc", "train", "pictures", "--size", "16", "--epochs", "2",
        "--shards", "4", "--batch-size", "16", "--validation", "0.2", "--patience", "1",
        "--on-corrupt", "skip",
    ]  # fmt: skip
    made = {}
    for name, (begin, environment) in {
        "alone": ([], None),
        "together": mpi.launcher(kind, 3),
    }.items():
        wanted = ["-o", f"{name}.safetensors", "--report", name, "--history", f"{name}.jsonl"]
        code, said, told = run([*begin, *command, *wanted], tmp_path, environment)
        assert code == 0, told
        assert told.count("left out 1 damaged picture: ") == told.count("epoch 1/2") == 1
        assert said.count("wrote") == 3
        assert (tmp_path / name / "report.html").exists()
        made[name] = (tmp_path / f"{name}.safetensors").read_bytes()
    assert made["together"] == made["alone"]


# ---- Workers that die ----------------------------------------------------------------------------

EPOCHS = 6
CHECKPOINTS = ["--checkpoint", "run", "--checkpoint-every", "2"]


def rows(folder):
    """How many epochs the history of a run has."""
    history = folder / "run" / "history.jsonl"
    return history.read_text().count("\n") if history.exists() else 0


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """(folder with a finished run of one process, how many seconds its steps took)."""
    folder = tmp_path_factory.mktemp("whole")
    pictures(folder, False, 600)
    begun = time.monotonic()
    code, _, told = run([*TRAIN, "end.safetensors", *options(False, EPOCHS), *CHECKPOINTS], folder)
    assert code == 0, told
    return folder, time.monotonic() - begun


@pytest.mark.parametrize("kind", mpi.KINDS)
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_goes_on_after_a_worker_is_killed(tmp_path, whole_run, kind, moment):
    whole, seconds = whole_run
    chance = random.Random(f"{kind} {moment}")
    size, later = chance.sample((2, 3, 4, 8), 2)
    begin, environment = mpi.launcher(kind, size)
    pictures(tmp_path, False, 600)
    command = [*TRAIN, "end.safetensors", *options(False, EPOCHS), *CHECKPOINTS]
    with subprocess.Popen(
        [*begin, *command], cwd=tmp_path, env=environment, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as going:  # fmt: skip
        last = tmp_path / "run" / "last.safetensors"
        epochs, deadline = chance.randrange(EPOCHS - 1), time.monotonic() + 300
        while not last.exists() or rows(tmp_path) < epochs:
            assert going.poll() is None and time.monotonic() < deadline, going.communicate()[0]
            time.sleep(0.01)
        time.sleep(chance.uniform(0, seconds / EPOCHS))
        os.kill(mpi.workers_of(going)[chance.randrange(size)], signal.SIGKILL)
        said = going.communicate(timeout=60)[0]
    assert going.returncode != 0, said
    assert "Traceback" not in said and said.count("has lost worker") <= 1
    assert not (tmp_path / "end.safetensors").exists()
    assert len(ninc.load(last).state_dict()) > 0  # whole
    begin, environment = mpi.launcher(kind, later)
    code, _, told = run([*begin, *command, "--resume"], tmp_path, environment)
    assert code == 0, told
    assert "going on" in told
    for name in ("end.safetensors", "run/last.safetensors"):
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize("kind", mpi.KINDS)
@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_one_worker_ends_all_with_a_checkpoint(tmp_path, whole_run, kind, signal_):
    whole, _ = whole_run
    pictures(tmp_path, False, 600)
    command = [*TRAIN, "end.safetensors", *options(False, EPOCHS), *CHECKPOINTS]
    begin, environment = mpi.launcher(kind, 2)
    with subprocess.Popen(
        [*begin, *command], cwd=tmp_path, env=environment, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as going:  # fmt: skip
        deadline = time.monotonic() + 300
        while rows(tmp_path) < 1:
            assert going.poll() is None and time.monotonic() < deadline, going.communicate()[0]
            time.sleep(0.01)
        os.kill(mpi.workers_of(going)[1], signal_)
        said = going.communicate(timeout=60)[0]
    assert going.returncode != 0 and "Traceback" not in said
    assert f"interrupted ({signal_.name})" in said
    code, _, told = run([*begin, *command, "--resume"], tmp_path, environment)
    assert code == 0, told
    for name in ("end.safetensors", "run/last.safetensors"):
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize("kind", mpi.KINDS)
@pytest.mark.parametrize(
    "wrong, words",
    [
        (["--shards", "2"], "3 workers need --shards 3 or more, got 2"),
        # worker 0 alone looks at files
        (["--plot", "plot.jpg", "--shards", "3"], "--plot: plot.jpg"),
        (["--epochs", "none"], "argument --epochs"),
    ],
    ids=["shards", "plot", "epochs"],
)
def test_wrong_usage_is_told_and_ends_all(alone, kind, wrong, words):
    begin, environment = mpi.launcher(kind, 3)
    command = [*begin, *TRAIN, "wrong.safetensors", "--model", "nin-mnist", "--size", "16", *wrong]
    code, said, told = run(command, alone, environment)
    assert code == (1 if wrong[0] == "--shards" else 2)
    assert told.count(words) == 1 and "Traceback" not in told


@pytest.mark.parametrize("kind", mpi.KINDS)
@pytest.mark.parametrize(
    "wrong, code, words",
    [
        (["--epochs", "none"], 2, "worker 2: error: argument --epochs"),
        (["--shards", "2"], 1, "3 workers need --shards 3 or more, got 2 in worker 2"),
        (["--help"], 0, "worker 2: nothing to train"),
    ],
    ids=["epochs", "shards", "help"],
)
def test_one_worker_begun_otherwise_ends_all(alone, kind, wrong, code, words):
    """The others would wait for it as soon as they began with MPI."""
    begin, environment = mpi.launcher(kind, 2)
    right = [*TRAIN, "wrong.safetensors", "--model", "nin-mnist", "--size", "16", "--shards", "3"]
    status, _, told = run([*begin, *right, ":", "-n", "1", *right, *wrong], alone, environment)
    assert status == code and told.count(words) == 1 and "Traceback" not in told
    assert not (alone / "wrong.safetensors").exists()


@pytest.mark.parametrize("kind", mpi.KINDS)
def test_help_is_printed_once(tmp_path, kind):
    begin, environment = mpi.launcher(kind, 3)
    code, said, told = run([*begin, *TRAIN[:-2], "--help"], tmp_path, environment)
    assert (code, told) == (0, "") and said.count("usage: ninc train") == 1


# ---- Programs of one's own -----------------------------------------------------------------------

PROGRAM = """
import time, numpy as np, ninc
from mpi4py import MPI
comm = MPI.COMM_WORLD
workers = ninc.distributed.Workers(comm, wait=2)
net = ninc.nn.Sequential(ninc.nn.Conv2d(1, 2, 3), ninc.nn.GlobalAvgPool2d(), seed=1)
trainer = ninc.Trainer(net, ninc.SGD(0.1), shards=4, comm=workers)
x, y = np.ones((4, 1, 8, 8), np.float32), np.zeros(4, np.int64)
trainer.step(x, y)
if comm.Get_rank() == 1:
    time.sleep(60)
try:
    trainer.step(x, y)
except ninc.Error as error:
    # Into a file, since MPICH's launcher may lose what stands in a pipe at an abort.
    with open(f"worker{comm.Get_rank()}.txt", "w") as told:
        told.write(str(error))
    comm.Abort(3)
"""


@pytest.mark.parametrize("kind", mpi.KINDS)
def test_a_worker_that_hangs_is_named_within_the_stated_time(tmp_path, kind):
    begin, environment = mpi.launcher(kind, 3)
    begun = time.monotonic()
    code, _, _ = run([*begin, sys.executable, "-c", PROGRAM], tmp_path, environment)
    assert time.monotonic() - begun < 40
    assert code != 0
    told = [path.read_text() for path in sorted(tmp_path.glob("worker*.txt"))]
    assert told
    for text in told:
        assert "has waited 2 s for worker 1, which may have died, lost its network" in text


SHORT = """
import sys, numpy as np, ninc
from mpi4py import MPI
comm, x, y = MPI.COMM_WORLD, np.ones((4, 8, 8, 1), np.uint8), np.arange(4) % 2
stream = ninc.data.BatchStream([(x, y)] * (2 if comm.Get_rank() == 1 else 3))
net = ninc.nn.Sequential(ninc.nn.Conv2d(1, 2, 3), ninc.nn.GlobalAvgPool2d(), seed=1)
net.preprocessing = ninc.preprocess.Preprocessing.fit(x)
try:
    ninc.Trainer(net, ninc.SGD(0.1), shards=4, comm=comm).fit(stream, epochs=1, progress=False)
except ninc.Error as error:
    with open(f"worker{comm.Get_rank()}.txt", "w") as told:
        told.write(str(error))
"""


@pytest.mark.parametrize("kind", mpi.KINDS)
def test_a_worker_with_fewer_batches_is_told_soon(tmp_path, kind):
    begin, environment = mpi.launcher(kind, 3)
    begun = time.monotonic()
    run([*begin, sys.executable, "-c", SHORT], tmp_path, environment)
    assert time.monotonic() - begun < 60  # and not the 600 s of a worker that hangs
    told = [path.read_text() for path in sorted(tmp_path.glob("worker*.txt"))]
    assert len(told) == 3 and all("is not where worker" in text for text in told)


LATE = """
import time
from mpi4py import MPI
from ninc.distributed.messages import Messages
comm = MPI.COMM_WORLD
messages = Messages(comm, 60)
if comm.Get_rank() == 1:
    time.sleep(4)
for value in (b"few", bytes(1 << 23), b"more"):
    assert messages.object_of_first(value if comm.Get_rank() == 0 else None) == value
assert messages.objects_of_all(comm.Get_rank()) == [0, 1, 2]
"""


@pytest.mark.parametrize("kind", mpi.KINDS)
def test_a_worker_that_is_late_is_waited_for(tmp_path, kind):
    """While worker 0 has sent it more than it takes."""
    begin, environment = mpi.launcher(kind, 3)
    code, _, told = run([*begin, sys.executable, "-c", LATE], tmp_path, environment)
    assert (code, told) == (0, "")
