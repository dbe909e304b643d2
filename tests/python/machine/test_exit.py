"""Programs that end while daemon threads are inside the core end with status 0."""

import pytest

from support.processes import python
from support.rounds import ROUNDS

PROGRAM = """
import threading, time
import numpy as np
import ninc
from ninc import functional as F, nn

net = nn.Sequential(nn.MlpConv(3, (24, 24), 3, padding=1), nn.GlobalAvgPool2d())
x = np.ones((4, 3, 48, 48), np.float32)
pictures = np.zeros((4, 48, 48, 3), np.uint8)
some = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
net.preprocessing = ninc.preprocess.Preprocessing.fit(some)
trainer = ninc.Trainer(net, ninc.SGD(1e-3))
labels = np.zeros(4, np.int64)
weights = net.state_dict()
WORK = {
    "run": lambda: net(x),
    "predict": lambda: net.predict(pictures),
    "train": lambda: trainer.step(x, labels),
    "load": lambda: net.load_state_dict(weights),
    "save": lambda: net.save("/dev/null"),
    "operation": lambda: F.conv2d_backward(x, x, np.ones((3, 3, 1, 1), np.float32)),
    "plan": lambda: net.plan((1, 3, 8, 8)).describe(),
    "make": lambda: nn.Conv2d(3, 64, 5) and nn.Sequential(nn.Conv2d(3, 64, 5)),
}

def serve(work):
    while True:
        work()

for name in names:
    for _ in range(2):
        threading.Thread(target=serve, args=(WORK[name],), daemon=True).start()
time.sleep(0.02)
"""
ALL = ("run", "predict", "train", "load", "save", "operation", "plan", "make")


@pytest.mark.parametrize("names", [*((name,) for name in ALL), ALL], ids="+".join)
def test_daemon_threads(names):
    for _ in range(max(1, ROUNDS // 10)):
        ended = python("-c", f"names = {names!r}\n{PROGRAM}")
        assert (ended.returncode, ended.stderr) == (0, "")
