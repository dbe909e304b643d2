"""Files of Caffe, written by hand: a net is a list of `layer(...)`, stored as bytes or as text.

The numbers of fields are written here a second time, so that the reader is not held to itself.
"""

import os
import struct

import numpy as np
import pytest

import ninc
from ninc.errors import ModelError

# Layer type -> (name of its settings, their number in the new format, and in the old one).
PARAMS = {
    "BatchNorm": ("batch_norm_param", 139, None),
    "Concat": ("concat_param", 104, 9),
    "Convolution": ("convolution_param", 106, 10),
    "Data": ("data_param", 107, 11),
    "Dropout": ("dropout_param", 108, 12),
    "DummyData": ("dummy_data_param", 109, 26),
    "ELU": ("elu_param", 140, None),
    "Eltwise": ("eltwise_param", 110, 24),
    "Flatten": ("flatten_param", 135, None),
    "InnerProduct": ("inner_product_param", 117, 17),
    "Input": ("input_param", 143, None),
    "LRN": ("lrn_param", 118, 18),
    "MemoryData": ("memory_data_param", 119, 22),
    "PReLU": ("prelu_param", 131, None),
    "Pooling": ("pooling_param", 121, 19),
    "Power": ("power_param", 122, 21),
    "ReLU": ("relu_param", 123, 30),
    "Scale": ("scale_param", 142, None),
    "Sigmoid": ("sigmoid_param", 124, 38),
    "Softmax": ("softmax_param", 125, 39),
    "TanH": ("tanh_param", 127, 37),
}
OLD_TYPES = {
    "Accuracy": 1, "Concat": 3, "Convolution": 4, "Data": 5, "Dropout": 6, "DummyData": 32,
    "Eltwise": 25, "Flatten": 8, "InnerProduct": 14, "LRN": 15, "MemoryData": 29, "Pooling": 17,
    "Power": 26, "ReLU": 18, "Sigmoid": 19, "Softmax": 20, "SoftmaxWithLoss": 21,
    "Split": 22, "TanH": 23,
}  # fmt: skip
OLD_NAMES = {
    "Accuracy": "ACCURACY", "Concat": "CONCAT", "Convolution": "CONVOLUTION", "Data": "DATA",
    "Dropout": "DROPOUT", "Eltwise": "ELTWISE", "Flatten": "FLATTEN", "LRN": "LRN",
    "InnerProduct": "INNER_PRODUCT", "Pooling": "POOLING", "Power": "POWER", "ReLU": "RELU",
    "Sigmoid": "SIGMOID", "TanH": "TANH",
    "Softmax": "SOFTMAX", "SoftmaxWithLoss": "SOFTMAX_LOSS", "Split": "SPLIT",
}  # fmt: skip
NUMBERS = {
    "batch_norm_param": dict(use_global_stats=1, moving_average_fraction=2, eps=3),
    "concat_param": dict(concat_dim=1, axis=2),
    "convolution_param": dict(
        num_output=1, bias_term=2, pad=3, kernel_size=4, group=5, stride=6, weight_filler=7,
        pad_h=9, pad_w=10, kernel_h=11, kernel_w=12, stride_h=13, stride_w=14, axis=16, dilation=18,
        fuse_type=19,
    ),
    "data_param": dict(source=1, scale=2, mean_file=3, batch_size=4, crop_size=5),
    "dropout_param": dict(dropout_ratio=1, scale_train=2),
    "dummy_data_param": dict(num=2, channels=3, height=4, width=5, shape=6),
    "eltwise_param": dict(operation=1, coeff=2),
    "flatten_param": dict(axis=1, end_axis=2),
    "inner_product_param": dict(num_output=1, bias_term=2, axis=5, transpose=6),
    "input_param": dict(shape=1),
    "elu_param": dict(alpha=1),
    "lrn_param": dict(local_size=1, alpha=2, beta=3, norm_region=4, k=5),
    "prelu_param": dict(channel_shared=2),
    "sigmoid_param": dict(),
    "tanh_param": dict(),
    "memory_data_param": dict(batch_size=1, channels=2, height=3, width=4),
    "pooling_param": dict(
        pool=1, kernel_size=2, stride=3, pad=4, kernel_h=5, kernel_w=6, stride_h=7, stride_w=8,
        pad_h=9, pad_w=10, global_pooling=12, round_mode=13,
    ),
    "power_param": dict(power=1),
    "relu_param": dict(negative_slope=1),
    "scale_param": dict(axis=1, num_axes=2, bias_term=4),
    "softmax_param": dict(axis=2),
    "transform_param": dict(
        scale=1, mirror=2, crop_size=3, mean_file=4, mean_value=5, force_color=6, force_gray=7
    ),
    "include": dict(phase=1, min_level=2, max_level=3, stage=4, not_stage=5),
    "exclude": dict(phase=1, min_level=2, max_level=3, stage=4, not_stage=5),
    "shape": dict(dim=1),
    "state": dict(phase=1, level=2, stage=3),
}  # fmt: skip
ENUMS = {"MAX": 0, "AVE": 1, "STOCHASTIC": 2, "PROD": 0, "SUM": 1, "CEIL": 0, "FLOOR": 1,
         "TRAIN": 0, "TEST": 1, "ACROSS_CHANNELS": 0, "WITHIN_CHANNEL": 1}  # fmt: skip
FLOATS = {"scale", "mean_value", "dropout_ratio", "eps", "moving_average_fraction", "coeff",
          "negative_slope", "power", "alpha", "beta", "k"}  # fmt: skip


class Word(str):
    """A word that is no text: the name of an enum's number."""


def layer(name, kind, bottoms="data", tops=None, blobs=(), more=None, **told):
    """A layer: blobs as arrays; told: its settings; more: other fields, `include` and the like.

    bottoms, tops: names with blanks between them; tops: the layer's name, unless given.
    """
    tops = name if tops is None else tops
    return dict(
        name=name, kind=kind, bottoms=bottoms.split(), tops=tops.split(), blobs=list(blobs),
        more=more or {}, told=told,
    )  # fmt: skip


# ---- Bytes ---------------------------------------------------------------------------------------


def varint(number):
    number &= 2**64 - 1
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    """A field of bytes, text, a float or a whole number."""
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    return varint(number << 3) + varint(int(value))


def settings(kind, told):
    """The bytes of a message of settings."""
    out = b""
    for name, values in told.items():
        for value in values if isinstance(values, (list, tuple)) else [values]:
            if isinstance(value, dict):
                value = settings(name, value)
            elif isinstance(value, Word):
                value = ENUMS[value]
            elif name in FLOATS:
                value = float(value)
            out += field(NUMBERS[kind][name], value)
    return out


def blob(array, form="shape"):
    """A blob. form: "shape"; "legacy", with four numbers; "unpacked"; "double"; "half"."""
    array = np.asarray(array, np.float32)
    if form == "legacy":
        dims = (1,) * (4 - array.ndim) + array.shape
        head = b"".join(field(number, size) for number, size in enumerate(dims, 1))
    else:
        packed = b"".join(map(varint, array.shape))
        head = field(7, field(1, packed))
    numbers = array.ravel()
    if form == "unpacked":
        return head + b"".join(field(5, float(one)) for one in numbers)
    if form == "double":
        return head + field(8, numbers.astype("<f8").tobytes())
    if form == "half":
        return head + field(10, 2) + field(12, numbers.astype("<f2").tobytes())
    return head + field(5, numbers.astype("<f4").tobytes())


def stored_layer(one, old=False, form="shape", weights=True):
    """The bytes of a layer in the new format, or in the old one."""
    fields = dict(name=4, type=5, bottom=2, top=3, blobs=6, include=32, exclude=33,
                  transform_param=36) if old else dict(
                  name=1, type=2, bottom=3, top=4, blobs=7, include=8, exclude=9,
                  transform_param=100)  # fmt: skip
    out = field(fields["name"], one["name"])
    out += field(fields["type"], OLD_TYPES[one["kind"]] if old else one["kind"])
    for key in ("bottom", "top"):
        out += b"".join(field(fields[key], name) for name in one[f"{key}s"])
    if weights:
        for array in one["blobs"]:
            content = array if isinstance(array, bytes) else blob(array, form)
            out += field(fields["blobs"], content)
    for key, value in one["more"].items():
        for each in value if isinstance(value, list) else [value]:
            out += field(fields[key], settings(key, each))
    if one["told"]:
        param, new_number, old_number = PARAMS[one["kind"]]
        out += field(old_number if old else new_number, settings(param, one["told"]))
    return out


def stored(layers, old=False, form="shape", inputs=(), name="net"):
    """The bytes of a net. inputs: names, or (name, dims)."""
    out = field(1, name)
    for each in inputs:
        name, dims = (each, ()) if isinstance(each, str) else each
        out += field(3, name)
        out += field(8, b"".join(field(1, size) for size in dims)) if dims else b""
    number = 2 if old else 100
    return out + b"".join(field(number, stored_layer(one, old, form)) for one in layers)


# ---- Text ----------------------------------------------------------------------------------------


def written_value(value):
    if isinstance(value, Word):
        return str(value)
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)


def written_settings(told, indent):
    lines = []
    for name, values in told.items():
        for value in values if isinstance(values, (list, tuple)) else [values]:
            if isinstance(value, dict):
                inner = written_settings(value, indent + "  ")
                lines += [f"{indent}{name} {{", *inner, f"{indent}}}"]
            else:
                lines.append(f"{indent}{name}: {written_value(value)}")
    return lines


def written(layers, old=False, inputs=(), head=""):
    """The text of a net, without weights."""
    lines = ['name: "net"  # a comment', head]
    for each in inputs:
        name, dims = (each, ()) if isinstance(each, str) else each
        lines.append(f'input: "{name}"')
        lines += [f"input_dim: {size}" for size in dims]
    for one in layers:
        kind = OLD_NAMES[one["kind"]] if old else f'"{one["kind"]}"'
        lines += ["layers {" if old else "layer {", f'  name: "{one["name"]}"', f"  type: {kind}"]
        lines += [f'  {key}: "{name}"' for key in ("bottom", "top") for name in one[f"{key}s"]]
        lines += written_settings(one["more"], "  ")
        if one["told"]:
            param = PARAMS[one["kind"]][0]
            lines += [f"  {param} {{", *written_settings(one["told"], "    "), "  }"]
        lines.append("}")
    return "\n".join(lines) + "\n"


# ---- Nets that several tests need ----------------------------------------------------------------


def random(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


# Three channels of 9×8.
DATA = layer("data", "Input", "", "data", shape=dict(dim=[1, 3, 9, 8]))


def small_net(classes=2, channels=3):
    """Convolution, ReLU in place, pool, convolution, average over all: what NIN is made of."""
    return [
        layer("conv1", "Convolution", blobs=[random(4, channels, 3, 3), random(4)],
              num_output=4, kernel_size=3, pad=1),
        layer("relu1", "ReLU", "conv1", "conv1"),
        layer("pool1", "Pooling", "conv1", pool=Word("MAX"), kernel_size=3, stride=2),
        layer("cccp1", "Convolution", "pool1", blobs=[random(classes, 4, 1, 1), random(classes)],
              num_output=classes, kernel_size=1),
        layer("gap", "Pooling", "cccp1", pool=Word("AVE"), global_pooling=True),
    ]  # fmt: skip


def coloured_net(classes):
    """`small_net` with pictures of 32×32 before it, and their mean."""
    shown = dict(mean_value=[104.0, 117.0, 123.0], crop_size=32)
    data = layer("data", "Data", "", "data label", more=dict(transform_param=shown))
    return [data, *small_net(classes)]


def save_small_net(path):
    """A caffemodel of `small_net`, whose pictures are grey."""
    data = layer("data", "Data", "", "data label", more=dict(transform_param=dict(scale=1 / 256)))
    with open(path, "wb") as file:
        file.write(stored([data, *small_net(channels=1)]))


def refusal(folder, content, text=None, **options):
    """The words with which these files are refused, after the folder of the one at fault."""
    (folder / "net.caffemodel").write_bytes(content)
    if text is not None:
        options["prototxt"] = folder / "net.prototxt"
        options["prototxt"].write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ModelError) as told:
        ninc.load_caffe(folder / "net.caffemodel", **options)
    message = str(told.value)
    assert message.startswith(f"{folder}{os.sep}net.") and len(message) < 2000
    return message.partition(f"{os.sep}net.")[2]
