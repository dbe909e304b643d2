"""The command line, from a folder of pictures to a class map."""

import json
import shutil

import numpy as np
import pytest

import ninc
from ninc import cli
from ninc.cli.common import INPUTS
from support.command_line import ninc_command, printed, printed_json, usage
from support.processes import python
from support.small_pictures import random_bytes, save

Image = pytest.importorskip("PIL.Image")


@pytest.fixture(scope="session")
def shapes(tmp_path_factory):
    """Folders of 28×28 pictures: a bright left half, a bright right half."""
    root = tmp_path_factory.mktemp("shapes")
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 4)):
        for name, half in (("left", slice(0, 14)), ("right", slice(14, 28))):
            for number in range(count):
                pixels = rng.integers(0, 80, (28, 28), dtype=np.uint8)
                pixels[:, half] += 150
                save(root / split / name / f"{number}.png", pixels)
    return root


@pytest.fixture(scope="session")
def model(shapes, tmp_path_factory):
    """A model file trained by the command itself, with history beside it."""
    folder = tmp_path_factory.mktemp("model")
    words = ["train", shapes, "-o", folder / "net.safetensors", "--model", "nin-mnist"]
    words += ["--epochs", 2, "--batch-size", 8, "--history", folder / "history.jsonl"]
    assert ninc_command(*words) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["history.jsonl", "net.safetensors"]
    return folder / "net.safetensors"


def test_train_writes_model_and_history(model):
    rows = [json.loads(line) for line in (model.parent / "history.jsonl").open()]
    assert [row["epoch"] for row in rows] == [1, 2]
    network = ninc.load(model)
    assert network.classes == ["left", "right"]
    assert network.preprocessing["size"] == [28, 28] and network.preprocessing["channels"] == 1


def test_eval_agrees_with_the_trainer(model, shapes, capsys):
    result = printed_json(capsys, "eval", model, shapes)
    last = json.loads((model.parent / "history.jsonl").read_text().splitlines()[-1])
    assert result["accuracy"] == last["val_accuracy"]
    assert result["loss"] == pytest.approx(last["val_loss"], rel=1e-6)
    assert result["images"] == 8 and np.sum(result["confusion"]) == 8


def test_eval_prints_a_table(model, shapes, capsys):
    text = printed(capsys, "eval", model, shapes, "--split", "all", "--limit", 3)
    assert "6 pictures in all of" in text
    assert "left" in text and "columns: what the network said" in text


def test_predict_agrees_with_eval(model, shapes, capsys):
    images = sorted((shapes / "test").glob("*/*.png"))
    text = printed(capsys, "predict", model, *images, "--top", 1, "--json")
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["image"] for line in lines] == list(map(str, images))
    right = sum(
        line["predictions"][0]["class"] == image.parent.name for line, image in zip(lines, images)
    )
    assert printed_json(capsys, "eval", model, shapes)["accuracy"] == right / len(images)


def test_predict_prints_a_line_a_picture(model, shapes, capsys):
    image = shapes / "test" / "left" / "0.png"
    line = printed(capsys, "predict", model, image).strip()
    assert line.startswith(f"{image}: ") and "left" in line and "right" in line


def test_explain_writes_a_picture(model, shapes, tmp_path, capsys):
    image, out = shapes / "test" / "left" / "0.png", tmp_path / "map.png"
    assert "right" in printed(capsys, "explain", model, image, "-o", out, "--class", "right")
    with Image.open(out) as picture:
        assert picture.mode == "RGB"


def test_info(model, capsys):
    assert ninc.__version__ in printed(capsys, "info")
    text = printed(capsys, "info", model, "--plan")
    assert "2 classes: left, right" in text and "28×28 by crop, grey" in text
    assert "966,986" in printed(capsys, "info", "nin-cifar10")


@pytest.mark.parametrize("options", [[], ["--training"], ["--target", None]])
def test_bench(model, options, capsys, monkeypatch):
    monkeypatch.setattr(cli.bench, "_SECONDS", 0.0)
    before = ninc.target()
    options = [before if option is None else option for option in options]
    text = printed(capsys, "bench", model, "--batch", 2, *options)
    assert "images/s" in text and "GFLOP/s" in text
    assert ("training" if "--training" in options else "inference") in text


def test_the_plot_is_written(shapes, tmp_path, threads):  # threads: --threads 1 is undone
    pytest.importorskip("matplotlib")
    words = ["train", shapes, "-o", tmp_path / "n.safetensors", "--model", "nin-mnist"]
    words += ["--epochs", 1, "--recipe", "original", "--lr", 0.01, "--no-augment", "--limit", 2]
    assert ninc_command(*words, "--plot", tmp_path / "p.png", "--threads", 1) == 0
    assert (tmp_path / "p.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("finished", [0, 1])
def test_ctrl_c_saves_what_finished(shapes, tmp_path, finished, monkeypatch, capsys):
    evaluate = ninc.Trainer.evaluate
    calls = []

    def interrupted(trainer, data, **options):
        if len(calls) == finished:
            raise KeyboardInterrupt
        calls.append(data)
        return evaluate(trainer, data, **options)

    monkeypatch.setattr(ninc.Trainer, "evaluate", interrupted)
    out = tmp_path / "net.safetensors"
    options = ("--model", "nin-mnist", "--epochs", 3, "--limit", 2)
    assert ninc_command("train", shapes, "-o", out, *options) == 1
    words = capsys.readouterr().err.splitlines()[-1]
    if finished:
        assert "interrupted after epoch 1" in words
        assert ninc.load(out).classes == ["left", "right"]
    else:
        assert "nothing saved" in words
        assert list(tmp_path.iterdir()) == []


def test_a_flat_folder_is_trained_and_tested(shapes, tmp_path, capsys):
    out = tmp_path / "net.safetensors"
    flat = shapes / "train"
    options = ("--held-out", 0.25, "--seed", 4)
    words = ("train", flat, "-o", out, "--model", "nin-mnist", "--epochs", 1)
    trained = printed(capsys, *words, *options)
    text = printed(capsys, "eval", out, flat, "--split", "test", *options)
    assert "6 pictures held out of" in text
    accuracy = trained.split("test accuracy ")[1].split()[0]
    assert f"accuracy {accuracy}" in text


def test_every_command_has_help_with_an_example(capsys):
    for name in cli.COMMANDS:
        with pytest.raises(SystemExit) as stop:
            cli.main([name, "--help"])
        assert stop.value.code == 0
        assert f"ninc {name}" in capsys.readouterr().out.partition("examples:")[2]


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["fly"],
        ["train", "data"],
        ["train", "data", "-o", "x", "--epochs", "0"],
        ["train", "data", "-o", "x", "--model", "alexnet"],
        ["train", "data", "-o", "x", "--lr", "nan"],
        ["train", "data", "-o", "x", "--sync-batch-norm"],
        ["predict"],
        ["predict", "model.safetensors"],
        ["eval", "model", "data", "--held-out", "2"],
    ],
)
def test_wrong_usage_is_status_2(args, capsys):
    assert "usage: ninc" in usage(capsys, *args)


def test_the_module_runs_as_a_command():
    done = python("-m", "ninc", "predict", "none.safetensors", "x.png")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == "ninc: none.safetensors: no such model file\n"


def test_the_commands_are_cheap_to_import():
    code = (
        "import sys, ninc.cli; "
        "print([m for m in ('PIL', 'matplotlib', 'ninc._core') if m in sys.modules])"
    )
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    assert "PIL" not in done.stdout and "matplotlib" not in done.stdout


def test_every_model_has_its_input():
    for name, (size, channels) in INPUTS.items():
        network = ninc.models.create(name)
        shape = network.core.output_shape((1, channels, size, size))
        assert shape[2:] == (1, 1), name


def test_eval_takes_numbered_classes_as_evaluate_does(model, tmp_path, capsys):
    """An .npz without names counts the network's outputs; a number too high says how to go on."""
    pixels = random_bytes(6, 28, 28, seed=2)
    np.savez(tmp_path / "a.npz", x=pixels, y=[0, 1, 0, 1, 1, 1])
    words = ("eval", model, tmp_path / "a.npz", "--split", "all")
    result = printed_json(capsys, *words)
    assert result["classes"] == ["left", "right"]
    assert np.sum(result["confusion"], axis=1).tolist() == [2, 4]
    np.savez(tmp_path / "a.npz", x=pixels, y=[0, 1, 2, 0, 1, 2])
    assert ninc_command(*words) == 1
    assert "label 2 of the data counts beyond the network's 2" in capsys.readouterr().err


def test_damaged_pictures_are_left_out_in_one_line(model, shapes, tmp_path, capsys):
    shutil.copytree(shapes / "test", tmp_path / "d")
    (tmp_path / "d" / "left" / "two\nlines.png").write_bytes(b"junk")
    words = ("eval", model, tmp_path / "d", "--split", "all", "--on-corrupt", "skip")
    assert ninc_command(*words) == 0
    err = capsys.readouterr().err
    assert "left out 1 damaged picture" in err and "two\\nlines.png\n" in err


def test_a_run_does_not_go_on_with_fewer_classes_which_are_named(shapes, tmp_path, capsys):
    shutil.copytree(shapes / "train", tmp_path / "two")
    shutil.copytree(shapes / "train" / "left", tmp_path / "three" / "centre")
    shutil.copytree(shapes / "train", tmp_path / "three", dirs_exist_ok=True)
    words = ["-o", tmp_path / "n.safetensors", "--model", "nin-mnist", "--epochs", 1]
    words += ["--batch-size", 8, "--checkpoint", tmp_path / "run"]
    assert ninc_command("train", tmp_path / "three", *words) == 0
    assert ninc_command("train", tmp_path / "two", *words, "--resume") == 1
    assert "classes centre, left, right, now it is left, right" in capsys.readouterr().err
