"""Weights of networks whose names are others: taken by order, or without a common prefix."""

import numpy as np
import pytest

import ninc
from ninc import nn
from ninc.errors import ArgumentError, DTypeError, ModelError, Remark, ShapeError
from support.weights import assert_same_weights, copies


def network(classes=4, seed=1):
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 6, 1), nn.BatchNorm2d(6), nn.GlobalAvgPool2d(), nn.Linear(6, classes),
        seed=seed,
    )  # fmt: skip


def as_torch_has_it(net, prefix=""):
    """A state dict of the network as torch would name and order it."""
    ours, state, layer = net.state_dict(), {}, ""
    for name in [name for name in ours if "running" not in name]:
        layer, _, what = name.rpartition(".")
        state[f"{prefix}features.{layer}.{what}"] = ours[name].copy()
        if layer.startswith("bn") and what == "bias":
            for buffer in ("running_mean", "running_var"):
                statistics = ours[f"{layer}.{buffer}"].copy() + 1
                state[f"{prefix}features.{layer}.{buffer}"] = statistics
            state[f"{prefix}features.{layer}.num_batches_tracked"] = np.array(7)
    return state


def without_prefix(name):
    return name.replace("features.", "")


def test_parameters_and_buffers_each_in_their_order():
    net, theirs = network(), as_torch_has_it(network(seed=2))
    loaded = net.load_state_dict(theirs, match="order")
    assert loaded.taken == list(net.state_dict())
    assert loaded.missing == loaded.unknown == loaded.other_shape == []
    assert loaded.passed_over == [f"features.bn{i}.num_batches_tracked" for i in (1, 2)]
    assert loaded.sources == {name: f"features.{name}" for name in net.state_dict()}
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, theirs[f"features.{name}"])


def test_our_own_order_is_taken_too():
    net, other = network(), network(seed=2)
    loaded = net.load_state_dict(other.state_dict(), match="order")
    assert loaded == ninc.LoadedWeights(list(net.state_dict()), [], [], [])
    assert_same_weights(net, other)


def test_shapes_may_differ_by_ones_at_the_end():
    net, theirs = network(), as_torch_has_it(network(seed=2))
    theirs["features.linear1.weight"] = theirs["features.linear1.weight"].reshape(4, 6, 1, 1)
    theirs["features.conv2.weight"] = theirs["features.conv2.weight"].reshape(6, 8)
    net.load_state_dict(theirs, match="order")
    for name in ("linear1.weight", "conv2.weight"):
        ours = net.state_dict()[name]
        np.testing.assert_array_equal(ours.ravel(), theirs[f"features.{name}"].ravel())
    theirs["features.conv2.weight"] = theirs["features.conv2.weight"].reshape(1, 6, 8)
    with pytest.raises(ShapeError):
        net.load_state_dict(theirs, match="order")


def test_counters_and_scalars_are_passed_over():
    net, theirs = network(), as_torch_has_it(network(seed=2))
    more = {"epoch": np.array(3), "bn.num_batches_tracked": np.array([7])}
    more["scale"] = np.array(0.5, np.float32)
    loaded = net.load_state_dict({**more, **theirs}, match="order")
    assert loaded.passed_over[:3] == list(more) and loaded.unknown == []


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("kind", ["i8", "u1", "b1"])
def test_other_integers_are_told(kind, strict):
    """A quantised weight that is passed over would let the next one take its place."""
    net, theirs = network(), as_torch_has_it(network(seed=2))
    before = copies(net)
    theirs["features.conv2.weight"] = theirs["features.conv2.weight"].astype(kind)
    words = rf"by order, features.conv2.weight is of {np.dtype(kind)}, as no weights are; leave it"
    with pytest.raises(DTypeError, match=words):
        net.load_state_dict(theirs, strict, match="order")
    assert_same_weights(net, before)


def test_a_dictionary_of_many_names():
    many = {f"{index}.num_batches_tracked": np.array(0) for index in range(20_000)}
    net, theirs = network(), as_torch_has_it(network(seed=2))
    loaded = net.load_state_dict({**theirs, **many}, match="order")
    assert loaded.passed_over[2:] == list(many)


# ---- What does not fit ---------------------------------------------------------------------------


def refused(net, values, kind, words):
    before = copies(net)
    with pytest.raises(kind, match=words):
        net.load_state_dict(values, match="order")
    assert_same_weights(net, before)


def test_the_first_pair_that_does_not_fit_is_told():
    theirs = as_torch_has_it(network(classes=10))
    refused(
        network(), theirs, ShapeError,
        r"load_state_dict: by order, the parameter linear1.weight \(4×6\) would get "
        r"features.linear1.weight \(10×6\), which does not fit; before that conv2.bias \(6\) got "
        r"features.conv2.bias \(6\), bn2.weight \(6\) got features.bn2.weight \(6\), bn2.bias "
        r"\(6\) got features.bn2.bias \(6\); the network has 9 parameters and the dictionary 9$",
    )  # fmt: skip
    with_bias = {"features.conv1.bias": np.zeros(8, np.float32)}
    first = {name: theirs[name] for name in list(theirs)[:1]}
    refused(
        network(), {**first, **with_bias, **theirs}, ModelError,
        r"the parameter bn1.weight \(8\) would get features.conv1.bias \(8\), which does not fit; "
        r"before that conv1.weight .* the network has 9 parameters and the dictionary 10",
    )  # fmt: skip


def test_names_that_contradict_do_not_fit():
    theirs = as_torch_has_it(network())
    names = list(theirs)
    at = names.index("features.bn1.weight")
    names[at : at + 2] = names[at + 1], names[at]
    refused(
        network(), {name: theirs[name] for name in names}, ShapeError,
        r"the parameter bn1.weight \(8\) would get features.bn1.bias \(8\), which does not fit",
    )  # fmt: skip
    deep = nn.Sequential(nn.Conv2d(8, 8, 1, groups=8))
    state = deep.state_dict()  # whose weight, 8×1×1×1, and bias, 8, have one shape but for ones
    turned = {name: state[name] for name in reversed(list(state))}
    refused(deep, turned, ShapeError, r"conv1.weight \(8×1×1×1\) would get conv1.bias \(8\)")
    other_words = {"gamma": state["conv1.weight"], "b.beta": state["conv1.bias"] + 1}
    deep.load_state_dict(other_words, match="order")
    np.testing.assert_array_equal(deep.state_dict()["conv1.bias"], other_words["b.beta"])


def test_more_and_fewer_are_told():
    theirs = as_torch_has_it(network())
    refused(
        network(), {**theirs, "more.weight": np.zeros((2, 3), np.float32)}, ModelError,
        r"by order, no parameter is left for more.weight \(2×3\); before that .* linear1.bias "
        r"\(4\) got features.linear1.bias \(4\); the network has 9 parameters and the dictionary",
    )  # fmt: skip
    del theirs["features.linear1.bias"]
    refused(network(), theirs, ModelError, r"nothing is left for the parameter linear1.bias \(4\);")
    theirs = as_torch_has_it(network())
    del theirs["features.bn2.running_mean"]
    refused(
        network(), theirs, ModelError,
        r"the buffer bn2.running_mean \(6\) would get features.bn2.running_var \(6\), which does",
    )  # fmt: skip
    refused(
        network(), {}, ModelError, r"nothing is left for the parameter conv1.weight \(8×3×3×3\)"
    )


def test_not_strict_takes_what_stands_before_it():
    net, theirs = network(), as_torch_has_it(network(classes=10, seed=2))
    before = copies(net)
    loaded = net.load_state_dict(theirs, strict=False, match="order")
    assert loaded.other_shape == ["linear1.weight"] and loaded.missing == ["linear1.bias"]
    assert loaded.unknown == ["features.linear1.weight", "features.linear1.bias"]
    for name, array in net.state_dict().items():
        kept = name.startswith("linear1")
        np.testing.assert_array_equal(array, (before if kept else theirs)[
            name if kept else f"features.{name}"])  # fmt: skip


def test_statistics_are_taken_only_with_their_parameters():
    net, theirs = network(), as_torch_has_it(network(seed=2))
    theirs["features.conv2.bias"] = np.zeros(5, np.float32)
    before = copies(net)
    loaded = net.load_state_dict(theirs, strict=False, match="order")
    assert loaded.taken[-2:] == ["bn1.running_mean", "bn1.running_var"]
    assert "features.bn2.running_mean" in loaded.unknown and "bn2.running_var" in loaded.missing
    np.testing.assert_array_equal(net.state_dict()["bn2.running_var"], before["bn2.running_var"])


def test_nothing_that_fits_is_remarked():
    net = network()
    with pytest.warns(Remark, match="nothing was taken: the dictionary's first array"):
        loaded = net.load_state_dict({"w": np.zeros(3, np.float32)}, False, match="order")
    assert loaded.taken == [] and loaded.unknown == ["w"]


def test_wrong_arguments():
    net, state = network(), network().state_dict()
    with pytest.raises(
        ArgumentError, match="load_state_dict: match must be 'name' or 'order', got"
    ):
        net.load_state_dict(state, match="shape")
    with pytest.raises(DTypeError, match="conv1.weight: expected a numpy array of .*, got list"):
        net.load_state_dict({**state, "conv1.weight": [[1.0]]}, match="order")
    doubles = {name: array.astype(np.float64) for name, array in state.items()}
    refused(net, doubles, DTypeError, "conv1.weight: expected float32, got float64; use x.astype")


# ---- A common prefix -----------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod."])
def test_one_prefix_that_all_names_have_is_left_out(prefix):
    net, other = network(), network(seed=2)
    values = {prefix + name: array for name, array in other.state_dict().items()}
    loaded = net.load_state_dict(values)
    assert loaded.taken == list(net.state_dict()) and loaded.unknown == []
    assert loaded.sources == {name: prefix + name for name in net.state_dict()}
    assert_same_weights(net, other)


def test_a_prefix_that_not_all_have_or_the_network_has_counts():
    net = network()
    state = dict(net.state_dict())
    values = {f"module.{name}": array for name, array in state.items()}
    with pytest.raises(ModelError, match="missing: conv1.weight.*unknown: module.conv1.weight"):
        net.load_state_dict({**values, "epoch": np.zeros(1, np.float32)})
    with pytest.raises(ModelError, match="unknown: module.module.conv1.weight"):
        net.load_state_dict({f"module.{name}": array for name, array in values.items()})
    one = nn.Sequential(nn.Conv2d(3, 4, 1))  # all of its names begin with "conv1."
    one.load_state_dict(dict(one.state_dict()))
    more = {"module.conv1.weight": state["conv1.weight"], "module.extra": state["conv1.weight"]}
    loaded = net.load_state_dict(more, strict=False)
    assert loaded.taken == ["conv1.weight"] and loaded.unknown == ["module.extra"]


def test_names_that_are_no_text():
    net = network()
    state = dict(net.state_dict())
    with pytest.raises(ModelError, match="unknown: 3"):
        net.load_state_dict({**state, 3: np.zeros(1, np.float32)})
    refused(net, {3: np.zeros(1, np.float32), **state}, ModelError, r"would get 3 \(1\)")
