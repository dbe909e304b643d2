"""PyTorch: eager in both layouts, traced and optimised, and trained with bf16 autocast."""

from __future__ import annotations

import os
import re
import tempfile
import warnings

import numpy as np
import torch
from torch import nn

from . import BF16, FLOAT32, Inference
from .chain import chain, unsupported


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


def from_ninc(network) -> nn.Sequential:
    """A module with the network's layers, names and weights."""
    module = nn.Sequential()
    for node in chain(network):
        module.add_module(node["name"], _layer(node))
    state = {name: torch.tensor(value) for name, value in network.state_dict().items()}
    missing, unexpected = module.load_state_dict(state, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ValueError(f"weights do not fit: missing {missing}, unexpected {unexpected}")
    return module


def _layer(node) -> nn.Module:
    op = node["op"]
    if op == "Conv2d":
        top, left, bottom, right = node["padding"]
        if (top, left) != (bottom, right):
            raise ValueError(f"{node['name']}: torch's Conv2d pads both sides alike")
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
    if op == "Dropout":
        return nn.Dropout(node["p"])
    if op == "GlobalAvgPool2d":
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    if op == "GlobalMaxPool2d":
        return nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten())
    if op not in ("MaxPool2d", "AvgPool2d"):
        raise unsupported(node)
    window = (tuple(node["kernel_size"]), tuple(node["stride"]), tuple(node["padding"]))
    if op == "MaxPool2d":
        return nn.MaxPool2d(*window, ceil_mode=node["ceil_mode"])
    return nn.AvgPool2d(*window, node["ceil_mode"], node["count_include_pad"])


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
