"""Files that are none of Caffe, or damaged ones: a sentence, in time and memory of their size."""

import errno
import functools
import os

import numpy as np
import pytest

import ninc
from ninc.errors import FileError, ModelError
from support.formats.caffe_files import (
    DATA,
    blob,
    field,
    layer,
    random,
    refusal,
    small_net,
    stored,
    stored_layer,
    written,
)

pytestmark = pytest.mark.filterwarnings("ignore::ninc.Remark")


@pytest.fixture
def refused(tmp_path):
    return functools.partial(refusal, tmp_path)


FILES = {
    "nothing": (b"", "is empty"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + b"\0" * 50, "is an HDF5 file; Caffe saves the other format"),
    "zip": (b"PK\x03\x04" + b"\0" * 50, "is a zip archive"),
    "pickle": (b"\x80\x02}" + b"\0" * 50, "is a pickle"),
    "text": (written(small_net()).encode(), "is a text; a caffemodel is needed"),
    "safetensors": (b"\x10\0\0\0\0\0\0\0{}" + b" " * 14, "is no caffemodel, or a damaged one"),
    "safetensors that begin as a net": (b"\x12\4\0\0\0\0\0\0{}" + b" " * 1042, "at byte"),
    "noise": (bytes(range(255, 0, -1)), "is no caffemodel, or a damaged one"),
    "zeros": (b"\0" * 100, "is no caffemodel, or a damaged one"),
    "a mean in a file of its own": (blob(random(1, 3, 4, 4), "legacy"), "is no caffemodel, or"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_no_caffemodel(name, refused):
    content, words = FILES[name]
    assert words in refused(content)


@pytest.mark.parametrize("old", [False, True])
def test_a_net_may_have_a_name_of_any_length(old, tmp_path):
    """Lengths from 61 to 127 are letters, with no control character among the first 64 bytes."""
    x = random(1, 3, 9, 8)
    path = tmp_path / "net"
    for length in (0, 9, 31, 32, 60, 61, 64, 100, 126, 127, 128, 511, 512, 600, 1152, 1300, 20_000):
        path.write_bytes(stored(small_net(), old, name="n" * length))
        y = ninc.load_caffe(path)(x)
        path.write_bytes(stored([DATA, *small_net()], name="n" * length))
        np.testing.assert_array_equal(ninc.load_caffe(path)(x), y)


@pytest.mark.parametrize("letter", ["n", "=", "#", "~", " "])
def test_a_text_that_begins_with_an_empty_line_is_a_text(letter, refused):
    content = f"\n{letter}" + written(small_net()) * 3
    assert "is a text; a caffemodel is needed" in refused(content.encode())


def test_a_file_that_is_cut_off_anywhere(refused, tmp_path):
    content = stored(small_net())
    layers = [stored_layer(one) for one in small_net()]
    whole = len(content) - len(field(100, layers[-1]))
    for end in range(1, len(content) - 1, 7):
        if end < whole:  # behind that some ends are those of a smaller net
            words = refused(content[:end])
            assert words.startswith("caffemodel: ")


@pytest.mark.parametrize("seed", range(8))
def test_files_that_are_changed_anywhere(seed, tmp_path):
    """A change makes another network or an error of ninc's, and never anything else."""
    rng = np.random.default_rng(seed)
    net = [DATA, *small_net(), layer("e", "Eltwise", "gap gap")]
    for name, content in (
        ("net.caffemodel", stored(net, old=False)),
        ("net.prototxt", written(net).encode()),
    ):
        (tmp_path / "net.caffemodel").write_bytes(stored(net))
        for _ in range(100):
            changed = bytearray(content)
            for at in rng.integers(0, len(changed), rng.integers(1, 6)):
                changed[at] = rng.integers(0, 256)
            begin, end = sorted(rng.integers(0, len(changed), 2))
            if rng.integers(0, 4) == 0:
                changed[begin:end] = changed[begin:end] * int(rng.integers(0, 3))
            (tmp_path / name).write_bytes(changed)
            text = tmp_path / "net.prototxt" if name == "net.prototxt" else None
            try:
                ninc.load_caffe(tmp_path / "net.caffemodel", text)
            except (ModelError, FileError) as error:
                assert 0 < len(str(error)) < 2000


def test_nets_that_are_as_large_as_they_may_be(tmp_path):
    """A chain of layers, and one layer with as many inputs and outputs."""
    chain = [layer(f"r{i}", "ReLU", f"r{i - 1}" if i else "data") for i in range(4_990)]
    wide = layer("w", "ReLU", "data " * 100_000, "data " * 100_000)
    for net, words in ((chain, None), ([wide], "it takes 100000 inputs instead of 1")):
        (tmp_path / "net").write_bytes(stored(net))
        if words is None:
            assert ninc.load_caffe(tmp_path / "net").num_parameters == 0
        else:
            with pytest.raises(ModelError, match=words):
                ninc.load_caffe(tmp_path / "net")


def test_texts_that_are_no_prototxt(refused, tmp_path):
    content = stored(small_net())
    assert "prototxt: is no text" in refused(content, content)
    assert "prototxt, line 1: " in refused(content, "{")
    assert "prototxt: describes no layers" in refused(content, 'net: "train.prototxt"')
    assert "prototxt: is empty" in refused(content, "")
    (tmp_path / "net.prototxt").unlink()


def test_files_that_are_not_there(tmp_path):
    (tmp_path / "net").write_bytes(stored(small_net()))
    gone = tmp_path / "gone"
    for words in ((gone,), (tmp_path / "net", gone)):
        with pytest.raises(FileNotFoundError) as told:
            ninc.load_caffe(*words)
        assert isinstance(told.value, FileError) and told.value.filename == str(gone)
    with pytest.raises(IsADirectoryError) as told:
        ninc.load_caffe(tmp_path)
    assert told.value.errno == errno.EISDIR
    with pytest.raises(FileError, match="is no regular file"):
        ninc.load_caffe(os.devnull)
    with pytest.raises(ninc.ArgumentError, match="prototxt must be a file name"):
        ninc.load_caffe(tmp_path / "net", 3)


def test_memory_that_is_not_there(tmp_path, monkeypatch):
    from ninc._base import memory

    content = stored(small_net()) + field(50, b"\0" * (1 << 20))
    (tmp_path / "net").write_bytes(content)
    monkeypatch.setattr(memory, "available_memory", lambda: 1 << 20)
    with pytest.raises(ninc.OutOfMemoryError, match="load_caffe: .*net: 3.15 MB more are needed"):
        ninc.load_caffe(tmp_path / "net")
