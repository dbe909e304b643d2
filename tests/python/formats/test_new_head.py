"""A network for other classes: its last layer new, all else as it was."""

import numpy as np
import pytest

import ninc
from ninc import nn
from ninc.errors import ArgumentError, DTypeError, ModelError, Remark, ShapeError
from ninc.preprocess import Preprocessing, Whitening
from support.small_training import bars, small_network
from support.weights import assert_same_weights, copies, same_bits


def weighted(network, seed=5):
    """The network with all of its arrays, statistics too, at random."""
    rng = np.random.default_rng(seed)
    network.load_state_dict(
        {
            n: rng.uniform(0.5, 1.5, v.shape).astype(np.float32)
            for n, v in network.state_dict().items()
        }
    )
    return network


def changed(before, after):
    """Names whose arrays differ; all others have the same bits."""
    return set(before.state_dict()) - same_bits(before, after)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_published_networks_keep_all_but_their_last_convolution(batch_norm):
    network = weighted(ninc.models.nin_mnist(batch_norm=batch_norm))
    before = copies(network)
    renewed = network.new_head(["rose", "tulip", "daisy"])
    assert changed(network, renewed) == {"cccp6.weight", "cccp6.bias"}
    assert renewed.classes == ["rose", "tulip", "daisy"] and network.classes is None
    assert renewed(np.zeros((2, 1, 28, 28), np.float32)).shape == (2, 3)
    assert network(np.zeros((2, 1, 28, 28), np.float32)).shape == (2, 10)
    assert_same_weights(network, before)
    weight = renewed.state_dict()["cccp6.weight"]
    # He's: sqrt(2 / fan_in), by 96 * 3 draws.
    assert weight.std() == pytest.approx(np.sqrt(2 / 96), rel=0.15)
    assert not renewed.state_dict()["cccp6.bias"].any()


def test_the_new_layer_hangs_on_the_seed_and_is_new_for_as_many_classes_too():
    network = weighted(small_network())
    same, again, other = network.new_head(2), network.new_head(2), network.new_head(2, seed=9)
    assert changed(network, same) == {"cccp2.weight", "cccp2.bias"} == changed(network, other)
    assert changed(same, again) == set() and changed(same, other) == {"cccp2.weight"}
    fresh = nn.Sequential(*small_network(classes=2), seed=9).state_dict()["cccp2.weight"]
    np.testing.assert_array_equal(other.state_dict()["cccp2.weight"], fresh)


def test_what_is_known_of_pictures_comes_along_and_what_was_held_out_does_not(rng, tmp_path):
    network = small_network()
    whitening = Whitening.fit(rng.integers(0, 255, (70, 8, 8, 1), dtype=np.uint8), progress=False)
    network.preprocessing = Preprocessing((8, 8), 1, (0.0,), (1.0,), 1.0, whitening=whitening)
    network.classes = ["lying", "upright"]
    network.held_out = ninc.formats.held_out.HeldOut.of(bars(20), 0.1, 0, None)
    network.precision = "strict"
    network.save(tmp_path / "old.safetensors")
    loaded = ninc.load(tmp_path / "old.safetensors")
    renewed = loaded.new_head(4)
    assert renewed.preprocessing == network.preprocessing
    kept, new = network.core.extras(), renewed.core.extras()
    assert set(kept) == set(new) and len(kept) == 2
    assert all(kept[name].tobytes() == new[name].tobytes() for name in kept)
    assert renewed.classes is None and renewed.held_out is None
    assert loaded.classes == ["lying", "upright"] and loaded.held_out is not None
    assert network.new_head(4).precision == "strict"
    assert renewed.predict(bars(3).images).shape == (3, 4)
    renewed.save(tmp_path / "new.safetensors")
    assert changed(renewed, ninc.load(tmp_path / "new.safetensors")) == set()


def test_batch_norm_and_activation_behind_the_last_layer_stay_in_its_size():
    graph = nn.Graph()
    x = graph.add(nn.Conv2d(3, 6, 3), graph.input())
    x = graph.add(nn.BatchNorm2d(6), graph.add(nn.ReLU(), x))
    x = graph.add(nn.Dropout(), graph.add(nn.GlobalAvgPool2d(), x))
    x = graph.add(nn.Linear(6, 5, bias=False), x, name="scores")
    x = graph.add(nn.Softmax(), graph.add(nn.ReLU6(), graph.add(nn.BatchNorm2d(5), x, name="last")))
    network = weighted(graph)
    renewed = network.new_head(("a", "b"))
    last = {f"last.{name}" for name in ("weight", "bias", "running_mean", "running_var")}
    assert changed(network, renewed) == {"scores.weight"} | last
    state = renewed.state_dict()
    assert state["scores.weight"].shape == (2, 6)
    np.testing.assert_array_equal(state["last.running_var"], [1, 1])
    np.testing.assert_array_equal(state["last.weight"], [1, 1])
    nodes = [node.operation for node in renewed.graph]
    assert nodes == [node.operation for node in network.graph]
    assert renewed(np.zeros((2, 3, 7, 9), np.float32)).sum() == pytest.approx(2)
    graph.add(nn.ReLU(), "softmax")  # the first one is still there to be added to


@pytest.mark.parametrize("layer, fresh", [
    (nn.PReLU(5), {"prelu1.weight"}), (nn.PReLU(), set()), (nn.LocalResponseNorm(3), set()),
    (nn.Slice(height=(1, None), width=(0, -1, 2)), set()), (nn.Pad(width=(1, 2)), set()),
    (nn.Clip(0, 3), set()), (nn.SiLU(), set()),
])  # fmt: skip
def test_what_may_stand_behind_the_last_layer(layer, fresh):
    network = weighted(nn.Sequential(nn.Conv2d(3, 5, 1), layer, nn.GlobalAvgPool2d()))
    renewed = network.new_head(7)
    assert changed(network, renewed) == {"conv1.weight", "conv1.bias"} | fresh
    assert renewed(np.ones((2, 3, 4, 6), np.float32)).shape == (2, 7)
    if fresh:
        np.testing.assert_array_equal(renewed.state_dict()["prelu1.weight"], [0.25] * 7)


@pytest.mark.parametrize("layer", [nn.Add(), nn.Sub(), nn.Mul(), nn.Div()])
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 4, 4)])
@pytest.mark.parametrize("first", [False, True])
def test_arithmetic_with_a_number_stays_behind_the_last_layer(layer, shape, first):
    graph = nn.Graph()
    scores = graph.add(nn.Conv2d(3, 5, 1), graph.input())
    number = graph.add(nn.Constant(np.full(shape, 2, np.float32)))
    graph.add(layer, *((number, scores) if first else (scores, number)))
    renewed = weighted(graph).new_head(7)
    assert changed(graph, renewed) == {"conv1.weight", "conv1.bias"}
    assert renewed(np.ones((2, 3, 4, 4), np.float32)).shape == (2, 7, 4, 4)


def test_maps_of_one_pixel_that_are_flattened_are_classes():
    network = nn.Sequential(nn.Conv2d(1, 4, 8), nn.Flatten())
    network.classes = list("abcd")
    assert network.new_head(7)(np.zeros((1, 1, 8, 8), np.float32)).shape == (1, 7)
    network = nn.Sequential(nn.Conv2d(1, 4, 7), nn.Flatten())  # 4 maps of 2×2 for 16 classes
    network.classes = [str(i) for i in range(16)]
    with pytest.raises(ModelError, match=r"conv1 \(Conv2d\) has 4 outputs, but there are 16"):
        network.new_head(7)


def joined():
    graph = nn.Graph()
    x = graph.input()
    a, b = (graph.add(nn.Conv2d(3, 4, 3), x, name=name) for name in ("left", "right"))
    graph.add(nn.GlobalAvgPool2d(), graph.add(nn.Add(), a, b, name="both"))
    return graph


def read_twice():
    graph = nn.Graph()
    x = graph.add(nn.Conv2d(3, 4, 3), graph.input(), name="scores")
    graph.add(nn.Conv2d(4, 1, 1), x, name="beside")
    graph.set_output(graph.add(nn.GlobalAvgPool2d(), x))
    return graph


def with_a_number_each():
    graph = nn.Graph()
    scores = graph.add(nn.Conv2d(3, 4, 1), graph.input())
    graph.add(nn.Mul(), scores, graph.add(nn.Constant(np.ones((4, 1, 1), np.float32))))
    return graph


@pytest.mark.parametrize(
    "network, words",
    [
        (joined(), r"both \(Add\) is no layer with weights"),
        (read_twice(), r"scores \(Conv2d\) gives its value to"),
        (nn.Sequential(nn.Conv2d(4, 4, 1, groups=2), nn.GlobalAvgPool2d()), r"conv1 .* 2 groups"),
        (nn.Sequential(nn.BatchNorm2d(3), nn.GlobalAvgPool2d()), r"x \(Input\) is no layer"),
        (nn.Sequential(nn.Conv2d(3, 4, 1), nn.ChannelShuffle(2)), r"shuffle1 .* is no layer with"),
        (nn.Sequential(nn.Conv2d(3, 4, 1), nn.Slice(channels=(0, 3))), r"slice1 .* is no layer wi"),
        (nn.Sequential(nn.Conv2d(3, 4, 1), nn.Pad(channels=(0, 1))), r"pad1 \(Pad\) is no layer w"),
        (with_a_number_each(), r"mul1 \(Mul\) is no layer with weights"),
    ],
)
def test_an_end_that_is_not_understood_is_named(network, words):
    with pytest.raises(ModelError, match=f"new_head: going back from the output, {words}"):
        network.new_head(2)


@pytest.mark.parametrize(
    "classes", ["cats", b"cats", 1, 0, -3, 2.5, None, [], ["one"], [1, 2], ["a", None], object()]
)
def test_classes_are_names_or_their_number(classes):
    with pytest.raises(ArgumentError, match="new_head: classes must be two names or more, or a n"):
        small_network().new_head(classes)


def test_names_are_different_and_printable():
    with pytest.raises(ArgumentError, match="new_head: classes has 'b' twice"):
        small_network().new_head(["b", "a", "b"])
    with pytest.raises(ArgumentError, match="without control characters"):
        small_network().new_head(["a", "b\n"])
    names = np.array(["ä", "b"])
    assert small_network().new_head(names).classes == ["ä", "b"]
    assert small_network().new_head(np.int64(3)).num_parameters > 0


# ---- load_state_dict -----------------------------------------------------------------------------


def test_load_state_dict_tells_what_it_took(rng):
    network = small_network(classes=3)
    source = weighted(small_network())
    values = {**source.state_dict(), "extra": np.zeros(2, np.float32)}
    del values["conv2.bias"]
    before = copies(network)
    loaded = network.load_state_dict(values, strict=False)
    assert isinstance(loaded, ninc.LoadedWeights)
    assert loaded.missing == ["conv2.bias"] and loaded.unknown == ["extra"]
    assert loaded.other_shape == ["cccp2.weight", "cccp2.bias"]
    left = {*loaded.missing, *loaded.other_shape}
    assert loaded.taken == [name for name in before if name not in left]
    assert_same_weights(network, {n: (before if n in left else values)[n] for n in before})

    whole = network.load_state_dict(before)
    assert whole == ninc.LoadedWeights(list(before), [], [], [])
    with pytest.raises(ModelError, match="unknown: extra; of another shape: cccp2.weight is"):
        network.load_state_dict(values)
    with pytest.raises(ShapeError, match="cccp2.weight is 2×8×1×1 instead of 3×8×1×1"):
        network.load_state_dict(source.state_dict())
    assert_same_weights(network, before)


def test_load_state_dict_says_where_nothing_fits_and_refuses_other_types():
    network = small_network()
    values = {f"old_{name}": value for name, value in network.state_dict().items()}
    with pytest.warns(Remark, match=r"nothing was taken.*\(conv1.weight, "):
        loaded = network.load_state_dict(values, strict=False)
    assert loaded.taken == [] and loaded.unknown == list(values)
    before = network.state_dict()["conv2.weight"].copy()
    values = {name: np.zeros(v.shape) for name, v in network.state_dict().items()}
    with pytest.raises(DTypeError):
        network.load_state_dict(values, strict=False)
    np.testing.assert_array_equal(network.state_dict()["conv2.weight"], before)
