"""The rule that brings pictures to size: the same in training, `eval` and `predict`, and stored."""

import numpy as np
import pytest

import ninc
from ninc import data
from ninc.errors import ArgumentError
from ninc.preprocess import Preprocessing
from support.command_line import printed_json, usage
from support.small_pictures import random_bytes, save

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def pets(tmp_path):
    """CLASS/*.png: noise of mixed sizes, some of the size the network takes."""
    rng = np.random.default_rng(2)
    for name in ("cat", "dog"):
        for number in range(12):
            size = (28, 28) if number < 4 else rng.integers(20, 60, 2)
            pixels = rng.integers(0, 256, size, dtype=np.uint8)
            save(tmp_path / name / f"{number:02d}.png", pixels)
    return tmp_path


@pytest.mark.parametrize("in_memory", [True, False])
def test_load_follows_the_rule(pets, in_memory):
    rule = Preprocessing((28, 28), 1, (0.0,), (1.0,), resize=40)
    got = data.load(pets, "all", size=(28, 28), channels=1, resize=40, in_memory=in_memory)
    files = sorted(pets.glob("*/*.png"))
    expected = np.stack([rule.resize_and_crop(file) for file in files])
    np.testing.assert_array_equal(got.images[:], expected)
    assert all(
        part.framing == rule.framing for part in (got, got.subset(np.arange(3)), got.split(0.5)[1])
    )
    assert got.with_classes(["dog", "cat"]).framing == rule.framing
    other = data.load(pets, "all", size=(28, 28), channels=1, in_memory=in_memory)
    assert other.framing.resize is None and other.fingerprint() != got.fingerprint()
    assert (other.images[:] != expected).any()


def test_arrays_of_another_size_follow_it_too(tmp_path):
    images = random_bytes(6, 50, 40, 3)
    np.savez(tmp_path / "data.npz", x=images, y=np.arange(6) % 2)
    rule = Preprocessing((16, 24), 3, (0.0,) * 3, (1.0,) * 3, resize=30)
    got = data.load(tmp_path / "data.npz", "all", size=(16, 24), resize=30)
    expected = np.stack([rule.resize_and_crop(Image.fromarray(image)) for image in images])
    np.testing.assert_array_equal(got.images, expected)


def test_it_is_stored_and_applied(pets, tmp_path, capsys):
    out = tmp_path / "net"
    command = ["train", pets, "-o", out, "--model", "nin-mnist", "--epochs", 1]
    command += ["--batch-size", 8, "--held-out", 0.25]
    trained = printed_json(capsys, *command, "--resize", 36)
    network = ninc.load(out)
    assert network.preprocessing["resize"] == 36
    assert printed_json(capsys, "eval", out, pets)["accuracy"] == trained["test_accuracy"]
    held_out = data.load(pets, "test", size=(28, 28), channels=1, held_out=0.25, resize=36)
    files = [held_out.origin.name(index) for index in range(len(held_out))]
    right = (network.predict(files).argmax(axis=1) == held_out.labels).mean()
    assert right == trained["test_accuracy"]


def test_a_rule_that_makes_no_sense(pets, tmp_path, capsys):
    for options in (dict(resize=20, size=(28, 8)), dict(resize=20)):
        with pytest.raises(ArgumentError, match="resize must be at least both sides of size"):
            data.load(pets, "all", **options)
    words = usage(capsys, "train", pets, "-o", tmp_path / "net", "--resize", 16)
    assert "resize must be at least both sides of size, got 16 for" in words
