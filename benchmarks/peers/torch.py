"""PyTorch: eager in both layouts, traced and optimised, and trained with bf16 autocast."""

from __future__ import annotations

import operator
import os
import re
import tempfile
import warnings

import numpy as np
import torch
from torch import fx, nn

import ninc

from . import BF16, FLOAT32, Inference


def save(network, input_shape, path) -> None:
    torch.save(from_ninc(network), path)


def load(path, x: np.ndarray, threads: int, channels_last=False, optimised=False) -> Inference:
    torch.set_num_threads(threads)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    module = torch.load(path, weights_only=False).eval().to(memory_format=layout)
    images = torch.from_numpy(x).contiguous(memory_format=layout)
    if optimised:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript is deprecated, and still a fast path
            module = torch.jit.optimize_for_inference(torch.jit.trace(module, images))

    def run():
        with torch.inference_mode():
            return module(images).numpy()

    return Inference(run, instruction_set=instruction_set())


class Training:
    """Steps of SGD with momentum 0.9 on one batch; the loss is cross entropy."""

    def __init__(
        self, network, x, labels, threads, rate, weight_decay, channels_last=False, autocast=False
    ):
        torch.set_num_threads(threads)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        self.precision = BF16 if autocast else FLOAT32
        self.instruction_set = instruction_set()
        self._module = from_ninc(network).train().to(memory_format=layout)
        self._optimizer = torch.optim.SGD(
            self._module.parameters(), rate, momentum=0.9, weight_decay=weight_decay
        )
        self._images = torch.from_numpy(x).contiguous(memory_format=layout)
        self._labels = torch.from_numpy(labels)
        self._autocast = autocast

    def step(self) -> float:
        """The loss before the update."""
        self._optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self._autocast):
            loss = nn.functional.cross_entropy(self._module(self._images), self._labels)
        loss.backward()
        self._optimizer.step()
        return loss.item()

    def parameters(self) -> dict[str, np.ndarray]:
        return {
            name: value.detach().numpy().copy() for name, value in self._module.named_parameters()
        }


def from_ninc(network: ninc.Network) -> fx.GraphModule:
    """A module with the network's layers, names and weights, which gives N×classes.

    Its forward is the lines that somebody would write: each value is let go of behind its last
    reader. Raises ninc.ModelError for a layer that has no counterpart here.
    """
    graph, code = network.graph, fx.Graph()
    layers, values = {}, {}
    for node in graph:
        inputs = [values[name] for name in node.inputs]
        if node.operation == "Input":
            value = code.placeholder("x")
        elif node.operation in _FUNCTIONS:
            value = _FUNCTIONS[node.operation](code, node, *inputs)
        elif node.operation == "Add" and _may_overwrite(graph, node):
            value = code.call_method("add_", tuple(inputs))
        else:
            layers[node.name] = _layer(node, _may_overwrite(graph, node))
            if node.operation == "Linear":  # a pool of the whole map leaves a pixel
                inputs = [code.call_function(torch.flatten, (*inputs, 1))]
            value = code.call_module(node.name, tuple(inputs))
        values[node.name] = value
    code.output(code.call_function(torch.flatten, (values[graph.output.name], 1)))
    module = fx.GraphModule(layers, code)
    state = {name: torch.tensor(value) for name, value in network.state_dict().items()}
    missing, unexpected = module.load_state_dict(state, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ValueError(f"weights do not fit: missing {missing}, unexpected {unexpected}")
    return module


# Those that write an output which they do not need themselves, for gradients either.
_WRITERS = ("Add", "BatchNorm2d", "Conv2d", "Linear")


def _may_overwrite(graph: ninc.Nodes, node: ninc.Node) -> bool:
    """Whether a node may put its output in the place of its first input: nobody else reads that."""
    source = node.inputs[0]
    readers = sum(source in other.inputs for other in graph)
    return graph[source].operation in _WRITERS and readers == 1


def _slice(code, node, x):
    ranges = (slice(*node.attributes[axis]) for axis in ("channels", "height", "width"))
    return code.call_function(operator.getitem, (x, (slice(None), *ranges)))


def _pad(code, node, x):
    told = node.attributes
    margins = [*told["width"], *told["height"], *told["channels"]]  # the last axis comes first
    return code.call_function(nn.functional.pad, (x, margins), {"value": told["value"]})


# What is no module in torch: operation -> the call of it that is added to the code.
_FUNCTIONS = {
    "Add": lambda code, node, a, b: code.call_function(torch.add, (a, b)),
    "Concat": lambda code, node, *inputs: code.call_function(torch.cat, (inputs, 1)),
    "Mul": lambda code, node, a, b: code.call_function(torch.mul, (a, b)),
    "Pad": _pad,
    "Slice": _slice,
}


class _HardSigmoid(nn.Module):
    """torch's own has one slope, 1/6; files have others."""

    def __init__(self, alpha, beta):
        super().__init__()
        self.alpha, self.beta = alpha, beta

    def forward(self, x):
        return torch.clamp(self.alpha * x + self.beta, 0.0, 1.0)


def _layer(node: ninc.Node, inplace: bool) -> nn.Module:
    op, told = node.operation, node.attributes
    if op == "Conv2d":
        top, left, bottom, right = told["padding"]
        if (top, left) != (bottom, right):
            raise ninc.ModelError(f"{node.name}: torch's Conv2d pads both sides alike")
        return nn.Conv2d(
            told["in_channels"],
            told["out_channels"],
            told["kernel_size"],
            told["stride"],
            (top, left),
            told["dilation"],
            told["groups"],
            told["bias"],
        )
    if op == "Linear":
        return nn.Linear(told["in_features"], told["out_features"], told["bias"])
    if op == "BatchNorm2d":
        return nn.BatchNorm2d(told["channels"], told["eps"], told["momentum"])
    if op == "Relu":
        return nn.ReLU(inplace)
    if op == "HardSwish":
        return nn.Hardswish(inplace)
    if op == "HardSigmoid":
        return _HardSigmoid(told["alpha"], told["beta"])
    if op == "Softmax":
        return nn.Softmax(dim=1)
    if op == "Dropout":
        return nn.Dropout(told["p"])
    if op == "GlobalAvgPool2d":
        return nn.AdaptiveAvgPool2d(1)
    if op == "GlobalMaxPool2d":
        return nn.AdaptiveMaxPool2d(1)
    if op not in ("MaxPool2d", "AvgPool2d"):
        raise ninc.ModelError(f"{node.name}: the peer of torch has no {op}")
    window = (told["kernel_size"], told["stride"], told["padding"])
    if op == "MaxPool2d":
        return nn.MaxPool2d(*window, ceil_mode=told["ceil_mode"])
    return nn.AvgPool2d(*window, told["ceil_mode"], told["count_include_pad"])


def instruction_set() -> str | None:
    """What oneDNN, which computes torch's convolutions, runs one on: read from its own report."""
    x, weight = torch.zeros(4, 16, 32, 32), torch.zeros(16, 16, 3, 3)
    onednn = torch.backends.mkldnn
    with tempfile.TemporaryFile() as report:
        stdout = os.dup(1)  # oneDNN writes there, past sys.stdout
        os.dup2(report.fileno(), 1)
        try:
            with onednn.verbose(onednn.VERBOSE_ON):
                nn.functional.conv2d(x, weight)
        finally:
            os.dup2(stdout, 1)
            os.close(stdout)
        report.seek(0)
        found = re.search(r"convolution,[^,]*(avx512|avx2)", report.read().decode())
    return found and found.group(1)
