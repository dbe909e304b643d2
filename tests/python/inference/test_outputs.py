"""`Network.outputs`: networks with several outputs, and values inside a network."""

import copy
import pickle

import numpy as np
import pytest

import ninc
from ninc import nn

X = np.random.default_rng(0).standard_normal((3, 3, 12, 10), np.float32)


def two_heads():
    """A class for each picture, and a map of four numbers for each place."""
    graph = nn.Graph(seed=1)
    stem = graph.add(nn.ReLU(), graph.add(nn.Conv2d(3, 8, 3, padding=1), graph.input()))
    places = graph.add(nn.Conv2d(8, 4, 1), stem, name="places")
    classes = graph.add(nn.GlobalAvgPool2d(), graph.add(nn.Conv2d(8, 5, 1), stem), name="classes")
    graph.set_output(classes, places)
    return graph


def test_each_output_has_its_name_and_numbers():
    net = two_heads()
    both = net.outputs(X)
    assert list(both) == ["classes", "places"]
    np.testing.assert_array_equal(both["classes"], net(X))
    assert both["classes"].shape == (3, 5) and both["places"].shape == (3, 4, 12, 10)
    net.set_output("places")
    np.testing.assert_allclose(both["places"], net(X), rtol=1e-5, atol=1e-6)
    assert list(net.outputs(X)) == ["places"]


def test_inner_layers_are_outputs_where_they_are_asked_for():
    net = ninc.models.nin_cifar10(num_classes=7)
    x = np.random.default_rng(1).standard_normal((2, 3, 32, 32), np.float32)
    found = net.outputs(x, ["gap", "conv2", "gap"])
    assert list(found) == ["gap", "conv2"]
    np.testing.assert_array_equal(found["gap"], net(x))
    assert found["conv2"].shape == (2, 192, 16, 16)
    # The convolution's sum is asked for, and not what its ReLU makes of it.
    relu = net.outputs(x, ["relu_conv2"])["relu_conv2"]
    np.testing.assert_allclose(np.maximum(found["conv2"], 0), relu, rtol=1e-4, atol=1e-5)
    assert found["conv2"].min() < 0 and net.outputs(x, []) == {}


def test_no_pictures():
    assert two_heads().outputs(X[:0])["places"].shape == (0, 4, 12, 10)


def test_what_is_no_layer():
    net = two_heads()
    with pytest.raises(ninc.ArgumentError, match="the network has no layer 'nothing'; its outputs"):
        net.outputs(X, ["places", "nothing"])
    with pytest.raises(ninc.ArgumentError, match="no layer 'place'.*did you mean 'places'"):
        net.outputs(X, ["place"])
    with pytest.raises(ninc.ArgumentError, match="names must be a list of layers' names"):
        net.outputs(X, "places")
    with pytest.raises(ninc.ArgumentError, match="a layer's name must be a string, got 3"):
        net.outputs(X, [3])
    with pytest.raises(ninc.ShapeError, match=r"conv1 \(Conv2d\): expected 3 input channels"):
        net.outputs(X[:, :2])
    with pytest.raises(ninc.ArgumentError, match="set_output: 'places' is given twice"):
        net.set_output("places", "classes", "places")
    with pytest.raises(ninc.ArgumentError, match="there is no layer 'nothing' in this graph"):
        net.set_output("places", "nothing")


def test_a_constant_is_no_output():
    graph = nn.Graph()
    x = graph.input()
    held = graph.add(nn.Constant(np.ones((3, 1, 1), np.float32)), name="held")
    graph.set_output(graph.add(nn.Add(), x, held), held)
    with pytest.raises(ninc.ArgumentError, match=r"held \(Constant\): its value is a constant"):
        graph.outputs(X)


def test_outputs_are_told():
    net = two_heads()
    assert [node.name for node in net.graph.outputs] == ["classes", "places"]
    assert net.graph.output.name == "classes"
    assert repr(net.graph).endswith("  outputs: classes, places\n)")
    assert net.summary(X.shape).endswith("\noutputs: classes, places")


def test_files_pickles_and_copies_keep_them(tmp_path):
    net = two_heads()
    want = net.outputs(X)
    net.save(tmp_path / "two.safetensors")
    for other in (
        ninc.load(tmp_path / "two.safetensors"),
        pickle.loads(pickle.dumps(net)),
        copy.deepcopy(net),
    ):
        got = other.outputs(X)
        assert list(got) == list(want)
        for name, values in want.items():
            np.testing.assert_array_equal(got[name], values)


def test_the_first_is_trained_and_the_others_stay():
    net = two_heads()
    before = net.state_dict()
    trainer = ninc.Trainer(net, optimizer=ninc.SGD(lr=0.1))
    labels = np.array([0, 1, 2])
    first = float(trainer.step(X, labels))
    for _ in range(5):
        last = float(trainer.step(X, labels))
    assert last < first
    after = net.state_dict()
    np.testing.assert_array_equal(after["places.weight"], before["places.weight"])
    assert (after["conv1.weight"] != before["conv1.weight"]).any()


def test_arrays_that_are_not_contiguous_give_the_same_bits():
    net = two_heads()
    turned = np.ascontiguousarray(X.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    for name, values in net.outputs(X).items():
        np.testing.assert_array_equal(net.outputs(turned)[name], values)


def test_what_takes_larger_pictures_says_so():
    """The least size is that of the layers which were asked for."""
    graph = nn.Graph()
    x = graph.input()
    main = graph.add(nn.GlobalAvgPool2d(), graph.add(nn.Conv2d(3, 4, 3), x))
    aux = graph.add(nn.Conv2d(3, 4, 15), graph.add(nn.MaxPool2d(1, 1), x), name="aux")
    graph.set_output(main, aux)
    small = X[:, :, :8, :8]
    assert graph(small).shape == (3, 4)
    with pytest.raises(ninc.ShapeError, match=r"aux \(Conv2d\).*the least square .* is 3×15×15"):
        graph.outputs(small)
    with pytest.raises(ninc.ShapeError, match="the least square that it takes is 3×15×15"):
        graph.summary(small.shape)


def test_outputs_in_a_list():
    with pytest.raises(ninc.ArgumentError, match=r"one after another: set_output\(a, b\)"):
        two_heads().set_output(["classes", "places"])
    with pytest.raises(ninc.ArgumentError, match="a layer's name must be a string"):
        two_heads().outputs(X, [["classes"]])


def test_the_plan_is_of_all_outputs():
    assert "output 3×5×1×1 and 3×4×12×10" in two_heads().plan(X.shape).describe()


def test_a_new_head_leaves_the_other_outputs():
    net = two_heads()
    renewed = net.new_head(9)
    both = renewed.outputs(X)
    assert both["classes"].shape == (3, 9)
    np.testing.assert_allclose(both["places"], net.outputs(X)["places"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "names", [("classes", "conv2"), ("shares", "classes"), ("classes", "shares")]
)
def test_outputs_that_are_made_of_the_head_change_with_it(names):
    """Class maps beside scores, and scores beside probabilities."""
    net = two_heads()
    net.add(nn.Softmax(), "classes", name="shares")
    net.set_output(*names)
    for name, value in net.new_head(9).outputs(X).items():
        assert value.shape[1] == 9, name


def test_a_head_that_others_mix_stays():
    net = two_heads()
    net.set_output("classes", net.add(nn.Conv2d(5, 2, 1), "conv2", name="mixed"))
    with pytest.raises(ninc.ModelError, match=r"to mixed \(Conv2d\), too, which mixes"):
        net.new_head(9)
