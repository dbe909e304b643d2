"""Ctrl-C while the core computes: the call ends, and nothing is half done."""

import os
import signal
import threading
import time

import numpy as np
import pytest

import ninc
from ninc import functional as F
from ninc import nn
from support.processes import python

# Each of these calls would take minutes, so that a call that is not interrupted shows.
LARGE = np.zeros((64, 3, 1024, 1024), np.float32)


def network():
    return nn.Sequential(
        nn.MlpConv(3, (64, 64), 5, padding=2), nn.MlpConv(64, (64, 10), 5), nn.GlobalAvgPool2d()
    )


@pytest.fixture
def interrupted_soon(own_handler):
    """Sends this process what Ctrl-C sends, a moment after the test began."""
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    yield
    timer.join()


def test_a_run(interrupted_soon):
    net = network()
    with pytest.raises(KeyboardInterrupt):
        net(LARGE[:8])
    small = LARGE[:2, :, :32, :32]
    np.testing.assert_array_equal(net(small), network()(small))


def test_a_prediction(interrupted_soon):
    net = network()
    net.preprocessing = ninc.preprocess.Preprocessing((512, 512), 3, (0.0,) * 3, (1.0,) * 3)
    with pytest.raises(KeyboardInterrupt):
        net.predict(np.zeros((64, 512, 512, 3), np.uint8), batch_size=16)


def test_an_operation(interrupted_soon):
    weight = np.ones((256, 3, 5, 5), np.float32)
    with pytest.raises(KeyboardInterrupt):
        for _ in range(1000):
            F.conv2d(LARGE[:2], weight, padding=2)


def test_a_training_step_leaves_the_weights(interrupted_soon):
    net = network()
    trainer = ninc.Trainer(net, ninc.SGD(0.1, momentum=0.9))
    before = net.state_dict()
    with pytest.raises(KeyboardInterrupt):
        trainer.step(LARGE[:4], np.zeros(4, np.int64))
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_handler_that_raises_nothing_lets_the_run_end():
    seen = []
    before = signal.signal(signal.SIGUSR1, lambda *_: seen.append(time.monotonic()))
    try:
        timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()
        net = network()
        x = LARGE[:2, :, :512, :512]
        expected = net(x)
        timer.join()
        while not seen:
            np.testing.assert_array_equal(net(x), expected)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_other_threads_go_on(interrupted_soon):
    """A signal is the main thread's: a run on another thread ends as if nothing had been."""
    net = network()
    x = LARGE[:2, :, :512, :512]
    results = []
    other = threading.Thread(target=lambda: results.extend([net(x), net(x)]))
    other.start()
    with pytest.raises(KeyboardInterrupt):
        net(LARGE[:8])
    other.join()
    expected = net(x)
    for result in results:
        np.testing.assert_array_equal(result, expected)


PROGRAM = """
import os, signal, threading, time
import numpy as np
import ninc
from ninc import nn
net = nn.Sequential(nn.MlpConv(3, (64, 64), 5, padding=2), nn.GlobalAvgPool2d())
signal.signal(signal.SIGINT, signal.default_int_handler)
sent = []
def send():
    time.sleep(0.3)
    sent.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=send).start()
try:
    net(np.zeros((32, 3, 1024, 1024), np.float32))
except KeyboardInterrupt:
    print(time.monotonic() - sent[0])
"""


def test_a_program_ends_with_a_keyboard_interrupt():
    ended = python("-c", PROGRAM)
    assert ended.returncode == 0, ended.stderr
    assert float(ended.stdout) >= 0
