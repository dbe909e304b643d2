"""Labels from a table of file names and classes."""

import unicodedata

import numpy as np
import pytest

from ninc.data import load, splits
from ninc.errors import ArgumentError, FileError, Remark
from support.small_pictures import put, save

Image = pytest.importorskip("PIL.Image")


def table(root, text, name="labels.csv", encoding="utf-8"):
    (root / name).write_bytes(text.encode(encoding))
    return root / name


def found(data):
    """(grey level, class) of each picture."""
    return [(int(p[0, 0, 0]), data.classes[label]) for p, label in zip(data.images, data.labels)]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "text, encoding",
    [
        ("filename,label\n1.png,dog\n0.png,cat\n", "utf-8"),
        ("Class;Image\r\ndog;1.png\r\ncat;0.png\r\n", "utf-8-sig"),  # as Excel saves it
        ("id\tbreed of dog\n1\tdog\n0\tcat\n", "utf-8"),
        ("1.png,dog\n0.png,cat\n", "utf-8"),
        ('who,Image ID,category\nme,"1.png",dog\n\nyou,0, cat\n', "utf-8"),
    ],
)
def test_files_and_classes(tmp_path, text, encoding):
    put(tmp_path, "0.png", "1.png")
    file = table(tmp_path, text, encoding=encoding)
    for path in (file, tmp_path):
        data = load(path, "all")
        assert found(data) == [(1, "dog"), (0, "cat")] and data.classes == ["cat", "dog"]
    assert splits(file) == ("train",)


@pytest.mark.filterwarnings("error")
def test_pictures_below_the_table(tmp_path):
    put(tmp_path, "images/a/0.png", "images/b/0.jpg", "images/b/1.jpeg")
    table(tmp_path, "path,label\nimages\\a\\0.png,x\nb/0.jpg,y\n1,x\n")
    data = load(tmp_path, "all")
    assert [label for _, label in found(data)] == ["x", "y", "x"]
    assert [level for level, _ in found(data)] == [0, 1, 2]


@pytest.mark.filterwarnings("error")
def test_a_column_tells_the_part(tmp_path):
    put(tmp_path, *(f"{n}.png" for n in range(5)))
    table(
        tmp_path,
        "id,label,split\n0,10,train\n1,9,Train\n2,9,test\n3,10,valid\n4,10,test\n",
    )
    assert splits(tmp_path) == ("train", "validation", "test")
    train = load(tmp_path)
    assert train.classes == ["9", "10"] and found(train) == [(0, "10"), (1, "9")]
    assert found(load(tmp_path, "validation")) == [(3, "10")]
    assert found(load(tmp_path, "test")) == [(2, "9"), (4, "10")]
    assert len(load(tmp_path, "all")) == 5


def test_kaggles_layout(tmp_path):
    """Labelled pictures in one folder, others without labels in another, two tables."""
    put(tmp_path, *(f"train/{n:02}.png" for n in range(20)), "test/90.png", "test/91.png")
    rows = "".join(f"{n:02},{'ab'[n % 2]}\n" for n in range(20))
    table(tmp_path, "id,kind\n" + rows, "train.csv")
    with pytest.warns(Remark, match=r"passed over 2 pictures not in the table \(test/90.png"):
        data = load(tmp_path, "test", held_out=0.2)
    assert len(data) == 4
    table(tmp_path, "id,kind\n90,a\n91,a\n", "sample_submission.csv")
    with pytest.warns(Remark):
        assert len(load(tmp_path / "train.csv", "all")) == 20
    with pytest.raises(FileError, match="Of several .npz or .csv files, give the one"):
        load(tmp_path)


def test_class_folders_go_before_a_table(tmp_path):
    put(tmp_path, "ant/0.png", "bee/1.png")
    table(tmp_path, "filename,label\n0.png,large\n1.png,small\n")
    with pytest.warns(Remark, match="1 file outside the class folders .labels.csv"):
        assert load(tmp_path, "all").classes == ["ant", "bee"]


def test_files_listed_twice(tmp_path):
    put(tmp_path, "0.png", "1.png")
    table(tmp_path, "file,label\n0.png,a\n1.png,b\n0,a\n")
    with pytest.warns(Remark, match=r"1 row repeats a file \(0\)"):
        assert len(load(tmp_path, "all")) == 3
    file = table(tmp_path, "file,label\n0.png,a\n1.png,b\n0,b\n")
    with pytest.raises(FileError, match="labels.csv: lines 2 and 4 give 0 two classes"):
        load(file)


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "has no rows"),
        ("file,label\n", "has no rows below its heading"),
        ("a,b,c\n0.png,1,2\n", "no columns of files and classes; its first row, a, b, c, needs"),
        ("file,label\n0.png,a\n1.png\n", "line 3 has no class"),
        ("file,label\n0.png,a\n,b\n", "line 3 has no file"),
        ("file,label,split\n0.png,a,maybe\n", "line 2 has 'maybe' for its part"),
        ("file,label\n0.png,a\n7.png,b\n8,a\n", "2 of 3 files cannot be found.*7.png, 8"),
        ("file,label\n2,a\n", "line 2, '2', may mean .*2.gif or .*2.png"),
        ("file,label,set\n0,a,train\n1,b,train\n2.png,c,test\n", "'c' of image 0 is none of a, b"),
    ],
)
def test_bad_tables_are_told(tmp_path, text, words):
    put(tmp_path, "0.png", "1.png", "2.png", "2.gif")
    file = table(tmp_path, text)
    with pytest.raises(FileError, match=f"labels.csv: .*{words}"):
        load(file, "all")


def test_a_bad_table_is_told_of_a_folder_without_other_labels(tmp_path):
    put(tmp_path, "0.png")
    table(tmp_path, "a,b,c\n0.png,1,2\n")
    with pytest.raises(FileError, match="0.png lie in none.*labels.csv: no columns of files"):
        load(tmp_path)
    table(tmp_path, "filename,label\n5.png,a\n")
    with pytest.raises(FileError, match="labels.csv: its files, such as 5.png, cannot be found"):
        load(tmp_path)
    table(tmp_path, "filename,label\n0.png,größe\n", encoding="latin-1")
    with pytest.raises(FileError, match="not UTF-8 text"):
        load(tmp_path / "labels.csv")


def test_options_apply_as_to_folders(tmp_path):
    put(tmp_path, "0.png", "1.png", "2.png")
    (tmp_path / "1.png").write_bytes(b"")
    file = table(tmp_path, "file,label\n0,a\n1,a\n2,b\n")
    data = load(file, "all", size=(3, 4), channels=1, on_error="skip")
    assert data.images.shape == (2, 3, 4, 1) and data.skipped == [str(tmp_path / "1.png")]
    with pytest.raises(ArgumentError, match="no validation part"):
        load(file, "validation")


def test_names_are_the_same_however_unicode_spells_them(tmp_path):
    apart, composed = (unicodedata.normalize(form, "Käfer é") for form in ("NFD", "NFC"))
    put(tmp_path, f"a/{apart}.png", f"b/{composed} 2.png", "b/3.png")
    text = f"file,label\n{composed}.png,{composed}\nb/{apart} 2,{apart}\n3,no\n"
    assert found(load(table(tmp_path, text), "all")) == [(0, composed), (1, composed), (2, "no")]


@pytest.mark.parametrize("folder", ["/kaggle/input/pets/photos", "C:\\Users\\me\\pets\\photos"])
def test_paths_of_another_machine_are_found_by_their_ends(tmp_path, folder):
    put(tmp_path, "photos/0.png", "photos/1.png", "photos/2.png")
    join = "\\" if "\\" in folder else "/"
    table(
        tmp_path, f"path,label\n{folder}{join}1.png,dog\n{folder}{join}0.png,cat\nphotos/2.png,dog"
    )
    with pytest.warns(Remark, match="2 of the paths lead nowhere and were taken by their ends"):
        assert found(load(tmp_path, "all")) == [(1, "dog"), (0, "cat"), (2, "dog")]
    table(tmp_path, f"path,label\n{folder}{join}9.png,dog\n{folder}{join}0.png,cat\n")
    with pytest.raises(FileError, match="1 of 2 files cannot be found.*9.png"):
        load(tmp_path / "labels.csv", "all")


def test_names_from_the_folder_above_do_not_depend_on_where_one_stands(tmp_path, monkeypatch):
    put(tmp_path / "pets", "0.png", "1.png")
    table(tmp_path / "pets", "path,label\npets/0.png,cat\npets/1.png,dog\n")
    for place, name in (
        (tmp_path, "pets"),
        (tmp_path / "pets", "."),
        (tmp_path / "pets", "../pets"),
    ):
        monkeypatch.chdir(place)
        assert found(load(name, "all")) == [(0, "cat"), (1, "dog")]


def test_headings_of_traffic_signs_and_excel_s_line_before_them(tmp_path):
    put(tmp_path, "0.png", "1.png")
    table(tmp_path, "sep=;\r\nFilename;Width;ClassId\r\n1.png;5;14\r\n0.png;5;3\r\n")
    assert found(load(tmp_path, "all")) == [(1, "14"), (0, "3")]
    table(tmp_path, "sep=;\nFilename;ClassId\n1.png;14\n0.png;\n")
    with pytest.raises(FileError, match="line 4 has no class"):
        load(tmp_path / "labels.csv")


def test_folders_that_divide_pictures_by_something_else_are_no_classes(tmp_path):
    """Published as part_1 and part_2 with one table: the table has the classes."""
    rows = ["image_id,dx"]
    for index in range(6):
        picture = np.full((4, 4, 3), index, np.uint8)
        save(tmp_path / f"part_{index % 2 + 1}" / f"{index}.png", picture)
        rows.append(f"{index},{'mole' if index < 2 else 'wart'}")
    (tmp_path / "meta.csv").write_text("\n".join(rows))
    got = load(tmp_path, "all")
    assert got.classes == ["mole", "wart"] and got.labels.tolist() == [0, 0, 1, 1, 1, 1]
    assert got.images[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "rows, words",
    [
        ("file,label\n0.jpg,a\n1.jpg,b", "its files, such as 0.jpg, cannot be found"),
        ("file,label\n0,a\n7,b", "1 of 2 files cannot be found in .*: 7"),
    ],
)
def test_a_table_that_fits_nothing_is_not_passed_over_for_one_folder(tmp_path, rows, words):
    put(tmp_path, "images/0.png", "images/1.png")
    (tmp_path / "labels.csv").write_text(rows)
    with pytest.raises(FileError, match=words):
        load(tmp_path, "all")


@pytest.mark.parametrize(
    "text, encoding, words",
    [
        ("a,b,c\n1,2,3\n", "utf-8", "no columns of files and classes"),
        ("file,class\n1.png,é\n", "latin-1", "not UTF-8 text"),
        ("file,class\n9.png,cat\n", "utf-8", "its files, such as 9.png, cannot be found"),
    ],
)
@pytest.mark.parametrize("place", [".", "pets"])
def test_a_table_of_no_use_beside_class_folders_is_told(tmp_path, place, text, encoding, words):
    put(tmp_path, "pets/cat/0.png", "pets/dog/1.png")
    file = table(tmp_path / place, text, encoding=encoding)
    with pytest.warns(Remark, match=f"passed over {file}: {words}"):
        data = load(tmp_path, "all")
    assert found(data) == [(0, "cat"), (1, "dog")]
