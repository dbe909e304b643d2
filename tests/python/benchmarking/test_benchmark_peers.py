"""What the comparison builds for peers: they compute and train what ninc does."""

import numpy as np
import pytest

import ninc
from benchmarks import peers
from benchmarks.comparison import agreement, worker
from ninc import nn


def small_network(batch_norm=False):
    """All layers of the NINs; both pools meet an edge that rounding up makes them reach over."""
    return nn.Sequential(
        nn.MlpConv(3, (8, 6), 5, stride=2, padding=2, batch_norm=batch_norm),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.Dropout(0.5),
        nn.MlpConv(6, (8, 8), 3, padding=1, batch_norm=batch_norm),
        nn.AvgPool2d(3, 2, ceil_mode=True, count_include_pad=False),
        nn.MlpConv(8, (5,), 1, logits=True),
        nn.GlobalAvgPool2d(),
    )


def pictures(rng, count=2):
    return rng.standard_normal((count, 3, 30, 23), np.float32)


def test_a_steady_copy_shares_no_weights_and_has_no_dropout(rng):
    network = small_network()
    x = pictures(rng)
    other = agreement.steady(network)
    np.testing.assert_array_equal(other(x), network(x))
    assert other.graph["drop1"].attributes["p"] == 0.0
    assert network.graph["drop1"].attributes["p"] == 0.5
    other.load_state_dict({name: 2 * value for name, value in other.state_dict().items()})
    assert np.abs(other(x) - network(x)).max() > 0
    normed = small_network(batch_norm=True)
    shifts = [
        agreement.steady(normed).state_dict()["bn_conv1.bias"],
        normed.state_dict()["bn_conv1.bias"],
    ]
    assert [set(shift) for shift in shifts] == [{1.0}, {0.0}]


def small_graph():
    """All layers of the networks with branches; their ReLU must not write over what others read."""
    graph = nn.Graph()
    x = graph.add(nn.Conv2d(3, 4, 3, 2, padding=1, bias=False), graph.input())
    x = graph.add(nn.BatchNorm2d(4), x)
    y = graph.add(nn.HardSwish(), graph.add(nn.Conv2d(4, 4, 3, padding=1, groups=4), x))
    share = graph.add(nn.Conv2d(4, 4, 1), graph.add(nn.GlobalAvgPool2d(), y))
    y = graph.add(nn.Mul(), y, graph.add(nn.HardSigmoid(0.2, 0.5), share))
    y = graph.add(nn.Add(), graph.add(nn.BatchNorm2d(4), y), graph.add(nn.ReLU(), x))
    x = graph.add(nn.Slice(height=(0, None, 2), width=(1, None, 2)), x)
    x = graph.add(nn.Pad(channels=(1, 2), value=0.5), x)
    x = graph.add(nn.Concat(), x, graph.add(nn.MaxPool2d(2, ceil_mode=True), y))
    x = graph.add(nn.Linear(11, 5), graph.add(nn.GlobalAvgPool2d(), x))
    graph.add(nn.Softmax(), x)
    return graph


NETWORKS = {
    "chain": small_network,
    "batch norm": lambda: small_network(batch_norm=True),
    "graph": small_graph,
}


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("engine", peers.INFERENCE, ids=lambda engine: engine.name)
def test_engine_computes_what_ninc_does(engine, make, rng, tmp_path):
    missing = engine.missing()
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed")
    network = make()
    state = {
        name: value + rng.uniform(0.1, 0.3, value.shape).astype(np.float32)
        for name, value in network.state_dict().items()
    }  # no scale of 1 and no mean of 0, so that none can be forgotten
    network.load_state_dict(state)
    x = pictures(rng)
    path = engine.save(network, x.shape, str(tmp_path))
    loaded = engine.module().load(path, x, 1, **engine.variant)
    expected = network(x)
    # Rounding: sums of 75 products at most in six layers. bf16's tolerance is the comparison's.
    tolerance = 1e-5 if loaded.precision == peers.FLOAT32 else agreement.OUTPUT_TOLERANCE["bf16"]
    assert loaded.run().shape == (2, 5)
    assert np.abs(loaded.run() - expected).max() <= tolerance * np.abs(expected).max()


def test_an_engine_trains_as_ninc_does(rng):
    if peers.TRAINING[1].missing():
        pytest.skip("torch not installed")
    x, labels = pictures(rng, 4), np.array([0, 1, 2, 3])
    graph = small_graph()
    graph.set_output("linear1")  # without softmax
    network = agreement.steady(graph)
    built = {
        engine.name: engine.module().Training(network, x, labels, 1, 0.05, 0.0, **engine.variant)
        for engine in peers.TRAINING[:3]
    }
    found = agreement.compare_training("row", built)
    assert all(difference.agrees for difference in found.values()), found


def test_an_engine_without_a_layer_is_left_out():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.GlobalAvgPool2d())
    engines = [engine for engine in peers.TRAINING[:2] if not engine.missing()]
    x, labels = np.zeros((2, 3, 5, 5), np.float32), np.array([0, 1])
    load = lambda engine: engine.module().Training(network, x, labels, 1, 0.1, 0.0)  # noqa: E731
    present, left_out = worker._present(engines, load, lambda text: None)
    assert list(present) == ["ninc"]
    assert [gone["reason"] for gone in left_out] == [
        "does not run here: tanh1: the peer of torch has no Tanh" for _ in engines[1:]
    ]


def test_an_onnx_model_is_of_one_size_and_pools_windows_on_avx2(monkeypatch, tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("openvino")
    openvino = next(engine for engine in peers.INFERENCE if engine.name == peers.OPENVINO)
    pools = []
    for target in ("avx512", "avx2"):
        monkeypatch.setattr(ninc, "target", lambda target=target: target)
        path = openvino.save(small_network(), (2, 3, 30, 23), str(tmp_path))
        graph = onnx.load(path).graph
        dims = graph.input[0].type.tensor_type.shape.dim
        assert [dim.dim_value for dim in dims] == [2, 3, 30, 23]
        pools.append([step.op_type for step in graph.node if "Pool" in step.op_type])
    shared = ["MaxPool", "AveragePool"]
    assert pools == [[*shared, "GlobalAveragePool"], [*shared, "AveragePool"]]
