"""The same networks in PyTorch, with ninc's weights, for comparisons of speed and of results."""

import json

import torch
from torch import nn


def _layer(node):
    op = node["op"]
    if op == "Conv2d":
        top, left, bottom, right = node["padding"]
        if (top, left) != (bottom, right):
            raise ValueError(f"{node['name']}: the peer has symmetric padding only")
        return nn.Conv2d(
            node["in_channels"],
            node["out_channels"],
            tuple(node["kernel_size"]),
            tuple(node["stride"]),
            (top, left),
            tuple(node["dilation"]),
            node["groups"],
            node["bias"],
        )
    if op == "BatchNorm2d":
        return nn.BatchNorm2d(node["channels"], node["eps"], node["momentum"])
    if op == "Relu":
        return nn.ReLU(inplace=True)
    if op == "MaxPool2d":
        return nn.MaxPool2d(
            tuple(node["kernel_size"]),
            tuple(node["stride"]),
            tuple(node["padding"]),
            ceil_mode=node["ceil_mode"],
        )
    if op == "AvgPool2d":
        return nn.AvgPool2d(
            tuple(node["kernel_size"]),
            tuple(node["stride"]),
            tuple(node["padding"]),
            node["ceil_mode"],
            node["count_include_pad"],
        )
    if op == "Dropout":
        return nn.Dropout(node["p"])
    if op == "GlobalAvgPool2d":
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    raise ValueError(f"{node['name']}: the peer has no {op}")


def from_ninc(network):
    """A torch module for a chain of layers (the NINs), holding the network's weights."""
    nodes = json.loads(network._model.graph_json())["nodes"]
    module = nn.Sequential()
    for previous, node in zip(nodes, nodes[1:]):
        if node["inputs"] != [previous["name"]]:
            raise ValueError(f"{node['name']}: the peer follows chains only")
        module.add_module(node["name"], _layer(node))
    state = {name: torch.tensor(value) for name, value in network.state_dict().items()}
    missing, unexpected = module.load_state_dict(state, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ValueError(f"weights do not fit: missing {missing}, unexpected {unexpected}")
    return module
