"""Twenty training steps beside torch's, from the same weights on the same batches."""

import numpy as np
import pytest

import ninc

torch = pytest.importorskip("torch")

_BATCH = 16
_STEPS = 20

# Training is chaotic: a rounding error that moves one ReLU or one maximum across its kink changes
# the gradient by a thousandth, and the next steps multiply that. At a rate of 0.01 torch's own
# float32 and float64 losses part by 1e-3 within these 20 steps; at this one by 2e-5.
_RATE = 5e-4

# Of He's deviation. At the whole of it the plain network's last ReLU silences every class within
# two steps, and under the published N(0, 0.05) the loss stays at ln 10.
_SCALE = 0.8


def without_dropout(batch_norm):
    """NIN-CIFAR as ninc.models builds it but without its two dropout layers."""
    nn = ninc.nn
    return nn.Sequential(
        nn.MlpConv(3, (192, 160, 96), 5, padding=2, batch_norm=batch_norm),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.MlpConv(96, (192, 192, 192), 5, padding=2, batch_norm=batch_norm),
        nn.AvgPool2d(3, 2, ceil_mode=True, count_include_pad=False),
        nn.MlpConv(192, (192, 192, 10), 3, padding=1, batch_norm=batch_norm, logits=batch_norm),
        nn.GlobalAvgPool2d(),
    )


def torch_twin(batch_norm):
    """The same network, its parameters in the same order."""
    layers = torch.nn

    def block(channels, widths, kernel):
        for index, width in enumerate(widths):
            size = kernel if index == 0 else 1
            yield layers.Conv2d(channels, width, size, padding=size // 2, bias=not batch_norm)
            if batch_norm:
                yield layers.BatchNorm2d(width)
            yield layers.ReLU()
            channels = width

    return layers.Sequential(
        *block(3, (192, 160, 96), 5),
        layers.MaxPool2d(3, 2, ceil_mode=True),
        *block(96, (192, 192, 192), 5),
        layers.AvgPool2d(3, 2, ceil_mode=True, count_include_pad=False),
        *block(192, (192, 192), 3),
        layers.Conv2d(192, 10, 1),
        *([] if batch_norm else [layers.ReLU()]),
        layers.AdaptiveAvgPool2d(1),
        layers.Flatten(),
    )


def draw_weights(twin, rng):
    """Kernels from N(0, _SCALE * He), biases 0; batch norm as torch begins it, 1 and 0."""
    with torch.no_grad():
        for name, parameter in twin.named_parameters():
            if parameter.ndim == 4:
                deviation = np.float32(_SCALE * (2.0 / parameter[0].numel()) ** 0.5)
                values = rng.standard_normal(parameter.shape, np.float32) * deviation
                parameter.copy_(torch.from_numpy(values))
            elif name.endswith("bias"):
                parameter.zero_()


def draw_batches(rng):
    """x: steps×N×3×32×32, a coarse pattern a class under noise; labels: steps×N."""
    labels = rng.integers(0, 10, (_STEPS, _BATCH))
    patterns = rng.standard_normal((10, 3, 8, 8), np.float32).repeat(4, axis=2).repeat(4, axis=3)
    noise = rng.standard_normal((_STEPS, _BATCH, 3, 32, 32), np.float32)
    return patterns[labels] + noise, labels


@pytest.mark.parametrize("batch_norm", [False, True])
def test_losses_agree_with_torch(batch_norm):
    rng = np.random.default_rng(0)
    network, twin = without_dropout(batch_norm), torch_twin(batch_norm)
    draw_weights(twin, rng)
    names = list(network.parameters())
    values = [parameter.detach().numpy().copy() for parameter in twin.parameters()]
    network.load_state_dict({**network.state_dict(), **dict(zip(names, values))})
    xs, labels = draw_batches(rng)

    settings = dict(lr=_RATE, momentum=0.9, nesterov=True, weight_decay=1e-4)
    trainer = ninc.Trainer(network, ninc.SGD(**settings))
    optimizer = torch.optim.SGD(twin.parameters(), **settings)

    def torch_loss(step):
        logits = twin(torch.from_numpy(xs[step]))
        return torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels[step]))

    untrained = torch_loss(_STEPS - 1).item()
    mine, theirs = [], []
    for step in range(_STEPS):
        mine.append(float(trainer.step(xs[step], labels[step])))
        loss = torch_loss(step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        theirs.append(loss.item())
    # Without updates the losses would agree too; so the updates must show in the last one.
    assert abs(theirs[-1] - untrained) > 0.01
    np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-4)
