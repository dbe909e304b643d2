"""Pools of windows and of whole maps beside numpy in float64."""

import numpy as np
import pytest

from ninc import functional as F
from support import reference
from support.reference import assert_close

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from support.layouts import LAYOUTS, layouts, seeds  # noqa: E402


@st.composite
def pools(draw):
    """x and (kernel, stride, padding, ceil_mode) that leave at least one window."""
    kernel = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    stride = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    height, width = (max(1, k - 2 * p) + draw(st.integers(0, 8)) for k, p in zip(kernel, padding))
    rng = np.random.default_rng(draw(seeds))
    shape = draw(st.integers(0, 2)), draw(st.integers(1, 20)), height, width
    x = rng.integers(-4, 5, shape).astype(np.float32)  # few values: many equal ones in a window
    return LAYOUTS[draw(layouts)](x), kernel, stride, padding, draw(st.booleans())


@given(pools())
def test_max_pool2d(case):
    x, kernel, stride, padding, ceil_mode = case
    settings = dict(stride=stride, padding=padding, ceil_mode=ceil_mode)
    expected = reference.max_pool2d(x, kernel, stride, padding, ceil_mode)
    y = F.max_pool2d(x, kernel, **settings)
    np.testing.assert_array_equal(y, expected)
    assert y.dtype == np.float32


@given(pools())
def test_max_pool2d_backward_goes_to_the_first_maximum(case):
    x, kernel, stride, padding, ceil_mode = case
    rows, columns = (
        reference.windows(x.shape[2 + i], kernel[i], stride[i], padding[i], ceil_mode)
        for i in (0, 1)
    )
    shape = (*x.shape[:2], len(rows), len(columns))
    dy = np.arange(1, 1 + np.prod(shape), dtype=np.float32).reshape(shape) % 97  # exact sums
    expected = np.zeros(x.shape)
    for n, c, p, q in np.ndindex(shape):
        top, left = max(rows[p][0], 0), max(columns[q][0], 0)
        inside = x[n, c, top : rows[p][1], left : columns[q][1]]
        i, j = np.unravel_index(inside.argmax(), inside.shape)
        expected[n, c, top + i, left + j] += dy[n, c, p, q]
    settings = dict(stride=stride, padding=padding, ceil_mode=ceil_mode)
    np.testing.assert_array_equal(F.max_pool2d_backward(dy, x, kernel, **settings), expected)


@given(pools(), st.booleans())
def test_avg_pool2d(case, count_include_pad):
    x, kernel, stride, padding, ceil_mode = case
    settings = dict(
        stride=stride, padding=padding, ceil_mode=ceil_mode, count_include_pad=count_include_pad
    )
    expected = reference.avg_pool2d(x, kernel, **settings)
    y = F.avg_pool2d(x, kernel, **settings)
    assert_close(y, expected, 4)
    # The gradient is the transpose: <dy, pool(x)> = <pool_backward(dy), x> for any dy.
    dy = np.cos(np.arange(y.size, dtype=np.float32)).reshape(y.shape)
    dx = F.avg_pool2d_backward(dy, x, kernel, **settings)
    assert dx.shape == x.shape
    np.testing.assert_array_equal(F.avg_pool2d_backward(dy, x.shape, kernel, **settings), dx)
    left, right = np.vdot(dy.astype(np.float64), expected), np.vdot(dx.astype(np.float64), x)
    assert abs(left - right) <= 16 * reference.EPSILON * 4 * max(1, y.size)


def test_ceil_mode_gives_nin_its_map_sizes(rng):
    x = rng.standard_normal((1, 1, 32, 32), np.float32)
    assert F.max_pool2d(x, 3, stride=2, ceil_mode=True).shape == (1, 1, 16, 16)
    assert F.max_pool2d(x, 3, stride=2).shape == (1, 1, 15, 15)


def test_global_avg_pool2d(rng):
    x = rng.standard_normal((3, 17, 5, 7), np.float32)
    assert_close(F.global_avg_pool2d(x), x.astype(np.float64).mean(axis=(2, 3)), 4)
    dy = rng.standard_normal((3, 17), np.float32)
    expected = np.broadcast_to(dy.astype(np.float64)[:, :, None, None] / 35, x.shape)
    assert_close(F.global_avg_pool2d_backward(dy, x.shape), expected, 4 / 35)


def test_global_max_pool2d(rng):
    x = rng.integers(-3, 4, (3, 17, 5, 7)).astype(np.float32)  # with ties
    x[0, 0, 2, 1:3] = np.nan
    y = F.global_max_pool2d(x)
    np.testing.assert_array_equal(y, x.max(axis=(2, 3)))
    dy = rng.standard_normal((3, 17), np.float32)
    first = x.reshape(3, 17, 35).argmax(axis=2)  # numpy's is the first NaN, too
    expected = np.zeros((3, 17, 35), np.float32)
    np.put_along_axis(expected, first[:, :, None], dy[:, :, None], axis=2)
    dx = F.global_max_pool2d_backward(dy, x)
    np.testing.assert_array_equal(dx, expected.reshape(x.shape))
