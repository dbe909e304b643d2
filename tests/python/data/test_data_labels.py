"""Labels of every kind, and pictures without a channel, given as arrays and in files."""

import numpy as np
import pytest

from ninc import nn
from ninc.data import BatchStream, Dataset, as_dataset, load
from ninc.errors import ArgumentError, DTypeError, FileError, Remark, ShapeError


def images(count):
    return np.arange(count * 20, dtype=np.uint8).reshape(count, 4, 5, 1)


@pytest.mark.parametrize(
    "labels, classes, places",
    [
        ([3, 1, 2, 1], ["1", "2", "3"], [2, 0, 1, 0]),
        ([7, 0, 40, 7], ["0", "7", "40"], [1, 0, 2, 1]),
        (np.array([5, 6], np.uint64), ["5", "6"], [0, 1]),
    ],
)
def test_labels_become_the_classes_that_are_there(labels, classes, places):
    with pytest.warns(Remark, match=f"labels {', '.join(classes)} became {len(classes)} classes"):
        data = Dataset(images(len(labels)), labels)
    assert data.classes == classes and data.labels.tolist() == places
    assert data.labels.dtype == np.int64


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "labels",
    [
        [2, 0, 1, 0], [[2], [0], [1], [0]], [2.0, 0.0, 1.0, 0.0], np.array([2, 0, 1, 0], ">i2"),
        np.array([2, 0, 1, 0], object), np.array([[2], [0], [1], [0]], np.float32),
    ],
)  # fmt: skip
def test_whole_numbers_of_any_kind_are_taken(labels):
    data = as_dataset((images(4), labels))
    assert data.labels.tolist() == [2, 0, 1, 0] and data.classes == ["0", "1", "2"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", [str, object, bytes])
def test_words_are_classes_names(kind):
    words = np.array(["fox", "ant", "fox"]).astype(kind)
    data = Dataset(images(3), words)
    assert data.classes == ["ant", "fox"] and data.labels.tolist() == [1, 0, 1]
    given = Dataset(images(3), words, ["fox", "cow", "ant"])
    assert given.labels.tolist() == [0, 2, 0]
    with pytest.raises(ArgumentError, match="label 'ant' of image 1 is none of cow, fox"):
        Dataset(images(3), words, ["cow", "fox"])


@pytest.mark.filterwarnings("error")
def test_words_that_are_numbers_are_sorted_as_numbers():
    assert Dataset(images(3), ["10", "9", "1"]).classes == ["1", "9", "10"]


@pytest.mark.parametrize("kind", [np.uint8, np.float32, bool])
def test_one_hot_labels_are_taken_with_a_remark(kind):
    with pytest.warns(Remark, match="one-hot labels as the indices of their 4 columns"):
        data = Dataset(images(3), np.eye(4, dtype=kind)[[2, 0, 2]])
    # All columns are classes, those that no picture has, too.
    assert data.labels.tolist() == [2, 0, 2] and data.classes == ["0", "1", "2", "3"]
    with pytest.raises(ShapeError, match="one-hot labels of 4 classes, but there are 2: a, b"):
        Dataset(images(3), np.eye(4)[[1, 0, 1]], ["a", "b"])


@pytest.mark.parametrize(
    "labels, error, words",
    [
        ([[0.9, 0.1], [0.2, 0.8]], ShapeError, "soft or scored labels.*argmax"),
        ([[1, 1], [0, 1]], ShapeError, "one 1 a row; image 0 has 2"),
        ([[0, 0], [0, 1]], ShapeError, "one 1 a row; image 0 has 0"),
        ([0.0, np.nan], DTypeError, "whole numbers, got float64: nan for image 1"),
        ([0, -2], ArgumentError, "label -2 of image 1"),
        ([0, 1_000_000], ArgumentError, "label 1000000 of image 1.*no classes' numbers"),
        ([0, 2**64 - 1], ArgumentError, "of image 1 is out of range"),
        ([0, None], DTypeError, "whole numbers or words, got object"),
        ([[0], [0, 1]], DTypeError, "whole numbers or words"),
        ([0, 1, 1], ShapeError, "3 labels, but there are 2 images"),
        (np.zeros((2, 2, 1), int), ShapeError, r"shape \(2, 2, 1\)"),
        (None, DTypeError, "labels"),
    ],
)
def test_other_labels_are_refused(labels, error, words):
    with pytest.raises((error, ShapeError), match=words):
        Dataset(images(2), labels)


def test_labels_from_1_of_given_classes_are_refused():
    with pytest.raises(ArgumentError, match="label 2 of image 1.*0 to 1; .*begin at 1 need y - 1"):
        Dataset(images(2), [1, 2], ["a", "b"])
    with pytest.raises(ArgumentError, match="classes must be a list of names, got 2"):
        Dataset(images(2), [0, 1], 2)


class Unread:
    """Looks like an HDF5 data set: it is indexed, and has no more of an array than it must."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __len__(self):
        return len(self.array)

    def __getitem__(self, chosen):
        return self.array[chosen]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", [np.asarray, Unread])
def test_grey_pictures_gain_their_channel(kind):
    grey = images(6)[..., 0]
    data = Dataset(kind(grey), np.arange(6) % 2)
    assert data.images.shape == (6, 4, 5, 1) and data.input_shape == (1, 4, 5)
    np.testing.assert_array_equal(data.images[:], grey[..., None])
    part = data.subset(np.array([4, 1]))
    np.testing.assert_array_equal(part.images[:], grey[[4, 1]][..., None])
    assert data.fingerprint() == Dataset(grey[..., None], np.arange(6) % 2).fingerprint()


def test_parts_of_an_npz_share_the_training_parts_classes(tmp_path):
    arrays = dict(x_train=images(4), y_train=[2, 4, 9, 4], x_val=images(2), y_val=[9, 2])
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.warns(Remark, match="labels 2, 4, 9 became 3 classes"):
        assert load(tmp_path / "a.npz").labels.tolist() == [0, 1, 2, 1]
    part = load(tmp_path / "a.npz", "validation")
    assert part.classes == ["2", "4", "9"] and part.labels.tolist() == [2, 0]
    np.savez(tmp_path / "b.npz", **{**arrays, "y_val": [9, 3]})
    with pytest.raises(FileError, match="b.npz: label 3 of image 1 is none of the.*2, 4, 9"):
        load(tmp_path / "b.npz", "validation")


def test_names_of_classes_in_bytes(tmp_path):
    """HDF5 and pickles written by Python 2 have them so."""
    names = [b"ant", "bée".encode(), "c"]
    assert Dataset(images(3), [0, 1, 2], names).classes == ["ant", "bée", "c"]
    assert BatchStream([], np.array(names[:2])).classes == ["ant", "bée"]
    np.savez(tmp_path / "a.npz", x=images(2), y=[1, 0], classes=np.array(names[:2]))
    assert load(tmp_path / "a.npz").classes == ["ant", "bée"]


@pytest.mark.parametrize("missing", [float("nan"), np.float32("nan"), None])
@pytest.mark.parametrize("kind", [list, tuple, lambda values: np.array(values, object)])
def test_a_missing_label_among_words_is_no_class(missing, kind):
    with pytest.raises(DTypeError, match=f"image 2 has {missing} for its label"):
        Dataset(images(3), kind(["a", "b", missing]))


def test_names_in_a_set_have_no_order():
    with pytest.raises(ArgumentError, match="classes must be a list of names"):
        Dataset(images(2), [0, 1], {"a", "b"})
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.GlobalAvgPool2d())
    with pytest.raises(ArgumentError, match="classes must be a list of names"):
        net.classes = frozenset(("a", "b"))


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="numpy 2 has it")
def test_numpy_s_strings_of_any_length():
    words = np.array(["ox", "a rather long one", "ox"], np.dtypes.StringDType())
    data = Dataset(images(3), words)
    assert data.classes == ["a rather long one", "ox"] and data.labels.tolist() == [1, 0, 1]
