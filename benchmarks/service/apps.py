"""examples/service.py with ninc, as it stands, and with ONNX Runtime in its place.

`ninc` and `onnxruntime` make the applications in a server's processes, from the environment.
"""

from __future__ import annotations

import importlib.util
import io
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


class OnnxService(service.Service):
    """All but the network is the example's. Beside the model lies a file of what is done to
    pictures and of the classes' names, which an ONNX file has no place for."""

    def __init__(self, path, look_every=1.0, variant=ONE_THREAD):
        settings = json.loads(Path(path).with_suffix(".json").read_text(encoding="utf-8"))
        self.shape, self.classes = tuple(settings["shape"]), settings["classes"]
        self.factor, self.shift = (
            np.array(settings[name], np.float32)[:, None, None] for name in ("factor", "shift")
        )
        self.variant = variant
        super().__init__(path, look_every)

    def load(self):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.variant["threads"]
        options.inter_op_num_threads = 1
        options.add_session_config_entry(
            "session.intra_op.allow_spinning", str(int(self.variant["spinning"]))
        )
        return onnxruntime.InferenceSession(
            os.fspath(self.path), options, providers=["CPUExecutionProvider"]
        )

    def renew(self):
        """A session's weights are fixed, so a new one takes its place for the next requests."""
        self.network = self.load()

    def probabilities(self, picture):
        if isinstance(picture, bytes):
            from PIL import Image

            picture = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))
        x = picture.transpose(2, 0, 1) * self.factor + self.shift
        (logits,) = self.network.run(None, {"x": x[None]})[0]
        exponentials = np.exp(logits - logits.max())
        return exponentials / exponentials.sum()


def save_settings(network, path) -> None:
    """Writes what `OnnxService` needs of a ninc network beside the ONNX file at `path`."""
    preprocessing = network.preprocessing
    std, mean = (np.array(preprocessing[name], np.float64) for name in ("std", "mean"))
    settings = {
        "shape": [*preprocessing["size"], preprocessing["channels"]],
        "classes": network.classes,
        "factor": (1.0 / (preprocessing["scale"] * std)).tolist(),
        "shift": (-mean / std).tolist(),
    }
    Path(path).with_suffix(".json").write_text(json.dumps(settings), encoding="utf-8")


def environment(path, look_every: float, variant=ONE_THREAD) -> dict[str, str]:
    """What tells `ninc` and `onnxruntime` what to serve."""
    return {"SERVICE_SETTINGS": json.dumps([os.fspath(path), look_every, variant])}


def ninc():
    path, look_every, _ = json.loads(os.environ["SERVICE_SETTINGS"])
    return service.Service(path, look_every)


def onnxruntime():
    return OnnxService(*json.loads(os.environ["SERVICE_SETTINGS"]))
