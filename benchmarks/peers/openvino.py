"""OpenVINO's processor plugin, in float32 or in the precision it chooses itself."""

from __future__ import annotations

import re

import numpy as np
import openvino

import ninc

from . import BF16, FLOAT32, Inference

_PRECISIONS = {"f32": FLOAT32, "bf16": BF16}


def save(network, input_shape, path) -> None:
    from . import onnx_model  # needed here alone: onnx would count in the engine's memory

    # OpenVINO 2026.4 makes a reduction of a pool of the whole map, which stays on AVX-512 where the
    # rest is held to AVX2, and then reads the layout wrongly.
    onnx_model.save(network, input_shape, path, windows=ninc.target() == "avx2")


def load(path, x: np.ndarray, threads: int, precision: str | None = None) -> Inference:
    # Unpinned, for its own good: pinned threads wait for their core while another engine's thread
    # still spins there, and its medians were up to twice as long.
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
    }
    if precision:
        settings["INFERENCE_PRECISION_HINT"] = precision
    compiled = openvino.Core().compile_model(path, "CPU", settings)
    request = compiled.create_infer_request()
    request.set_input_tensor(openvino.Tensor(x, shared_memory=True))
    output = request.get_output_tensor()

    def run():
        request.infer()
        return output.data

    chosen = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
    return Inference(run, _PRECISIONS.get(chosen, chosen), _instruction_set(compiled))


def _instruction_set(compiled) -> str | None:
    """What all its convolutions run on, as the compiled graph names their kernels."""
    found = set()
    for op in compiled.get_runtime_model().get_ops():
        info = op.get_rt_info()
        if info["layerType"].astype(str) == "Convolution":
            found.update(re.findall("avx512|avx2", info["primitiveType"].astype(str)))
    return found.pop() if len(found) == 1 else None
