"""The engines that are compared, behind one face, each holding ninc's weights.

An engine is a module of this package and the words that choose one of its variants. The module has

    save(network, input_shape, path)           writes what the engine loads
    load(path, x, threads, **variant)          -> Inference
    Training(network, x, labels, threads, rate, weight_decay, **variant)      where it can train

and raises ninc.ModelError for a network with a layer that the engine does not have.

Saving and loading are two steps so that a process that measures memory holds one engine and
nothing of those that made its file.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import importlib
import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

FLOAT32 = "float32"
BF16 = "bf16"


@dataclasses.dataclass(frozen=True)
class Inference:
    """A loaded network with its input in the engine's own layout.

    run: one forward pass -> N×classes float32.
    precision: FLOAT32 or BF16, of what the engine multiplies.
    instruction_set: "avx512" or "avx2" where the engine tells what its convolutions run on.
    """

    run: Callable[[], np.ndarray]
    precision: str = FLOAT32
    instruction_set: str | None = None


@dataclasses.dataclass(frozen=True)
class Engine:
    """name: as printed; packages: what must be installed to make and to load its file."""

    name: str
    module_name: str
    packages: tuple[str, ...]
    variant: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    suffix: str = ""  # of its file, where the engine goes by that

    def missing(self) -> list[str]:
        """Those of its packages that are not installed."""
        return [name for name in self.packages if importlib.util.find_spec(name) is None]

    def save(self, network: Any, input_shape: Sequence[int], folder: str) -> str:
        """Writes its file for the network there; the path."""
        path = os.path.join(folder, "network" + self.suffix)
        self.module().save(network, input_shape, path)
        return path

    def module(self) -> ModuleType:
        return importlib.import_module(f"{__name__}.{self.module_name}")


NINC = "ninc"
TORCH = ("torch NCHW", "torch channels-last")
TORCH_BF16 = "torch bf16 autocast"
ONNX_RUNTIME = "ONNX Runtime"
OPENVINO = "OpenVINO float32"
OPENVINO_DEFAULT = "OpenVINO as it comes"

_LAST = {"channels_last": True}

INFERENCE = (
    Engine(NINC, "own", ("ninc",)),
    Engine(TORCH[0], "torch", ("torch",)),
    Engine(TORCH[1], "torch", ("torch",), _LAST),
    Engine("torch optimised", "torch", ("torch",), {"optimised": True}),
    Engine(ONNX_RUNTIME, "onnxruntime", ("onnxruntime", "onnx")),
    Engine(OPENVINO, "openvino", ("openvino", "onnx"), {"precision": "f32"}, ".onnx"),
    Engine(OPENVINO_DEFAULT, "openvino", ("openvino", "onnx"), suffix=".onnx"),
)

TRAINING = (
    Engine(NINC, "own", ("ninc",)),
    Engine(TORCH[0], "torch", ("torch",)),
    Engine(TORCH[1], "torch", ("torch",), _LAST),
    Engine(TORCH_BF16, "torch", ("torch",), {**_LAST, "autocast": True}),
)


def chosen(engines: Sequence[Engine], wanted: Sequence[str]) -> list[Engine]:
    """ninc and those whose names match one of the names or patterns.

    Raises ValueError for what matches no engine at all.
    """
    names = list(dict.fromkeys(engine.name for engine in (*INFERENCE, *TRAINING)))
    for pattern in wanted:
        if not fnmatch.filter(names, pattern):
            raise ValueError(f"no engine is called {pattern!r}; there are {', '.join(names)}")
    return [
        engine
        for engine in engines
        if engine.name == NINC or any(fnmatch.fnmatch(engine.name, w) for w in wanted)
    ]
