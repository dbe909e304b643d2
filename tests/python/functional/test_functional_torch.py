"""Every function of ninc.functional beside torch's: the conventions, not the last digits."""

import numpy as np
import pytest

import ninc
from ninc import functional as F

torch = pytest.importorskip("torch")
T = torch.nn.functional

# Sums of some hundred products of standard normal numbers, in another order; of halves, on a target
# that makes them (docs/numerics.md).
TOLERANCE = dict(rtol=1e-4, atol=5e-4 if ninc.target() == "amx" else 1e-4)


def tensors(*arrays):
    return [torch.from_numpy(array.copy()).requires_grad_() for array in arrays]


def check(names, got, expected):
    for name, mine, theirs in zip(names, got, expected):
        np.testing.assert_allclose(mine, theirs.detach().numpy(), err_msg=name, **TOLERANCE)


def gradients(y, dy, *inputs):
    return torch.autograd.grad(y, inputs, torch.from_numpy(dy))


CONVOLUTIONS = [
    dict(padding=2),
    dict(stride=2, padding=(1, 0)),
    dict(dilation=2, padding="same"),
    dict(groups=2, stride=(1, 3)),
    dict(groups=6),
    dict(padding="same"),
]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")  # torch's own worry
@pytest.mark.parametrize("settings", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("kernel", [(3, 3), (2, 5), (1, 1)])
def test_conv2d(kernel, settings, rng):
    x = rng.standard_normal((2, 6, 11, 13), np.float32)
    weight = rng.standard_normal((12, 6 // settings.get("groups", 1), *kernel), np.float32)
    bias = rng.standard_normal(12, np.float32)
    tx, tweight, tbias = tensors(x, weight, bias)
    ty = T.conv2d(tx, tweight, tbias, **settings)
    y = F.conv2d(x, weight, bias, **settings)
    check(["y"], [y], [ty])
    dy = rng.standard_normal(y.shape, np.float32)
    got = F.conv2d_backward(dy, x, weight, **settings)
    check(["dx", "dweight", "dbias"], got, gradients(ty, dy, tx, tweight, tbias))


POOLS = [
    (3, dict(stride=2, ceil_mode=True)),
    (3, dict(stride=2, padding=1, ceil_mode=True)),
    (2, dict()),
    ((3, 2), dict(stride=(1, 3), padding=(1, 0))),
    (3, dict(stride=3, padding=1)),
]


@pytest.mark.parametrize("size", [(8, 8), (9, 7), (32, 5)])
@pytest.mark.parametrize("kernel, settings", POOLS, ids=str)
def test_pools(kernel, settings, size, rng):
    x = rng.standard_normal((2, 5, *size), np.float32)
    pairs = [
        (F.max_pool2d, F.max_pool2d_backward, T.max_pool2d, {}),
        (F.avg_pool2d, F.avg_pool2d_backward, T.avg_pool2d, dict(count_include_pad=True)),
        (F.avg_pool2d, F.avg_pool2d_backward, T.avg_pool2d, dict(count_include_pad=False)),
    ]
    for forward, backward, theirs, more in pairs:
        (tx,) = tensors(x)
        ty = theirs(tx, kernel, **settings, **more)
        y = forward(x, kernel, **settings, **more)
        check(["y"], [y], [ty])
        dy = rng.standard_normal(y.shape, np.float32)
        check(["dx"], [backward(dy, x, kernel, **settings, **more)], gradients(ty, dy, tx))


def test_global_avg_pool2d(rng):
    x = rng.standard_normal((2, 5, 4, 7), np.float32)
    (tx,) = tensors(x)
    ty = T.adaptive_avg_pool2d(tx, 1).flatten(1)
    check(["y"], [F.global_avg_pool2d(x)], [ty])
    dy = rng.standard_normal((2, 5), np.float32)
    check(["dx"], [F.global_avg_pool2d_backward(dy, x.shape)], gradients(ty, dy, tx))


def test_global_max_pool2d(rng):
    x = rng.standard_normal((2, 5, 4, 7), np.float32)
    (tx,) = tensors(x)
    ty = T.adaptive_max_pool2d(tx, 1).flatten(1)
    check(["y"], [F.global_max_pool2d(x)], [ty])
    dy = rng.standard_normal((2, 5), np.float32)
    check(["dx"], [F.global_max_pool2d_backward(dy, x)], gradients(ty, dy, tx))


@pytest.mark.parametrize("mine, backward, theirs", [
    (F.relu, F.relu_backward, T.relu),
    (F.relu6, F.relu6_backward, T.relu6),
])  # fmt: skip
def test_activations(mine, backward, theirs, rng):
    x = rng.normal(0, 5, (3, 4, 5, 6)).astype(np.float32)
    x[0, 0, 0, :3] = 0, 6, -0.0
    (tx,) = tensors(x)
    ty = theirs(tx)
    y = mine(x)
    check(["y"], [y], [ty])
    dy = rng.standard_normal(x.shape, np.float32)
    check(["dx"], [backward(dy, y)], gradients(ty, dy, tx))


ELEMENTWISE = {
    "leaky_relu": (T.leaky_relu, "x", {}),
    "leaky_relu of another slope": (T.leaky_relu, "x", dict(slope=-0.3)),
    "elu": (T.elu, "x", {}),
    "elu of another alpha": (T.elu, "x", dict(alpha=0.3)),
    "sigmoid": (torch.sigmoid, "y", {}),
    "hard_sigmoid": (T.hardsigmoid, "y", {}),
    "tanh": (torch.tanh, "y", {}),
    "silu": (T.silu, "x", {}),
    "hard_swish": (T.hardswish, "x", {}),
    "gelu": (T.gelu, "x", {}),
    "gelu by tanh": (T.gelu, "x", dict(approximate="tanh")),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_functions_of_single_elements(name, rng):
    theirs, takes, settings = ELEMENTWISE[name]
    mine, backward = getattr(F, name.split()[0]), getattr(F, f"{name.split()[0]}_backward")
    x = rng.normal(0, 3, (3, 4, 5, 6)).astype(np.float32)
    x[0, 0, 0] = 0, -0.0, 100, -100, 50, 1e-6
    (tx,) = tensors(x)
    ty = theirs(tx, **{"negative_slope" if k == "slope" else k: v for k, v in settings.items()})
    y = mine(x, **settings)
    check(["y"], [y], [ty])
    dy = rng.standard_normal(x.shape, np.float32)
    check(["dx"], [backward(dy, y if takes == "y" else x, **settings)], gradients(ty, dy, tx))


@pytest.mark.parametrize("low, high", [(-0.5, 1.0), (-np.inf, 0.25), (0.5, np.inf)])
def test_clip(low, high, rng):
    x = rng.normal(0, 1, (3, 4, 5, 6)).astype(np.float32)
    (tx,) = tensors(x)
    ty = torch.clamp(tx, low, high)
    y = F.clip(x, low, high)
    check(["y"], [y], [ty])
    dy = rng.standard_normal(x.shape, np.float32)
    check(["dx"], [F.clip_backward(dy, y, low, high)], gradients(ty, dy, tx))


ARITHMETIC = {
    "add": (torch.add, F.add, lambda dy, a, b: F.add_backward(dy, a.shape, b.shape)),
    "sub": (torch.sub, F.sub, lambda dy, a, b: F.sub_backward(dy, a.shape, b.shape)),
    "mul": (torch.mul, F.mul, F.mul_backward),
    "div": (torch.div, F.div, F.div_backward),
}
OPERANDS = [
    ((2, 3, 4, 5), (2, 3, 4, 5)),
    ((2, 3, 4, 5), (2, 3, 1, 1)),
    ((3, 1, 1), (2, 3, 4, 5)),
    ((2, 1, 4, 1), (1, 3, 1, 5)),
    ((4, 5), ()),
    ((0, 3), (3,)),
]


@pytest.mark.parametrize("a_shape, b_shape", OPERANDS)
@pytest.mark.parametrize("name", ARITHMETIC)
def test_arithmetic(name, a_shape, b_shape, rng):
    theirs, mine, backward = ARITHMETIC[name]
    a = np.asarray(rng.standard_normal(a_shape), np.float32)
    b = np.asarray(rng.uniform(0.5, 2.0, b_shape), np.float32)
    ta, tb = tensors(a, b)
    ty, y = theirs(ta, tb), mine(a, b)
    assert y.shape == tuple(ty.shape)
    check(["y"], [y], [ty])
    dy = np.asarray(rng.standard_normal(y.shape), np.float32)
    got = backward(dy, a, b)
    assert [each.shape for each in got] == [a.shape, b.shape]
    check(["da", "db"], got, gradients(ty, dy, ta, tb))


@pytest.mark.parametrize("slopes", [1, 4])
def test_prelu(slopes, rng):
    x = rng.standard_normal((3, 4, 5, 6), np.float32)
    slope = rng.standard_normal(slopes, np.float32)
    tx, tslope = tensors(x, slope)
    ty, y = T.prelu(tx, tslope), F.prelu(x, slope)
    check(["y"], [y], [ty])
    dy = rng.standard_normal(x.shape, np.float32)
    check(["dx", "dslope"], F.prelu_backward(dy, x, slope), gradients(ty, dy, tx, tslope))


@pytest.mark.parametrize(
    "settings", [dict(size=5), dict(size=3, alpha=0.5, beta=1.2, k=2.0)], ids=str
)
def test_local_response_norm(settings, rng):
    x = rng.normal(0, 2, (2, 7, 4, 3)).astype(np.float32)
    (tx,) = tensors(x)
    ty, y = T.local_response_norm(tx, **settings), F.local_response_norm(x, **settings)
    check(["y"], [y], [ty])
    dy = rng.standard_normal(x.shape, np.float32)
    got = F.local_response_norm_backward(dy, x, **settings)
    check(["dx"], [got], gradients(ty, dy, tx))


@pytest.mark.parametrize("training", [False, True])
def test_batch_norm2d(training, rng):
    x = rng.normal(1, 2, (4, 6, 5, 3)).astype(np.float32)
    weight, bias, mean = rng.standard_normal((3, 6), np.float32)
    var = rng.uniform(0.5, 2, 6).astype(np.float32)
    tx, tweight, tbias = tensors(x, weight, bias)
    tmean, tvar = torch.from_numpy(mean.copy()), torch.from_numpy(var.copy())
    dy = rng.standard_normal(x.shape, np.float32)
    ty = T.batch_norm(tx, tmean, tvar, tweight, tbias, training, 0.2, 1e-3)
    expected = gradients(ty, dy, tx, tweight, tbias)
    got = F.batch_norm2d_backward(dy, x, mean, var, weight, training=training, eps=1e-3)
    check(["dx", "dweight", "dbias"], got, expected)
    y = F.batch_norm2d(x, mean, var, weight, bias, training=training, momentum=0.2, eps=1e-3)
    check(["y", "mean", "var"], [y, mean, var], [ty, tmean, tvar])


def test_linear(rng):
    x = rng.standard_normal((4, 33), np.float32)
    weight = rng.standard_normal((17, 33), np.float32)
    bias = rng.standard_normal(17, np.float32)
    tx, tweight, tbias = tensors(x, weight, bias)
    ty = T.linear(tx, tweight, tbias)
    check(["y"], [F.linear(x, weight, bias)], [ty])
    dy = rng.standard_normal((4, 17), np.float32)
    got = F.linear_backward(dy, x, weight)
    check(["dx", "dweight", "dbias"], got, gradients(ty, dy, tx, tweight, tbias))


@pytest.mark.parametrize("shape", [(4, 10), (2, 5, 3, 4)])
def test_softmax(shape, rng):
    x = rng.normal(0, 3, shape).astype(np.float32)
    (tx,) = tensors(x)
    ty = T.softmax(tx, dim=1)
    y = F.softmax(x)
    check(["y"], [y], [ty])
    dy = rng.standard_normal(shape, np.float32)
    check(["dx"], [F.softmax_backward(dy, y)], gradients(ty, dy, tx))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_softmax_cross_entropy(smoothing, rng):
    logits = rng.normal(0, 3, (7, 10)).astype(np.float32)
    labels = rng.integers(0, 10, 7)
    (tlogits,) = tensors(logits)
    tloss = T.cross_entropy(tlogits, torch.from_numpy(labels), label_smoothing=smoothing)
    loss, dlogits = F.softmax_cross_entropy(logits, labels, label_smoothing=smoothing)
    check(["loss", "dlogits"], [loss, dlogits], [tloss, *torch.autograd.grad(tloss, [tlogits])])
