"""Threads, Python's and the core's: the same bits from any number, at the same time, after fork."""

import multiprocessing
import sys
import threading

import numpy as np
import pytest

import ninc
from ninc import functional as F
from ninc import nn


def network():
    return nn.Sequential(
        nn.MlpConv(3, (20, 16), 3, padding=1, batch_norm=True),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.Dropout(0.5),
        nn.MlpConv(16, (24, 10), 5, padding=2),
        nn.GlobalAvgPool2d(),
    )


def batch(count=8):
    rng = np.random.default_rng(1)
    return rng.standard_normal((count, 3, 17, 19), np.float32), rng.integers(0, 10, count)


def bits_of_everything():
    """Forward, every kind of backward, and three training steps."""
    x, labels = batch()
    net = network()
    results = [net(x)]
    weight = net.parameters()["conv1.weight"]
    y = F.conv2d(x, weight, padding=1)
    results += [y, *F.conv2d_backward(y, x, weight, padding=1)]
    pooled = F.max_pool2d(y, 3, stride=2)
    results += [F.max_pool2d_backward(pooled, y, 3, stride=2)]
    ones = np.ones(20, np.float32)
    results += F.batch_norm2d_backward(y, y, None, None, ones, training=True)
    trainer = ninc.Trainer(net, ninc.SGD(0.1, momentum=0.9))
    for _ in range(3):
        trainer.step(x, labels)
    return results + [value.copy() for value in net.state_dict().values()]


def test_any_number_of_threads_gives_the_same_bits(threads):
    threads(1)
    expected = bits_of_everything()
    for count in (2, 5):
        threads(count)
        for mine, theirs in zip(bits_of_everything(), expected):
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("make", [network, lambda: ninc.models.nin_mnist()])
def test_two_python_threads_on_one_network(make, threads):
    threads(2)
    net = make()
    channels = net.parameters()["conv1.weight"].shape[1]
    rng = np.random.default_rng(0)
    # Shapes of their own, and one they share: plans are made and used at the same time.
    inputs = [rng.standard_normal((2, channels, size, 12), np.float32) for size in (9, 12, 15)]
    expected = [make()(x) for x in inputs]
    wrong = []
    start = threading.Barrier(2)

    def work(order):
        start.wait()
        for index in order * 5:
            if not np.array_equal(net(inputs[index]), expected[index]):
                wrong.append(index)

    workers = [threading.Thread(target=work, args=(order,)) for order in ([0, 1, 2], [2, 0, 1])]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_two_threads_may_be_the_first_to_use_a_graph():
    for _ in range(20):
        graph = nn.Graph()
        graph.add(nn.Conv2d(3, 4, 3), graph.input())
        start = threading.Barrier(2)
        models = []

        def first_use(graph=graph, start=start, models=models):
            start.wait()
            models.append(graph.core)

        workers = [threading.Thread(target=first_use) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert models[0] is models[1]


def test_python_runs_on_while_the_core_works(threads):
    """The GIL is released: another thread counts during one long run."""
    threads(1)
    net = ninc.models.nin_cifar10()
    x = np.zeros((16, 3, 32, 32), np.float32)
    net(x)
    begun = threading.Event()
    done, counts = [], []

    def count():
        begun.wait()
        number = 0
        while not done:
            number += 1
        counts.append(number)

    # Nobody is made to hand over the GIL for far longer than the run takes: the counter gets it
    # because the run lets go of it, or not before the run is done.
    interval = sys.getswitchinterval()
    worker = threading.Thread(target=count)
    worker.start()
    try:
        sys.setswitchinterval(0.5)
        begun.set()
        net(x)
    finally:
        done.append(True)
        sys.setswitchinterval(interval)
        worker.join()
    assert counts[0] > 100


def run_in_child(x, connection):
    try:
        connection.send(F.mlpconv(x, layers()))
    finally:
        connection.close()


def layers():
    rng = np.random.default_rng(2)
    return [(rng.standard_normal((8, 3, 3, 3), np.float32), np.ones(8, np.float32))]


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_works_in_the_child_after_fork(threads):
    threads(3)
    x, _ = batch()
    expected = F.mlpconv(x, layers())  # the pool's threads exist now, and only in the parent
    context = multiprocessing.get_context("fork")
    for _ in range(3):
        mine, theirs = context.Pipe(duplex=False)
        child = context.Process(target=run_in_child, args=(x, theirs))
        child.start()
        theirs.close()
        assert mine.poll(60), "the child hangs"
        np.testing.assert_array_equal(mine.recv(), expected)
        child.join(60)
        assert child.exitcode == 0
    np.testing.assert_array_equal(F.mlpconv(x, layers()), expected)  # and the parent goes on
