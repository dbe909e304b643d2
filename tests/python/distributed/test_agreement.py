"""Workers that must not go separate ways: different data, signals and failures of one of them."""

import time

import pytest

import ninc
from ninc.data import BatchStream
from ninc.distributed import Workers
from ninc.distributed.messages import WorkerFailedError
from ninc.distributed.team import Team
from ninc.errors import ArgumentError, ShapeError
from support.distributed.thread_comm import ThreadComm, together
from support.small_training import bars, batch, small_network
from support.weights import assert_same_weights, copies


def trainer_of(comm, network=None, wait=20, **settings):
    network = small_network() if network is None else network
    comm = Workers(comm, wait)
    return ninc.Trainer(network, ninc.SGD(0.1, momentum=0.9), shards=4, comm=comm, **settings)


def fitted(comm, data=None, trainer=None, epochs=2, **options):
    trainer = trainer_of(comm) if trainer is None else trainer
    data = bars(60) if data is None else data
    return trainer.fit(data, None, epochs, 20, progress=False, **options)


# ---- What must be the same -----------------------------------------------------------------------


def test_other_weights_at_the_start_are_told():
    def work(comm):
        network = small_network()
        if comm.rank == 2:
            network.load_state_dict({k: 1.5 * v for k, v in network.state_dict().items()})
        return fitted(comm, trainer=trainer_of(comm, network))

    for error in together(3, work):
        assert isinstance(error, ArgumentError)
        assert "worker 2 differs from worker 0 in weights: " in str(error)


def test_what_the_optimiser_has_kept_is_compared_too():
    def work(comm):
        trainer = trainer_of(comm)
        if comm.rank == 1:
            network = small_network()
            other = ninc.Trainer(network, ninc.SGD(0.1, momentum=0.9))
            other.step(*batch())
            state = other.stepper.core.optimizer_state()
            trainer.stepper.core.set_optimizer_state(state)
        return fitted(comm, trainer=trainer)

    for error in together(2, work):
        assert "worker 1 differs from worker 0 in optimiser's state" in str(error)


def test_streams_in_another_order_are_told():
    data = bars(60)

    def work(comm):
        places = [0, 20, 40] if comm.rank == 0 else [20, 0, 40]
        stream = BatchStream([(data.images[i : i + 20], data.labels[i : i + 20]) for i in places])
        network = small_network()
        network.preprocessing = ninc.preprocess.Preprocessing.fit(data.images)
        return fitted(comm, stream, trainer_of(comm, network))

    errors = together(2, work)
    assert "worker 1 has another batch or other settings in this step than worker 0" in str(
        errors[0]
    )
    assert "worker 0 has another batch" in str(errors[1])


@pytest.mark.parametrize("size, short", [(2, 1), (3, 0), (3, 2)])
def test_a_stream_that_ends_earlier_is_told(size, short):
    """And at once, not after the time that a worker which hangs is waited for."""
    data, begun = bars(60), time.monotonic()

    def work(comm):
        places = [0, 20] if comm.rank == short else [0, 20, 40]
        stream = BatchStream([(data.images[i : i + 20], data.labels[i : i + 20]) for i in places])
        network = small_network()
        network.preprocessing = ninc.preprocess.Preprocessing.fit(data.images)
        return fitted(comm, stream, trainer_of(comm, network, wait=600))

    errors = together(size, work)
    assert time.monotonic() - begun < 30
    told = [str(error) for error in errors]
    assert all(isinstance(error, ninc.Error) for error in errors)
    assert all("it has more batches or fewer, or has begun another" in text for text in told)
    assert any(f"worker {short}" in text for text in told)


def test_a_worker_that_has_begun_another_run_is_told():
    def work(comm):
        trainer = trainer_of(comm, wait=8)
        trainer.step(*batch())
        return fitted(comm, trainer=trainer) if comm.rank == 1 else trainer.step(*batch())

    ahead, behind = together(2, work)[::-1]
    assert "worker 1 is not where worker 0 is" in str(behind)
    assert "worker 1 has waited 8 s for worker 0" in str(ahead)  # a loop of steps tells nobody


@pytest.mark.parametrize("name", ["lr", "momentum"])
def test_a_setting_that_one_worker_changes_is_told(name):
    def work(comm):
        def change(epoch):
            if comm.rank == 0:
                setattr(epoch.trainer.optimizer, name, 0.05)

        return fitted(comm, callbacks=[change])

    for error in together(2, work):
        assert "has another batch or other settings" in str(error)


def test_weights_that_one_worker_changes_are_told():
    def weights(epoch):
        network = epoch.network
        network.load_state_dict({k: 0.9 * v for k, v in network.state_dict().items()})

    def work(comm):
        change = [lambda epoch: comm.rank == 1 and weights(epoch)]
        return fitted(comm, callbacks=change, epochs=3)

    for error in together(3, work):
        told = "worker 1 has other weights than worker 0 after epoch 1"
        assert isinstance(error, ninc.Error) and told in str(error)


def test_a_first_step_compares_weights():
    def work(comm):
        network = ninc.nn.Sequential(
            ninc.nn.Conv2d(1, 2, 3), ninc.nn.GlobalAvgPool2d(), seed=comm.rank
        )
        return trainer_of(comm, network).step(*batch())

    for error in together(2, work):
        assert "worker 1 has other weights than worker 0 at the first step" in str(error)


@pytest.mark.parametrize("images, labels", [(3, 8), (8, 5)])
def test_a_step_needs_a_label_for_each_image(images, labels):
    x, y = batch()

    def work(comm):
        return trainer_of(comm).step(x[:images], y[:labels])

    for error in together(2, work):
        assert isinstance(error, ShapeError)
        assert f"({images}, 1, 8, 8) and {labels} labels" in str(error)


# ---- What one worker alone is given --------------------------------------------------------------


def test_a_signal_to_one_worker_ends_all_after_the_same_step(tmp_path):
    steps = []

    def work(comm):
        trainer = trainer_of(comm)

        def asked():
            steps.append(comm.rank)
            return "SIGTERM" if comm.rank == 1 and steps.count(1) == 4 else None

        step = trainer.stepper.team.step
        trainer.stepper.team.step = lambda *given: step(*given[:4], asked())
        folder = tmp_path / "run" if comm.rank == 0 else None
        fitted(comm, trainer=trainer, epochs=3, checkpoint_dir=folder)

    results = together(2, work)
    for result in results:
        assert isinstance(result, KeyboardInterrupt) and result.signal == "SIGTERM"
        assert "after epoch 2, step 1" in str(result) or "step 1 of epoch 2" in str(result)
    assert steps.count(0) == steps.count(1) == 4


def test_stop_in_one_workers_callback_ends_all():
    def work(comm):
        return fitted(comm, callbacks=[lambda epoch: comm.rank == 1 and epoch.stop()], epochs=5)

    assert [len(history) for history in together(3, work)] == [1, 1, 1]


def test_an_exception_in_one_worker_ends_all_at_once():
    def work(comm):
        def callback(epoch):
            if comm.rank == 1:
                raise ValueError("no more of this")

        return fitted(comm, callbacks=[callback], epochs=5)

    begun = time.monotonic()
    first, second, third = together(3, work)
    assert time.monotonic() - begun < 15
    assert "no more of this" in str(second) and not isinstance(second, WorkerFailedError)
    for error in (first, third):
        assert isinstance(error, WorkerFailedError)
        assert str(error).startswith("worker 1: ") and "no more of this" in str(error)


def test_a_picture_that_one_worker_cannot_read_ends_all():
    def work(comm):
        def augment(pictures, rng):
            if comm.rank == 0:
                raise OSError("the disk is gone")
            return pictures

        return fitted(comm, trainer=trainer_of(comm, augment=augment))

    first, second = together(2, work)
    assert isinstance(first, OSError)
    assert str(second) == "worker 0: OSError: the disk is gone"


def test_a_step_that_was_broken_off_is_not_gone_on_with():
    x, labels = batch()

    def work(comm):
        trainer = trainer_of(comm, wait=0.3)
        if comm.rank == 0:  # it sends nothing
            time.sleep(1)
            return None
        with pytest.raises(ninc.Error, match="has waited 0.3 s for worker 0"):
            trainer.step(x, labels)
        with pytest.raises(ninc.Error, match="an earlier step was broken off"):
            trainer.step(x, labels)

    assert together(2, work) == [None, None]


def test_trainers_of_one_communicator_keep_apart():
    x, labels = batch()

    def alone():
        network = small_network()
        ninc.Trainer(network, ninc.SGD(0.1, momentum=0.9), shards=4).step(x, labels)
        return copies(network)

    def work(comm):
        first, second = trainer_of(comm), trainer_of(comm)
        for trainer in (second, first):
            trainer.step(x, labels)
        return first.network, second.network

    for networks in together(2, work):
        for network in networks:
            assert_same_weights(network, alone())


@pytest.mark.parametrize(
    "examples, shards, wanted",
    [(65, 64, [16, 16, 16, 17]), (128, 96, [32, 32, 32, 32]), (100, 8, [26, 26, 26, 22])],
)
def test_pictures_are_shared_out_evenly(examples, shards, wanted):
    rows = [Team(comm).rows(examples, shards) for comm in ThreadComm.of(4)]
    assert [r.stop for r in rows[:-1]] == [r.start for r in rows[1:]]
    assert [r.stop - r.start for r in rows] == wanted
