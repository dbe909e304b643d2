"""Layers that put values elsewhere, constants, and arithmetic of several values."""

import copy
import pickle

import numpy as np
import pytest

import ninc
from ninc import functional as F
from ninc import nn


def graph_of(layer):
    graph = nn.Graph()
    graph.add(layer, graph.input())
    return graph


SLICES = [
    dict(channels=(1, 4)),
    dict(channels=slice(None, None, 2), height=(1, None, 2), width=slice(None, None, 3)),
    dict(height=(-3, -1), width=(0, 100)),
    dict(),
]


@pytest.mark.parametrize("ranges", SLICES, ids=str)
def test_slice_is_numpys(ranges, rng):
    x = rng.standard_normal((2, 5, 6, 7), np.float32)
    axes = [ranges.get(name) or () for name in ("channels", "height", "width")]
    where = tuple(one if isinstance(one, slice) else slice(*one or (None,)) for one in axes)
    got = graph_of(nn.Slice(**ranges))(x)
    np.testing.assert_array_equal(got, x[(slice(None), *where)])


def test_slice_says_where_nothing_is_left(rng):
    graph = graph_of(nn.Slice(height=(4, None)))
    with pytest.raises(ninc.ShapeError, match=r"slice1 \(Slice\): nothing is left"):
        graph(rng.standard_normal((1, 3, 4, 4), np.float32))


@pytest.mark.parametrize("wrong", [(1,), (0, 3, 0), "0:3", (0, 1.5), (0, 1, 2, 3)], ids=repr)
def test_slice_refuses_what_is_no_range(wrong):
    with pytest.raises(ninc.errors.ArgumentError, match="Slice: "):
        nn.Slice(channels=wrong)


def test_pad_is_numpys(rng):
    x = rng.standard_normal((2, 5, 6, 7), np.float32)
    got = graph_of(nn.Pad((1, 2), (0, 3), (2, 0), value=0.5))(x)
    np.testing.assert_array_equal(
        got, np.pad(x, ((0, 0), (1, 2), (0, 3), (2, 0)), constant_values=0.5)
    )
    cut = graph_of(nn.Pad(height=(-1, -2), width=(1, -1)))(x)
    np.testing.assert_array_equal(cut[..., 1:], x[:, :, 1:-2, :-1])


def test_channel_shuffle_is_a_transpose(rng):
    x = rng.standard_normal((2, 6, 3, 4), np.float32)
    want = x.reshape(2, 3, 2, 3, 4).swapaxes(1, 2).reshape(x.shape)
    np.testing.assert_array_equal(graph_of(nn.ChannelShuffle(3))(x), want)
    with pytest.raises(ninc.ShapeError, match="expected a multiple of 4 input channels, got 6"):
        graph_of(nn.ChannelShuffle(4))(x)


def test_a_constant_is_kept_with_the_network(rng, tmp_path):
    value = rng.standard_normal((3, 4, 5), np.float32)
    graph = nn.Graph()
    graph.add(nn.Mul(), graph.input(), graph.add(nn.Constant(value), name="mask"))
    x = rng.standard_normal((2, 3, 4, 5), np.float32)
    want = x * value
    np.testing.assert_array_equal(graph(x), want)
    np.testing.assert_array_equal(graph.state_dict()["mask.value"], value.transpose(1, 2, 0))
    assert graph.num_parameters == 0
    graph.save(tmp_path / "masked.safetensors")
    for same in (
        ninc.load(tmp_path / "masked.safetensors"), copy.deepcopy(graph),
        pickle.loads(pickle.dumps(graph)),
    ):  # fmt: skip
        np.testing.assert_array_equal(same(x), want)
    with pytest.raises(ninc.ShapeError, match="a size of 1 where they differ"):
        graph(rng.standard_normal((1, 3, 4, 4), np.float32))


def test_a_constant_alone_is_no_network(rng):
    graph = nn.Graph()
    graph.input()
    graph.add(nn.Constant(np.ones((3, 1, 1), np.float32)))
    for batch in (1, 2):
        with pytest.raises(ninc.ArgumentError, match="a constant, which no picture changes"):
            graph(rng.standard_normal((batch, 3, 4, 4), np.float32))


def test_concat_does_not_spread_a_constant(rng):
    graph = nn.Graph()
    x = graph.input()
    fixed = graph.add(nn.Sigmoid(), graph.add(nn.Constant(np.ones((1, 4, 4), np.float32))))
    with pytest.raises(ninc.ModelError) as told:
        graph.add(nn.Concat(), x, fixed)
    assert str(told.value) == (
        "concat1 (Concat): expected inputs of as many pictures, got sigmoid1 (Sigmoid), which is "
        "one for any batch, beside x (Input)"
    )
    x = rng.standard_normal((2, 2, 4, 4), np.float32)
    graph.add(nn.Add(), "x", graph.add(nn.Concat(), fixed, fixed))  # constants join one another
    np.testing.assert_allclose(graph(x), x + 1 / (1 + np.exp(-1)), rtol=1e-6)


def test_squeeze_and_excitation(rng):
    graph = nn.Graph(seed=1)
    a = graph.add(nn.Conv2d(3, 8, 3, padding=1), graph.input())
    s = graph.add(nn.GlobalAvgPool2d(), a)
    s = graph.add(nn.Conv2d(8, 2, 1), s)
    s = graph.add(nn.Conv2d(2, 8, 1), graph.add(nn.ReLU(), s))
    graph.add(nn.Mul(), a, graph.add(nn.Sigmoid(), s))
    x = rng.standard_normal((2, 3, 6, 5), np.float32)
    w = graph.state_dict()
    want = F.conv2d(x, w["conv1.weight"], w["conv1.bias"], padding=1)
    s = F.conv2d(want.mean((2, 3), keepdims=True), w["conv2.weight"], w["conv2.bias"])
    s = F.conv2d(np.maximum(s, 0), w["conv3.weight"], w["conv3.bias"])
    np.testing.assert_allclose(graph(x), want / (1 + np.exp(-s)), rtol=1e-4, atol=1e-5)


def test_a_gate_of_places_times_one_of_channels_is_no_pixel(rng):
    graph = nn.Graph(seed=1)
    x = graph.input()
    places, channels = graph.add(nn.Conv2d(3, 1, 1), x), graph.add(nn.Conv2d(3, 8, 1), x)
    both = graph.add(nn.Mul(), places, graph.add(nn.GlobalAvgPool2d(), channels))
    graph.add(nn.Linear(8 * 16, 10), graph.add(nn.Flatten(), both))
    assert graph(rng.standard_normal((2, 3, 4, 4), np.float32)).shape == (2, 10)


def test_an_input_of_one_channel_is_spread(rng):
    graph = nn.Graph(seed=1)
    x = graph.input()
    scaled = graph.add(nn.Mul(), x, graph.add(nn.Constant(np.ones((8, 1, 1), np.float32))))
    graph.add(nn.Add(), scaled, graph.add(nn.Conv2d(1, 8, 1), x))
    assert graph(rng.standard_normal((2, 1, 4, 4), np.float32)).shape == (2, 8, 4, 4)


def test_what_is_made_of_constants_is_explained(rng):
    graph = nn.Graph(seed=1)
    a = graph.add(nn.Conv2d(3, 4, 3, padding=1), graph.input())
    gate = graph.add(nn.Sigmoid(), graph.add(nn.Constant(np.ones((4, 1, 1), np.float32))))
    half = graph.add(nn.Slice(height=(0, None, 2)), graph.add(nn.Mul(), a, gate))
    graph.add(nn.GlobalAvgPool2d(), graph.add(nn.Pad(width=(1, 1)), half))
    pictures = rng.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    graph.preprocessing = ninc.preprocess.Preprocessing.fit(pictures)
    assert ninc.explain(graph, pictures[0]).heat.shape == (8, 8)


def test_limits_that_are_none(rng):
    x = np.array([-np.inf, -1, 2, np.inf], np.float32).reshape(1, 1, 2, 2)
    np.testing.assert_array_equal(nn.Sequential(nn.Clip(0))(x), np.maximum(x, 0))
    np.testing.assert_array_equal(nn.Sequential(nn.Clip(high=1))(x), np.minimum(x, 1))
    assert repr(nn.Clip(0)) == "Clip(low=0.0)"
    assert repr(nn.Slice(height=(1, None, 2))) == "Slice(height=(1, None, 2))"
