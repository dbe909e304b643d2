"""What a net of `caffe_files` gives, in float64, layer by layer as Caffe defines them."""

import numpy as np

from support import reference


def run(layers, x, inputs=("data",)):
    """What the last layer gives of x: N×C×H×W, or N×C where a layer flattens."""
    values = dict.fromkeys(inputs, x.astype(np.float64))
    for one in layers:
        if one["kind"] in ("Data", "Input", "DummyData", "MemoryData"):
            values[one["tops"][0]] = x.astype(np.float64)
            continue
        taken = [values[name] for name in one["bottoms"]]
        result = KINDS[one["kind"]](one, *taken)
        values.update((top, result) for top in one["tops"])
    return result


def _two(told, stem, name, default):
    values = told.get(name, default)
    height, width = values if isinstance(values, list) else (values, values)
    return told.get(f"{stem}_h", height), told.get(f"{stem}_w", width)


def _convolution(one, x):
    told = one["told"]
    weight, *bias = one["blobs"]
    top, left = _two(told, "pad", "pad", 0)
    stride, dilation = _two(told, "stride", "stride", 1), _two(told, "", "dilation", 1)
    bias = bias[0] if bias else None
    padding = (top, left, top, left)
    return reference.conv2d(x, weight, bias, stride, padding, dilation, told.get("group", 1))


def _inner_product(one, x):
    weight, *bias = one["blobs"]
    weight = weight.T if one["told"].get("transpose") else weight
    return x.reshape(len(x), -1) @ weight.astype(np.float64).T + (bias[0] if bias else 0.0)


def _pooling(one, x):
    told = one["told"]
    is_max = told.get("pool", "MAX") == "MAX"
    if told.get("global_pooling"):
        return x.max(axis=(2, 3), keepdims=True) if is_max else x.mean(axis=(2, 3), keepdims=True)
    window = (
        _two(told, "kernel", "kernel_size", None),
        _two(told, "stride", "stride", 1),
        _two(told, "pad", "pad", 0),
        told.get("round_mode", "CEIL") == "CEIL",
    )
    return reference.max_pool2d(x, *window) if is_max else reference.avg_pool2d(x, *window, True)


def _batch_norm(one, x):
    mean, var, factor = (blob.astype(np.float64) for blob in one["blobs"])
    factor = 0.0 if factor[0] == 0 else 1.0 / factor[0]
    mean, var = mean * factor, var * factor
    scale = 1.0 / np.sqrt(var + one["told"].get("eps", 1e-5))
    return (x - mean[:, None, None]) * scale[:, None, None]


def _scale(one, x):
    weight, *bias = (blob.astype(np.float64)[:, None, None] for blob in one["blobs"])
    return x * weight + (bias[0] if bias else 0.0)


def _lrn(one, x):
    told = {"local_size": 5, "alpha": 1.0, "beta": 0.75, "k": 1.0, **one["told"]}
    reach, squares = told["local_size"] // 2, np.square(x)
    sums = np.zeros_like(x)
    for channel in range(x.shape[1]):
        near = slice(max(0, channel - reach), channel + reach + 1)
        sums[:, channel] = squares[:, near].sum(axis=1)
    return x * (told["k"] + told["alpha"] / told["local_size"] * sums) ** -told["beta"]


def _prelu(one, x):
    [slopes] = (blob.astype(np.float64) for blob in one["blobs"])
    return np.where(x > 0, x, x * slopes.reshape(-1, 1, 1))


def _softmax(one, x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


KINDS = {
    "BatchNorm": _batch_norm,
    "Concat": lambda one, *x: np.concatenate(x, axis=1),
    "Convolution": _convolution,
    "Dropout": lambda one, x: x,
    "ELU": lambda one, x: np.where(x > 0, x, one["told"].get("alpha", 1.0) * np.expm1(x)),
    "Eltwise": lambda one, *x: (
        np.prod(x, axis=0) if one["told"].get("operation") == "PROD" else sum(x)
    ),
    "Flatten": lambda one, x: x.reshape(len(x), -1),
    "InnerProduct": _inner_product,
    "LRN": _lrn,
    "PReLU": _prelu,
    "Pooling": _pooling,
    "ReLU": lambda one, x: np.where(x > 0, x, x * one["told"].get("negative_slope", 0.0)),
    "Scale": _scale,
    "Sigmoid": lambda one, x: 1.0 / (1.0 + np.exp(-x)),
    "Softmax": _softmax,
    "Split": lambda one, x: x,
    "TanH": lambda one, x: np.tanh(x),
}
