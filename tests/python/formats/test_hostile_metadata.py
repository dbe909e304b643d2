"""What strangers may write into a model file's texts: an error in one sentence, or harmless."""

import json
import os
import struct

import numpy as np
import pytest

import ninc
from ninc import nn
from ninc.errors import ArgumentError, FileError, ModelError
from ninc.explanation import explain
from ninc.inference.evaluation import evaluate
from ninc.preprocess import Preprocessing
from support.small_pictures import random_bytes

PICTURES = random_bytes(2, 8, 8, 3)


@pytest.fixture
def network():
    made = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GlobalAvgPool2d())
    made.preprocessing = Preprocessing((8, 8), 3, (0.5,) * 3, (0.25,) * 3)
    return made


def with_text(network, key, text, tmp_path):
    """The network of a file that says `text` for `key`: a header that ninc would not write."""
    path = tmp_path / "evil"
    network.save(path)
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"][key] = text
    changed = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(changed)) + changed + content[8 + length :])
    return ninc.load(path)


TEXTS = [
    "",
    "{",
    "null",
    "7",
    '"text"',
    "[" * 200_000,
    '{"size":' * 200_000,
    "1" * 200_000,
    '{"size": [8, 8], "channels": 3, "mean": [NaN, 0, 0], "std": [1, 1, 1]}',
    '{"size": [8, 8], "channels": 3, "mean": [0, 0, 0], "std": [0, 1, 1]}',
    '{"size": [8, 8], "channels": 3, "mean": [0, 0, 0], "std": [1e999, 1, 1]}',
    '{"size": [1e9, 8], "channels": 3, "mean": [0, 0, 0], "std": [1, 1, 1]}',
    '{"size": [1000000000, 8], "channels": 3, "mean": [0, 0, 0], "std": [1, 1, 1]}',
    '{"size": {"a": 1}, "channels": 3, "mean": [0, 0, 0], "std": [1, 1, 1]}',
    '{"size": [8, 8], "channels": 1000000000, "mean": [0, 0, 0], "std": [1, 1, 1]}',
    '{"size": [8, 8], "channels": 3, "mean": "000", "std": [1, 1]}',
    '{"size": [8, 8], "resize": 99999999, "channels": 3, "mean": [0, 0, 0], "std": [1, 1, 1]}',
    '{"kind": ["gcn_zca"], "size": [8, 8], "channels": 3, "mean": [0, 0, 0], "std": [1, 1, 1]}',
    json.dumps({"mean": "x" * 1_000_000}),
]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_preprocessing(network, tmp_path, text):
    # Refused as the file is read, where the core sees it, or else when it is used.
    with pytest.raises(ModelError, match="evil: preprocessing|stored preprocessing") as caught:
        with_text(network, "preprocessing", text, tmp_path).predict(PICTURES)
    assert len(str(caught.value)) < 1000


def test_preprocessing_that_is_not_known_is_refused_when_it_is_read(network, tmp_path):
    for entry, words in (
        ('"resize": "../x"', "resize '../x' is not known"),
        ('"fit": "stretch"', "fit 'stretch' is not known"),
        ('"sharpen": true', "entry 'sharpen' is not known"),
    ):
        with pytest.raises(ModelError, match=f"evil: preprocessing: {words}"):
            with_text(network, "preprocessing", f'{{"channels": 3, {entry}}}', tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1, 2]",
        '["a", null]',
        '["\\u001b[2J"]',
        '["\\ud800"]',
        '["a\\nb"]',
        "[" * 200_000,
    ],
    ids=range(8),
)
def test_classes(network, tmp_path, text):
    evil = with_text(network, "classes", text, tmp_path)
    with pytest.raises(ModelError, match="the network's stored classes"):
        evil.classes  # noqa: B018


@pytest.mark.parametrize("count", [0, 1, 3, 5, 100])
def test_more_or_fewer_names_than_outputs(network, tmp_path, count):
    pytest.importorskip("PIL")
    names = [f"class {index}" for index in range(count)]
    evil = with_text(network, "classes", json.dumps(names), tmp_path)
    wanted = [names[index] if index < count else str(index) for index in range(4)]
    assert evaluate(evil, (PICTURES, np.array([3, 0]))).classes == wanted
    assert explain(evil, PICTURES[0], label=3).name == wanted[3]


def test_names_that_cannot_be_stored(network):
    for names in ("cat", ["a\0b"], ["\udcff"], [3]):
        with pytest.raises(ArgumentError, match="classes must be a list of names"):
            network.classes = names
    network.classes = iter(["Käse", "猫", "with space", "a/b"])  # once only
    assert network.classes == ["Käse", "猫", "with space", "a/b"]


def test_file_names_that_are_no_text(network, tmp_path):
    odd = os.fsdecode(str(tmp_path).encode() + b"/\xff\xfe.safetensors")
    network.save(odd)
    np.testing.assert_array_equal(ninc.load(odd).predict(PICTURES), network.predict(PICTURES))
    with pytest.raises(FileError, match="No such file") as missing:
        ninc.load(odd + "\udcff")
    assert missing.value.filename == odd + "\udcff"
