"""Memory: what a network keeps stays within its cap, and what cannot fit is an error."""

import sys

import numpy as np
import pytest

import ninc
from ninc import nn
from ninc.errors import ArgumentError, OutOfMemoryError
from ninc.preprocess import Preprocessing
from support.processes import python, resident

MIB = 1 << 20

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="reads /proc/self/statm"
)


def small_network():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.5),
        nn.Conv2d(8, 4, 1),
        nn.GlobalAvgPool2d(),
    )


# What the allocator and numpy keep for themselves; a leak of 1.7 KB a step shows.
SLACK = 16 * MIB


def test_ten_thousand_steps_leak_nothing():
    network = small_network()
    trainer = ninc.Trainer(network, ninc.SGD(0.01, momentum=0.9))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 3, 8, 8)).astype(np.float32)
    labels = rng.integers(0, 4, 8)

    def steps(count):
        for index in range(count):
            trainer.step(x[: 4 + index % 5], labels[: 4 + index % 5])

    steps(500)  # plans, pool and allocator come to rest
    before = resident()
    steps(10_000)
    assert resident() - before < SLACK


def test_inferences_of_two_thousand_sizes_stay_within_the_cap():
    network = small_network()
    network.plan_cache_limit = cap = 24 * MIB
    x = np.ones((1, 3, 400, 400), np.float32)
    network(x)  # the largest arena: a run needs its own beside the cache
    before = resident()
    # Every size once: 50 heights by 40 widths.
    for height in range(8, 408, 8):
        for width in range(10, 410, 10):
            network(x[:, :, : min(height, 400), : min(width, 400)])
            assert network.plan_cache_bytes <= cap
    assert resident() - before < cap + SLACK


def test_the_cap_is_seen_and_set():
    network = small_network()
    assert network.plan_cache_limit == 512 * MIB
    assert network.plan_cache_bytes == 0
    network(np.ones((1, 3, 64, 64), np.float32))
    full = network.plan_cache_bytes
    assert 0 < full <= network.plan_cache_limit
    network.plan_cache_limit = 0  # the plan used last stays
    assert network.plan_cache_limit == 0 and 0 < network.plan_cache_bytes < full
    for wrong in (-1, 1.5, "much"):
        with pytest.raises(ArgumentError, match="plan_cache_limit: bytes must be"):
            network.plan_cache_limit = wrong


def test_a_run_that_cannot_fit_is_an_error(monkeypatch):
    network = small_network()
    x = np.ones((4, 3, 256, 256), np.float32)
    monkeypatch.setenv("NINC_MEMORY_LIMIT", str(16 * MIB))  # less than numpy alone takes
    wanted = r"activations: \d+ MiB are needed, and 0 MiB are free \(limit: NINC_MEMORY_LIMIT\)"
    with pytest.raises(OutOfMemoryError, match=wanted):
        network(x)
    trainer = ninc.Trainer(network, ninc.SGD(0.01))
    with pytest.raises(OutOfMemoryError, match=wanted):
        trainer.step(x, np.zeros(4, np.int64))
    with pytest.raises(MemoryError):  # as Python's own
        network(x)
    monkeypatch.setenv("NINC_MEMORY_LIMIT", "plenty")
    with pytest.raises(ArgumentError, match="expected a number of bytes, got 'plenty'"):
        network(x)
    monkeypatch.delenv("NINC_MEMORY_LIMIT")
    assert np.isfinite(network(x)).all()
    assert np.isfinite(trainer.step(x, np.zeros(4, np.int64)))


def test_weights_that_cannot_fit_are_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("NINC_MEMORY_LIMIT", "1")
    with pytest.raises(OutOfMemoryError, match="parameters: 5 MiB are needed"):
        nn.Sequential(nn.Linear(1024, 1024), nn.Linear(1024, 4)).num_parameters  # noqa: B018


def test_the_command_line_says_it_in_one_line(tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 256, 3), nn.GlobalAvgPool2d())
    network.preprocessing = Preprocessing((256, 256), 3, (0.5,) * 3, (0.25,) * 3)
    network.save(tmp_path / "n.safetensors")
    image = pytest.importorskip("PIL.Image")
    image.new("RGB", (256, 256)).save(tmp_path / "p.png")
    words = ("-m", "ninc", "predict", tmp_path / "n.safetensors", tmp_path / "p.png")
    done = python(*words, NINC_MEMORY_LIMIT="1000000")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "are free (limit: NINC_MEMORY_LIMIT)" in done.stderr
