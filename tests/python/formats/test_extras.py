"""Arrays beside the parameters: kept by files, pickles and copies, and added to checkpoints."""

import copy
import json
import pickle

import numpy as np
import pytest

import ninc
from ninc import nn
from ninc.errors import ArgumentError, DTypeError, FileError, ShapeError

MATRIX = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.fixture
def network():
    made = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GlobalAvgPool2d())
    made.core.change(extras={"matrix": MATRIX})
    return made


def check(network):
    extras = network.core.extras()
    assert list(extras) == ["matrix"]
    assert extras["matrix"].dtype == np.float32 and not extras["matrix"].flags.writeable
    np.testing.assert_array_equal(extras["matrix"], MATRIX)


def test_set_get_remove(network):
    check(network)
    old = network.core.extras()["matrix"]
    network.core.change(extras={"matrix": np.zeros((2, 0, 1), np.float32)})
    assert network.core.extras()["matrix"].shape == (2, 0, 1)
    np.testing.assert_array_equal(old, MATRIX)  # a view keeps what it shows alive
    for _ in range(2):  # to remove what is not there is no error
        network.core.change(extras={"matrix": None})
    assert network.core.extras() == {}
    np.testing.assert_array_equal(old, MATRIX)


def test_strides_are_honoured(network):
    network.core.change(extras={"matrix": np.repeat(MATRIX, 2, axis=1)[:, ::2]})
    check(network)


def test_files_pickles_and_copies_keep_them(network, tmp_path):
    network.save(tmp_path / "n")
    check(ninc.load(tmp_path / "n"))
    check(pickle.loads(pickle.dumps(network)))
    check(copy.deepcopy(network))


def test_pickles_without_them_are_read(network):
    state = network.__getstate__()
    del state["_core_model"]["extras"]
    old = nn.Sequential.__new__(nn.Sequential)
    old.__setstate__(state)
    assert old.core.extras() == {}


def test_a_graph_keeps_them_when_it_grows():
    graph = nn.Graph()
    last = graph.add(nn.Conv2d(3, 4, 3), graph.input())
    graph.core.change(extras={"matrix": MATRIX})
    graph.plan_cache_limit = 1000
    graph.add(nn.ReLU(), last)
    check(graph)
    assert graph.plan_cache_limit == 1000


def test_a_checkpoint_is_the_network_and_more(network, tmp_path):
    velocity = {
        f"velocity.{name}": np.full_like(value, 0.5) for name, value in network.parameters().items()
    }
    network.core.save(str(tmp_path / "c"), {"run": json.dumps({"epoch": 3})}, velocity)
    check(network)
    assert "run" not in network.core.metadata()

    loaded = ninc.load(tmp_path / "c")
    assert json.loads(loaded.core.metadata()["run"]) == {"epoch": 3}
    extras = loaded.core.extras()
    assert set(extras) == {"matrix", *velocity}
    for name, value in velocity.items():
        np.testing.assert_array_equal(extras[name], value)
        loaded.core.change(extras={name: None})
    check(loaded)
    x = np.ones((1, 3, 8, 8), np.float32)
    np.testing.assert_array_equal(loaded(x), network(x))


def test_bad_ones_are_told(network, tmp_path):
    model = network.core
    with pytest.raises(ArgumentError, match="an extra's name must have no '/'"):
        model.change(extras={"a/b": MATRIX})
    with pytest.raises(DTypeError, match="matrix: expected float32, got float64"):
        model.change(extras={"matrix": MATRIX.astype(np.float64)})
    with pytest.raises(ShapeError, match="extra 'deep': expected at most 8 dimensions, got 9"):
        model.change(extras={"deep": np.zeros((1,) * 9, np.float32)})
    with pytest.raises(DTypeError, match="extra: v: expected a numpy array of float32, got list"):
        model.save(str(tmp_path / "c"), {}, {"v": [1.0]})
    with pytest.raises(ArgumentError, match="'graph' is a name ninc uses itself"):
        model.save(str(tmp_path / "c"), {"graph": "{}"})
    with pytest.raises(FileError, match="No such file or directory"):
        model.save(str(tmp_path / "no" / "c"), {}, {"v": MATRIX})
    assert list(tmp_path.iterdir()) == []
    check(network)
