"""`ninc eval --calibrate`, what `ninc train --validation` fits, `ninc predict --at-least`."""

import csv
import io
import json

import numpy as np
import pytest

import ninc
from ninc import cli, nn
from ninc.preprocess import Preprocessing
from support.command_line import usage
from support.small_training import random_npz


def network():
    made = nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 3, 1), nn.GlobalAvgPool2d(), seed=2
    )
    made.preprocessing = Preprocessing((8, 8), 1, (0.5,), (0.05,))
    made.classes = ["a", "b", "c"]
    return made


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A model, and undivided pictures whose labels are drawn by its probabilities at T = 2."""
    monkeypatch.chdir(tmp_path)
    made = network()
    made.save("net.safetensors")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (300, 8, 8, 1), dtype=np.uint8)
    p = np.sqrt(made.predict(images).astype(np.float64))
    shares = (p / p.sum(axis=1, keepdims=True)).cumsum(axis=1)
    labels = (shares < rng.random((300, 1))).sum(axis=1)
    np.savez("data.npz", x=images, y=labels)
    return images, labels


def run(capsys, *args, status=0):
    assert cli.main([*map(str, args)]) == status
    return capsys.readouterr()


def test_a_temperature_is_fitted_and_written(here, capsys):
    calibrate = ("eval", "net.safetensors", "data.npz", "--calibrate", "-o", "new.safetensors")
    told = json.loads(run(capsys, *calibrate, "--json").out)
    made = ninc.load("new.safetensors")
    assert made.temperature == told["temperature"] and told["images"] == 300
    assert told["calibration_error"]["with"] < told["calibration_error"]["without"]
    assert told["loss"]["with"] < told["loss"]["without"]
    assert ninc.load("net.safetensors").temperature is None
    said = run(capsys, *calibrate).out
    assert f"temperature {made.temperature:.4g}, fitted to 300 pictures in all of data.npz" in said
    assert "wrote new.safetensors" in said
    # The test that follows says the same of the same pictures.
    again = json.loads(run(capsys, "eval", "new.safetensors", "data.npz", "--json").out)
    assert again["temperature"] == made.temperature
    assert again["calibration_error"] == pytest.approx(told["calibration_error"]["with"], rel=1e-6)
    assert again["loss"] == pytest.approx(told["loss"]["without"], rel=1e-6)
    text = run(capsys, "eval", "new.safetensors", "data.npz").out
    words = f"calibration error {again['calibration_error']:.2%} at temperature"
    assert f"{words} {made.temperature:.4g}" in text
    assert "(no temperature)" in run(capsys, "eval", "net.safetensors", "data.npz").out
    assert f"temperature: {made.temperature:.4g}" in run(capsys, "info", "new.safetensors").out
    run(capsys, "convert", "new.safetensors", "half.safetensors", "--dtype", "float16")
    assert ninc.load("half.safetensors").temperature == made.temperature


def test_it_is_never_fitted_to_the_test_set(here, capsys):
    images, labels = here
    calibrate = ("eval", "net.safetensors", "data.npz", "--calibrate", "-o", "new.safetensors")
    for split in ("test", "train"):
        assert "neither trained on nor is tested on" in usage(capsys, *calibrate, "--split", split)
    for part, chosen in (("train", slice(0, 100)), ("test", slice(100, 300))):
        for number, (image, label) in enumerate(zip(images[chosen], labels[chosen])):
            save(f"parts/{part}/{'abc'[label]}/{number}.png", image)
    parts = ("eval", "net.safetensors", "parts", "--calibrate", "-o", "new.safetensors")
    for options in ((), ("--split", "all"), ("--split", "validation")):
        assert "fitted to a validation set" in run(capsys, *parts, *options, status=1).err
    for number, (image, label) in enumerate(zip(images[:150], labels[:150])):
        save(f"parts/validation/{'abc'[label]}/{number}.png", image)
    assert json.loads(run(capsys, *parts, "--json").out)["images"] == 150
    assert "leave out --split all" in run(capsys, *parts, "--split", "all", status=1).err


def save(path, image):
    from pathlib import Path

    Image = pytest.importorskip("PIL.Image")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image[..., 0]).save(path)


def test_the_data_that_were_trained_on_are_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random_npz(tmp_path / "columns.npz")
    run(capsys, "train", "columns.npz", "-o", "net.safetensors", "--model", "nin-mnist",
        "--epochs", 1, "--limit", 4)  # fmt: skip
    calibrate = ("eval", "net.safetensors", "columns.npz", "--calibrate", "-o", "new.safetensors")
    assert "was trained on some of these pictures" in run(capsys, *calibrate, status=1).err


def test_options_that_do_not_go_together(capsys):
    base = ("eval", "net", "data")
    assert "--calibrate and -o FILE go together" in usage(capsys, *base, "--calibrate")
    assert "--calibrate and -o FILE go together" in usage(capsys, *base, "-o", "x.safetensors")
    assert "leave out --tta" in usage(capsys, *base, "--calibrate", "-o", "x", "--tta", "flip")
    assert "leave out --report" in usage(capsys, *base, "--calibrate", "-o", "x", "--report", "y")


def test_few_pictures_are_remarked_on(here, capsys):
    calibrate = ("eval", "net.safetensors", "data.npz", "--calibrate", "-o", "new.safetensors")
    assert "fitted to 30 pictures" in run(capsys, *calibrate, "--limit", 10).err


def test_training_with_validation_pictures_fits_one(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random_npz(tmp_path / "columns.npz", 600)
    options = ("columns.npz", "--model", "nin-mnist", "--epochs", 1, "--batch-size", 64,
               "--lr", 0.02, "--json")  # fmt: skip
    told = {}
    for name, more in (("with", ("--validation", 0.25)), ("few", ("--validation", 0.1)),
                       ("without", ())):  # fmt: skip
        told[name] = json.loads(run(capsys, "train", "-o", f"{name}.st", *options, *more).out)
        assert ninc.load(f"{name}.st").temperature == told[name]["temperature"]
    assert told["few"]["temperature"] is None and told["without"]["temperature"] is None
    train = ninc.data.load("columns.npz", "train").split(0.25, 0)
    made = ninc.load("with.st")
    fitted = made.temperature
    assert fitted is not None and made.calibrate(train[1]) == fitted


# ---- Answers that are unsure ---------------------------------------------------------------------


@pytest.fixture
def picture(here, tmp_path):
    """A picture that the network gives its likeliest class a known probability of."""
    save("picture.png", here[0][0])
    (row,) = ninc.load("net.safetensors").predict("picture.png")
    return float(row.max()), "abc"[row.argmax()]


def test_answers_below_a_probability_are_unsure(picture, capsys):
    probability, name = picture
    for at_least, unsure in ((probability - 0.01, False), (probability + 0.01, True)):
        predict = ("predict", "net.safetensors", "picture.png", "--at-least", f"{at_least:.6f}")
        said = run(capsys, *predict)
        assert said.out.startswith("picture.png: unsure (" if unsure else f"picture.png: {name} ")
        assert f"{name} {probability:.1%}" in said.out
        assert "net.safetensors has no temperature" in said.err
        told = json.loads(run(capsys, *predict, "--json").out)
        assert told["unsure"] is unsure and told["predictions"][0]["class"] == name
        rows = list(csv.DictReader(io.StringIO(run(capsys, *predict, "--csv", "-").out)))
        assert rows[0]["class"] == ("unsure" if unsure else name)
        assert float(rows[0]["probability"]) == pytest.approx(probability, rel=1e-5)
    plain = json.loads(run(capsys, "predict", "net.safetensors", "picture.png", "--json").out)
    assert "unsure" not in plain
    assert "number between 0 and 1" in usage(capsys, "predict", "m", "p", "--at-least", "1.5")


def test_a_temperature_makes_answers_unsure(picture, capsys):
    probability, _ = picture
    made = ninc.load("net.safetensors")
    made.temperature = 20
    made.save("cool.safetensors")
    predict = (
        "predict",
        "cool.safetensors",
        "picture.png",
        "--at-least",
        f"{probability - 0.01:.6f}",
    )
    said = run(capsys, *predict)
    assert "unsure" in said.out and "temperature" not in said.err
