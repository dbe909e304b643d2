"""Channels are looked at when a network is made, and the names of classes when they are given."""

import copy
import json
import pickle

import numpy as np
import pytest

import ninc
from ninc import _core, nn
from ninc._base.channels import Channels
from ninc.errors import ArgumentError, ModelError


def refused(words, *layers):
    with pytest.raises(ModelError, match=words):
        nn.Sequential(*layers)


def test_layers_that_cannot_follow_one_another_are_told_by_name():
    conv = nn.Conv2d(3, 16, 3)
    refused(
        r"^conv2 \(Conv2d\): expected 8 input channels, got 16 from conv1 \(Conv2d\)$",
        conv, nn.Conv2d(8, 16, 3),
    )  # fmt: skip
    refused(
        r"^conv2 \(Conv2d\): expected 8 input channels, got 5 from drop1 \(Dropout\)$",
        nn.MlpConv(3, (16, 5), 3), nn.MaxPool2d(2), nn.Dropout(0.5), nn.MlpConv(8, (4,), 3),
    )  # fmt: skip
    refused(r"^bn1 \(BatchNorm2d\): expected 8 input channels, got 16", conv, nn.BatchNorm2d(8))
    refused(
        r"^linear1 \(Linear\): expected 8 input features, got 16 from gap \(GlobalAvgPool2d\)$",
        conv, nn.GlobalAvgPool2d(), nn.Linear(8, 2),
    )  # fmt: skip
    refused(
        "linear1 .*expected 8 input features, got 16 from flatten",
        conv, nn.GlobalMaxPool2d(), nn.Flatten(), nn.Linear(8, 2),
    )  # fmt: skip


def test_what_the_input_has_is_told_by_the_first_layer_that_says_so():
    graph = nn.Graph()
    x = graph.input()
    graph.add(nn.Conv2d(3, 4, 3), graph.add(nn.ReLU(), x))
    with pytest.raises(ModelError) as told:
        graph.add(nn.Conv2d(8, 4, 3), x)
    assert str(told.value) == (
        "conv2 (Conv2d): expected 8 input channels, got 3 from the network's input, of which conv1 "
        "(Conv2d) takes as many"
    )


def test_branches():
    graph = nn.Graph()
    x = graph.input()
    a, b = graph.add(nn.Conv2d(3, 4, 1), x), graph.add(nn.Conv2d(3, 6, 1), x)
    with pytest.raises(ModelError) as told:
        graph.add(nn.Add(), a, b)
    assert str(told.value) == (
        "add1 (Add): expected two inputs of as many channels, or one of 1, got 4 channels from "
        "conv1 (Conv2d) and 6 from conv2 (Conv2d)"
    )
    both = graph.add(nn.Concat(), a, b)
    with pytest.raises(ModelError, match="expected 8 input channels, got 10 from concat1"):
        graph.add(nn.Conv2d(8, 2, 1), both)
    # Nothing of a refused layer stays, and the next ones are named as if it had never been.
    graph.add(nn.Conv2d(10, 2, 1), both)
    assert graph(np.zeros((1, 3, 4, 4), np.float32)).shape == (1, 2, 4, 4)
    assert "conv3.weight" in graph.parameters() and "add1" not in repr(graph)


def test_a_sum_tells_the_inputs_channels():
    graph = nn.Graph()
    x = graph.input()
    a = graph.add(nn.Conv2d(3, 4, 1), graph.add(nn.ReLU(), x))
    with pytest.raises(ModelError, match="add1 .*4 channels from conv1 .*and 3 from x"):
        graph.add(nn.Add(), a, x)


@pytest.mark.parametrize("make", [
    lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(64, 2)),
    lambda: nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 4, 1)),
    lambda: nn.Sequential(nn.GlobalAvgPool2d(), nn.Flatten(), nn.Linear(3, 2)),
    lambda: nn.Sequential(nn.GlobalAvgPool2d(), nn.Conv2d(3, 5, 1), nn.Flatten(), nn.Linear(5, 2)),
    lambda: nn.Sequential(nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, 3, groups=6), nn.Softmax()),
    lambda: ninc.models.nin_cifar10(batch_norm=True),
])  # fmt: skip
def test_what_stands_well_is_taken(make):
    made = make()
    size = 32 if len(made) > 5 else 6
    assert made(np.zeros((1, 3, size, size), np.float32)).shape[0] == 1


def test_copies_and_pickles_go_on():
    graph = nn.Graph()
    graph.add(nn.Conv2d(3, 4, 1), graph.input())
    old = pickle.loads(pickle.dumps(graph))
    old._description._known = Channels()  # as pickles of earlier versions have
    for again in (copy.deepcopy(graph), pickle.loads(pickle.dumps(graph)), old):
        with pytest.raises(ModelError, match="conv2 .*expected 8 input channels, got 4 from conv1"):
            again.add(nn.Conv2d(8, 2, 1), "conv1")
        again.add(nn.Conv2d(4, 2, 1), "conv1")
        assert "_known" not in pickle.loads(pickle.dumps(again))._description.__dict__
    assert "conv2" not in repr(graph)


def test_copies_do_not_see_each_others_layers():
    graph = nn.Graph()
    graph.add(nn.Conv2d(3, 4, 1), graph.input())
    other = copy.copy(graph)
    graph.add(nn.Conv2d(4, 5, 1), "conv1", name="last")
    other.add(nn.Conv2d(4, 6, 1), "conv1", name="last")
    with pytest.raises(ModelError, match="conv2 .*expected 6 input channels, got 5 from last"):
        graph.add(nn.Conv2d(6, 2, 1), "last")
    other.add(nn.Conv2d(6, 2, 1), "last")


def test_thousands_of_layers_are_added_one_by_one():
    draft = _core.Draft()
    draft.add('[{"name": "n0", "op": "Input", "channels": 0}]')
    for i in range(1, 9000):
        draft.add(json.dumps([{"name": f"n{i}", "op": "Relu", "inputs": [f"n{i - 1}"]}]))
    assert len(draft) == 9000


def test_every_operation_is_known():
    """What gives no number here gives the core none either."""
    for name in ninc.models.__all__[1:]:
        made = getattr(ninc.models, name)(num_classes=7)
        assert made.core.output_channels() == 7
    layers = [
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.ReLU6(), nn.Dropout(), nn.MaxPool2d(2),
        nn.AvgPool2d(2), nn.GlobalMaxPool2d(), nn.Flatten(), nn.Linear(4, 5), nn.Softmax(),
    ]  # fmt: skip
    made = nn.Sequential(*layers)
    for name, found in made.core.channels().items():
        assert found == made.core.output_shape((1, 3, 16, 16), name)[1], name


def test_layers_that_the_core_refuses_are_told_when_they_are_added():
    graph = nn.Graph()
    x = graph.add(nn.Conv2d(3, 6, 1), graph.input())
    for layer, words in [
        (nn.Add(), r"^add1 \(Add\): takes two inputs, got 1$"),
        (
            nn.ChannelShuffle(4),
            r"^shuffle1 .*expected a multiple of 4 input channels, got 6 from c",
        ),
        (
            nn.PReLU(5),
            r"^prelu1 \(PRelu\): expected 5 input channels, got 6 from conv1 \(Conv2d\)$",
        ),
    ]:
        with pytest.raises(ModelError, match=words):
            graph.add(layer, x)
    graph.add(nn.PReLU(), graph.add(nn.ChannelShuffle(3), x))
    assert graph(np.zeros((1, 3, 4, 4), np.float32)).shape == (1, 6, 4, 4)


def test_an_input_beside_several_channels_may_have_one():
    graph = nn.Graph()
    x = graph.input()
    pooled = graph.add(nn.GlobalAvgPool2d(), x)
    graph.add(nn.Mul(), pooled, graph.add(nn.Constant(np.ones((4, 1, 1), np.float32))))
    for channels in (1, 4):
        assert graph(np.zeros((2, channels, 3, 3), np.float32)).shape == (2, 4)
    graph.add(nn.Conv2d(1, 2, 1), x)
    assert graph.core.channels()["x"] == 1


# ---- Names of classes ----------------------------------------------------------------------------


def two_outputs():
    return nn.Sequential(nn.Conv2d(3, 2, 1), nn.GlobalAvgPool2d())


@pytest.mark.parametrize("names, words", [
    (["only one"], "2 outputs, got 1 name: 'only one'"),
    (["a", "b", "c"], "2 outputs, got 3 names: 'a', 'b', 'c'"),
])  # fmt: skip
def test_names_are_as_many_as_the_outputs(names, words):
    network = two_outputs()
    network.classes = ["cat", "dog"]
    with pytest.raises(ArgumentError, match=f"classes: the network has {words}"):
        network.classes = names
    assert network.classes == ["cat", "dog"]
    network.classes = None
    assert network.classes is None


def test_names_of_a_network_whose_outputs_depend_on_the_picture():
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten())
    network.classes = ["a", "b", "c"]
    assert network.classes == ["a", "b", "c"]


def test_a_graph_that_has_grown_is_not_saved_with_names_of_others(tmp_path):
    graph = nn.Graph()
    graph.add(nn.Conv2d(3, 2, 1), graph.input())
    graph.classes = ["cat", "dog"]
    graph.add(nn.Conv2d(2, 5, 1), "conv1")
    with pytest.raises(ModelError, match=r"save: the network has 5 outputs, got 2 names: 'cat', "):
        graph.save(tmp_path / "g")
    assert not (tmp_path / "g").exists()
    graph.classes = list("abcde")
    graph.save(tmp_path / "g")
    assert ninc.load(tmp_path / "g").classes == list("abcde")


# ---- What is no layer ----------------------------------------------------------------------------


def test_layers_in_a_list():
    layers = [nn.Conv2d(3, 2, 1), nn.ReLU()]
    for given in (layers, tuple(layers), iter(layers)):
        with pytest.raises(ArgumentError, match=r"give layers one by one: Sequential\(\*layers\)$"):
            nn.Sequential(given)
    assert len(nn.Sequential(*layers)) == 2


def test_a_layers_class_in_its_place():
    with pytest.raises(ArgumentError, match=r"entwise.ReLU'>; ReLU\(...\) makes one of this cla"):
        nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU)
    with pytest.raises(ArgumentError, match="a layer of ninc.nn is needed, got 'conv'$"):
        nn.Sequential("conv")
