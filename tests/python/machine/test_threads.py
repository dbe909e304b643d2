"""Threads, Python's and the core's: the same bits from any number, at the same time, after fork."""

import copy
import multiprocessing
import pickle
import subprocess
import sys
import sysconfig
import threading
import time

import numpy as np
import pytest

import ninc
from ninc import functional as F
from ninc import nn
from ninc.nn.description import make_model


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


def started(work):
    """A thread that has begun `work`, and has had time to do it unless it has to wait."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(0.3)
    return thread


def amid_making(monkeypatch, then):
    """Lets `then()` come while a graph's model, the next to be made, is complete but not taken."""
    real, come = make_model, []

    def make(description, seed):
        model = real(description, seed)
        if not come:
            come.append(True)
            then()
        return model

    monkeypatch.setattr("ninc.nn.graph.make_model", make)


def one_layer():
    graph = nn.Graph()
    return graph, graph.add(nn.Conv2d(3, 4, 3), graph.input())


@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_layer_added_while_the_model_is_made(monkeypatch, elsewhere):
    """By another thread, or by a signal's handler on the same one."""
    graph, last = one_layer()
    adding = []

    def add():
        graph.add(nn.Conv2d(4, 2, 1), last)

    amid_making(monkeypatch, (lambda: adding.append(started(add))) if elsewhere else add)
    assert len(graph.core.specs()) == 2
    for thread in adding:
        thread.join(60)
    assert [name for name, _, _ in graph.core.specs()][2:] == ["conv2.weight", "conv2.bias"]
    assert graph(np.zeros((1, 3, 5, 5), np.float32)).shape == (1, 2, 3, 3)


def test_a_handler_that_uses_the_graph_while_its_model_is_made(monkeypatch):
    """What it loads into the model stays: the one that was under way is not put in its place."""
    graph, _ = one_layer()
    ones = {"conv1.weight": np.ones((4, 3, 3, 3), np.float32), "conv1.bias": np.ones(4, np.float32)}
    amid_making(monkeypatch, lambda: graph.load_state_dict(ones))
    used = threading.Thread(target=lambda: graph.core, daemon=True)
    used.start()
    used.join(60)
    assert not used.is_alive()
    assert (graph.state_dict()["conv1.weight"] == 1).all()


def test_a_model_that_could_not_be_made_is_made_later(monkeypatch):
    graph, _ = one_layer()

    def stop():
        raise KeyboardInterrupt

    amid_making(monkeypatch, stop)
    with pytest.raises(KeyboardInterrupt):
        graph.core  # noqa: B018
    assert len(graph.core.specs()) == 2


def test_a_copy_of_a_graph_is_added_to_alone():
    graph, last = one_layer()
    for other in (copy.copy(graph), copy.deepcopy(graph), pickle.loads(pickle.dumps(graph))):
        other.add(nn.Conv2d(4, 2, 1), last.name)
        assert len(other.core.specs()) == 4
        assert len(graph.core.specs()) == 2 and "conv2" not in repr(graph)


def test_a_layer_added_while_the_graph_is_pickled():
    """The description in a pickle is the one that the model in it was made of."""
    graph, last = one_layer()
    state = graph.__getstate__()
    graph.add(nn.Conv2d(4, 2, 1), last)
    other = nn.Graph()
    other.__setstate__(state)
    assert "conv2" not in repr(other) and len(other.core.specs()) == 2


def test_a_graph_from_a_pickle_of_before_changes_were_counted():
    graph, _ = one_layer()
    state = graph.__getstate__()
    for name in ("_changes", "_made"):
        del state[name]
    other = nn.Graph.__new__(nn.Graph)
    other.__setstate__({**state, "_changed": False})
    assert len(other.core.specs()) == 2
    other.add(nn.Conv2d(4, 2, 1), "conv1")
    assert len(other.core.specs()) == 4


class CoreThatWaits:
    """Takes a precision as the core's model does, and "strict" only after `meanwhile()`."""

    def __init__(self, meanwhile):
        self.meanwhile, self.precision = meanwhile, None

    def set_precision(self, name):
        if name == "strict":
            self.meanwhile()
        self.precision = name


def test_two_threads_set_the_precision():
    """What the network says and what its core does are of the same thread."""
    others = []

    def set_fast():
        net.precision = "fast"

    core = CoreThatWaits(lambda: others.append(started(set_fast)))
    net = ninc.Network(core)
    net.precision = "strict"
    others[0].join(60)
    assert net.precision == core.precision == "fast"


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


def test_python_runs_on_while_weights_are_loaded():
    """Their copies are made without the GIL.

    Where a loop holds it all the time but for moments, those who wait are woken at each and come
    too late: this thread waited for thousands of loads.
    """
    net = nn.Sequential(nn.Conv2d(64, 256, 5), nn.Conv2d(256, 512, 5), nn.GlobalAvgPool2d())
    state = net.state_dict()
    loads, done = [], threading.Event()

    def load():
        while not done.is_set():
            net.load_state_dict(state)
            loads.append(1)

    worker = threading.Thread(target=load)
    worker.start()
    try:
        while len(loads) < 5:
            time.sleep(0.001)
        before = len(loads)
        for _ in range(100):
            time.sleep(0)  # gives the GIL away and takes it again
        waited_for = len(loads) - before
    finally:
        done.set()
        worker.join()
    assert waited_for < 1000


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python has its global lock"
)
def test_a_python_without_its_global_lock_stays_so():
    """The core's module does not bring it back, of which Python would warn."""
    code = "import ninc, ninc._core, sys; print(sys._is_gil_enabled())"
    command = [sys.executable, "-W", "error", "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"


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
