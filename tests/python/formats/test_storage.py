"""Files whose weights take two bytes a number."""

import json
import struct

import numpy as np
import pytest

import ninc
from ninc import nn
from ninc.errors import ArgumentError


def network():
    return nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 5, 1),
        nn.GlobalAvgPool2d(), seed=3,
    )  # fmt: skip


def header(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def as_bfloat16(array):
    """Rounded to the nearest, ties to even, by the definition of the format."""
    bits = array.view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16).astype(np.uint32).view(np.float32)


ROUNDED = {
    "float16": lambda array: array.astype(np.float16).astype(np.float32),
    "bfloat16": as_bfloat16,
}


@pytest.mark.parametrize("dtype", ROUNDED)
def test_weights_are_rounded_once(dtype, tmp_path):
    net, path = network(), tmp_path / "small.safetensors"
    net.save(path, dtype=dtype)
    fields, data = header(path)
    names = {"float16": "F16", "bfloat16": "BF16"}
    kept = {name: field["dtype"] for name, field in fields.items() if name != "__metadata__"}
    assert kept["conv1.weight"] == kept["conv2.weight"] == names[dtype]
    assert kept["conv1.bias"] == kept["bn1.running_var"] == "F32"
    begin, end = fields["conv1.weight"]["data_offsets"]
    assert end - begin == 2 * 16 * 3 * 3 * 3
    loaded = ninc.load(path)
    for name, array in net.state_dict().items():
        want = ROUNDED[dtype](array) if array.ndim > 1 else array
        np.testing.assert_array_equal(loaded.state_dict()[name], want, err_msg=name)
    again = tmp_path / "again.safetensors"
    loaded.save(again, dtype=dtype)
    assert again.read_bytes() == path.read_bytes()


def test_half_the_bytes(tmp_path):
    net = ninc.models.nin_cifar10()
    net.save(tmp_path / "a.safetensors")
    net.save(tmp_path / "b.safetensors", dtype="bfloat16")
    sizes = [(tmp_path / name).stat().st_size for name in ("a.safetensors", "b.safetensors")]
    assert sizes[1] < 0.51 * sizes[0]


def test_what_is_beyond_float16_is_refused(tmp_path):
    net, path = network(), tmp_path / "large.safetensors"
    path.write_bytes(b"as it was")
    weight = net.state_dict()["conv2.weight"].copy()
    weight[1, 2] = 70000
    net.load_state_dict({**net.state_dict(), "conv2.weight": weight})
    with pytest.raises(ArgumentError, match=r"'conv2.weight' has 70000.*beyond float16.*bfloat16"):
        net.save(path, dtype="float16")
    assert path.read_bytes() == b"as it was"
    net.save(path, dtype="bfloat16")
    assert ninc.load(path).state_dict()["conv2.weight"][1, 2, 0, 0] == as_bfloat16(weight[1, 2])


def test_constants_stay_as_they_are(tmp_path):
    means = np.array([123.68, 116.779, 103.939], np.float32).reshape(3, 1, 1)
    graph = nn.Graph()
    graph.add(nn.Sub(), graph.input(), graph.add(nn.Constant(means)))
    graph.save(tmp_path / "means.safetensors", dtype="bfloat16")
    kept = ninc.load(tmp_path / "means.safetensors").state_dict()["constant1.value"]
    np.testing.assert_array_equal(kept.ravel(), means.ravel())


def test_other_dtypes_are_refused(tmp_path):
    with pytest.raises(ArgumentError, match="save: dtype must be "):
        network().save(tmp_path / "a.safetensors", dtype="float64")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dtype, numpys", [("F16", np.float16), ("BF16", None)])
def test_other_peoples_halves_are_read(dtype, numpys, tmp_path):
    """A file as safetensors' own writer makes it."""
    net, path = network(), tmp_path / "own.safetensors"
    net.save(path)
    fields, _ = header(path)
    offset, data = 0, b""
    for name, field in fields.items():
        if name == "__metadata__":
            continue
        array = net.state_dict()[name]
        if numpys is not None:
            part = array.astype(numpys).tobytes()
        else:
            part = (as_bfloat16(array).view(np.uint32) >> 16).astype(np.uint16).tobytes()
        field.update(dtype=dtype, data_offsets=[offset, offset + len(part)])
        offset, data = offset + len(part), data + part
    text = json.dumps(fields).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    loaded = ninc.load(path)
    assert loaded.state_dict()["conv1.bias"].dtype == np.float32
    rounded = ROUNDED["float16" if numpys else "bfloat16"]
    want = rounded(net.state_dict()["bn1.weight"])
    np.testing.assert_array_equal(loaded.state_dict()["bn1.weight"], want)
