"""examples/service.py with ninc, as it stands, and with ONNX Runtime in its place.

`ninc` and `onnxruntime` make the applications in a server's processes, from the environment.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
from pathlib import Path

import numpy as np

_EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "service.py"


def _example():
    spec = importlib.util.spec_from_file_location("service", _EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


service = _example()

# Of ONNX Runtime: threads of its own for one run, and whether they spin when they have no work.
ONE_THREAD = {"threads": 1, "spinning": True}
VARIANTS = (ONE_THREAD, {"threads": 2, "spinning": True}, {"threads": 2, "spinning": False})


class OnnxNetwork:
    """What the example asks of a network, computed by ONNX Runtime.

    Beside the model lies a file of what is done to pictures and of the classes' names, which an
    ONNX file has no place for.
    """

    def __init__(self, path, variant=ONE_THREAD):
        settings = json.loads(Path(path).with_suffix(".json").read_text(encoding="utf-8"))
        self.classes, self.preprocessing = settings["classes"], settings["preprocessing"]
        self._factor, self._shift = (
            np.array(settings[name], np.float32)[:, None, None] for name in ("factor", "shift")
        )
        self._session = _session(path, variant)

    def predict(self, picture):
        """1×classes of H×W×C pixels."""
        x = picture.transpose(2, 0, 1) * self._factor + self._shift
        logits = self._session.run(None, {"x": x[None]})[0]
        exponentials = np.exp(logits - logits.max())
        return exponentials / exponentials.sum()

    def state_dict(self):
        """A session's weights are fixed: it stands for them."""
        return self._session

    def load_state_dict(self, session):
        """The next predictions are by another session; those under way keep the one they have."""
        self._session = session


def _session(path, variant):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = variant["threads"]
    options.inter_op_num_threads = 1
    spinning = str(int(variant["spinning"]))
    options.add_session_config_entry("session.intra_op.allow_spinning", spinning)
    return onnxruntime.InferenceSession(
        os.fspath(path), options, providers=["CPUExecutionProvider"]
    )


def save_settings(network, path) -> None:
    """Writes what `OnnxNetwork` needs of a ninc network beside the ONNX file at `path`."""
    preprocessing = network.preprocessing
    std, mean = (np.array(preprocessing[name], np.float64) for name in ("std", "mean"))
    settings = {
        "classes": network.classes,
        "preprocessing": preprocessing,
        "factor": (1.0 / (preprocessing["scale"] * std)).tolist(),
        "shift": (-mean / std).tolist(),
    }
    Path(path).with_suffix(".json").write_text(json.dumps(settings), encoding="utf-8")


def environment(path, look_every: float, variant=ONE_THREAD) -> dict[str, str]:
    """What tells `ninc` and `onnxruntime` what to serve."""
    return {"SERVICE_SETTINGS": json.dumps([os.fspath(path), look_every, variant])}


def own_service(path, look_every=1.0, _=None):
    return service.Service(path, look_every)


def onnx_service(path, look_every=1.0, variant=ONE_THREAD):
    return service.Service(path, look_every, functools.partial(OnnxNetwork, variant=variant))


def ninc():
    return own_service(*json.loads(os.environ["SERVICE_SETTINGS"]))


def onnxruntime():
    return onnx_service(*json.loads(os.environ["SERVICE_SETTINGS"]))
