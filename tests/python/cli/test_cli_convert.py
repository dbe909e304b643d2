"""`ninc convert`: which format a file is in, and what is written."""

import dataclasses
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

import ninc
from ninc.preprocess import Preprocessing
from support.command_line import ninc_command, printed, usage
from support.formats.caffe_files import layer, random, small_net, stored, written
from support.small_pictures import picture_network

pytestmark = pytest.mark.filterwarnings("ignore::ninc.Remark")

NET = [layer("data", "Input", "", "data", shape=dict(dim=[1, 3, 9, 9])), *small_net()]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Files to convert, in the folder that is worked in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.caffemodel").write_bytes(stored(NET))
    (tmp_path / "old.caffemodel").write_bytes(stored(small_net(), old=True, form="legacy"))
    (tmp_path / "net.prototxt").write_text(written(NET))
    picture_network((9, 9)).save("net.safetensors")
    return tmp_path


@pytest.mark.parametrize("name", ["net.caffemodel", "old.caffemodel"])
@pytest.mark.parametrize("options", [(), ("--prototxt", "net.prototxt")])
def test_a_caffemodel_becomes_a_model_file(name, options, capsys):
    said = printed(capsys, "convert", name, "out.safetensors", *options)
    assert said == "out.safetensors: 122 parameters, from caffemodel\n"
    x = random(2, 3, 9, 9)
    expected = ninc.load_caffe(name, *options[1:])(x)
    np.testing.assert_array_equal(ninc.load("out.safetensors")(x), expected)


def test_a_caffemodel_whose_name_looks_as_a_text(folder, capsys):
    for length in (61, 100, 127, 128, 1200):
        (folder / "net.caffemodel").write_bytes(stored(NET, name="n" * length))
        said = printed(capsys, "convert", "net.caffemodel", "out.safetensors")
        assert said == "out.safetensors: 122 parameters, from caffemodel\n"


def test_what_remains_to_be_set_is_told_in_one_line(capsys):
    assert ninc_command("convert", "net.caffemodel", "out.safetensors") == 0
    assert capsys.readouterr().err == (
        "ninc: net.caffemodel: it does not say how its pictures are prepared; set "
        "network.preprocessing before `predict`, or --mean, --std and --size of `ninc convert`\n"
    )


def test_what_pictures_and_classes_are_is_said_once_and_for_all(folder, capsys):
    (folder / "names").write_text("cat\ndog\n\n", encoding="utf-8-sig")
    options = "--mean 0.5,0.4,0.3 --std 0.2,0.2,0.1 --size 9 --resize 12 --classes names".split()
    assert ninc_command("convert", "net.caffemodel", "out.safetensors", *options) == 0
    assert capsys.readouterr().err == ""
    net = ninc.load("out.safetensors")
    assert net.classes == ["cat", "dog"]
    told = Preprocessing((9, 9), 3, (0.5, 0.4, 0.3), (0.2, 0.2, 0.1), resize=12)
    assert net.preprocessing == told.to_dict()
    # What is not given stays.
    printed(capsys, "convert", "out.safetensors", "again.safetensors", "--mean", "0,0,0")
    again = ninc.load("again.safetensors")
    assert again.preprocessing == dataclasses.replace(told, mean=(0, 0, 0)).to_dict()
    assert again.classes == net.classes
    picture = Image.fromarray(random(20, 30, 3).astype(np.uint8))
    picture.save("p.png")
    assert "cat" in printed(capsys, "predict", "out.safetensors", "p.png")


DESCRIBED_WRONGLY = {
    "--mean 1,2": "preprocessing: 3 channels need as many means and deviations, got 2 and 3",
    "--std 1,0,1": "preprocessing: std and scale must be positive",
    "--classes more": "more: classes: the network has 2 outputs, got 3 names: 'a', 'b', 'c'",
    "--classes none": "none: line 1 has no name of a class",
    "--classes gap": "gap: line 2 has no name of a class",
    "--classes latin": "latin: is no text in UTF-8 (invalid continuation byte)",
    "--classes gone": "gone: cannot read (no such file or directory)",
}


@pytest.mark.parametrize("options", DESCRIBED_WRONGLY)
def test_descriptions_that_do_not_fit(options, folder, capsys):
    (folder / "more").write_text("a\nb\nc")
    (folder / "none").write_text("\n")
    (folder / "gap").write_text("a\n \nb")
    (folder / "latin").write_bytes(b"\xe9t\xe9")
    assert ninc_command("convert", "net.caffemodel", "out.safetensors", *options.split()) == 1
    assert capsys.readouterr().err.endswith(f"ninc: {DESCRIBED_WRONGLY[options]}\n")
    assert not (folder / "out.safetensors").exists()


def test_means_that_are_no_numbers(capsys):
    printed(capsys, "convert", "net.caffemodel", "o.safetensors", "--mean=-1,0.5,2")
    assert ninc.load("o.safetensors").preprocessing["mean"] == [-1, 0.5, 2]
    for text in ("a", "1,,2", "1,nan", ""):
        said = usage(capsys, "convert", "net.caffemodel", "o.safetensors", "--mean", text)
        assert "must be numbers with commas between them, such as 0.485,0.456,0.406" in said


@pytest.mark.parametrize("command", [["info"], ["predict"], ["eval"], ["explain", "-o", "o.png"]])
def test_a_command_that_is_given_another_format_names_this_one(command, capsys):
    [name, *options] = command
    more = [] if name == "info" else ["picture.png"]
    assert ninc_command(name, *options, "net.caffemodel", *more) == 1
    assert capsys.readouterr().err == (
        "ninc: net.caffemodel: seems to be caffemodel; `ninc convert net.caffemodel "
        "OUT.safetensors` makes a model file of such a network\n"
    )


def test_colours_are_turned(capsys):
    printed(capsys, "convert", "net.caffemodel", "out.safetensors", "--rgb")
    x = random(2, 3, 9, 9)
    plain = ninc.load_caffe("net.caffemodel")(x)
    turned = ninc.load("out.safetensors")(x[:, ::-1])
    np.testing.assert_allclose(turned, plain, rtol=1e-4, atol=1e-5)


def test_a_model_file_keeps_all_that_it_has(folder, capsys):
    printed(capsys, "convert", "net.safetensors", "again.SAFETENSORS")
    assert (folder / "again.SAFETENSORS").read_bytes() == (folder / "net.safetensors").read_bytes()


def test_the_content_counts_and_not_the_name(folder, capsys):
    (folder / "net.caffemodel").rename("disguise.safetensors")
    assert "from caffemodel" in printed(capsys, "convert", "disguise.safetensors", "o.safetensors")


REFUSED = {
    "net.prototxt": "net.prototxt: is a description of a network of Caffe's, which ninc.load_caffe "
    "takes beside its weights; what is read here: safetensors, onnx, caffemodel",
    "net.pt": "net.pt: is a file of torch.save, which ninc.load_torch reads; what is read here: "
    "safetensors, onnx, caffemodel",
    "text": "text: is of no format that is read: safetensors, onnx, caffemodel",
    "empty": "empty: is of no format that is read: safetensors, onnx, caffemodel",
    "picture": "picture: is a picture (PNG), which a network's predict takes; what is read here: "
    "safetensors, onnx, caffemodel",
    "cut": "cut: at byte",
    "gone": "gone: cannot read (no such file or directory)",
    "folder": "folder: is a folder, a model file is needed",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_model_is_told_in_one_line(name, folder, capsys):
    (folder / "empty").write_bytes(b"")
    (folder / "picture").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 100)
    (folder / "cut").write_bytes(stored(NET)[:-20])
    (folder / "text").write_bytes(b"neither a model nor anything else")
    with zipfile.ZipFile(folder / "net.pt", "w") as archive:
        archive.writestr("net/data.pkl", b"")
    (folder / "folder").mkdir()
    assert ninc_command("convert", name, "out.safetensors") == 1
    line = capsys.readouterr().err
    assert line.startswith(f"ninc: {REFUSED[name]}") and line.count("\n") == 1
    assert not (folder / "out.safetensors").exists()


def test_an_ending_that_says_no_format(folder, capsys):
    for name in ("out.pt", "out", "out.caffemodel"):
        assert ninc_command("convert", "net.caffemodel", name) == 1
        assert capsys.readouterr().err == (
            f"ninc: {name}: the ending says no format that is written: .safetensors, .onnx\n"
        )
        assert not (folder / name).exists() or name == "out.caffemodel"


def test_options_of_another_format(capsys):
    for option in (["--prototxt", "net.prototxt"], ["--rgb"], ["--outputs", "a"]):
        said = usage(capsys, "convert", "net.safetensors", "out.safetensors", *option)
        assert f"{option[0]} does not go with safetensors, which net.safetensors is" in said


def test_outputs_of_an_onnx_file(capsys):
    pytest.importorskip("onnx")
    from support.formats.onnx_models import small_net as onnx_net

    with open("net.onnx", "wb") as file:
        file.write(onnx_net(4))
    printed(capsys, "convert", "net.onnx", "o.safetensors", "--outputs", "/relu/Relu", "y")
    assert [one.name for one in ninc.load("o.safetensors").graph.outputs] == ["relu_Relu", "y"]


def test_what_is_converted_is_not_overwritten(folder, capsys):
    before = (folder / "net.safetensors").read_bytes()
    assert ninc_command("convert", "net.safetensors", "./net.safetensors") == 1
    assert "is what is converted, and would be overwritten" in capsys.readouterr().err
    assert (folder / "net.safetensors").read_bytes() == before
    assert ninc_command("convert", "net.caffemodel", "gone/out.safetensors") == 1
    assert "cannot write there" in capsys.readouterr().err


def test_layers_that_ninc_does_not_have(folder, capsys):
    net = [*small_net(), layer("power", "Power", "gap", power=2.0)]
    (folder / "power.caffemodel").write_bytes(stored(net))
    assert ninc_command("convert", "power.caffemodel", "out.safetensors") == 1
    assert capsys.readouterr().err == (
        "ninc: power.caffemodel: layers that ninc cannot take over: power (Power): ninc has no "
        "such layer\n"
    )


def test_a_converted_network_is_described(capsys):
    printed(capsys, "convert", "net.caffemodel", "out.safetensors")
    about = json.loads(printed(capsys, "info", "out.safetensors", "--json"))
    assert [one["name"] for one in about["layers"]][-2:] == ["cccp1", "gap"]


def test_weights_may_be_stored_in_two_bytes(capsys):
    printed(capsys, "convert", "net.safetensors", "half.safetensors", "--dtype", "float16")
    whole, half = (ninc.load(name).state_dict() for name in ("net.safetensors", "half.safetensors"))
    for name, array in whole.items():
        stored_as = np.float16 if array.ndim > 1 else np.float32
        np.testing.assert_array_equal(half[name], array.astype(stored_as).astype(np.float32))
    words = usage(capsys, "convert", "net.safetensors", "net.onnx", "--dtype", "float16")
    assert "--dtype goes with safetensors, not with net.onnx" in words
