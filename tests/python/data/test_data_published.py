"""Data sets under the names and in the places their publishers and downloaders give them."""

import gzip
import sys

import numpy as np
import pytest

from ninc.data import load, splits
from ninc.errors import ArgumentError, FileError, Remark
from support import data_files

LETTERS = "emnist-letters"


def emnist(root, name, part, labels, seed=0, zipped=False):
    """Writes a part of an EMNIST set; returns its pictures as they are meant to be seen."""
    pictures = data_files.pictures(len(labels), (28, 28, 1), seed=seed).images[..., 0]
    stored = pictures.transpose(0, 2, 1)
    for what, array in (
        ("images-idx3", stored), ("labels-idx1", np.asarray(labels, np.uint8)),
    ):  # fmt: skip
        content = data_files.idx_bytes(np.ascontiguousarray(array))
        file = root / f"{name}-{part}-{what}-ubyte{'.gz' if zipped else ''}"
        file.write_bytes(gzip.compress(content) if zipped else content)
    return pictures[..., None]


@pytest.mark.parametrize("zipped", [False, True])
def test_emnist(tmp_path, zipped):
    train = emnist(tmp_path, LETTERS, "train", [1, 3, 2, 3], zipped=zipped)
    test = emnist(tmp_path, LETTERS, "test", [3, 1], seed=1, zipped=zipped)
    with pytest.warns(Remark, match="labels 1, 2, 3 became 3 classes"):
        data = load(tmp_path)
    assert data.classes == ["1", "2", "3"] and data.labels.tolist() == [0, 2, 1, 2]
    np.testing.assert_array_equal(data.images, train)  # upright, not as they are stored
    (tmp_path / f"{LETTERS}-mapping.txt").write_text("1 65 97\n2 66 98\n3 67 99\n4 68 100\n")
    part = load(tmp_path, "test", in_memory=False)
    assert part.classes == ["A", "B", "C", "D"] and part.labels.tolist() == [2, 0]
    np.testing.assert_array_equal(part.images[:], test)
    np.testing.assert_array_equal(part.images[[1]], test[1:])


def test_of_several_emnist_sets_a_file_says_which(tmp_path):
    emnist(tmp_path, LETTERS, "train", [1, 2])
    emnist(tmp_path, "emnist-digits", "train", [0, 1])
    digits = emnist(tmp_path, "emnist-digits", "test", [1, 1, 0], seed=2)
    with pytest.raises(FileError, match="several data sets, emnist-digits, emnist-letters; give"):
        load(tmp_path)
    file = tmp_path / "emnist-digits-train-labels-idx1-ubyte"
    assert splits(file) == ("train", "test") and len(load(file)) == 2
    np.testing.assert_array_equal(load(file, "test").images, digits)
    with pytest.raises(FileError, match="labels, but their images are not beside them"):
        (tmp_path / "emnist-mnist-test-labels-idx1-ubyte").write_bytes(b"")
        load(tmp_path / "emnist-mnist-test-labels-idx1-ubyte")


def test_bad_emnist_mapping_is_told(tmp_path):
    emnist(tmp_path, LETTERS, "train", [1, 2])
    for text, words in (("1 A\n", "a character's code"), ("1 65\n2 65\n", "each of them once"),
                        ("1\n", "a character's code"), ("", "no list")):  # fmt: skip
        (tmp_path / f"{LETTERS}-mapping.txt").write_text(text)
        with pytest.raises(FileError, match=f"letters-mapping.txt: .*{words}"):
            load(tmp_path)
    (tmp_path / f"{LETTERS}-mapping.txt").write_text("1 65\n3 66\n")
    with pytest.raises(FileError, match="label 2 of image 1 is none of .*A, B"):
        load(tmp_path)


@pytest.mark.parametrize(
    "name, place",
    [
        ("idx", "MNIST/raw"), ("idx-gz", "data/FashionMNIST/raw"),
        ("cifar10-binary", "cifar-10-batches-bin"), ("cifar10-pickle", "cifar-10-batches-py"),
        ("cifar100-pickle", "cifar-100-python"), ("cifar100-binary", "cifar-100-binary"),
    ],
)  # fmt: skip
def test_downloads_are_found_from_above(tmp_path, name, place):
    writer, shape, classes = data_files.ALL[name]
    (tmp_path / place).mkdir(parents=True)
    train = data_files.pictures(2 * classes, shape, classes)
    writer(tmp_path / place, train, data_files.pictures(classes, shape, classes, seed=1))
    (tmp_path / "download.tar.gz").touch()
    assert splits(tmp_path) == ("train", "test")
    with pytest.warns(Remark, match=f"read from {tmp_path / place}"):
        np.testing.assert_array_equal(load(tmp_path).images, train.images)


def medical(root, spell, **changes):
    """A .npz as MedMNIST has them: three parts, labels N×1."""
    parts = {part: data_files.pictures(n, (8, 8, 1), 3, seed=n)
             for part, n in (("train", 9), ("val", 6), ("test", 3))}  # fmt: skip
    arrays = {}
    for part, data in parts.items():
        arrays[spell[0].format(part)] = data.images[..., 0]
        arrays[spell[1].format(part)] = data.labels[:, None].astype(np.uint8)
    np.savez(root / "some.npz", **{**arrays, **changes})
    return parts


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "spell", [("{}_images", "{}_labels"), ("X_{}", "y_{}"), ("images_{}", "labels_{}")]
)
def test_parts_of_an_npz(tmp_path, spell):
    parts = medical(tmp_path, spell)
    assert splits(tmp_path) == ("train", "validation", "test")
    for split, part in (("train", "train"), ("validation", "val"), ("test", "test")):
        data = load(tmp_path, split)
        np.testing.assert_array_equal(data.images, parts[part].images)
        np.testing.assert_array_equal(data.labels, parts[part].labels)
    assert len(load(tmp_path, "all")) == 18


def test_other_arrays_of_an_npz_are_told(tmp_path):
    medical(tmp_path, ("x_{}", "y_{}"), x_dev=np.zeros(3), labels=np.arange(4))
    with pytest.warns(Remark, match="passed over the arrays x_dev, labels"):
        load(tmp_path)
    medical(tmp_path, ("x_{}", "y_{}"), x_valid=np.zeros((6, 8, 8), np.uint8))
    with pytest.raises(FileError, match="'x_val' and 'x_valid' both are validation images"):
        load(tmp_path, "validation")
    medical(tmp_path, ("x_{}", "y_{}"), y_train=np.ones((9, 14), np.uint8))
    with pytest.raises(FileError, match="npz: .*one 1 a row; image 0 has 14"):
        load(tmp_path)


def street_numbers(root, part, labels, seed=0):
    io = pytest.importorskip("scipy.io")
    images = data_files.pictures(len(labels), (32, 32, 3), seed=seed).images
    content = {"X": images.transpose(1, 2, 3, 0), "y": np.array(labels, np.uint8)[:, None]}
    io.savemat(root / f"{part}_32x32.mat", content, do_compression=True)
    return images


def test_svhn(tmp_path):
    train = street_numbers(tmp_path, "train", [1, 10, 9, 1])
    street_numbers(tmp_path, "test", [2, 10], seed=1)
    extra = street_numbers(tmp_path, "extra", [5], seed=2)
    assert splits(tmp_path) == ("train", "test")
    with pytest.warns(Remark, match="passed over extra_32x32.mat"):
        data = load(tmp_path)
    np.testing.assert_array_equal(data.images, train)
    assert data.labels.tolist() == [1, 0, 9, 1] and data.classes == list("0123456789")
    lazy = load(tmp_path, "test", in_memory=False, size=(8, 8), channels=1)
    assert lazy.labels.tolist() == [2, 0] and lazy.images[:].shape == (2, 8, 8, 1)
    alone = load(tmp_path / "extra_32x32.mat", "all")
    np.testing.assert_array_equal(alone.images, extra)


def test_bad_mat_files_are_told(tmp_path):
    io = pytest.importorskip("scipy.io")
    file = tmp_path / "train_32x32.mat"
    for content, words in (
        ({"a": np.zeros(3)}, "expected X .* and y .*there is a"),
        ({"X": np.zeros((4, 4, 3, 2)), "y": np.ones((2, 1))}, "'X' must be .*got double"),
        ({"X": np.zeros((4, 4, 3, 2), "u1"), "y": np.full((2, 1), 11)}, "labels 1 to 10"),
        ({"X": np.zeros((4, 4, 3, 2), "u1"), "y": np.ones((3, 1))}, "3 labels, but .* 2 images"),
    ):
        io.savemat(file, content)
        with pytest.raises(FileError, match=f"train_32x32.mat: .*{words}"):
            load(tmp_path)
    file.write_bytes(b"no such thing" * 30)
    with pytest.raises(FileError, match="train_32x32.mat: cannot read this .mat file"):
        load(tmp_path)


def test_mat_files_need_scipy(tmp_path, monkeypatch):
    (tmp_path / "test_32x32.mat").touch()
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(ArgumentError, match="test_32x32.mat: .*pip install scipy"):
        load(tmp_path, "test")
