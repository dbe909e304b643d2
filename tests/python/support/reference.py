"""Operations in numpy and float64, plain as their formulas: what the core is measured against."""

import numpy as np

import ninc

EPSILON = np.finfo(np.float32).eps


# Of a product that the target in use makes of two halves, relative to it (docs/numerics.md).
PRODUCT_ERROR = 2.0**-15 if ninc.target() == "amx" else 0.0


def assert_close(got, expected, magnitude, what="", product_error=0.0):
    """Within float32's rounding of float64, or what is given for each product of a sum.

    magnitude: for each output the sum of its terms' absolute values. A sum's rounding error grows
    with the root of the number of terms, a thousand here, each at most half an epsilon of the
    partial sum: 16 epsilon of the largest magnitude is some root of a thousand halves.
    """
    expected = np.asarray(expected)
    assert got.dtype == np.float32 and got.shape == expected.shape, what
    if got.size:
        error = np.abs(got.astype(np.float64) - expected).max()
        bound = (16 * EPSILON + product_error) * np.max(magnitude)
        assert error <= bound, f"{what} is {error} off"


def pad(x, padding, value=0.0):
    top, left, bottom, right = padding
    sides = ((0, 0), (0, 0), (top, bottom), (left, right))
    return np.pad(x.astype(np.float64), sides, constant_values=value)


def tap(padded, r, s, output, stride, dilation):
    """The view of padded x that weight[:, :, r, s] meets: N×C×P×Q."""
    top, left = r * dilation[0], s * dilation[1]
    bottom, right = (output[0] - 1) * stride[0], (output[1] - 1) * stride[1]
    return padded[:, :, top : top + bottom + 1 : stride[0], left : left + right + 1 : stride[1]]


def conv2d_output(x, weight, stride, padding, dilation):
    size = x.shape[2] + padding[0] + padding[2], x.shape[3] + padding[1] + padding[3]
    return tuple(
        (size[i] - dilation[i] * (weight.shape[2 + i] - 1) - 1) // stride[i] + 1 for i in (0, 1)
    )


def full_weight(weight, channels, groups):
    """K×C×R×S with zeros between groups: a grouped convolution is one with a sparse weight."""
    outputs, inputs = weight.shape[:2]
    full = np.zeros((outputs, channels, *weight.shape[2:]))
    for k in range(outputs):
        first = k // (outputs // groups) * inputs
        full[k, first : first + inputs] = weight[k]
    return full


def conv2d(x, weight, bias, stride, padding, dilation, groups):
    weight = full_weight(weight, x.shape[1], groups)
    output = conv2d_output(x, weight, stride, padding, dilation)
    padded = pad(x, padding)
    y = np.zeros((x.shape[0], weight.shape[0], *output))
    for r, s in np.ndindex(weight.shape[2:]):
        taken = tap(padded, r, s, output, stride, dilation)
        y += np.einsum("ncpq,kc->nkpq", taken, weight[:, :, r, s])
    return y if bias is None else y + bias.astype(np.float64)[:, None, None]


def conv2d_backward(dy, x, weight, stride, padding, dilation, groups):
    full = full_weight(weight, x.shape[1], groups)
    output = dy.shape[2:]
    dy = dy.astype(np.float64)
    padded = pad(x, padding)
    dpadded = np.zeros_like(padded)
    dfull = np.zeros_like(full)
    for r, s in np.ndindex(full.shape[2:]):
        taken = tap(padded, r, s, output, stride, dilation)
        dfull[:, :, r, s] = np.einsum("nkpq,ncpq->kc", dy, taken)
        given = tap(dpadded, r, s, output, stride, dilation)
        given += np.einsum("nkpq,kc->ncpq", dy, full[:, :, r, s])
    top, left = padding[:2]
    dx = dpadded[:, :, top : top + x.shape[2], left : left + x.shape[3]]
    outputs, inputs = weight.shape[:2]
    first = np.arange(outputs) // (outputs // groups) * inputs
    dweight = np.stack([dfull[k, first[k] : first[k] + inputs] for k in range(outputs)])
    return dx, dweight, dy.sum(axis=(0, 2, 3))


def windows(size, kernel, stride, padding, ceil_mode):
    """(begin, end) of each window along an axis in x's coordinates, not clipped."""
    room = size + 2 * padding - kernel
    count = (-(-room // stride) if ceil_mode else room // stride) + 1
    if ceil_mode and (count - 1) * stride >= size + padding:
        count -= 1  # it would begin in the padding after x
    begins = np.arange(count) * stride - padding
    return [(begin, begin + kernel) for begin in begins.tolist()]


def pool2d(x, kernel, stride, padding, ceil_mode, reduce):
    """y[..., p, q] = reduce(x in the window, its area clipped to x with its padding)."""
    height, width = x.shape[2:]
    rows = windows(height, kernel[0], stride[0], padding[0], ceil_mode)
    columns = windows(width, kernel[1], stride[1], padding[1], ceil_mode)
    y = np.zeros((*x.shape[:2], len(rows), len(columns)))
    for p, (top, bottom) in enumerate(rows):
        for q, (left, right) in enumerate(columns):
            inside = x[:, :, max(top, 0) : bottom, max(left, 0) : right].astype(np.float64)
            area = (min(bottom, height + padding[0]) - top) * (
                min(right, width + padding[1]) - left
            )
            y[:, :, p, q] = reduce(inside, area)
    return y


def max_pool2d(x, *settings):
    return pool2d(x, *settings, lambda inside, area: inside.max(axis=(2, 3)))


def avg_pool2d(x, kernel, stride, padding, ceil_mode, count_include_pad):
    def mean(inside, area):
        divisor = area if count_include_pad else inside.shape[2] * inside.shape[3]
        return inside.sum(axis=(2, 3)) / divisor

    return pool2d(x, kernel, stride, padding, ceil_mode, mean)


def batch_norm2d(x, weight, bias, eps):
    """y, batch mean, batch variance (divisor N * H * W)."""
    x = x.astype(np.float64)
    mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
    scale = weight / np.sqrt(var + eps)
    y = (x - mean[:, None, None]) * scale[:, None, None] + bias[:, None, None]
    return y, mean, var


def batch_norm2d_backward(dy, x, weight, eps):
    x, dy = x.astype(np.float64), dy.astype(np.float64)
    mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
    inv_std = 1 / np.sqrt(var + eps)
    normalised = (x - mean[:, None, None]) * inv_std[:, None, None]
    dbias = dy.sum(axis=(0, 2, 3))
    dweight = (dy * normalised).sum(axis=(0, 2, 3))
    count = x.size / x.shape[1]
    centred = dy - (dbias / count)[:, None, None] - normalised * (dweight / count)[:, None, None]
    return centred * (weight * inv_std)[:, None, None], dweight, dbias


def softmax(x):
    x = x.astype(np.float64)
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)
