"""Who reads a network beside a thread that changes it sees one state of it, never a mixture."""

import contextlib
import copy
import json
import pickle
import threading

import numpy as np
import pytest

import ninc
from ninc import nn
from ninc.preprocess import Preprocessing
from support.rounds import ROUNDS


@contextlib.contextmanager
def beside(*bodies):
    """Runs each body over and over on a thread of its own, meanwhile."""
    stop = threading.Event()
    failures = []

    def work(body):
        try:
            while not stop.is_set():
                body()
        except BaseException as error:
            failures.append(error)

    workers = [threading.Thread(target=work, args=(body,)) for body in bodies]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    assert not failures


def constant(net, value):
    return {name: np.full(a.shape, value, np.float32) for name, a in net.state_dict().items()}


def numbers(state):
    """The different numbers of all arrays together."""
    return {float(value) for array in state.values() for value in np.unique(array)}


def loaded(net, path):
    net.save(path)
    return ninc.load(path).state_dict()


READERS = {
    "state_dict": lambda net, path: net.state_dict(),
    "parameters": lambda net, path: net.parameters(),
    "save": loaded,
    "pickle": lambda net, path: pickle.loads(pickle.dumps(net)).state_dict(),
    "deepcopy": lambda net, path: copy.deepcopy(net).state_dict(),
    "copy of a graph": lambda net, path: copy.copy(net).state_dict(),
}


@pytest.mark.parametrize("name", READERS)
def test_weights(name, tmp_path):
    net = nn.Sequential(nn.Conv2d(16, 64, 5), nn.Conv2d(64, 48, 3), nn.GlobalAvgPool2d())
    ones, twos = constant(net, 1), constant(net, 2)
    net.load_state_dict(ones)

    def change():
        net.load_state_dict(twos)
        net.load_state_dict(ones)

    with beside(change):
        for _ in range(ROUNDS):
            assert numbers(READERS[name](net, tmp_path / "net.safetensors")) in ({1.0}, {2.0})


def test_a_state_stays_while_the_network_is_trained(rng):
    net = nn.Sequential(nn.MlpConv(3, (8, 4), 3, batch_norm=True), nn.GlobalAvgPool2d())
    trainer = ninc.Trainer(net, ninc.SGD(0.1, momentum=0.9))
    x, labels = rng.standard_normal((4, 3, 9, 9), np.float32), np.arange(4)
    state = net.state_dict()
    before = {name: array.copy() for name, array in state.items()}
    trainer.step(x, labels)
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(state[name], before[name])
        assert not np.array_equal(array, before[name]), name
        assert not array.flags.writeable


def test_training_beside_readers_gives_the_same_bits(rng, tmp_path):
    """Readers make the trainer take copies; that changes no number."""

    def trained(*readers):
        net = nn.Sequential(nn.MlpConv(3, (8, 4), 3, batch_norm=True), nn.GlobalAvgPool2d())
        trainer = ninc.Trainer(net, ninc.SGD(0.05, momentum=0.9))
        with beside(*(lambda read=read: read(net) for read in readers)):
            for _ in range(30):
                trainer.step(x, labels)
        return net.state_dict()

    x, labels = rng.standard_normal((4, 3, 9, 9), np.float32), np.arange(4)
    path = tmp_path / "net.safetensors"
    alone = trained()
    read = trained(lambda net: net.state_dict(), lambda net: net.save(path), lambda net: net(x))
    for name, array in alone.items():
        np.testing.assert_array_equal(read[name], array)


def test_class_maps_of_a_network_with_a_linear_layer():
    """The maps before pooling and the layer that mixes them are of the same weights."""
    net = nn.Sequential(nn.Conv2d(1, 4, 1), nn.GlobalAvgPool2d(), nn.Flatten(), nn.Linear(4, 2))
    ones, twos = constant(net, 1), constant(net, 2)
    x = np.ones((1, 1, 3, 3), np.float32)
    net.load_state_dict(ones)  # (1 + 1) * 4 + 1 = 9; with twos (2 + 2) * 2 * 4 + 2 = 34

    def change():
        net.load_state_dict(twos)
        net.load_state_dict(ones)

    with beside(change):
        for _ in range(10 * ROUNDS):
            assert numbers({"maps": net.class_maps(x)}) in ({9.0}, {34.0})


def test_preprocessing_and_its_arrays(rng, tmp_path):
    """A whitening's arrays lie beside its entry and belong to it."""
    net = nn.Sequential(nn.Conv2d(3, 2, 1), nn.GlobalAvgPool2d())
    settings = [
        Preprocessing.fit(rng.integers(0, 256, (9, side, side, 3), np.uint8), kind)
        for side, kind in ((4, "gcn_zca"), (6, "gcn_zca"), (5, "normalize"))
    ]
    known = [json.dumps(one.to_dict()) for one in settings]
    net.preprocessing = settings[0]
    path = tmp_path / "net.safetensors"

    def change():
        for one in settings:
            net.preprocessing = one

    def read(network):
        # Where entry and arrays do not belong together this raises.
        assert json.dumps(network.preprocessing) in known
        network.predict(np.zeros((1, 7, 7, 3), np.uint8))

    with beside(change):
        for _ in range(ROUNDS):
            read(net)
            read(pickle.loads(pickle.dumps(net)))
            net.save(path)
            read(ninc.load(path))
            net.new_head(3)


def test_names_of_classes():
    net = nn.Sequential(nn.Conv2d(3, 2, 1), nn.GlobalAvgPool2d())
    pairs = [["cat", "dog"], ["ship", "sheep"], None]

    def change():
        for names in pairs:
            net.classes = names

    with beside(change, change):
        for _ in range(50 * ROUNDS):
            assert net.classes in pairs
