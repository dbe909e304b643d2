"""Networks that people know train as in torch: twenty losses of each."""

import numpy as np
import pytest

import ninc
from support.networks import mobilenet_v1, resnet20, torch_mobilenet_v1, torch_resnet20

torch = pytest.importorskip("torch")


@pytest.mark.parametrize(
    "make, theirs",
    [
        (resnet20, torch_resnet20),
        (lambda: mobilenet_v1(width=0.25), lambda: torch_mobilenet_v1(width=0.25)),
    ],
    ids=["ResNet-20", "MobileNetV1"],
)
def test_twenty_losses(make, theirs, rng):
    net = make()
    torch.manual_seed(1)
    other = theirs()
    net.load_state_dict(
        {name: value.numpy() for name, value in other.state_dict().items()}, match="order"
    )
    settings = dict(lr=0.02, momentum=0.9, weight_decay=1e-4)
    trainer = ninc.Trainer(net, ninc.SGD(**settings))
    optimizer = torch.optim.SGD(other.parameters(), **settings)
    pictures = rng.standard_normal((80, 3, 32, 32)).astype(np.float32)
    labels = rng.integers(0, 10, 80)
    for step in range(20):
        some = slice(step % 5 * 16, step % 5 * 16 + 16)
        x, y = pictures[some], labels[some]
        loss = float(trainer.step(x, y))
        optimizer.zero_grad()
        expected = torch.nn.functional.cross_entropy(
            other(torch.from_numpy(x)), torch.from_numpy(y)
        )
        expected.backward()
        optimizer.step()
        assert abs(loss - expected.item()) <= 1e-4 * max(1.0, expected.item()), step
