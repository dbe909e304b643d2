"""Data sets: folders of images, arrays, splits, and what is told of bad ones."""

import numpy as np
import pytest

import ninc
from ninc.data import Dataset, as_dataset, load
from ninc.data.batches import ahead, batches_in_order, training_batches
from ninc.errors import ArgumentError, DTypeError, FileError, ShapeError
from support.small_pictures import save

pytest.importorskip("PIL.Image")


def save_flat(path, level, height=8, width=8):
    return save(path, np.full((height, width, 3), level, np.uint8))


def make_folder(root, classes=("cat", "dog"), count=5, suffix=".png"):
    """`count` flat pictures a class; their grey level is 10 * label + number."""
    for label, name in enumerate(classes):
        for number in range(count):
            save_flat(root / name / f"{number:03d}{suffix}", 10 * label + number)
    return root


def test_train_and_test_folders(tmp_path):
    make_folder(tmp_path / "train", count=5)
    make_folder(tmp_path / "test", count=2)
    (tmp_path / "train" / "cat" / "notes.txt").write_text("not a picture")
    (tmp_path / "train" / ".cache").mkdir()
    train, test, both = (load(tmp_path, split) for split in ("train", "test", "all"))
    assert train.classes == test.classes == ["cat", "dog"]
    assert train.images.shape == (10, 8, 8, 3) and train.images.dtype == np.uint8
    np.testing.assert_array_equal(train.labels, [0] * 5 + [1] * 5)
    np.testing.assert_array_equal(train.images[:, 0, 0, 0], [0, 1, 2, 3, 4, 10, 11, 12, 13, 14])
    assert (len(test), len(both)) == (4, 14)


def test_flat_folder_is_split_by_class_and_seed(tmp_path):
    make_folder(tmp_path, count=10)
    train, test = (load(tmp_path, split, held_out=0.2, seed=3) for split in ("train", "test"))
    assert np.bincount(train.labels).tolist() == [8, 8]
    assert np.bincount(test.labels).tolist() == [2, 2]
    levels = np.concatenate([train.images[:, 0, 0, 0], test.images[:, 0, 0, 0]])
    np.testing.assert_array_equal(np.sort(levels), np.arange(20))
    again = load(tmp_path, "test", held_out=0.2, seed=3)
    np.testing.assert_array_equal(again.images, test.images)
    others = [load(tmp_path, "test", held_out=0.2, seed=seed).images for seed in range(4, 9)]
    assert any(not np.array_equal(other, test.images) for other in others)


@pytest.mark.parametrize("threads", [1, 4])
def test_order_does_not_depend_on_threads(tmp_path, threads):
    make_folder(tmp_path, classes=("a", "b", "c"), count=70)  # several blocks
    got = load(tmp_path, "all", threads=threads)
    wanted = [(10 * label + number) % 256 for label in range(3) for number in range(70)]
    np.testing.assert_array_equal(got.images[:, 0, 0, 0], wanted)


def test_limit_size_and_channels(tmp_path):
    make_folder(tmp_path, count=6)
    save_flat(tmp_path / "cat" / "000.png", 200, 16, 24)
    got = load(tmp_path, "all", size=(4, 4), channels=1, limit=2)
    assert got.images.shape == (4, 4, 4, 1)
    np.testing.assert_array_equal(got.images[:, 0, 0, 0], [200, 1, 10, 11])


def test_sizes_that_differ_are_told(tmp_path):
    make_folder(tmp_path)
    save_flat(tmp_path / "dog" / "002.png", 0, 8, 9)
    with pytest.raises(ShapeError, match=r"002\.png: 8×9 pixels.*8×8"):
        load(tmp_path, "all")


def test_damaged_picture_is_named(tmp_path):
    make_folder(tmp_path, count=80)
    whole = tmp_path / "dog" / "033.png"
    whole.write_bytes(whole.read_bytes()[:40])
    with pytest.raises(FileError, match=r"dog/033\.png"):
        load(tmp_path, "all")


def test_bad_folders_are_told(tmp_path):
    with pytest.raises(FileError, match="nowhere: no such"):
        load(tmp_path / "nowhere")
    with pytest.raises(FileError, match="no class folders"):
        load(tmp_path)
    (tmp_path / "cat").mkdir()
    with pytest.raises(FileError, match="no pictures"):
        load(tmp_path)
    file = tmp_path / "data.xyz"
    file.write_text("")
    with pytest.raises(FileError, match="data.xyz: not a folder"):
        load(file)


def test_bad_test_folders_are_told(tmp_path):
    make_folder(tmp_path / "train")
    make_folder(tmp_path / "test", classes=("cat", "fox"))
    with pytest.raises(FileError, match="fox: no class of this name"):
        load(tmp_path, "test")


@pytest.mark.parametrize(
    "options",
    [dict(split="valid"), dict(channels=2), dict(held_out=1.0), dict(limit=0), dict(threads=0)],
)
def test_options_are_checked(tmp_path, options):
    make_folder(tmp_path)
    with pytest.raises(ArgumentError, match=next(iter(options))):
        load(tmp_path, **options)


def test_arrays():
    x = np.zeros((6, 3, 4, 5), np.float32)
    data = as_dataset((x, [0, 1, 2, 0, 1, 2]))
    assert data.classes == ["0", "1", "2"] and data.input_shape == (3, 4, 5)
    pictures = Dataset(np.zeros((6, 4, 5, 3), np.uint8), np.arange(6), list("abcdef"))
    assert pictures.input_shape == (3, 4, 5) and pictures.is_pictures
    assert as_dataset(pictures) is pictures
    assert "6 images of 3×4×5" in repr(pictures)


@pytest.mark.parametrize(
    "x, y, error, words",
    [
        (np.zeros((2, 3), np.uint8), [0, 1], ShapeError, "shape"),
        (np.zeros((2, 3, 4), np.float32), [0, 1], ShapeError, "float32 of shape"),
        (np.zeros((2, 3, 4, 4)), [0, 1], DTypeError, "astype"),
        (np.zeros((2, 4, 4, 2), np.uint8), [0, 1], ShapeError, "N×H×W×3"),
        (np.zeros((2, 4, 4, 3), np.uint8), [0], ShapeError, "labels"),
        (np.zeros((2, 4, 4, 3), np.uint8), [0.0, 0.5], DTypeError, "whole numbers"),
        (np.zeros((2, 4, 4, 3), np.uint8), [0, -1], ArgumentError, "label -1 of image 1"),
    ],
)
def test_bad_arrays_are_told(x, y, error, words):
    with pytest.raises(error, match=words):
        Dataset(x, y)


def test_label_beyond_the_classes_is_told():
    with pytest.raises(ArgumentError, match="label 2 of image 0.*2 classes"):
        Dataset(np.zeros((1, 4, 4, 3), np.uint8), [2], ["a", "b"])
    with pytest.raises(ArgumentError, match="Dataset or a pair"):
        as_dataset("cifar")


def test_split_holds_out_of_each_class():
    labels = np.repeat([0, 1, 2], [10, 30, 1])
    rest, out = Dataset(np.zeros((41, 2, 2, 1), np.uint8), labels).split(0.2, seed=1)
    assert np.bincount(out.labels, minlength=3).tolist() == [2, 6, 0]
    assert np.bincount(rest.labels, minlength=3).tolist() == [8, 24, 1]


def test_labels_are_counted_as_the_network_counts():
    data = Dataset(np.zeros((3, 2, 2, 1), np.uint8), [0, 1, 1], ["dog", "cat"])
    np.testing.assert_array_equal(data.with_classes(["ant", "cat", "dog"]).labels, [2, 1, 1])
    with pytest.raises(ArgumentError, match="'dog'.*not known"):
        data.with_classes(["ant", "cat"])


def numbered(count):
    return Dataset(np.arange(count, dtype=np.float32).reshape(-1, 1, 1, 1), np.zeros(count, int))


def test_batches_in_order_are_all_images_once():
    batches = [x.ravel().tolist() for x, _ in batches_in_order(numbered(7), None, 3)]
    assert batches == [[0, 1, 2], [3, 4, 5], [6]]


def test_training_batches_shuffle_and_repeat():
    def epoch(number, seed=0):
        batches = training_batches(numbered(10), None, 4, None, seed, number)
        return np.concatenate([x.ravel() for x, _ in batches]).tolist()

    assert sorted(epoch(0)) == list(range(10))
    assert epoch(0) == epoch(0)
    assert epoch(0) != epoch(1) and epoch(0) != epoch(0, seed=1)


def test_an_error_in_the_thread_reaches_the_caller():
    def items():
        yield from (0, 1)
        raise FileError("third batch")

    got = ahead(items())
    assert [next(got), next(got)] == [0, 1]
    with pytest.raises(FileError, match="third batch"):
        next(got)


def test_load_is_public():
    assert ninc.data.load is load
