"""Networks that people know train as in torch: twenty losses of each, beside torch's in float64.

Rounding grows from step to step, in torch as well: after twenty steps of small rates MobileNetV1's
losses in float32 and in float64 are 1e-3 apart, and ninc's may be four times as far away.
"""

import copy

import numpy as np
import pytest

import ninc
from benchmarks.networks import mobilenet_v1, resnet20
from support.networks import torch_mobilenet_v1, torch_resnet20

torch = pytest.importorskip("torch")


def with_weights_of(net, other):
    """torch's network with the first weights of ninc's."""
    names = [name for name, _ in other.named_parameters()]
    names += [name for name, buffer in other.named_buffers() if buffer.ndim]
    arrays = (torch.from_numpy(array.copy()) for array in net.state_dict().values())
    other.load_state_dict(dict(zip(names, arrays)), strict=False)
    return other


def loss_of(network, optimizer, x, labels):
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(network(x), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


@pytest.mark.parametrize(
    "make, theirs, rate, size, bound",
    [
        (resnet20, torch_resnet20, 5e-4, 32, 1e-4),
        (
            lambda: mobilenet_v1(width=0.25), lambda: torch_mobilenet_v1(width=0.25), 1e-5, 48,
            None,
        ),
    ],
    ids=["ResNet-20", "MobileNetV1"],
)  # fmt: skip
def test_twenty_losses(make, theirs, rate, size, bound, rng):
    net = make()
    net.precision = "strict"  # plain float32 on every processor
    single = with_weights_of(net, theirs())
    double = copy.deepcopy(single).double()
    settings = dict(lr=rate, momentum=0.9, weight_decay=1e-4)
    trainer = ninc.Trainer(net, ninc.SGD(**settings))
    optimizers = [torch.optim.SGD(one.parameters(), **settings) for one in (single, double)]
    pictures = rng.standard_normal((48, 3, size, size)).astype(np.float32)
    labels = rng.integers(0, 10, 48)
    own = apart = 0.0
    for step in range(20):
        some = slice(step % 3 * 16, step % 3 * 16 + 16)
        x, y = torch.from_numpy(pictures[some]), torch.from_numpy(labels[some])
        loss = float(trainer.step(pictures[some], labels[some]))
        expected = loss_of(double, optimizers[1], x.double(), y)
        own = max(own, abs(loss_of(single, optimizers[0], x, y) - expected) / expected)
        apart = max(apart, abs(loss - expected) / expected)
        assert apart <= (1e-4 + 4 * own if bound is None else bound), step
