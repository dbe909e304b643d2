"""Every function of ninc.functional beside numpy in float64, on arrays of every layout."""

import numpy as np
import pytest

from ninc import functional as F
from support import reference
from support.reference import assert_close

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from support.layouts import LAYOUTS, draw_array, layouts, seeds  # noqa: E402


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts_hold_what_they_should(layout, rng):
    x = rng.standard_normal((2, 3, 4, 5), np.float32)
    np.testing.assert_array_equal(layout(x), x)


# ---- Convolution ---------------------------------------------------------------------------------


@st.composite
def convolutions(draw):
    """x, weight, bias or None, and settings that leave at least one output."""
    rng = np.random.default_rng(draw(seeds))
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    inputs, outputs = draw(st.integers(1, 6)), draw(st.integers(1, 20))
    kernel = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
    dilation, stride = draw(pairs), draw(pairs)
    padding = tuple(draw(st.integers(0, 3)) for _ in range(4))
    needed = [dilation[i] * (kernel[i] - 1) + 1 - padding[i] - padding[i + 2] for i in (0, 1)]
    height, width = (max(1, needed[i]) + draw(st.integers(0, 9)) for i in (0, 1))
    x = draw_array(draw, rng, draw(st.integers(0, 3)), inputs * groups, height, width)
    weight = draw_array(draw, rng, outputs * groups, inputs, *kernel)
    bias = rng.standard_normal(outputs * groups, np.float32) if draw(st.booleans()) else None
    settings = dict(stride=stride, padding=padding, dilation=dilation, groups=groups)
    return x, weight, bias, settings


@given(convolutions())
def test_conv2d(case):
    x, weight, bias, settings = case
    expected = reference.conv2d(x, weight, bias, **settings)
    size = reference.conv2d(np.abs(x), np.abs(weight), bias, **settings)
    y = F.conv2d(x, weight, bias, **settings)
    assert_close(y, expected, size if size.size else 0, product_error=reference.PRODUCT_ERROR)


@given(convolutions(), seeds, layouts)
def test_conv2d_backward(case, seed, layout):
    x, weight, _, settings = case
    shape = reference.conv2d(x, weight, None, **settings).shape
    dy = LAYOUTS[layout](np.random.default_rng(seed).standard_normal(shape, np.float32))
    expected = reference.conv2d_backward(dy, x, weight, **settings)
    sizes = reference.conv2d_backward(np.abs(dy), np.abs(x), np.abs(weight), **settings)
    got = F.conv2d_backward(dy, x, weight, **settings)
    for name, mine, wanted, size in zip(("dx", "dweight", "dbias"), got, expected, sizes):
        assert_close(mine, wanted, size, name, reference.PRODUCT_ERROR)


@pytest.mark.parametrize("padding, sides", [(1, (1, 1, 1, 1)), ((1, 2), (1, 2, 1, 2))])
def test_short_forms_of_padding(padding, sides, rng):
    x = rng.standard_normal((1, 2, 6, 7), np.float32)
    weight = rng.standard_normal((3, 2, 3, 3), np.float32)
    same = F.conv2d(x, weight, padding=sides)
    np.testing.assert_array_equal(F.conv2d(x, weight, padding=padding), same)
    np.testing.assert_array_equal(F.conv2d(x, weight, padding=list(np.array(sides))), same)


@pytest.mark.parametrize("kernel, dilation", [((3, 3), 1), ((4, 5), 1), ((3, 2), 2), ((1, 1), 1)])
def test_same_padding_keeps_the_size(kernel, dilation, rng):
    x = rng.standard_normal((1, 2, 8, 9), np.float32)
    weight = rng.standard_normal((3, 2, *kernel), np.float32)
    y = F.conv2d(x, weight, padding="same", dilation=dilation)
    assert y.shape == (1, 3, 8, 9)
    # The odd zero stands at the end: cropping the fuller padding at its front gives the same.
    total = [dilation * (k - 1) for k in kernel]
    sides = (total[0] // 2, total[1] // 2, -(-total[0] // 2), -(-total[1] // 2))
    np.testing.assert_array_equal(y, F.conv2d(x, weight, padding=sides, dilation=dilation))


@given(seeds, st.integers(0, 5), st.integers(1, 40), st.integers(1, 40), layouts, st.booleans())
def test_linear(seed, count, inputs, outputs, layout, with_bias):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, inputs), np.float32)
    weight = LAYOUTS[layout](rng.standard_normal((outputs, inputs), np.float32))
    bias = rng.standard_normal(outputs, np.float32) if with_bias else None
    dy = rng.standard_normal((count, outputs), np.float32)
    wide = [a.astype(np.float64) for a in (x, weight, dy)]
    shift = 0 if bias is None else bias.astype(np.float64)
    largest = 9.0 * 40  # of a sum of at most 40 products of standard normal numbers
    assert_close(F.linear(x, weight, bias), wide[0] @ wide[1].T + shift, largest)
    dx, dweight, dbias = F.linear_backward(dy, x, weight)
    assert_close(dx, wide[2] @ wide[1], largest)
    assert_close(dweight, wide[2].T @ wide[0], largest)
    assert_close(dbias, wide[2].sum(axis=0), largest)


# ---- The mlpconv ---------------------------------------------------------------------------------


def mlp_layers(rng, channels=5, widths=(8, 7, 6), kernel=3):
    layers = []
    for index, width in enumerate(widths):
        size = kernel if index == 0 else 1
        weight = rng.standard_normal((width, channels, size, size), np.float32)
        layers.append((weight, rng.standard_normal(width, np.float32)))
        channels = width
    return layers


def test_mlpconv_is_the_chain_of_1x1_convolutions(rng):
    x = rng.standard_normal((2, 5, 9, 8), np.float32)
    layers = mlp_layers(rng)
    y = F.relu(F.conv2d(x, *layers[0], stride=2, padding=1))
    for weight, bias in layers[1:]:
        y = F.relu(F.conv2d(y, weight, bias))
    np.testing.assert_array_equal(F.mlpconv(x, layers, stride=2, padding=1), y)


def test_mlpconv_is_a_perceptron_at_every_place(rng):
    """Section 3.1 of the paper read literally: one small network, slid over the patches."""
    x = rng.standard_normal((2, 5, 6, 7), np.float32)
    layers = mlp_layers(rng)
    patches = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
    value = patches.transpose(0, 2, 3, 1, 4, 5).reshape(2, 4, 5, -1).astype(np.float64)
    size = np.abs(value)
    for weight, bias in layers:
        matrix = weight.reshape(len(weight), -1).astype(np.float64)
        value = np.maximum(value @ matrix.T + bias, 0)
        size = size @ np.abs(matrix).T + np.abs(bias)
    assert_close(F.mlpconv(x, layers), value.transpose(0, 3, 1, 2), size)


def test_mlpconv_backward_is_the_chain_backwards(rng):
    x = rng.standard_normal((2, 5, 6, 7), np.float32)
    layers = mlp_layers(rng)
    values = [x]
    for index, (weight, bias) in enumerate(layers):
        values.append(F.relu(F.conv2d(values[-1], weight, bias, padding=int(index == 0))))
    dy = rng.standard_normal(values[-1].shape, np.float32)
    dx, gradients = F.mlpconv_backward(dy, x, layers, padding=1)
    assert len(gradients) == 3
    for index in (2, 1, 0):
        dy = F.relu_backward(dy, values[index + 1])
        dy, dweight, dbias = F.conv2d_backward(
            dy, values[index], layers[index][0], padding=int(index == 0)
        )
        np.testing.assert_array_equal(gradients[index][0], dweight)
        np.testing.assert_array_equal(gradients[index][1], dbias)
    np.testing.assert_array_equal(dx, dy)


# ---- Element by element --------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("shape", [(7,), (3, 5), (2, 3, 4, 5), (0, 3), (2, 1, 3, 1, 2)])
def test_relu_and_relu6(shape, layout, rng):
    x = layout(rng.normal(3, 4, shape).astype(np.float32))
    y, y6 = F.relu(x), F.relu6(x)
    np.testing.assert_array_equal(y, np.maximum(x, 0))
    np.testing.assert_array_equal(y6, np.clip(x, 0, 6))
    dy = layout(rng.standard_normal(shape, np.float32))
    np.testing.assert_array_equal(F.relu_backward(dy, y), np.where(y > 0, dy, 0))
    inside = (y6 > 0) & (y6 < 6)
    np.testing.assert_array_equal(F.relu6_backward(dy, y6), np.where(inside, dy, 0))


def test_nan_is_seen():
    x = np.zeros((1, 1, 2, 3), np.float32)
    x[0, 0, 0, 1] = np.nan
    assert np.isnan(F.relu(x)).sum() == np.isnan(F.relu6(x)).sum() == 1
    assert np.isnan(F.max_pool2d(x, 2, stride=1)).all()


def test_dropout(rng):
    x = rng.standard_normal((4, 8, 16, 16), np.float32)
    y = F.dropout(x, 0.3, seed=7, step=2, layer=1)
    kept = y != 0
    # Binomial: four deviations of the share kept.
    assert abs(kept.mean() - 0.7) < 4 * np.sqrt(0.3 * 0.7 / x.size)
    np.testing.assert_allclose(y[kept], x[kept] / 0.7, rtol=3 * reference.EPSILON)
    np.testing.assert_array_equal(F.dropout(x, 0.3, seed=7, step=2, layer=1), y)
    np.testing.assert_array_equal(F.dropout_backward(x, 0.3, seed=7, step=2, layer=1), y)
    # The mask hangs on the place in C order, not on memory or shape.
    for other in (LAYOUTS["transposed"](x), x.reshape(-1)):
        other = F.dropout(other, 0.3, seed=7, step=2, layer=1)
        np.testing.assert_array_equal(other.reshape(x.shape), y)
    for change in (dict(seed=8), dict(step=3), dict(layer=0)):
        other = F.dropout(x, 0.3, **{**dict(seed=7, step=2, layer=1), **change})
        assert ((other != 0) != kept).mean() > 0.3  # independent masks differ at 2 * 0.3 * 0.7
    np.testing.assert_array_equal(F.dropout(x, 0.0, seed=0, step=0), x)


# ---- Normalisation, softmax ----------------------------------------------------------------------


@given(seeds, st.integers(1, 4), st.integers(1, 20), st.integers(2, 7), st.integers(1, 7), layouts)
def test_batch_norm2d(seed, count, channels, height, width, layout):
    rng = np.random.default_rng(seed)
    shape = (count, channels, height, width)
    x = LAYOUTS[layout](rng.normal(1, 2, shape).astype(np.float32))
    dy = LAYOUTS[layout](rng.standard_normal(shape, np.float32))
    weight, bias, mean = rng.standard_normal((3, channels), np.float32)
    var = rng.uniform(0.5, 2, channels).astype(np.float32)
    eps = 0.1  # large: two values a channel may be close, and 1 / sqrt(var) would lift rounding

    inference = (x - mean[:, None, None].astype(np.float64)) * (
        weight / np.sqrt(var.astype(np.float64) + eps)
    )[:, None, None] + bias[:, None, None]
    before = mean.copy(), var.copy()
    assert_close(F.batch_norm2d(x, mean, var, weight, bias, eps=eps), inference, 60)
    np.testing.assert_array_equal((mean, var), before)

    y, batch_mean, batch_var = reference.batch_norm2d(x, weight, bias, eps)
    got = F.batch_norm2d(x, mean, var, weight, bias, training=True, momentum=0.3, eps=eps)
    assert_close(got, y, 60)
    values = count * height * width
    assert_close(mean, 0.7 * before[0] + 0.3 * batch_mean, 8)
    assert_close(var, 0.7 * before[1] + 0.3 * batch_var * values / (values - 1), 60)
    np.testing.assert_array_equal(
        F.batch_norm2d(x, None, None, weight, bias, training=True, eps=eps), got
    )

    expected = reference.batch_norm2d_backward(dy, x, weight, eps)
    backward = F.batch_norm2d_backward(dy, x, None, None, weight, training=True, eps=eps)
    for name, mine, wanted in zip(("dx", "dweight", "dbias"), backward, expected):
        assert_close(mine, wanted, 8 * values, name)


def test_batch_norm2d_backward_of_inference(rng):
    x, dy = rng.standard_normal((2, 3, 5, 4, 6), np.float32)
    weight, mean = rng.standard_normal((2, 5), np.float32)
    var = rng.uniform(0.5, 2, 5).astype(np.float32)
    inv_std = 1 / np.sqrt(var.astype(np.float64) + 1e-5)
    dx, dweight, dbias = F.batch_norm2d_backward(dy, x, mean, var, weight)
    assert_close(dx, dy * (weight * inv_std)[:, None, None], 8)
    normalised = (x - mean[:, None, None]) * inv_std[:, None, None]
    assert_close(dweight, (dy * normalised).sum(axis=(0, 2, 3)), 8 * 72)
    assert_close(dbias, dy.sum(axis=(0, 2, 3), dtype=np.float64), 4 * 72)


@pytest.mark.parametrize("shape", [(5, 10), (1, 1), (3, 1000), (2, 7, 3, 4), (0, 4)])
def test_softmax(shape, rng):
    x = rng.normal(0, 30, shape).astype(np.float32)
    y = F.softmax(x)
    assert_close(y, reference.softmax(x), 1) if x.size else None
    assert y.shape == shape
    dy = rng.standard_normal(shape, np.float32)
    wide = y.astype(np.float64)
    expected = wide * (dy - (dy * wide).sum(axis=1, keepdims=True))
    assert_close(F.softmax_backward(dy, y), expected, 8)


def test_softmax_of_huge_numbers():
    y = F.softmax(np.array([[3e38, 3e38, -3e38]], np.float32))
    np.testing.assert_array_equal(y, [[0.5, 0.5, 0]])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("dtype", [np.int64, np.uint8])
def test_softmax_cross_entropy(smoothing, dtype, rng):
    logits = rng.normal(0, 5, (6, 10)).astype(np.float32)
    labels = rng.integers(0, 10, 6).astype(dtype)
    target = np.full((6, 10), smoothing / 10)
    target[np.arange(6), labels] += 1 - smoothing
    probabilities = reference.softmax(logits)
    loss, dlogits = F.softmax_cross_entropy(logits, labels, label_smoothing=smoothing)
    assert loss == pytest.approx(-(target * np.log(probabilities)).sum() / 6, rel=1e-6)
    assert_close(dlogits, (probabilities - target) / 6, 1 / 6)
