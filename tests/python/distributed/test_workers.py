"""Training by several workers: the bytes of one process, whatever their number."""

import sys

import numpy as np
import pytest

import ninc
from ninc import cli
from ninc.averages import EMA
from ninc.distributed import Workers
from ninc.distributed.launched import launched_comm
from ninc.distributed.team import Team
from ninc.errors import ArgumentError
from support.distributed.thread_comm import ThreadComm, together
from support.small_training import bars, small_network
from support.weights import assert_same_weights, copies


def trained(comm=None, folder=None, epochs=2, shards=8, sync=False, **options):
    network = small_network()
    trainer = ninc.Trainer(
        network,
        ninc.SGD(0.1, momentum=0.9, clip_norm=1.0),
        augment=ninc.augment.PadCrop(1),
        average=EMA(0.9, norm_batches=2),
        shards=shards,
        comm=comm,
        sync_batch_norm=sync,
    )
    trainer.fit(bars(100), bars(30, seed=2), epochs, 33, folder, progress=False, **options)
    return network


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 8])
def test_any_number_of_workers_trains_the_network_of_one_process(size):
    alone = copies(trained())
    for network in together(size, trained):
        assert_same_weights(network, alone)


@pytest.mark.parametrize(
    "options",
    [
        dict(freeze="conv*"),
        dict(class_weights="balanced"),
        dict(sync=True),
        dict(sync=True, shards=3, freeze="*1*"),
        dict(preprocessing="gcn_zca"),
        dict(callbacks=[lambda epoch: epoch.stop()]),
    ],
    ids=lambda options: " ".join(options),
)
def test_so_it_is_with_the_options_of_fit(options):
    alone = copies(trained(**options))
    for network in together(3, lambda comm: trained(comm, **options)):
        assert_same_weights(network, alone)


def test_another_number_of_workers_goes_on_with_a_run(tmp_path):
    alone = copies(trained(folder=tmp_path / "alone", epochs=3, patience=3))
    place = tmp_path / "together"
    together(3, lambda comm: trained(comm, place, epochs=1, patience=3))
    for network in together(2, lambda comm: trained(comm, place, 3, patience=3, resume=True)):
        assert_same_weights(network, alone)
    checkpoints = [folder / "last.safetensors" for folder in (tmp_path / "alone", place)]
    arrays = [ninc.load(path) for path in checkpoints]
    assert_same_weights(*arrays)


def test_a_step_of_ones_own_loop_is_shared_too():
    x = np.random.default_rng(1).standard_normal((5, 1, 8, 8), np.float32)
    labels = np.array([0, 1, 1, 0, 1])  # of eight shards five have a picture, three workers none

    def steps(comm=None):
        network = ninc.nn.Sequential(ninc.nn.Conv2d(1, 2, 3), ninc.nn.GlobalAvgPool2d(), seed=1)
        trainer = ninc.Trainer(network, ninc.SGD(0.1), shards=8, comm=comm)
        losses = [float(trainer.step(x, labels)) for _ in range(3)]
        return losses, copies(network)

    losses, weights = steps()
    for own_losses, own_weights in together(8, steps):
        assert own_losses == losses
        assert_same_weights(own_weights, weights)


def test_sums_have_the_bits_of_one_process_down_to_the_smallest():
    """The processor's kernels take for zero what is below 2**-126, and so must sums of workers."""
    x = np.random.default_rng(3).standard_normal((16, 64, 4, 4), np.float32)
    x *= np.float32(1e-35)
    labels = np.arange(16) % 2

    def weights(comm=None):
        network = ninc.nn.Sequential(ninc.nn.Conv2d(64, 2, 1), ninc.nn.GlobalAvgPool2d())
        network.load_state_dict({k: np.zeros_like(v) for k, v in copies(network).items()})
        ninc.Trainer(network, ninc.SGD(1.0), shards=16, comm=comm).step(x, labels)
        return copies(network)

    alone = weights()
    assert 2**-126 <= np.abs(alone["conv1.weight"]).max() < 1e-35
    for size in (3, 8, 16):
        for other in together(size, weights):
            assert_same_weights(other, alone)


def test_workers_that_differ_are_told_at_the_start():
    errors = together(3, lambda comm: trained(comm, shards=8 + comm.rank // 2))
    for error in errors:
        assert isinstance(error, ArgumentError)
        assert "worker 2 differs from worker 0 in shards: 9 there, 8 here" in str(error)


@pytest.mark.parametrize("size", [2, 5, 8])
def test_batch_norms_of_the_whole_batch_are_those_of_one_process(size):
    alone = copies(trained(sync=True))
    for network in together(size, lambda comm: trained(comm, sync=True)):
        assert_same_weights(network, alone)


def test_workers_that_normalise_otherwise_are_told_at_the_start():
    for error in together(2, lambda comm: trained(comm, sync=comm.rank == 1)):
        assert "worker 1 differs from worker 0 in batch norms: the batch there" in str(error)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (dict(shards=5), "shards: 5 there, 4 here"),
        (dict(sync_batch_norm=True), "sync_batch_norm: True there, False here"),
    ],
    ids=str,
)
def test_so_they_are_in_a_loop_of_ones_own(settings, told):
    """Who waits for sums of batch norms and who does not would wait for one another."""

    def step(comm):
        changed = settings if comm.rank == 1 else {}
        trainer = ninc.Trainer(small_network(), comm=comm, **{"shards": 4, **changed})
        trainer.step(np.ones((8, 1, 8, 8), np.float32), np.zeros(8, np.int64))

    for error in together(2, step):
        assert f"worker 1 differs from worker 0 in {told}" in str(error)


def test_other_batches_are_told_before_batch_norms_meet():
    """With other numbers of pictures workers would wait for sums that nobody sends."""

    def step(comm):
        trainer = ninc.Trainer(small_network(), shards=4, comm=comm, sync_batch_norm=True)
        labels = np.zeros(16 + 4 * comm.rank, np.int64)
        trainer.step(np.ones((len(labels), 1, 8, 8), np.float32), labels)

    for error in together(2, step):
        assert "has another batch or other settings in this step" in str(error)


def test_who_has_one_picture_alone_diverges_with_the_others():
    """Where it looks for what is not finite it has too little for a batch norm of the batch."""

    def run(comm):
        nn = ninc.nn
        network = nn.Sequential(
            nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1), nn.GlobalAvgPool2d()
        )
        weights = copies(network)
        weights["conv2.weight"][:] = 3e38
        network.load_state_dict(weights)
        trainer = ninc.Trainer(network, shards=2, comm=comm, sync_batch_norm=True)
        data = np.arange(2, dtype=np.float32).reshape(2, 1, 1, 1), np.arange(2)
        trainer.fit(data, epochs=1, batch_size=2, progress=False)

    for error in together(2, run):
        assert isinstance(error, ninc.DivergedError), error


def test_what_fails_at_worker_0_fails_everywhere(tmp_path):
    (tmp_path / "file").write_text("")
    errors = together(2, lambda comm: trained(comm, tmp_path / "file"))
    assert all(isinstance(error, ninc.Error) for error in errors)
    assert str(errors[1]) == f"worker 0: {errors[0]}"


def test_more_workers_than_shards_are_refused():
    for error in together(3, lambda comm: trained(comm, shards=2)):
        assert "2 shards are too few for 3 workers; give shards=3 or more" in str(error)


def test_a_worker_that_waits_too_long_says_for_whom():
    first, second, third = ThreadComm.of(3)
    settings = dict(
        lr=np.full(2, 0.1, np.float32), weight_decay=np.zeros(2, np.float32), shards=3,
        rule=ninc.SGD(0.1).rule(), seed=0, step=0, clip_norm=0.0, average_rate=0.0,
        sync_batch_norm=False,
    )  # fmt: skip
    network = ninc.nn.Sequential(ninc.nn.Conv2d(1, 2, 1), ninc.nn.GlobalAvgPool2d(), seed=1)
    trainer = ninc.Trainer(network)
    before = copies(network)
    x, labels = np.ones((3, 1, 4, 4), np.float32), np.zeros(3, np.int64)
    team = Team(Workers(first, wait=0.2))
    with pytest.raises(ninc.Error, match="worker 0 has waited 0.2 s for workers 1, 2, which may"):
        team.step(trainer.stepper.core, x[:1], labels, settings)
    assert_same_weights(network, before)


def test_a_communicator_is_one():
    with pytest.raises(ArgumentError, match="comm must be an mpi4py communicator, got 4"):
        ninc.Trainer(small_network(), shards=4, comm=4)


def test_a_run_that_was_broken_off_leaves_nothing_to_the_next():
    data, alone = bars(100), small_network()
    ninc.Trainer(alone, ninc.SGD(0.1), shards=4).fit(data, epochs=1, batch_size=50, progress=False)

    def twice(comm):
        network = small_network()
        before = copies(network)
        trainer = ninc.Trainer(network, ninc.SGD(0.1), shards=4, comm=Workers(comm, 5))
        if comm.rank == 0:  # it goes away while the other waits for it, and has sent nothing
            add_shards = trainer.stepper.core.add_shards

            class Gone:
                def __getattr__(self, name):
                    return getattr(trainer_core, name)

                def add_shards(self, *args, **kwargs):
                    add_shards(*args, **kwargs)
                    raise KeyboardInterrupt

            trainer_core, trainer.stepper.core = trainer.stepper.core, Gone()
        with pytest.raises((KeyboardInterrupt, ninc.Error)):
            trainer.fit(data, epochs=1, batch_size=50, progress=False)
        assert_same_weights(network, before)
        if comm.rank == 0:
            trainer.stepper.core = trainer_core
        trainer.stepper.epochs = trainer.stepper.steps = 0
        trainer.fit(data, epochs=1, batch_size=50, progress=False)
        return network

    for network in together(2, twice):
        assert_same_weights(network, alone)


# ---- The command line ----------------------------------------------------------------------------


def test_mpiexec_without_mpi4py_is_told(monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "3")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(ArgumentError, match=r"mpiexec has begun 3 processes.*'ninc\[mpi\]'"):
        launched_comm()


@pytest.mark.parametrize(
    "words, code, told", [(["--help"], 0, "usage: ninc train"), (["--bad"], 2, "--bad")]
)
def test_without_it_help_and_wrong_usage_are_told_all_the_same(
    monkeypatch, capsys, words, code, told
):
    monkeypatch.setenv("PMI_SIZE", "3")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(SystemExit) as end:
        cli.main(["train", "data", "-o", "net.safetensors", *words])
    assert end.value.code == code and told in "".join(capsys.readouterr())


def test_a_process_that_a_launcher_began_alone_needs_no_mpi4py(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.setenv("PMIX_RANK", "0")
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    assert launched_comm() is None


class _Loader:
    """Stands for mpi4py with an MPI that is missing, or that knows of one process."""

    class _World:
        def Get_size(self):
            return 1

    class MPI:
        COMM_WORLD = None

        @staticmethod
        def Get_library_version():
            return "Some MPI v1.2, of somebody"


def test_a_launcher_of_another_mpi_is_told(monkeypatch):
    _Loader.MPI.COMM_WORLD = _Loader._World()
    monkeypatch.setitem(sys.modules, "mpi4py", _Loader)
    monkeypatch.setenv("PMI_SIZE", "2")
    with pytest.raises(
        ArgumentError, match="has begun 2 processes, but for .*, Some MPI v1.2, each"
    ):
        launched_comm()
