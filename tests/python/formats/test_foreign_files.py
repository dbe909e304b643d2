"""What `ninc.load` says of files that hold no network of ninc's: what they are."""

import io
import json
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

import ninc
from ninc.errors import ModelError
from ninc.formats import foreign
from support.command_line import ninc_command
from support.small_pictures import picture_network


def zipped(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, b"abc")
    return file.getvalue()


def safetensors(header, data=b""):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def arrays(dtype, size):
    return {"w": {"dtype": dtype, "shape": [1], "data_offsets": [0, size]}}


def npz():
    file = io.BytesIO()
    np.savez(file, x=np.zeros(3))
    return file.getvalue()


TORCH = "a file of torch.save, which ninc.load_torch reads"
CAFFE = "a file of Caffe's, which ninc.load_caffe reads"
PROTOTXT = "a description of a network of Caffe's, which ninc.load_caffe takes beside its weights"
SAFETENSORS = (
    "a safetensors file of another program, without a network in it; ninc.load_torch reads"
)
FILES = {
    "torch": (zipped("archive/data.pkl", "archive/data/0"), TORCH),
    "torch, newer": (zipped("net/.format_version", "net/data.pkl"), "a zip archive; of these"),
    "torch, older": (
        b"".join(pickle.dumps(v, 2) for v in (0x1950A86A20F9469CFC6C, 1001, {})), TORCH
    ),
    "a pickle": (pickle.dumps({"a": 1}, 4), "a pickle of Python's; of these ninc.load_torch reads"),
    "a zip": (zipped("a.txt"), "a zip archive; of these ninc.load_torch reads"),
    "npz": (npz(), "arrays of numpy's (.npz), from which ninc.data.load reads pictures"),
    "npy": (b"\x93NUMPY\x01\0v\0{'descr'", "an array of numpy's (.npy)"),
    "JPEG": (b"\xff\xd8\xff\xe0\0\x10JFIF\0" * 20, "a picture (JPEG), which a network's predict"),
    "PNG": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a picture (PNG), which a network's predict takes"),
    "WebP": (b"RIFF\x10\0\0\0WEBPVP8 ", "a picture (WebP)"),
    "HDF5": (b"\x89HDF\r\n\x1a\n\0\0\0\0", "an HDF5 file, as Keras and others write"),
    "ONNX": (
        b"\x08\x07\x12\x07pytorch\x1a\x032.1:\x10", "an ONNX file, which ninc.load_onnx reads"
    ),
    "Caffe": (b"\n\x03NIN\xa2\x06\x10\n\x05conv1\x12\x0bConvolution", CAFFE),
    "Caffe, older": (b"\n\x0bCIFAR10_NIN\x12\x10\n\x05conv1", CAFFE),
    "Caffe's text": (b'# nin\nname: "NIN"\nlayer { name: "x" }'.partition(b"\n")[2], PROTOTXT),
    "gzip": (b"\x1f\x8b\x08\0", "a file compressed with gzip, which has to be unpacked first"),
    "a page": (b"<!DOCTYPE html>\n<html>not found", "a page of the web, which its server gave"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid", "a pointer of Git LFS: git"),
    "half precision": (safetensors(arrays("F16", 2), b"\0\0"), SAFETENSORS),
    "of torch": (
        safetensors({"__metadata__": {"format": "pt"}, **arrays("F32", 4)}, bytes(4)), SAFETENSORS
    ),
    "without metadata": (safetensors(arrays("F32", 4), bytes(4)), SAFETENSORS),
}  # fmt: skip


@pytest.mark.parametrize("kind", FILES)
def test_it_is_told_what_it_is(kind, tmp_path):
    content, words = FILES[kind]
    file = tmp_path / "given.bin"
    file.write_bytes(content)
    named = io.BytesIO(content)
    named.name = "upload.bin"
    for source, name in ((file, str(file)), (content, "bytes"), (named, "upload.bin")):
        with pytest.raises(ModelError) as told:
            ninc.load(source)
        assert str(told.value).startswith(f"{name}: no model that ninc has saved, but {words}")
        assert "\n" not in str(told.value)


def test_the_command_line_says_so_in_a_line(tmp_path, capsys):
    (tmp_path / "net.pt").write_bytes(FILES["torch"][0])
    assert ninc_command("info", tmp_path / "net.pt") == 1
    assert capsys.readouterr().err == (
        f"ninc: {tmp_path}/net.pt: no model that ninc has saved, but {TORCH}\n"
    )


@pytest.mark.parametrize("content, words", [
    (b"", "the file is empty"),
    (b"abc", "it ends after 3 bytes"),
    (b"neither a model nor anything else", "not a safetensors file"),
    (b"\n\x05ab\0cd\x12\0\0\0\0\0", "a safetensors file"),  # no name of Caffe's
    (b"\x08\x07\x77\0\0\0\0\0{}", "a safetensors file"),
    (struct.pack("<Q", 200_000) + b"[" * 200_000, "a safetensors file|no JSON header"),
    (struct.pack("<Q", 40) + b"{", "truncated or not a safetensors file"),
    (safetensors({"__metadata__": {"format": "ninc"}}), "its metadata have no 'format_version'"),
    (safetensors({"__metadata__": {"format": "ninc", "format_version": "99"}}), "a newer ninc"),
])  # fmt: skip
def test_of_all_else_the_core_tells(content, words, tmp_path):
    (tmp_path / "m").write_bytes(content)
    for source in (tmp_path / "m", content):
        with pytest.raises(ModelError, match=words) as told:
            ninc.load(source)
        assert "no model that ninc has saved" not in str(told.value)


def many(count):
    """A header of so many entries, and its data."""
    return {f"layer{i}.weight": arrays("F16", 2)["w"] for i in range(count)}, bytes(2)


@pytest.mark.parametrize("about", [{}, {"__metadata__": {"format": "pt"}}])
def test_of_a_long_header_the_beginning_tells(about):
    entries, data = many(3_000)
    content = safetensors(about | entries, data)
    assert content.index(b"}}") > 1 << 16
    with pytest.raises(ModelError, match="a safetensors file of another program"):
        ninc.load(content)
    own = {"__metadata__": {"format": "ninc", "format_version": "1"}}
    for metadata in (own, {"__metadata__": {"graph": "{}" * 100_000}}):
        with pytest.raises(ModelError) as told:
            ninc.load(safetensors(metadata | entries, data))
        assert "no model that ninc has saved" not in str(told.value)


@pytest.mark.parametrize("text", [
    b'{"w":[' + b"[]," * ((16 << 20) // 3 - 10) + b"[]]}",
    b'{"w":' + b"9" * 60_000 + b"}",
    b'{"w":' + b"9" * ((16 << 20) - 10) + b"}",
    b"{" + b"},{" * 1_000_000 + b"}",
], ids=["lists", "digits", "many digits", "braces"])  # fmt: skip
def test_headers_that_are_bombs_cost_nothing(text, tmp_path):
    (tmp_path / "m").write_bytes(struct.pack("<Q", len(text)) + text)
    tracemalloc.start()
    try:
        foreign.kind_of(tmp_path / "m")
        assert tracemalloc.get_traced_memory()[1] < 8 << 20  # of 16 MiB, 64 KiB are looked at
    finally:
        tracemalloc.stop()


def test_a_damaged_model_is_none_of_another_program(tmp_path):
    picture_network().save(tmp_path / "m")
    whole = (tmp_path / "m").read_bytes()
    for damaged in (whole[:-1], whole + b"\0", whole[:200], whole.replace(b'"F32"', b'"F16"', 1)):
        with pytest.raises(ModelError) as told:
            ninc.load(damaged)
        assert "no model that ninc has saved" not in str(told.value)
