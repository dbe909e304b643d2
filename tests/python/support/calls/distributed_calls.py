"""Valid calls of what several processes share out."""

import ninc
from ninc import distributed, nn
from support.calls.call import LABELS, Call, floats, pictures
from support.distributed.thread_comm import ThreadComm


def _trained_by(workers):
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.GlobalAvgPool2d(), seed=1)
    ninc.Trainer(network, ninc.SGD(0.01), comm=workers).step(floats(4, 3, 6, 6), LABELS)


DISTRIBUTED = {
    "Predictor": lambda: Call(
        distributed.Predictor,
        dict(path=ninc.get_pretrained_path()),
        then=lambda made: made([pictures(1)[0]]),
    ),
    "Predictor.__call__": lambda: Call(
        distributed.Predictor(ninc.get_pretrained_path()).__call__, dict(batch=[pictures(1)[0]])
    ),
    "Workers": lambda: Call(distributed.Workers, dict(comm=ThreadComm.of(1)[0]), then=_trained_by),
}
