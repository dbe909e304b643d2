"""Adam and AdamW beside torch's, and weighted losses beside torch's CrossEntropyLoss."""

import copy

import numpy as np
import pytest

import ninc
from ninc import nn

torch = pytest.importorskip("torch")

STEPS = 40
KINDS = {ninc.Adam: torch.optim.Adam, ninc.AdamW: torch.optim.AdamW}


def network():
    """Smooth, so that a rounding error moves nothing across a kink."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(8, 6, 3, padding=1),
        nn.SiLU(), nn.Conv2d(6, 5, 1), nn.GlobalAvgPool2d(), seed=2,
    )  # fmt: skip


def twin_of(net):
    layers = torch.nn
    twin = layers.Sequential(
        layers.Conv2d(3, 8, 3, padding=1), layers.Tanh(), layers.AvgPool2d(2),
        layers.Conv2d(8, 6, 3, padding=1), layers.SiLU(), layers.Conv2d(6, 5, 1),
        layers.AdaptiveAvgPool2d(1), layers.Flatten(),
    )  # fmt: skip
    with torch.no_grad():
        for parameter, value in zip(twin.parameters(), net.parameters().values()):
            parameter.copy_(torch.from_numpy(value.copy()))
    return twin


def batches(rng):
    labels = rng.integers(0, 5, (STEPS, 16))
    patterns = rng.standard_normal((5, 3, 8, 8), np.float32)
    noise = rng.standard_normal((STEPS, 16, 3, 8, 8), np.float32)
    return patterns[labels] + 0.5 * noise, labels


def rate(step):
    """What a schedule does: up, then down."""
    return min(1.0, 0.2 + 0.1 * step) * (1.0 - step / (2 * STEPS))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"weight_decay": 0.1},
        {"betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.02},
        {"betas": (0.0, 0.99)},
    ],
)
def test_updates_are_torchs(kind, settings, rng):
    """torch is given ninc's gradients, so that the rules alone are compared."""
    net = network()
    trainer = ninc.Trainer(net, kind(0.01, **settings))
    parameters = [torch.nn.Parameter(torch.from_numpy(v.copy())) for v in net.parameters().values()]
    optimizer = KINDS[kind](parameters, lr=0.01, **settings)
    xs, labels = batches(rng)
    for step in range(STEPS):
        trainer.optimizer.lr = optimizer.param_groups[0]["lr"] = 0.01 * rate(step)
        found = trainer.stepper.core.gradients(xs[step], labels[step], 0, step)[2]
        for parameter, gradient in zip(parameters, found.values()):
            parameter.grad = torch.from_numpy(gradient)
        optimizer.step()
        trainer.step(xs[step], labels[step])
    for (name, value), parameter in zip(net.parameters().items(), parameters):
        # A step moves a weight by about the rate, and is right to a few units of its own last place
        # and of the weight's, which is below 1.
        np.testing.assert_allclose(
            value, parameter.detach().numpy(), rtol=0, atol=STEPS * 2.0**-24, err_msg=name
        )
    state = trainer.stepper.core.optimizer_state()
    for name, parameter in zip(net.parameters(), parameters):
        theirs = optimizer.state[parameter]
        assert state["steps"][name] == theirs["step"].item() == STEPS
        for own, other in (("first_moment", "exp_avg"), ("second_moment", "exp_avg_sq")):
            np.testing.assert_allclose(
                state[own][name], theirs[other].numpy(), rtol=1e-4, atol=1e-8
            )


@pytest.mark.parametrize("kind", KINDS)
def test_losses_are_torchs(kind, rng):
    """Both by themselves: groups by name, a schedule, clipped gradients, weighted classes."""
    net = network()
    net.precision = "strict"  # plain float32 on every processor
    groups = [("*.bias", dict(weight_decay=0.0, lr_mult=2.0))]
    settings = dict(weight_decay=0.05, eps=1e-6)
    trainer = ninc.Trainer(
        net, kind(0.01, groups=groups, clip_norm=0.5, **settings), label_smoothing=0.1
    )
    weights = [0.5, 1.0, 2.0, 1.5, 0.25]
    trainer.stepper.core.set_class_weights(weights)
    single = twin_of(net)
    apart = []
    for twin in (single, copy.deepcopy(single).double()):
        dtype = next(twin.parameters()).dtype
        named = dict(twin.named_parameters())
        biases = [value for name, value in named.items() if name.endswith("bias")]
        others = [value for name, value in named.items() if not name.endswith("bias")]
        optimizer = KINDS[kind](
            [dict(params=others), dict(params=biases, weight_decay=0.0)], lr=0.01, **settings
        )
        loss_of = torch.nn.CrossEntropyLoss(torch.tensor(weights, dtype=dtype), label_smoothing=0.1)
        apart.append((twin, optimizer, loss_of, dtype))
    xs, labels = batches(rng)
    first = last = None
    for step in range(STEPS):
        losses = []
        for twin, optimizer, loss_of, dtype in apart:
            for group, multiplier in zip(optimizer.param_groups, (1.0, 2.0)):
                group["lr"] = 0.01 * multiplier * rate(step)
            optimizer.zero_grad()
            loss = loss_of(twin(torch.from_numpy(xs[step]).to(dtype)), torch.tensor(labels[step]))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(twin.parameters(), 0.5)
            optimizer.step()
            losses.append(loss.item())
        trainer.lr_factor = rate(step)
        loss = float(trainer.step(xs[step], labels[step]))
        first = loss if first is None else first
        last = loss
        # torch's own float32 and float64 losses part by as much within these steps.
        assert abs(loss - losses[1]) < 1e-4 * max(1.0, loss), (step, loss, losses)
    assert last < 0.7 * first


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_weighted_gradients_are_torchs(smoothing, rng):
    net = network()
    trainer = ninc.Trainer(net, label_smoothing=smoothing)
    weights = [3.0, 0.5, 1.0, 0.125, 2.0]
    trainer.stepper.core.set_class_weights(weights)
    xs, labels = batches(rng)
    twin = twin_of(net)
    loss_of = torch.nn.CrossEntropyLoss(torch.tensor(weights), label_smoothing=smoothing)
    loss = loss_of(twin(torch.from_numpy(xs[0])), torch.from_numpy(labels[0]))
    loss.backward()
    mine, _, found = trainer.stepper.core.gradients(xs[0], labels[0], 0, 0)
    assert mine == pytest.approx(loss.item(), rel=1e-5)
    for gradient, parameter in zip(found.values(), twin.parameters()):
        theirs = parameter.grad.numpy()
        np.testing.assert_allclose(gradient, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())
