"""Folders of pictures as people have them: parts, nested classes, strays, wrappings."""

import os
import sys
import unicodedata
from importlib.util import find_spec

import numpy as np
import pytest

from ninc.data import has_test, load, splits
from ninc.errors import ArgumentError, FileError, Remark
from ninc.inference.predict import folder_pictures
from ninc.training.fit_checks import check_two_classes
from support.small_pictures import put

Image = pytest.importorskip("PIL.Image")


def levels(data):
    """Class -> grey levels of its pictures, which tell where each came from."""
    found = {name: [] for name in data.classes}
    for pixels, label in zip(data.images[:], data.labels):
        found[data.classes[label]].append(int(pixels[0, 0, 0]))
    return found


@pytest.mark.parametrize(
    "train, held_out, part",
    [
        ("train", "VAL", "validation"), ("Train", "Valid", "validation"),
        ("Training", "Testing", "test"), ("training_set", "test_set", "test"),
        ("TRAIN", "validation", "validation"),
    ],
)  # fmt: skip
def test_parts_by_any_of_their_names(tmp_path, train, held_out, part):
    put(tmp_path, f"{train}/ant/0.png", f"{train}/bee/1.png", f"{held_out}/bee/2.png")
    assert splits(tmp_path) == ("train", part) and has_test(tmp_path)
    assert levels(load(tmp_path)) == {"ant": [0], "bee": [1]}
    # "test" is what there is to test with.
    assert levels(load(tmp_path, "test")) == {"ant": [], "bee": [2]}
    assert levels(load(tmp_path, part)) == {"ant": [], "bee": [2]}
    assert levels(load(tmp_path, "all")) == {"ant": [0], "bee": [1, 2]}


def test_validation_and_test_parts_are_two(tmp_path):
    put(tmp_path, "train/ant/0.png", "train/bee/1.png", "test/bee/2.png", "val/ant/3.png")
    assert splits(tmp_path) == ("train", "validation", "test")
    assert levels(load(tmp_path, "test")) == {"ant": [], "bee": [2]}
    assert levels(load(tmp_path, "validation")) == {"ant": [3], "bee": []}
    assert levels(load(tmp_path, "all")) == {"ant": [0, 3], "bee": [1, 2]}


def test_a_part_that_is_not_there_is_told(tmp_path):
    put(tmp_path / "a", "train/ant/0.png", "train/bee/1.png", "test/bee/2.png")
    with pytest.raises(ArgumentError, match="no validation part; it has train and test"):
        load(tmp_path / "a", "validation")
    put(tmp_path / "b", "ant/0.png", "bee/1.png")
    assert splits(tmp_path / "b") == ("train",) and not has_test(tmp_path / "b")
    with pytest.raises(ArgumentError, match="no validation part; it has train .*'test' holds"):
        load(tmp_path / "b", "validation")


def test_only_a_test_part(tmp_path):
    put(tmp_path, "test/ant/0.png", "test/bee/1.png")
    assert splits(tmp_path) == ("test",) and has_test(tmp_path)
    for split in ("test", "all"):
        assert levels(load(tmp_path, split)) == {"ant": [0], "bee": [1]}
    with pytest.raises(ArgumentError, match="no train part; it has test"):
        load(tmp_path)


def test_two_folders_for_one_part_are_told(tmp_path):
    put(tmp_path, "train/ant/0.png", "val/ant/1.png", "Valid/ant/2.png")
    with pytest.raises(FileError, match="Valid and val both mean the validation pictures"):
        load(tmp_path)


def test_parts_names_are_classes_names_beside_other_classes(tmp_path):
    put(tmp_path, "bus/0.png", "test/1.png", "train/2.png")
    assert splits(tmp_path) == ("train",)
    assert levels(load(tmp_path, "all")) == {"bus": [0], "test": [1], "train": [2]}


def test_a_test_folder_without_labels_is_no_part(tmp_path):
    put(tmp_path, *(f"train/{name}/{n}.png" for name in ("ant", "bee") for n in range(5)))
    put(tmp_path, "test/1.png", "test/2.png")
    with pytest.warns(Remark, match=r"passed over 1 part without class folders \(test\)"):
        assert len(load(tmp_path, "test", held_out=0.2)) == 2  # held out of the training part
    assert splits(tmp_path) == ("train",)


@pytest.mark.filterwarnings("error")
def test_pictures_below_a_class_belong_to_it(tmp_path):
    put(tmp_path, "ant/b/deep/x/0.png", "ant/a/1.png", "ant/2.png", "bee/3.png", "ant/.old/4.png",
        "ant/b/.5.png", "__MACOSX/ant/6.png", "@eaDir/7.png")  # fmt: skip
    (tmp_path / "bee" / "empty" / "emptier").mkdir(parents=True)
    (tmp_path / "bee" / "Thumbs.db").write_bytes(b"\xd0\xcf")
    assert levels(load(tmp_path, "all")) == {"ant": [2, 1, 0], "bee": [3]}


def test_links_that_lead_back_are_not_followed(tmp_path):
    put(tmp_path / "data", "ant/0.png", "bee/1.png")
    put(tmp_path, "elsewhere/2.png")
    for link, to in (("ant/up", "data"), ("bee/self", "data/bee"), ("ant/more", "elsewhere")):
        os.symlink(tmp_path / to, tmp_path / "data" / link)
    assert levels(load(tmp_path / "data", "all")) == {"ant": [0, 0], "bee": [1]}


def test_names_that_begin_with_an_underscore_are_classes(tmp_path):
    put(tmp_path, "_background/0.png", "ant/1.png", ".git/2.png", "bee bee/3.png")
    assert levels(load(tmp_path, "all")) == {"_background": [0], "ant": [1], "bee bee": [3]}


def test_what_was_not_used_is_told_in_one_line(tmp_path):
    put(tmp_path, "train/ant/0.png", "train/bee/1.png", "val/ant/2.png", "train/loose.png")
    put(tmp_path, "extra/x/3.png")
    (tmp_path / "train" / "cow").mkdir()
    (tmp_path / "train" / "dog" / "none").mkdir(parents=True)
    for n in range(7):
        (tmp_path / "train" / "bee" / f"{n}.txt").write_text("words")
    with pytest.warns(Remark) as told:
        data = load(tmp_path)
    assert [str(line.message) for line in told] == [
        f"{tmp_path}: passed over 2 class folders without pictures (cow, dog); "
        "passed over 1 folder beside the parts (extra); "
        "passed over 1 file outside the class folders (train/loose.png); "
        "passed over 7 files that open as no pictures (train/bee/0.txt, train/bee/1.txt, "
        "train/bee/2.txt, train/bee/3.txt, train/bee/4.txt and 2 more)"
    ]
    assert told[0].filename == __file__
    assert levels(data) == {"ant": [0], "bee": [1]}


@pytest.mark.filterwarnings("error")
def test_a_class_may_be_empty_in_the_test_part(tmp_path):
    put(tmp_path, "train/ant/0.png", "train/bee/1.png", "test/bee/2.png")
    (tmp_path / "test" / "ant").mkdir()
    assert levels(load(tmp_path, "test")) == {"ant": [], "bee": [2]}


def test_a_class_that_training_lacks_is_told(tmp_path):
    put(tmp_path, "train/ant/0.png", "train/bee/1.png", "test/cow/2.png")
    (tmp_path / "train" / "cow").mkdir()  # empty, so no class
    for split in ("test", "all"):
        with pytest.raises(FileError, match="cow: no class of this name.*ant, bee"):
            load(tmp_path, split)


def test_any_ending_that_pillow_opens(tmp_path):
    put(tmp_path, "ant/0.png", "ant/1.png", "ant/2.png", "bee/3.gif")
    os.rename(tmp_path / "ant/0.png", tmp_path / "ant/0.PNG")
    os.rename(tmp_path / "ant/1.png", tmp_path / "ant/1.data")
    os.rename(tmp_path / "ant/2.png", tmp_path / "ant/2")
    (tmp_path / "ant/3.data").write_bytes(b"\0\0\2\0\0\0\0\0\0\0\0\0\4\0\4\0\x18\0" + bytes(48))
    with pytest.warns(Remark, match=r"passed over 1 file that opens as no picture \(ant/3.data\)"):
        data = load(tmp_path, "all")
    assert levels(data) == {"ant": [0, 1, 2], "bee": [3]}


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_a_known_ending_makes_a_damaged_picture(tmp_path, content):
    put(tmp_path, "ant/0.png", "bee/1.png", "bee/2.png")
    (tmp_path / "bee" / "3.jpg").write_bytes(content)
    with pytest.raises(FileError, match=r"bee/3\.jpg"):
        load(tmp_path, "all")
    data = load(tmp_path, "all", on_error="skip")
    assert data.skipped == [str(tmp_path / "bee" / "3.jpg")]
    assert levels(data) == {"ant": [0], "bee": [1, 2]}


@pytest.mark.parametrize("wrapping", ["pets/pets", "archive/data/images"])
def test_wrapped_folders_are_found(tmp_path, wrapping):
    root = tmp_path / wrapping
    put(root, "train/train/ant/0.png", "train/train/bee/1.png", "test/bee/2.png")
    (tmp_path / "readme.md").write_text("about")
    with pytest.warns(Remark, match=f"read from {root}"):
        assert levels(load(tmp_path)) == {"ant": [0], "bee": [1]}
    assert splits(tmp_path) == ("train", "test")
    # Wherever it is entered, it is the same data.
    assert load(tmp_path, "all").fingerprint() == load(root, "all").fingerprint()


def test_several_data_sets_are_told(tmp_path):
    put(tmp_path, "a/train/ant/0.png", "a/train/bee/1.png")
    (tmp_path / "b").mkdir()
    np.savez(tmp_path / "b" / "b.npz", x=np.zeros((2, 4, 4), np.uint8), y=[0, 1])
    with pytest.raises(FileError, match=f"several data sets.*{tmp_path / 'a'}, {tmp_path / 'b'}"):
        load(tmp_path)


def test_folds_are_not_taken_for_classes_in_silence(tmp_path):
    put(tmp_path, *(f"fold{n}/{name}/{n}.png" for n in range(3) for name in ("ant", "bee")))
    with pytest.warns(Remark, match="each of the 3 class folders has the folders ant, bee in it"):
        assert load(tmp_path, "all").classes == ["fold0", "fold1", "fold2"]


def test_nothing_is_told_with_what_is_there(tmp_path):
    put(tmp_path / "loose", "0.png")
    with pytest.raises(FileError, match=r"pictures such as 0\.png lie in none.*there is 0\.png"):
        load(tmp_path / "loose")
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "pets.tar.gz").touch()
    with pytest.raises(FileError, match=r"Looked for CLASS/\*\.jpg.*Unpack pets\.tar\.gz first"):
        load(tmp_path / "packed")
    (tmp_path / "films" / "ant").mkdir(parents=True)
    (tmp_path / "films" / "ant" / "1.mov").write_bytes(b"\0\0\0\x14ftypqt  ")
    with pytest.raises(FileError, match=r"Pillow cannot open ant/1\.mov, nor any other"):
        load(tmp_path / "films")
    put(tmp_path / "half", "train/0.png", "test/ant/1.png")
    with pytest.raises(FileError, match=r"train: no class folders in it.*there are 0\.png"):
        load(tmp_path / "half")


def test_spellings_of_one_name_are_one_class(tmp_path):
    one, other = (unicodedata.normalize(form, "kälte") for form in ("NFC", "NFD"))
    put(tmp_path, "train/ant/0.png", f"train/{one}/1.png", f"test/{other}/2.png")
    assert levels(load(tmp_path, "test")) == {"ant": [], one: [2]}


def test_one_class_is_read_but_not_trained_on(tmp_path):
    put(tmp_path, "ant/0.png", "ant/1.png")
    data = load(tmp_path, "all")
    assert data.classes == ["ant"]
    with pytest.raises(ArgumentError, match="are of one class, 'ant': a classifier needs at least"):
        check_two_classes(data)


@pytest.mark.skipif(find_spec("pillow_heif") is not None, reason="pillow-heif reads them here")
def test_pictures_of_phones_say_what_helps(tmp_path):
    put(tmp_path, "ant/0.png", "bee/1.png")
    (tmp_path / "bee" / "IMG_2.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(200))
    with pytest.raises(FileError, match=r"bee/IMG_2\.HEIC: .*pip install pillow-heif"):
        load(tmp_path, "all")
    assert levels(load(tmp_path, "all", on_error="skip")) == {"ant": [0], "bee": [1]}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_pipes_are_not_waited_for(tmp_path):
    put(tmp_path, "a/0.png", "b/1.png")
    for name in ("a/2.png", "b/3", "b.npz", "t.csv"):
        os.mkfifo(tmp_path / name)
    assert levels(load(tmp_path, "all")) == {"a": [0], "b": [1]}
    for name in ("b.npz", "t.csv"):
        with pytest.raises(FileError, match=f"{name}: neither a folder nor a file"):
            load(tmp_path / name)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a permission there")
def test_a_link_to_itself_is_one_file_that_is_no_picture(tmp_path):
    put(tmp_path, "a/0.png", "b/1.png")
    for name in ("around", "a/around"):
        os.symlink("around", tmp_path / name)
    with pytest.warns(Remark, match=r"1 file that opens as no picture \(a/around\)"):
        assert levels(load(tmp_path, "all")) == {"a": [0], "b": [1]}
    with pytest.warns(Remark, match="2 files are no pictures and passed over: a/around, around"):
        assert len(folder_pictures(tmp_path)) == 2


def test_npz_in_any_case_beside_what_macos_leaves(tmp_path):
    np.savez(tmp_path / "A.npz", x=np.zeros((2, 6, 5), np.uint8), y=[0, 1])
    (tmp_path / "A.npz").rename(tmp_path / "A.NPZ")
    (tmp_path / "._A.NPZ").write_bytes(b"\0\5\26\7" + bytes(40))
    assert len(load(tmp_path, "all")) == len(load(tmp_path / "A.NPZ", "all")) == 2
