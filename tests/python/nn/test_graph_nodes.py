"""`Network.graph`: the operations of a network, for reading."""

import copy
import dataclasses
import io
import pickle

import pytest

import ninc
from ninc import nn


def small():
    return nn.Sequential(
        nn.Conv2d(3, 4, (3, 5), padding="same", bias=False), nn.BatchNorm2d(4), nn.ReLU(),
        nn.MaxPool2d(2), nn.GlobalAvgPool2d(), nn.Linear(4, 2),
    )  # fmt: skip


def test_nodes_say_what_they_are():
    graph = small().graph
    assert [node.name for node in graph] == "x conv1 bn1 relu1 pool1 gap linear1".split()
    assert [node.operation for node in graph[:4]] == ["Input", "Conv2d", "BatchNorm2d", "Relu"]
    assert [node.inputs for node in graph[:3]] == [(), ("x",), ("conv1",)]
    assert graph["conv1"].attributes == {
        "in_channels": 3, "out_channels": 4, "kernel_size": (3, 5), "stride": (1, 1),
        "dilation": (1, 1), "padding": (1, 2, 1, 2), "groups": 1, "bias": False,
    }  # fmt: skip
    assert graph["relu1"].attributes == {}
    assert graph.output is graph[-1] and len(graph) == 7


def test_parameters_are_those_of_state_dict():
    network = small()
    of_all = {}
    for node in network.graph:
        of_all.update(node.parameters)
    assert of_all == {name: array.shape for name, array in network.state_dict().items()}
    names = ["bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var"]
    assert list(network.graph["bn1"].parameters) == names
    assert not network.graph["pool1"].parameters


def test_it_is_the_same_after_files_pickles_and_copies(tmp_path):
    network = small()
    network.save(tmp_path / "net.safetensors")
    others = [
        ninc.load(tmp_path / "net.safetensors"), pickle.loads(pickle.dumps(network)),
        copy.deepcopy(network), small(),
    ]  # fmt: skip
    for other in others:
        assert other.graph == network.graph and hash(other.graph) == hash(network.graph)
    assert pickle.loads(pickle.dumps(network.graph)) == copy.deepcopy(network.graph)
    assert network.graph != small().new_head(3).graph
    assert small().new_head(3).graph["linear1"].parameters["linear1.weight"] == (3, 4)


def test_nodes_can_be_hashed_and_not_changed():
    conv, *_ = small().graph[1:]
    assert len({conv, small().graph["conv1"], small().graph["relu1"]}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        conv.name = "other"
    with pytest.raises(TypeError):
        conv.attributes["groups"] = 2
    with pytest.raises(TypeError):
        small().graph[0] = conv


def test_they_are_shown():
    graph = nn.Graph()
    x = graph.input("picture")
    graph.add(nn.Add(), x, graph.add(nn.Dropout(0.25), x), name="sum")
    graph.set_output("drop1")
    assert repr(graph.graph["drop1"]) == "<Node drop1 = Dropout(picture, p=0.25)>"
    assert repr(graph.graph) == (
        "Nodes(\n  picture = Input(channels=0)\n  drop1 = Dropout(picture, p=0.25)\n"
        "  sum = Add(picture, drop1)\n  output: drop1\n)"
    )
    assert graph.graph.output.name == "drop1"
    assert repr(graph.graph["sum"].attributes) == "{}"


def test_a_graph_that_grows_has_another():
    graph = nn.Graph()
    with pytest.raises(ninc.ModelError, match="the graph has no layers"):
        graph.graph  # noqa: B018
    last = graph.add(nn.Conv2d(3, 4, 1), graph.input())
    before = graph.graph
    graph.add(nn.ReLU(), last)
    assert len(before) == 2 and graph.graph[:2] == before.nodes and len(graph.graph) == 3


def test_a_name_that_no_node_has():
    with pytest.raises(ninc.ArgumentError, match=r"no node is called 'conv9'; there are 'x', 'co"):
        small().graph["conv9"]
    with pytest.raises(IndexError):
        small().graph[99]


def test_a_network_read_from_memory_has_it_too(tmp_path):
    network = small()
    network.save(tmp_path / "net.safetensors")
    content = io.BytesIO((tmp_path / "net.safetensors").read_bytes())
    assert ninc.load(content).graph == network.graph
