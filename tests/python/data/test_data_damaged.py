"""Damaged and hostile data files: one sentence that names the file, status 1, nothing run."""

import gzip
import io
import os
import pickle
import zipfile

import numpy as np
import pytest

from ninc.data import load
from ninc.data.readers.plain_pickle import read_plain_pickle
from ninc.errors import FileError
from support import data_files
from support.command_line import ninc_command

pytest.importorskip("PIL")
hypothesis = pytest.importorskip("hypothesis")


def cut(count):
    def damage(file):
        file.write_bytes(file.read_bytes()[:count])

    return damage


def patch(offset, *values):
    def damage(file):
        content = bytearray(file.read_bytes())
        content[offset : offset + len(values)] = bytes(values)
        file.write_bytes(bytes(content))

    return damage


def longer(file):
    file.write_bytes(file.read_bytes() + b"more")


def remove(file):
    file.unlink()


def content(text):
    return lambda file: file.write_bytes(text)


def pickled(**changes):
    """The batch with some entries changed; None takes one out."""

    def damage(file):
        found = pickle.loads(file.read_bytes())
        found.update(changes)
        found = {key: value for key, value in found.items() if value is not None}
        file.write_bytes(pickle.dumps(found, 2))

    return damage


def arrays(**changes):
    def damage(file):
        with np.load(file) as archive:
            found = dict(archive)
        found.update(changes)
        np.savez(file, **{key: value for key, value in found.items() if value is not None})

    return damage


def regzip(damage):
    """Damages what a .gz file holds."""

    def damage_inside(file):
        file.write_bytes(gzip.decompress(file.read_bytes()))
        damage(file)
        file.write_bytes(gzip.compress(file.read_bytes()))

    return damage_inside


X, Y = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
XZ = "train-images.idx3-ubyte.gz"

# format, file, damage, what the message says beside the file's name
CASES = [
    ("cifar10-binary", "data_batch_2.bin", cut(5000), "cut short"),
    ("cifar10-binary", "data_batch_2.bin", cut(0), "cut short"),
    ("cifar10-binary", "data_batch_3.bin", remove, "missing"),
    ("cifar10-binary", "data_batch_2.bin", patch(3073, 10), "label 10 of image 1"),
    ("cifar10-binary", "batches.meta.txt", content(b"a\nb"), "2 class names, expected 10"),
    ("cifar10-binary", "batches.meta.txt", content(b"\xff\xfe"), "class names"),
    ("cifar100-binary", "train.bin", cut(3073), "cut short"),
    ("cifar100-binary", "train.bin", patch(1, 100), "label 100 of image 0"),
    ("cifar10-pickle", "data_batch_1", cut(100), "damaged"),
    ("cifar10-pickle", "data_batch_1", content(b""), "damaged"),
    ("cifar10-pickle", "data_batch_1", content(pickle.dumps([1])), "a list, not a dict"),
    ("cifar10-pickle", "data_batch_4", remove, "missing"),
    ("cifar10-pickle", "data_batch_1", pickled(data=None), "no 'data' in it, there is labels"),
    ("cifar10-pickle", "data_batch_1", pickled(labels=[0]), "1 labels, but there are 12 images"),
    ("cifar10-pickle", "data_batch_1", pickled(labels=[11] * 12), "label 11 of image 0"),
    ("cifar10-pickle", "data_batch_1", pickled(labels=[0.5] * 12), "whole numbers, got float64"),
    ("cifar10-pickle", "data_batch_1", pickled(labels=[[0], [0, 1]]), "whole numbers"),
    ("cifar10-pickle", "data_batch_1", pickled(data=np.zeros((12, 3072))), "got float64"),
    ("cifar10-pickle", "data_batch_1", pickled(data=np.zeros((12, 3), np.uint8)), "N×3072"),
    ("cifar10-pickle", "data_batch_1", pickled(data="text"), "N×3072 uint8, got str"),
    ("cifar10-pickle", "batches.meta", pickled(label_names=["a"]), "list of 10 names"),
    ("cifar100-pickle", "train", pickled(fine_labels=None), "no 'fine_labels'"),
    ("idx", X, cut(3), "1 bytes are missing"),
    ("idx", X, cut(1000), "promises 47,056"),
    ("idx", X, longer, "promises"),
    ("idx", X, patch(0, 1), "no IDX file: it begins with 01 00 08 03"),
    ("idx", X, patch(2, 7), "no IDX file"),
    ("idx", X, patch(3, 9), "no IDX file"),
    ("idx", X, patch(4, 255, 255, 255, 255), "promises"),
    (
        "idx",
        X,
        content(data_files.idx_bytes(np.zeros((60, 4), "u1"))),
        "uint8, got uint8 of shape (60, 4)",
    ),
    ("idx", X, content(data_files.idx_bytes(np.zeros((0, 4, 4), "u1"))), "shape (0, 4, 4)"),
    ("idx", Y, remove, "images need their labels"),
    ("idx", Y, cut(20), "promises"),
    ("idx", Y, content(data_files.idx_bytes(np.zeros(7, np.uint8))), "7 labels, but there are 60"),
    ("idx", Y, content(data_files.idx_bytes(np.full(60, 0.5, ">f4"), 0x0D)), "got float32"),
    ("idx", "t10k-labels-idx1-ubyte", patch(8, 10), "label 10 of image 0"),
    ("idx-gz", XZ, cut(2000), "gzip data"),
    ("idx-gz", XZ, content(b"plain"), "gzip data"),
    ("idx-gz", XZ, patch(-8, 0, 0, 0, 0), "gzip data"),
    ("idx-gz", XZ, regzip(cut(1000)), "cut short"),
    ("idx-gz", XZ, regzip(longer), "more bytes than its header"),
    ("idx-gz", XZ, regzip(patch(4, 255)), "cannot unpack to"),
    ("npz", "data.npz", cut(9000), "not a whole .npz file"),
    ("npz", "data.npz", content(b"PK"), "not a whole .npz file"),
    ("npz", "data.npz", arrays(x=None), "no train images: expected an array named x, images"),
    ("npz", "data.npz", arrays(y=None), "no train labels: expected an array named y, labels"),
    ("npz", "data.npz", arrays(y_test=None), "no test labels"),
    ("npz", "data.npz", arrays(y=np.zeros(3, int)), "3 labels, but there are 60 images"),
    ("npz", "data.npz", arrays(y=np.full(60, 10)), "label 10 of image 0"),
    ("npz", "data.npz", arrays(y=np.full(60, -1)), "label -1 of image 0"),
    ("npz", "data.npz", arrays(y=np.full(60, 0.5)), "whole numbers, got float64"),
    ("npz", "data.npz", arrays(y=np.full(60, 2**62), classes=None), "no classes' numbers"),
    ("npz", "data.npz", arrays(x=np.zeros((60, 28, 28))), "got float64 of shape (60, 28, 28)"),
    ("npz", "data.npz", arrays(x=np.zeros((60, 28, 28, 4), np.uint8)), "shape (60, 28, 28, 4)"),
    ("npz", "data.npz", arrays(x=np.zeros((60, 1, 9, 9), np.float32)), "taken as they are, 1×9×9"),
    ("npz", "data.npz", arrays(classes=np.array(["a"] * 10)), "names a class twice"),
    ("npz", "data.npz", arrays(y=np.array([None] * 60)), "cannot read array 'y'"),
    ("npz", "data.npz", arrays(x=np.array([None] * 60)), "got object"),
]


@pytest.mark.parametrize("name, file, damage, words", CASES)
def test_damaged_file_is_named(tmp_path, capsys, name, file, damage, words):
    writer, shape, classes = data_files.ALL[name]
    data = tmp_path / "data"
    data.mkdir()
    count = 200 if classes == 100 else 60
    train, test = (data_files.pictures(count, shape, classes, seed) for seed in (0, 1))
    writer(data, train, test)
    damage(data / file)
    status = ninc_command("train", data, "-o", tmp_path / "net", "--model", "nin-mnist")
    lines = capsys.readouterr().err.splitlines()
    assert status == 1 and len(lines) == 1, lines
    assert words in lines[0]
    assert lines[0].startswith(f"ninc: {data}")
    if file != "data.npz" or "not a whole" in words:
        assert str(data / file) in lines[0]
    assert not (tmp_path / "net").exists()


class Hostile:
    """Unpickling it would make a file."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return open, (str(self.place), "w")


def test_hostile_pickles_run_nothing(tmp_path, capsys):
    data_files.cifar10_pickle(tmp_path, data_files.pictures(50))
    trace = tmp_path / "trace"
    target = tmp_path / "data_batch_2"
    (tmp_path / "out").mkdir()
    for value in (Hostile(trace), {"data": Hostile(trace)}, {"data": [{"x": (Hostile(trace),)}]}):
        for protocol in range(6):
            target.write_bytes(pickle.dumps(value, protocol))
            status = ninc_command("train", tmp_path, "-o", tmp_path / "out" / "net")
            (line,) = capsys.readouterr().err.splitlines()
            assert status == 1 and "data_batch_2: refused, the pickle asks for" in line
            assert ".open" in line
    assert not trace.exists() and not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    "program, asks",
    [
        (b"cos\nsystem\n(S'touch trace'\ntR.", "os.system"),
        (b"(S'touch trace'\nios\nsystem\n.", "os.system"),
        (b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.", "builtins.eval"),
        (b"cbuiltins\ngetattr\n(cnumpy\nndarray\nS'dump'\ntR.", "builtins.getattr"),
        (b"\x80\x02\x82\x01.", "registered number"),
        (b"Psome id\n.", "outside of it"),
        (b"\x80\x04\x8f.", "a value of type set"),
        (b"\x80\x02}\x85.", "not a dict"),
        (b"\x80\x02})K\x01s.", "a key of type tuple"),
        (b"cnumpy.core.multiarray\nscalar\n.", "numpy.core.multiarray.scalar"),
        (b"\x80\x02}U\x01xcnumpy\ndtype\ns.", "a value of type type"),
    ],
)
def test_programs_in_pickles_are_refused(tmp_path, monkeypatch, program, asks):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p").write_bytes(program)
    with pytest.raises(FileError) as caught:
        read_plain_pickle("p")
    assert asks in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


def test_arrays_in_pickles_that_lie_are_refused(tmp_path):
    objects = pickle.dumps({"data": np.array([None, "x"], object)}, 2)
    dates = pickle.dumps({"data": np.zeros(3, "M8[s]")}, 2)
    whole = pickle.dumps({"data": np.zeros((2, 3), np.uint8)}, 2)
    larger = whole.replace(b"K\x02K\x03\x86", b"K\x7fK\x7f\x86")
    assert larger != whole
    deep = b"\x80\x02}U\x01x" + b"]" * 5000 + b"a" * 4999 + b"s."
    high = b"\x80\x02}r\xff\xff\xff\x7f."  # the memo's highest place
    for program in (objects, dates, larger, deep):
        (tmp_path / "p").write_bytes(program)
        with pytest.raises(FileError, match=str(tmp_path / "p")):
            read_plain_pickle(tmp_path / "p")
    (tmp_path / "p").write_bytes(high)
    assert read_plain_pickle(tmp_path / "p") == {}


def test_a_pickle_that_doubles_itself_is_refused(tmp_path):
    value = []
    for _ in range(40):
        value = [value, value]
    (tmp_path / "p").write_bytes(pickle.dumps({b"data": value}))
    with pytest.raises(FileError, match="more than 1,000,000 values"):
        read_plain_pickle(tmp_path / "p")


def test_npz_array_shorter_than_its_header(tmp_path):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.zeros((60, 8, 8), np.uint8))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", buffer.getvalue()[:-100])
        labels = io.BytesIO()
        np.lib.format.write_array(labels, np.zeros(60, int))
        archive.writestr("y.npy", labels.getvalue())
    with pytest.raises(FileError, match="'x' is not as long as its header says"):
        load(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("x.npy", buffer.getvalue())
        archive.writestr("y.npy", "not an array")
    with pytest.raises(FileError, match="cannot read array 'y'"):
        load(tmp_path / "b.npz")


def test_a_file_cut_while_it_is_read_is_named(tmp_path):
    data_files.cifar10_binary(tmp_path, data_files.pictures(50))
    data = load(tmp_path, "all", in_memory=False)
    cut(3073)(tmp_path / "data_batch_3.bin")
    assert data.images[[20]].shape == (1, 32, 32, 3)
    for chosen in ([0, 25], slice(20, 22), slice(None)):
        with pytest.raises(FileError, match=r"data_batch_3\.bin: ends before image"):
            data.images[chosen]
    (tmp_path / "data_batch_4.bin").unlink()
    with pytest.raises(FileError, match=r"data_batch_4\.bin: cannot read"):
        data.images[[30]]


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch, capsys):
    data_files.folder(tmp_path, data_files.pictures(10, (8, 8, 3)))
    forbidden = str(tmp_path / "train" / "kind 3")
    scandir = os.scandir

    def refuse(path):  # what root may always, others may not
        if os.fspath(path) == forbidden:
            raise PermissionError(13, "Permission denied", forbidden)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert ninc_command("train", tmp_path, "-o", tmp_path / "net") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"ninc: {forbidden}: cannot read (permission denied)"


@hypothesis.given(hypothesis.strategies.data())
@hypothesis.settings(max_examples=200)
def test_changed_bytes_are_read_or_refused(tmp_path_factory, data):
    """Whatever happens to a few bytes of a file, it is data or a FileError."""
    name, file = data.draw(
        hypothesis.strategies.sampled_from(
            [("cifar10-pickle", "data_batch_1"), ("cifar10-pickle", "batches.meta"),
             ("idx", X), ("idx", Y), ("idx-gz", XZ), ("npz-zipped", "data.npz")]
        )
    )  # fmt: skip
    root = tmp_path_factory.mktemp(name)
    writer, shape, classes = data_files.ALL[name]
    writer(root, data_files.pictures(20, shape, classes))
    content = bytearray((root / file).read_bytes())
    # Headers are where it hurts, so most changes are there.
    for place in data.draw(hypothesis.strategies.lists(hypothesis.strategies.integers(0, 300))):
        content[place % len(content)] = data.draw(hypothesis.strategies.integers(0, 255))
    (root / file).write_bytes(bytes(content))
    try:
        got = load(root, "all")
    except FileError as error:
        assert str(root) in str(error)
    else:
        assert len(got.images) == len(got.labels)
