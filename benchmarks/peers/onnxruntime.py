"""ONNX Runtime on its processor backend, which takes no instruction set from outside."""

from __future__ import annotations

import numpy as np
import onnxruntime

from . import Inference


def save(network, input_shape, path) -> None:
    from . import onnx_model  # needed here alone: onnx would count in the engine's memory

    onnx_model.save(network, input_shape, path)


def load(path, x: np.ndarray, threads: int) -> Inference:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: x}
    return Inference(lambda: session.run(None, feed)[0])
