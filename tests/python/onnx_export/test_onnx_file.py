"""The file that `export_onnx` writes: metadata, where it goes, and what is refused."""

import io
import json
import os
import stat
import sys

import numpy as np
import pytest

import ninc
from ninc import nn
from ninc.formats.onnx_export import export
from ninc.preprocess import Preprocessing, Whitening
from support.command_line import ninc_command, printed

onnx = pytest.importorskip("onnx")


def small():
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.GlobalAvgPool2d())
    network.preprocessing = Preprocessing((6, 7), 3, (0.5, 0.4, 0.3), (0.25,) * 3, resize=8)
    network.classes = ["cat", "Hündin"]
    return network


def content_of(network, **settings):
    file = io.BytesIO()
    network.export_onnx(file, **settings)
    return file.getvalue()


def properties(network):
    model = onnx.load_from_string(content_of(network))
    return {each.key: json.loads(each.value) for each in model.metadata_props}


# ---- What it says --------------------------------------------------------------------------------


def test_pictures_and_classes_are_in_the_metadata():
    network = small()
    told = properties(network)
    assert told == {"ninc.preprocess": network.preprocessing, "ninc.classes": network.classes}
    again = Preprocessing.from_dict(told["ninc.preprocess"])
    assert (again.size, again.resize, again.mean) == ((6, 7), 8, (0.5, 0.4, 0.3))
    assert properties(nn.Sequential(nn.ReLU())) == {}


def test_a_whitening_has_no_place():
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.GlobalAvgPool2d())
    whitening = Whitening(np.zeros(4, np.float32), np.eye(4, dtype=np.float32), 55.0, 0.1)
    ones = (1.0,)
    network.preprocessing = Preprocessing((2, 2), 1, (0.0,), ones, 1.0, whitening=whitening)
    with pytest.warns(ninc.Remark, match="the whitening's arrays have no place in an ONNX file"):
        told = properties(network)
    assert told["ninc.preprocess"]["kind"] == "gcn_zca"


def test_who_made_it():
    model = onnx.load_from_string(content_of(small()))
    assert (model.producer_name, model.producer_version) == ("ninc", ninc.__version__)
    assert model.opset_import[0].version == 17


def test_the_same_network_gives_the_same_bytes():
    assert content_of(small()) == content_of(small())
    assert content_of(small()) != content_of(small(), opset=18)


# ---- Where it goes -------------------------------------------------------------------------------


def test_a_path_of_any_kind(tmp_path, monkeypatch):
    wanted = content_of(small())
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in (tmp_path / "a.onnx", str(tmp_path / "b"), os.fsencode(tmp_path / "c"), "~/d"):
        small().export_onnx(path)
    assert {path.name for path in tmp_path.iterdir()} == {"a.onnx", "b", "c", "d"}
    assert all(path.read_bytes() == wanted for path in tmp_path.iterdir())


def test_what_is_replaced_keeps_its_permissions(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"old")
    path.chmod(0o640)
    small().export_onnx(path)
    assert path.read_bytes() == content_of(small())
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_the_old_file_stays_where_writing_fails(tmp_path, monkeypatch):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ninc.FileError, match="cannot write .no space left on device"):
        small().export_onnx(path)
    assert [each.name for each in tmp_path.iterdir()] == ["net.onnx"]
    assert path.read_bytes() == b"old"


def test_paths_that_cannot_be_written(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone"):
        small().export_onnx(tmp_path / "gone" / "net.onnx")
    with pytest.raises(IsADirectoryError):
        small().export_onnx(tmp_path)
    with pytest.raises(ninc.ArgumentError, match="export_onnx: path must be a file name"):
        small().export_onnx(3)
    assert list(tmp_path.iterdir()) == []


class Slow(io.RawIOBase):
    """Takes a few bytes at a time, as a pipe without a buffer may."""

    def __init__(self):
        self.taken = b""

    def writable(self):
        return True

    def write(self, block):
        self.taken += bytes(block[:100])
        return min(100, len(block))


class Silent:
    """Says nothing of what it took."""

    def write(self, block):
        self.taken = bytes(block)


@pytest.mark.parametrize("kind", [Slow, Silent])
def test_objects_that_write_in_their_own_way(kind):
    file = kind()
    small().export_onnx(file)
    assert file.taken == content_of(small())


def test_a_file_object_is_written_from_where_it_stands(tmp_path):
    with open(tmp_path / "net.onnx", "wb") as file:
        file.write(b"before")
        small().export_onnx(file)
        file.write(b"after")
    assert (tmp_path / "net.onnx").read_bytes() == b"before" + content_of(small()) + b"after"


def test_file_objects_that_take_no_bytes(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for mode in ("r", "rb", "w"):
        with open(tmp_path / "file", mode) as file:
            with pytest.raises(ninc.ArgumentError, match=r"file takes no bytes .*open\(path, 'wb'"):
                small().export_onnx(file)
    with pytest.raises(ninc.ArgumentError, match="file object takes no bytes"):
        small().export_onnx(io.StringIO())


# ---- What is refused -----------------------------------------------------------------------------


def test_without_the_package(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ninc.ArgumentError, match=r"needs onnx: pip install 'ninc\[onnx\]'"):
        small().export_onnx(tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_layers_without_a_counterpart_are_all_named(monkeypatch, tmp_path):
    graph = nn.Graph()
    last = graph.add(nn.Conv2d(3, 4, 1), graph.input())
    for layer in (nn.ReLU(), nn.ReLU6(), nn.ReLU(), nn.GlobalAvgPool2d()):
        last = graph.add(layer, last)
    graph.add(nn.Softmax(), last)
    graph.set_output(last)
    for operation in ("Relu", "Relu6", "Softmax"):
        monkeypatch.delitem(export.OPERATIONS, operation)
    with pytest.raises(ninc.ModelError) as caught:
        graph.export_onnx(tmp_path / "net.onnx")
    assert str(caught.value) == (
        "export_onnx: layers that are not written as ONNX operators: relu1 (Relu), relu2 (Relu6), "
        "relu3 (Relu)"
    )
    assert list(tmp_path.iterdir()) == []


def test_operators_of_other_versions():
    newest = onnx.defs.onnx_opset_version()
    for opset, words in ((12, "at least 13, got 12"), (newest + 1, f"at most {newest}, got")):
        with pytest.raises(ninc.ArgumentError, match=f"export_onnx: opset must be {words}"):
            content_of(small(), opset=opset)


def test_more_weights_than_a_file_holds(monkeypatch):
    monkeypatch.setattr(export, "LARGEST", 223)
    words = "weights are 224 bytes, and an ONNX file holds 223 at most"
    with pytest.raises(ninc.ModelError, match=words):
        content_of(small())


def test_classes_that_are_not_the_outputs():
    graph = nn.Graph()
    last = graph.add(nn.GlobalAvgPool2d(), graph.add(nn.Conv2d(3, 2, 1), graph.input()))
    graph.classes = ["a", "b"]
    graph.add(nn.Linear(2, 3), last)
    with pytest.raises(ninc.ModelError, match="export_onnx: the network has 3 outputs, got 2 nam"):
        content_of(graph)


# ---- On the command line -------------------------------------------------------------------------


def test_the_command_line_writes_the_same(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small().save("net.safetensors")
    said = printed(capsys, "convert", "net.safetensors", "net.onnx")
    assert said == "net.onnx: 56 parameters, from safetensors\n"
    assert (tmp_path / "net.onnx").read_bytes() == content_of(small())


def test_the_command_line_says_what_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small().save("net.safetensors")
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert ninc_command("convert", "net.safetensors", "net.onnx") == 1
    assert capsys.readouterr().err == ("ninc: export_onnx needs onnx: pip install 'ninc[onnx]'\n")
    assert not (tmp_path / "net.onnx").exists()
