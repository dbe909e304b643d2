"""safetensors of other programs by `load_torch`: every dtype, and nothing believed unchecked."""

import json
import struct
import sys

import numpy as np
import pytest

import ninc
from ninc import nn
from ninc.errors import ModelError, OutOfMemoryError
from support.formats.torch_files import refused

DTYPES = {
    "F64": "f8", "F32": "f4", "F16": "f2", "C64": "c8", "I64": "i8", "I32": "i4", "I16": "i2",
    "I8": "i1", "U64": "u8", "U32": "u4", "U16": "u2", "U8": "u1", "BOOL": "b1",
}  # fmt: skip


def file_of(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def row(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_every_dtype():
    header, data, expected = {"__metadata__": {"format": "pt"}}, b"", {}
    for name, kind in DTYPES.items():
        expected[name] = (np.arange(6) % 3).reshape(2, 3).astype(kind)
        header[name] = row(name, [2, 3], len(data), len(data) + expected[name].nbytes)
        data += expected[name].tobytes()
    header["scalar"] = row("F32", [], len(data), len(data) + 4)
    header["nothing"] = row("F32", [0, 3], len(data) + 4, len(data) + 4)
    found = ninc.load_torch(file_of(header, data + bytes(4)))
    assert list(found) == [name for name in header if name != "__metadata__"]
    for name, array in expected.items():
        assert found[name].dtype == array.dtype and found[name].flags.writeable
        np.testing.assert_array_equal(found[name], array)
    assert found["scalar"].shape == () and found["nothing"].shape == (0, 3)


def test_bfloat16_becomes_float32():
    stored = np.array([0x3F80, 0xC020, 0x7F80], "<u2")
    found = ninc.load_torch(file_of({"w": row("BF16", [3], 0, 6)}, stored.tobytes()))["w"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.array([1, -2.5, np.inf], np.float32))


def test_a_model_file_of_nincs_own(tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    net.save(tmp_path / "net.pt")  # content tells, not the name
    found = ninc.load_torch(tmp_path / "net.pt")
    assert found.keys() == net.state_dict().keys()
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(found[name], array)
    with pytest.raises(ModelError, match="is safetensors, which has no entries such as 'model'"):
        ninc.load_torch(tmp_path / "net.pt", "model")


A, B = row("F32", [2], 0, 8), row("F32", [1], 8, 12)
WRONG = {
    "a gap": ({"a": A, "b": row("F32", [1], 9, 13)}, bytes(13), "'b' begins at byte 9 of the data"),
    "an overlap": ({"a": A, "b": row("F32", [1], 4, 8)}, bytes(8), "'b' begins at byte 4"),
    "too little": ({"a": A, "b": B}, bytes(11), "take 12 bytes, and 11 are there"),
    "too much": ({"a": A, "b": B}, bytes(13), "take 12 bytes, and 13 are there"),
    "another size": ({"a": row("F32", [3], 0, 8)}, bytes(8), "takes 8 bytes; its .* need 12"),
    "turned round": ({"a": row("F32", [2], 8, 0)}, bytes(8), "takes -8 bytes"),
    "a huge shape": ({"a": row("F32", [1 << 40, 1 << 40], 0, 8)}, bytes(8), "need 4,835,703"),
    "none, of a huge shape": ({"a": row("F32", [0, 1 << 60], 0, 0)}, b"", "need 0"),
    "33 dimensions": ({"a": row("F32", [1] * 33, 0, 4)}, bytes(4), "33 dimensions"),
    "a negative shape": ({"a": row("F32", [-1, -2], 0, 8)}, bytes(8), "needs a dtype, a shape"),
    "half a shape": ({"a": row("F32", [2.0], 0, 8)}, bytes(8), "needs a dtype, a shape"),
    "a bool": ({"a": row("F32", [True, 2], 0, 8)}, bytes(8), "needs a dtype, a shape"),
    "an unknown dtype": ({"a": row("F8_E4M3", [8], 0, 8)}, bytes(8), "is of F8_E4M3; what numpy"),
    "a dtype of a list": ({"a": row([1], [8], 0, 8)}, bytes(8), "needs a dtype"),
    "a row of a number": ({"a": 3}, b"", "needs a dtype"),
    "an offset too many": ({"a": {**A, "data_offsets": [0, 8, 9]}}, bytes(8), "two data_offsets"),
    "a name twice": (b'{"a":' + json.dumps(A).encode() + b',"a":' + json.dumps(A).encode() + b"}",
        bytes(8), "a name that stands there twice"),
    "no JSON": (b"{hello", b"", "is no JSON of safetensors"),
    "no text": (b"{\xff\xfe", b"", "is no JSON of safetensors"),
    "a deep header": (b'{"a":' + b"[" * 200_000, b"", "is no JSON of safetensors"),
    "endless digits": (b'{"a":' + b"9" * 2_000_000 + b"}", b"", "an integer of more than 64 bits"),
    "digits beyond floats": (b'{"a":1' + b"0" * 5000 + b".5}", b"", "needs a dtype"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_headers(name):
    header, data, words = WRONG[name]
    refused(file_of(header, data), words)


def test_a_header_that_is_too_long():
    refused(file_of(b"{" + b" " * (16 << 20) + b"}"), "a header of 16,777,218 bytes; at most")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_for_a_header_is_asked_for(monkeypatch):
    monkeypatch.setenv("NINC_MEMORY_LIMIT", str(48 << 20))
    content = file_of(b'{"a":[' + b"[]," * 700_000 + b"[]]}")
    with pytest.raises(OutOfMemoryError, match="bytes: 67.2 MB more are needed"):
        ninc.load_torch(content)


def test_a_file_cut_off_anywhere_is_told():
    whole = file_of({"a": A, "b": B}, bytes(12))
    for length in range(len(whole)):
        with pytest.raises(ModelError):
            ninc.load_torch(whole[:length])
