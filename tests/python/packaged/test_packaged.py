"""The networks that come with the package: what their files must be, and `ninc.pretrained`."""

import hashlib
import importlib.resources
import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

import ninc
from ninc import packaged
from support.small_pictures import random_bytes

TEN = "airplane automobile bird cat deer dog frog horse ship truck".split()


@pytest.fixture(scope="module")
def file():
    return Path(ninc.get_pretrained_path("cifar10"))


@pytest.fixture(scope="module")
def network():
    return ninc.pretrained("cifar10")


def entries(file):
    """{name: (dtype, shape)} of a safetensors file, read without ninc."""
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    return {n: (e["dtype"], e["shape"]) for n, e in header.items() if n != "__metadata__"}


# ---- The files -----------------------------------------------------------------------------------


def test_the_file_is_small_and_of_float16(file):
    assert file.stat().st_size <= 2_500_000
    stored = entries(file)
    matrices = {name: kind for name, (kind, shape) in stored.items() if len(shape) > 1}
    assert len(matrices) >= 8 and set(matrices.values()) == {"F16"}
    # Vectors, such as batch norm's, are not worth the digits they would lose.
    assert {kind for name, (kind, _) in stored.items() if name not in matrices} == {"F32"}


def test_what_made_it_is_told_beside_it(file, network):
    told = packaged.about("cifar10")
    assert told["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert told["parameters"] == network.num_parameters
    assert told["classes"] == network.classes
    if network.temperature is None:
        assert told["temperature"] is None
    else:
        assert told["temperature"] == pytest.approx(network.temperature, rel=1e-6)
    assert told["data_set"] == "CIFAR-10 (JPEG)" and told["test_pictures"] == 10_000
    for name in ("test_accuracy", "test_accuracy_flip"):
        assert 0.1 < told[name] <= 1.0
    for name in ("command", "recipe", "licence", "data_note"):
        assert told[name]
    assert told["epochs"] >= 1 and told["seed"] >= 0
    assert {"ninc", "numpy"} <= set(told["versions"])


def test_the_network_is_the_one_that_is_described(network):
    assert network.classes == TEN
    assert network.num_parameters == ninc.models.fast_cifar10().num_parameters
    settings = network.preprocessing
    assert (tuple(settings["size"]), settings["channels"]) == ((32, 32), 3)
    assert network.graph[-1].operation == "GlobalAvgPool2d"
    maps = network.class_maps(np.zeros((2, 3, 32, 32), np.float32))
    assert maps.shape[:2] == (2, 10) and min(maps.shape[2:]) >= 4


# ---- What it is used for -------------------------------------------------------------------------


def test_it_predicts_pictures_of_any_size(network):
    found = network.predict([random_bytes(32, 32, 3, seed=1), random_bytes(50, 71, 3, seed=2)])
    assert found.shape == (2, 10) and found.sum(axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert found[0] != pytest.approx(found[1], abs=1e-3)


def test_it_explains_itself(network):
    picture = random_bytes(40, 60, 3, seed=3)
    explanation = ninc.explain(network, picture)
    assert explanation.heat.shape == (40, 60)
    assert explanation.name == TEN[network.predict([picture])[0].argmax()]


def test_it_begins_a_network_of_other_classes(network):
    begun = network.new_head(["cat", "not a cat"])
    assert begun.classes == ["cat", "not a cat"]
    assert begun.preprocessing == network.preprocessing
    kept, now = network.state_dict(), begun.state_dict()
    same = {name for name in kept if np.array_equal(kept[name], now[name])}
    assert len(set(kept) - same) in (1, 2)  # the last layer's weight, and its bias


def test_each_call_gives_a_network_of_its_own(network):
    other = ninc.pretrained()
    other.classes = None
    assert network.classes == TEN and ninc.pretrained().classes == TEN


# ---- What goes wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize("function", [ninc.pretrained, ninc.get_pretrained_path])
@pytest.mark.parametrize("name", ["cifar100", "", "../packaged/cifar10", None, 3])
def test_other_names_are_told_what_there_is(function, name):
    with pytest.raises(ninc.ArgumentError, match="comes with ninc; there is 'cifar10'"):
        function(name)


def test_a_missing_file_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.resources, "files", lambda package: tmp_path)
    for function in (ninc.pretrained, ninc.get_pretrained_path, packaged.about):
        with pytest.raises(ninc.FileError, match="missing from this installation") as error:
            function("cifar10")
        assert isinstance(error.value, OSError)


def test_an_archive_is_read_and_has_no_path(file, network, tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "package.zip", "w") as archive:
        archive.write(file, "packaged/cifar10.safetensors")
    inside = zipfile.Path(tmp_path / "package.zip", "packaged/")
    monkeypatch.setattr(importlib.resources, "files", lambda package: inside)
    read = ninc.pretrained().state_dict()
    expected = network.state_dict()
    assert all(np.array_equal(read[name], expected[name]) for name in expected)
    with pytest.raises(ninc.FileError, match="lies in an archive"):
        ninc.get_pretrained_path()


def test_a_damaged_file_is_named(file, tmp_path, monkeypatch):
    shutil.copy(file, tmp_path)
    os.truncate(tmp_path / file.name, 1000)
    monkeypatch.setattr(importlib.resources, "files", lambda package: tmp_path)
    with pytest.raises(ninc.ModelError, match="cifar10.safetensors"):
        ninc.pretrained()
