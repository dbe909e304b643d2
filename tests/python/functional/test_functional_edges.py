"""Functions of ninc.functional on empty batches and on what they must refuse."""

import numpy as np
import pytest

import ninc
from ninc import functional as F
from ninc.errors import ArgumentError, DTypeError, ShapeError


def zeros(*shape):
    return np.zeros(shape, np.float32)


X = zeros(2, 4, 5, 6)
WEIGHT = zeros(3, 4, 3, 3)
ONES = np.ones(4, np.float32)
LAYERS = [(WEIGHT, zeros(3)), (zeros(2, 3, 1, 1), None)]


# ---- Empty batches -------------------------------------------------------------------------------

EMPTY = X[:0]


def test_forward_of_an_empty_batch():
    assert F.conv2d(EMPTY, WEIGHT, padding=1).shape == (0, 3, 5, 6)
    assert F.mlpconv(EMPTY, LAYERS).shape == (0, 2, 3, 4)
    assert F.linear(zeros(0, 4), zeros(3, 4), zeros(3)).shape == (0, 3)
    assert F.relu(EMPTY).shape == F.relu6(EMPTY).shape == EMPTY.shape
    assert F.max_pool2d(EMPTY, 2).shape == F.avg_pool2d(EMPTY, 2).shape == (0, 4, 2, 3)
    assert F.global_avg_pool2d(EMPTY).shape == F.global_max_pool2d(EMPTY).shape == (0, 4)
    assert F.dropout(EMPTY, 0.5, seed=0, step=0).shape == EMPTY.shape
    assert F.softmax(zeros(0, 4)).shape == (0, 4)


def test_backward_of_an_empty_batch():
    dx, dweight, dbias = F.conv2d_backward(zeros(0, 3, 3, 4), EMPTY, WEIGHT)
    assert dx.shape == EMPTY.shape
    np.testing.assert_array_equal(dweight, np.zeros_like(WEIGHT))  # a sum of nothing
    np.testing.assert_array_equal(dbias, zeros(3))
    dx, dweight, dbias = F.linear_backward(zeros(0, 3), zeros(0, 4), zeros(3, 4))
    assert dx.shape == (0, 4) and not dweight.any() and not dbias.any()
    dx, gradients = F.mlpconv_backward(zeros(0, 2, 3, 4), EMPTY, LAYERS)
    assert dx.shape == EMPTY.shape and not any(dw.any() for dw, _ in gradients)
    assert F.relu_backward(EMPTY, EMPTY).shape == F.relu6_backward(EMPTY, EMPTY).shape
    assert F.max_pool2d_backward(zeros(0, 4, 2, 3), EMPTY, 2).shape == EMPTY.shape
    assert F.avg_pool2d_backward(zeros(0, 4, 2, 3), EMPTY, 2).shape == EMPTY.shape
    assert F.global_avg_pool2d_backward(zeros(0, 4), EMPTY.shape).shape == EMPTY.shape
    assert F.global_max_pool2d_backward(zeros(0, 4), EMPTY).shape == EMPTY.shape
    assert F.dropout_backward(EMPTY, 0.5, seed=0, step=0).shape == EMPTY.shape
    assert F.softmax_backward(zeros(0, 4), zeros(0, 4)).shape == (0, 4)


@pytest.mark.parametrize("training", [False, True])
def test_batch_norm_of_an_empty_batch_moves_nothing(training):
    mean, var = 2 * ONES, 3 * ONES
    y = F.batch_norm2d(EMPTY, mean, var, ONES, ONES, training=training)
    assert y.shape == EMPTY.shape and (mean == 2).all() and (var == 3).all()
    dx, dweight, dbias = F.batch_norm2d_backward(EMPTY, EMPTY, mean, var, ONES, training=training)
    assert dx.shape == EMPTY.shape and not dweight.any() and not dbias.any()


# ---- Refusals ------------------------------------------------------------------------------------

READ_ONLY = ONES.copy()
READ_ONLY.flags.writeable = False

REFUSALS = {
    # Types and byte orders.
    "float64": (DTypeError, r"x\.astype\(np\.float32\)", lambda: F.relu(X.astype(np.float64))),
    "float16": (DTypeError, "float16", lambda: F.conv2d(X.astype(np.float16), WEIGHT)),
    "integers": (DTypeError, "weight.*int64", lambda: F.conv2d(X, WEIGHT.astype(int))),
    "big endian": (DTypeError, "byte order", lambda: F.max_pool2d(X.astype(">f4"), 2)),
    "a list": (DTypeError, "list", lambda: F.relu([1.0, 2.0])),
    "real labels": (DTypeError, "labels", lambda: F.softmax_cross_entropy(X[0, 0], np.ones(5))),
    # Shapes.
    "dimensions": (ShapeError, "conv2d: x: expected 4", lambda: F.conv2d(X[0], WEIGHT)),
    "channels": (ShapeError, "4 input channels, got 3", lambda: F.conv2d(X[:, :3], WEIGHT)),
    "bias": (ShapeError, "bias", lambda: F.conv2d(X, WEIGHT, zeros(4))),
    "too small": (ShapeError, "conv2d", lambda: F.conv2d(X[:, :, :2], WEIGHT)),
    "dy": (ShapeError, "dy", lambda: F.conv2d_backward(X, X, WEIGHT)),
    "dy of a pool": (ShapeError, "dy", lambda: F.max_pool2d_backward(X, X, 2)),
    "dy of relu": (ShapeError, "relu_backward", lambda: F.relu_backward(X, X[:1])),
    "features": (ShapeError, "linear", lambda: F.linear(zeros(2, 3), zeros(5, 4))),
    "statistics": (
        ShapeError,
        "mean",
        lambda: F.batch_norm2d(X, zeros(3), ONES, ONES, ONES),
    ),
    "one value a channel": (
        ShapeError,
        "at least 2 values",
        lambda: F.batch_norm2d(X[:1, :, :1, :1], None, None, ONES, ONES, training=True),
    ),
    "labels": (ShapeError, "labels", lambda: F.softmax_cross_entropy(X[0, 0], [1])),
    "a second k×k": (ShapeError, "layer 1", lambda: F.mlpconv(X, [(WEIGHT, None)] * 2)),
    "an x.shape": (
        ShapeError,
        "4 dimensions",
        lambda: F.global_avg_pool2d_backward(zeros(2, 4), (2, 4)),
    ),
    # Settings.
    "stride": (ArgumentError, "stride", lambda: F.conv2d(X, WEIGHT, stride=0)),
    "real stride": (ArgumentError, "integer", lambda: F.conv2d(X, WEIGHT, stride=1.5)),
    "three strides": (ArgumentError, "one or two", lambda: F.conv2d(X, WEIGHT, stride=(1, 1, 1))),
    "padding": (ArgumentError, "padding", lambda: F.conv2d(X, WEIGHT, padding=(1, 2, 3))),
    "negative padding": (ArgumentError, "padding", lambda: F.conv2d(X, WEIGHT, padding=-1)),
    "padding's name": (ArgumentError, "same", lambda: F.conv2d(X, WEIGHT, padding="valid")),
    "same with a stride": (
        ArgumentError,
        "stride 1",
        lambda: F.conv2d(X, WEIGHT, padding="same", stride=2),
    ),
    "groups": ((ArgumentError, ShapeError), "groups", lambda: F.conv2d(X, WEIGHT, groups=3)),
    "pool padding": (ArgumentError, "half the kernel", lambda: F.max_pool2d(X, 2, padding=2)),
    "p": (ArgumentError, "p must lie in 0..1", lambda: F.dropout(X, 1.0, seed=0, step=0)),
    "seed": (ArgumentError, "seed", lambda: F.dropout(X, 0.5, seed=-1, step=0)),
    "label": (
        ArgumentError,
        r"labels\[1\] is 6",
        lambda: F.softmax_cross_entropy(X[0, 0], [0, 6, 0, 0, 0]),
    ),
    "smoothing": (
        ArgumentError,
        "label_smoothing",
        lambda: F.softmax_cross_entropy(X[0, 0], [0] * 5, label_smoothing=1.0),
    ),
    "read-only": (
        ArgumentError,
        "read-only",
        lambda: F.batch_norm2d(X, READ_ONLY, ONES, ONES, ONES, training=True),
    ),
    "no layers": (ArgumentError, "layers", lambda: F.mlpconv(X, [])),
}  # fmt: skip


@pytest.mark.parametrize("kind, message, call", REFUSALS.values(), ids=REFUSALS)
def test_refuses(kind, message, call):
    with pytest.raises(kind, match=message) as told:
        call()
    assert isinstance(told.value, ninc.Error) and isinstance(told.value, (ValueError, TypeError))
    assert "\n" not in str(told.value)


def test_running_statistics_stay_where_training_is_refused():
    mean, var = ONES.copy(), ONES.copy()
    with pytest.raises(ShapeError):
        F.batch_norm2d(X + 7, mean, var, zeros(5), ONES, training=True)
    assert (mean == 1).all() and (var == 1).all()


def test_a_type_may_name_the_machines_own_byte_order():
    named = X.dtype.newbyteorder("<" if np.little_endian else ">")
    x = np.frombuffer(np.ascontiguousarray(X).tobytes(), named).reshape(X.shape)
    np.testing.assert_array_equal(F.max_pool2d(x, 2), F.max_pool2d(X, 2))


@pytest.mark.parametrize("shape", [(0, 3, 4, 5), (2, 0, 4, 5), (2, 3, 0, 5), (2, 3, 4, 0), (4, 0)])
def test_arithmetic_of_empty_arrays(shape):
    a = np.ones(shape, np.float32)
    for backward in (F.mul_backward, F.div_backward, F.add_backward, F.sub_backward):
        da, db = backward(a, a, a)
        assert da.shape == db.shape == shape
    da, db = F.add_backward(a, a, np.ones((1,) * len(shape), np.float32))
    assert db.sum() == 0


def test_long_sums_of_one_sign():
    x = np.full((16, 64, 32, 32), 0.1, np.float32)
    for shape in ((1, 1, 1, 1), (1, 64, 1, 1), (16, 1, 1, 1), (16, 64, 1, 1)):
        _, db = F.add_backward(x, x.shape, shape)
        np.testing.assert_allclose(db, 0.1 * x.size / db.size, rtol=1e-6)
    dx, dslope = F.prelu_backward(x, -x, np.ones(1, np.float32))
    np.testing.assert_allclose(dslope, -0.01 * x.size, rtol=1e-6)


def test_messages_call_operands_what_their_function_does():
    x = np.ones((2, 3), np.float32)
    for backward in (F.mul_backward, F.div_backward):
        with pytest.raises(ninc.DTypeError, match=f"{backward.__name__}: dy: expected float32"):
            backward(x.astype(np.float64), x, x)
        with pytest.raises(ninc.DTypeError, match=f"{backward.__name__}: a: expected float32"):
            backward(x, x.astype(np.float64), x)
        with pytest.raises(ninc.DTypeError, match=f"{backward.__name__}: b: expected float32"):
            backward(x, x, x.astype(np.float64))
