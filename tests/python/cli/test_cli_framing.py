"""ninc train --size, --fit and --ground: what is printed, stored, and done by other commands."""

import numpy as np
import pytest

import ninc
from ninc.formats.metadata import stored_preprocessing
from ninc.preprocess import Framing
from support.command_line import ninc_command, printed_json, usage
from support.small_pictures import save, turned_exif
from support.weights import assert_same_weights

pytest.importorskip("PIL.Image")


SETTINGS = ("--model", "nin-mnist", "--epochs", 1, "--batch-size", 8, "--no-augment")


def put(folder, width, height, count=8, turned=False):
    """Pictures of an upright or a lying bar; turned: as a phone on its side stores them."""
    rng = np.random.default_rng(width)
    for name in ("lying", "upright"):
        for index in range(count):
            pixels = rng.integers(0, 40, (height, width), dtype=np.uint8)
            if name == "lying":
                pixels[height // 2 - 2 : height // 2 + 2] += 200
            else:
                pixels[:, width // 2 - 2 : width // 2 + 2] += 200
            if turned:
                pixels = np.rot90(pixels)
            save(folder / name / f"{index}.png", pixels, exif=turned_exif(6 if turned else 1))
    return folder


def train(data, output, *options):
    return ninc_command("train", data, "-o", output, *SETTINGS, *options)


def test_size_fit_and_ground_are_told_stored_and_used(tmp_path, capsys):
    data, model = put(tmp_path / "wide", 48, 20), tmp_path / "net"
    options = ("--size", "20x24", "--fit", "pad", "--ground", "#102030")
    assert train(data, model, *options) == 0
    told = capsys.readouterr().err
    assert "pictures: 20×24 by pad, grey, ground (16, 32, 48)" in told and "area" not in told
    net = ninc.load(model)
    framing = Framing((20, 24), 1, fit="pad", ground=(16, 32, 48))
    assert stored_preprocessing(net.core).framing == framing
    files = sorted(data.glob("*/*.png"))
    pixels = np.stack([framing.pixels(file) for file in files])
    np.testing.assert_array_equal(net.predict(files), net.predict(pixels))
    found = printed_json(capsys, "eval", model, data, "--split", "all")
    labels = np.repeat([0, 1], 8)
    assert found["accuracy"] == (net.predict(files).argmax(1) == labels).mean()


@pytest.mark.parametrize(
    "width, height, told", [(48, 20, True), (32, 28, False), (28, 28, False), (20, 48, True)]
)
def test_much_that_a_crop_loses_is_told(tmp_path, capsys, width, height, told):
    assert train(put(tmp_path / "d", width, height), tmp_path / "net") == 0
    err = capsys.readouterr().err
    assert "pictures: 28×28 by crop, grey" in err
    words = "14 of 14 pictures lose more than 20% of their area to the crop: --fit pad or --fit"
    assert (words in err) == told


def test_pictures_that_a_phone_stored_on_their_side(tmp_path, capsys):
    """The same pictures, stored upright and turned, train the same network, tested the same."""
    data = [put(tmp_path / name, 40, 30, turned=name == "turned") for name in ("plain", "turned")]
    found = []
    for folder in data:
        assert train(folder, tmp_path / f"{folder.name}.net", "--fit", "squash") == 0
        found.append(printed_json(capsys, "eval", tmp_path / "plain.net", folder, "--split", "all"))
    assert found[0]["confusion"] == found[1]["confusion"]
    plain, turned = (ninc.load(tmp_path / f"{folder.name}.net") for folder in data)
    assert_same_weights(plain, turned)


@pytest.mark.parametrize(
    "options, words",
    [
        (("--size", "0"), "must be pixels a side, or height x width"),
        (("--size", "20x20x3"), "must be pixels a side"),
        (("--fit", "stretch"), "invalid choice: 'stretch'"),
        (("--ground", "mauve"), "must be white, grey, black or #rrggbb"),
        (("--fit", "pad", "--resize", "40"), "resize goes with fit 'crop' alone"),
        (("--size", "9000"), "at most 8192"),
    ],
)
def test_wrong_usage(tmp_path, capsys, options, words):
    command = ("train", tmp_path, "-o", tmp_path / "net", *SETTINGS)
    assert words in usage(capsys, *command, *options)
