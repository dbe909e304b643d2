"""The packaged network on the command line: MODEL left out, and `cifar10` where MODEL stands."""

import csv
import io
import json
import shutil
import sys
from types import SimpleNamespace

import pytest

import ninc
from ninc import packaged
from support.command_line import ninc_command, printed, printed_json, usage
from support.small_pictures import picture_network, save_noise

pytest.importorskip("PIL.Image")

TEN = "airplane automobile bird cat deer dog frog horse ship truck".split()
SAID = f"ninc: the packaged network cifar10: {', '.join(TEN)}\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder to work in, with two pictures and a folder of one."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("a.png", "b.png", "holiday/c.png")):
        save_noise(tmp_path / name, seed)
    return tmp_path


def run(capsys, *words):
    """(status, stdout, stderr)."""
    capsys.readouterr()
    status = ninc_command(*words)
    return status, *capsys.readouterr()


# Winograd's convolutions may take other tiles for a batch than for one picture, as suits the
# processor; docs/numerics.md allows so much between them.
NEAR = 2e-5


def expected(path):
    """What the packaged network says of a picture alone, by class."""
    return dict(zip(TEN, ninc.pretrained().predict(path)[0].tolist()))


@pytest.mark.parametrize("model", [[], ["cifar10"]])
@pytest.mark.parametrize("names", [["a.png"], ["b.png", "a.png"], ["holiday"]])
def test_pictures_without_a_model(capsys, model, names):
    status, out, err = run(capsys, "predict", *model, *names, "--json", "--top", 10)
    assert status == 0 and err == ("" if model else SAID)
    lines = [json.loads(line) for line in out.splitlines()]
    files = ["holiday/c.png"] if names == ["holiday"] else names
    assert [line["image"] for line in lines] == files
    for line in lines:
        found = {one["class"]: one["probability"] for one in line["predictions"]}
        assert found == pytest.approx(expected(line["image"]), abs=NEAR)


def test_options_may_stand_between(capsys):
    for words in (["--top", 1, "a.png"], ["a.png", "--top", 1], ["cifar10", "--top", 1, "a.png"]):
        status, out, _ = run(capsys, "predict", *words)
        assert status == 0 and out.startswith("a.png: ") and out.count("%") == 1
    picture_network().save("net.safetensors")
    status, out, err = run(capsys, "predict", "net.safetensors", "--top", 1, "a.png", "b.png")
    assert status == 0 and err == "" and len(out.splitlines()) == 2


def test_a_folder_makes_a_table(capsys):
    status, out, err = run(capsys, "predict", "holiday", "--csv", "out.csv")
    assert (status, out, err) == (0, "wrote out.csv: 1 pictures\n", SAID)
    with open("out.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert {name: float(row[name]) for name in TEN} == pytest.approx(
        expected("holiday/c.png"), abs=NEAR
    )


def test_a_picture_from_standard_input(capsys, monkeypatch, folder):
    content = io.BytesIO((folder / "a.png").read_bytes())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=content))
    status, out, err = run(capsys, "predict", "-")
    assert status == 0 and out.startswith("standard input: ") and err == SAID


def test_a_picture_is_explained(capsys, folder):
    status, out, err = run(capsys, "explain", "a.png", "-o", "why.png")
    best = max(expected("a.png").items(), key=lambda one: one[1])
    assert (status, err) == (0, SAID)
    assert out == f"a.png: {best[0]} {best[1]:.1%}\nwrote why.png\n"
    assert (folder / "why.png").stat().st_size > 500


def test_what_is_missing_or_in_the_wrong_place_is_told(capsys):
    picture_network().save("net.safetensors")
    shutil.copy("net.safetensors", "net")
    for command in (["predict"], ["explain", "-o", "o.png"]):
        assert "are required: IMAGE" in usage(capsys, *command)
        for model in ("cifar10", "net.safetensors", "net", "none.safetensors"):
            told = usage(capsys, *command, model)
            assert f"a picture is missing: ninc {command[0]} {model} IMAGE" in told
        told = usage(capsys, *command, "a.png", "net.safetensors")
        assert "net.safetensors is named as a model: MODEL comes first" in told
    status, out, err = run(capsys, "predict", "none.png")
    assert (status, out, err) == (1, "", SAID + "ninc: none.png: no such file\n")
    status, out, err = run(capsys, "predict", "none", "a.png")
    assert (status, out, err) == (1, "", "ninc: none: no such model file\n")


def test_a_file_of_the_name_comes_first_and_that_is_said(capsys):
    picture_network().save("cifar10")
    words = "ninc: cifar10: the file of this name is taken, not the packaged network"
    status, out, err = run(capsys, "info", "cifar10", "--json")
    assert status == 0 and err.startswith(words) and err.count("\n") == 1
    assert json.loads(out)["classes"] == picture_network().classes
    assert json.loads(out)["pretrained"] is None
    status, _, err = run(capsys, "predict", "cifar10", "a.png")
    assert status == 0 and err.startswith(words)
    status, _, err = run(capsys, "convert", "cifar10", "out.safetensors")
    assert status == 0 and err.startswith(words)
    assert ninc.load("out.safetensors").classes == picture_network().classes


def test_a_folder_of_the_name_is_pictures_and_no_model(capsys, folder):
    (folder / "holiday").rename(folder / "cifar10")
    status, out, err = run(capsys, "predict", "cifar10")  # pictures, then, and no model
    assert status == 0 and out.startswith("cifar10/c.png: ") and err == SAID
    status, out, _ = run(capsys, "info", "cifar10")
    assert status == 0 and out.startswith("packaged network cifar10")
    status, out, _ = run(capsys, "predict", "cifar10", "cifar10")
    assert status == 0 and out.startswith("cifar10/c.png: ")
    status, out, _ = run(capsys, "predict", "cifar10", "a.png")
    assert status == 0 and out.startswith("a.png: ") and "cifar10/" not in out


def test_the_name_goes_where_a_model_file_goes(capsys, folder):
    for name in ("frog", "ship"):
        for seed in range(6):
            save_noise(folder / "data" / name / f"{seed}.png", seed)
    assert printed_json(capsys, "info", "cifar10")["classes"] == TEN
    assert printed_json(capsys, "bench", "cifar10", "--batch", 1)["model"] == "cifar10"
    assert len(printed_json(capsys, "eval", "cifar10", "data", "--split", "all")["confusion"]) == 10
    assert "837,506" in printed(capsys, "convert", "cifar10", "out.safetensors")
    same = ninc.load("out.safetensors").state_dict()
    assert all((same[name] == value).all() for name, value in
               ninc.pretrained().state_dict().items())  # fmt: skip
    words = ("train", "data", "-o", "two", "--init", "cifar10", "--epochs", 1, "--batch-size", 4)
    status, _, err = run(capsys, *words)
    assert status == 0 and "is new: 2 classes, was 10; all else from cifar10" in err
    assert ninc.load("two").classes == ["frog", "ship"]
    status, _, err = run(capsys, "info", "cifar11")
    assert status == 1 and "not one of nin-cifar10, " in err and err.endswith(", cifar10\n")


def test_info_lists_what_there_is(capsys):
    about = packaged.about("cifar10")
    listed = printed_json(capsys, "info")["pretrained"]
    assert listed == [about] == [printed_json(capsys, "info", "cifar10")["pretrained"]]
    for words in (["info"], ["info", "cifar10"]):
        text = printed(capsys, *words)
        assert f"packaged network cifar10: {', '.join(TEN)}; accuracy " in text
        assert f"{about['test_accuracy']:.2%} on the test pictures" in text
    assert f"trained by: {about['command']}" in text
