"""A process whose threads use a network forks: the child computes, loads, trains and saves with it.

Locks of the core are tested in tests/cpp/base/mutex_test.cc, those of Python beside what has them.
"""

import copy
import multiprocessing
import threading

import numpy as np
import pytest

import ninc
from ninc import functional as F
from ninc import nn
from support.rounds import ROUNDS, holds_in_child, needs_fork, needs_whole_forks

pytestmark = [
    needs_fork,
    needs_whole_forks,
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]

X = np.random.default_rng(0).standard_normal((4, 3, 16, 16), np.float32)
LABELS = np.arange(4)


def network():
    return nn.Sequential(
        nn.MlpConv(3, (16, 16), 3, padding=1, batch_norm=True),
        nn.MlpConv(16, (16, 8), 3),
        nn.GlobalAvgPool2d(),
    )


@pytest.fixture
def busy(tmp_path):
    """A network that threads of this process run, train, save and load weights into."""
    net, other, stop = network(), network(), threading.Event()
    trainer = ninc.Trainer(other, ninc.SGD(1e-3, momentum=0.9))
    weights = net.state_dict()

    def predict_sizes():
        for size in (9, 11, 14):
            net(X[:1, :, :size, :size])

    work = [
        lambda: net(X),
        predict_sizes,
        lambda: net.load_state_dict(weights),
        lambda: net.save(tmp_path / "parent.safetensors"),
        lambda: trainer.step(X, LABELS),
        lambda: F.conv2d(X, np.ones((4, 3, 3, 3), np.float32)),
        lambda: copy.deepcopy(net),
    ]

    def repeat(body):
        while not stop.is_set():
            body()

    threads = [threading.Thread(target=repeat, args=(body,)) for body in work]
    for thread in threads:
        thread.start()
    yield net, other, trainer
    stop.set()
    for thread in threads:
        thread.join()


def test_runs(busy):
    net, _, _ = busy
    expected = net(X)
    for _ in range(ROUNDS):
        assert holds_in_child(lambda: np.array_equal(net(X), expected))


def test_new_shapes_and_operations(busy):
    net, _, _ = busy
    for index in range(ROUNDS):
        x = np.ones((1, 3, 7 + index % 5, 9), np.float32)
        assert holds_in_child(lambda x=x: np.isfinite(net(x)).all() and F.relu(x).shape == x.shape)


def test_trains(busy):
    _, net, trainer = busy

    def body():
        trainer.step(X, LABELS)
        fresh = ninc.Trainer(net, ninc.SGD(1e-3))
        return np.isfinite([float(fresh.step(X, LABELS)) for _ in range(2)]).all()

    for _ in range(ROUNDS):
        assert holds_in_child(body)


def test_loads_and_saves(busy, tmp_path):
    net, _, _ = busy

    def body():
        net.load_state_dict({name: array * 0 for name, array in net.state_dict().items()})
        net.save(tmp_path / "child.safetensors")
        return not any(
            a.any() for a in ninc.load(tmp_path / "child.safetensors").parameters().values()
        )

    for _ in range(ROUNDS):
        assert holds_in_child(body)


def test_makes_networks(busy):
    def body():
        graph = nn.Graph()
        graph.add(nn.Conv2d(3, 4, 3), graph.input())
        return graph(X).shape == (4, 4, 14, 14) and network()(X).shape == (4, 8)

    for _ in range(ROUNDS):
        assert holds_in_child(body)


def test_grandchildren(busy):
    net, _, _ = busy
    expected = net(X)
    for _ in range(max(1, ROUNDS // 4)):
        assert holds_in_child(
            lambda: (
                holds_in_child(lambda: np.array_equal(net(X), expected))
                and np.array_equal(net(X), expected)
            )
        )


def doubled(index):
    return index, float(np.abs(pooled(X)).sum())


def test_a_pool_of_forked_workers(busy):
    """As people use it: the network is made before, the workers inherit it."""
    global pooled
    pooled = busy[0]
    expected = float(np.abs(pooled(X)).sum())
    with multiprocessing.get_context("fork").Pool(2) as pool:
        results = pool.map_async(doubled, range(2 * ROUNDS)).get(timeout=120)
    assert results == [(index, expected) for index in range(2 * ROUNDS)]
