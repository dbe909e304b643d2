"""`Predictor`: what batches it takes, that it answers as `Network.predict`, and how it travels."""

import math
import multiprocessing
import os
import pickle
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

import ninc
from ninc.distributed import Predictor, predictor
from support.processes import python
from support.small_pictures import CLASSES, noise, picture_network, random_bytes, save, turned_exif

pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "net.safetensors"
    picture_network().save(path)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Pictures of several kinds and sizes, one of them turned by its EXIF data."""
    folder = tmp_path_factory.mktemp("pictures")
    made = [
        save(folder / f"{seed}.{kind}", noise(7 + seed, 9, seed))
        for seed, kind in enumerate(("png", "jpg", "webp", "tif", "png"))
    ]
    save(folder / "turned.jpg", noise(20, 9), exif=turned_exif(6))
    return [str(path) for path in (*made, folder / "turned.jpg")]


@pytest.fixture(scope="module")
def wanted(model, files):
    return ninc.load(model).predict(files)


def content(files):
    return [open(file, "rb").read() for file in files]


def test_columns_of_files_not_decoded(model, files, wanted):
    batch = {
        "bytes": np.array(content(files), object),
        "path": np.array(files),
        "number": np.arange(6),
    }
    found = Predictor(model)(batch)
    assert list(found) == ["path", "number", "class", "probability", "probabilities", "error"]
    np.testing.assert_array_equal(found["probabilities"], wanted)
    np.testing.assert_array_equal(found["probability"], wanted.max(axis=1))
    assert found["probability"].dtype == found["probabilities"].dtype == np.float32
    assert found["class"].tolist() == [CLASSES[best] for best in wanted.argmax(axis=1)]
    assert found["error"].tolist() == [""] * 6
    assert found["path"] is batch["path"] and found["number"] is batch["number"]
    assert set(batch) == {"bytes", "path", "number"}


def test_columns_of_pixels_and_of_paths(model, files, wanted):
    pixels = [noise(7 + seed, 9, seed) for seed in (0, 4)]  # what the PNG files hold
    for column in (pixels, np.array([*pixels, None], object)[:2]):
        found = Predictor(model)({"image": column})
        np.testing.assert_array_equal(found["probabilities"], wanted[[0, 4]])
    of_one_size = random_bytes(3, 6, 8, 3)
    found = Predictor(model)({"image": of_one_size})
    np.testing.assert_array_equal(found["probabilities"], ninc.load(model).predict(of_one_size))
    np.testing.assert_array_equal(Predictor(model)({"path": files})["probabilities"], wanted)


def test_a_list_gives_a_dict_for_each_picture(model, files, wanted):
    mixed = [*files[:2], *content(files)[2:5], noise(20, 9).transpose(1, 0, 2)]
    mixed[5] = files[5]
    rows = Predictor(model, batch_size=4)(iter(mixed))
    assert [row.get("path") for row in rows] == [*files[:2], None, None, None, files[5]]
    np.testing.assert_array_equal([row["probabilities"] for row in rows], wanted)
    assert [row["probability"] for row in rows] == [float(row.max()) for row in wanted]
    assert [row["class"] for row in rows] == [CLASSES[best] for best in wanted.argmax(axis=1)]


def test_a_frame_gives_a_frame(model, files, wanted):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"path": files, "bytes": content(files)}, index=range(6, 0, -1))
    found = Predictor(model)(frame)
    assert list(found.columns) == ["path", "class", "probability", "probabilities", "error"]
    assert list(found.index) == list(frame.index) and list(found["path"]) == files
    np.testing.assert_array_equal(np.stack(found["probabilities"]), wanted)


def test_a_bad_picture_has_its_error_and_the_others_their_answers(model, files, wanted, tmp_path):
    transparent, floats = random_bytes(4, 4, 4), np.zeros((4, 4, 3))
    bad = [b"junk", None, transparent, floats, random_bytes(5, 5, 5), str(tmp_path), 3, ""]
    batch = {"bytes": [files[0], *bad, *content(files)[1:]], "path": [*"abcdefghi", *files[1:]]}
    found = Predictor(model)(batch)
    good = [0, *range(9, 14)]
    np.testing.assert_array_equal(found["probabilities"][good], wanted)
    assert all(found["error"][place] == "" for place in good)
    assert np.isnan(found["probabilities"][1:9]).all() and np.isnan(found["probability"][1:9]).all()
    assert found["class"][1:9].tolist() == [""] * 8
    assert found["error"][1] == "b: not a picture, or a damaged one"
    assert found["error"][2].startswith("c: a picture must be a file name") and all(
        found["error"][1:9]
    )
    # Of a file the words are those of `ninc predict`, and a picture without a name has its place.
    path = tmp_path / "bad.jpg"
    path.write_bytes(b"junk")
    [row] = Predictor(model)([path])
    with pytest.raises(ninc.FileError) as told:
        ninc.load(model).predict(path)
    assert row["error"] == str(told.value) and math.isnan(row["probability"])
    assert Predictor(model)([files[0], b"junk"])[1]["error"].startswith("Predictor: images[1]: ")


def test_columns_have_one_type_whatever_is_in_them(model):
    good, bad = random_bytes(1, 6, 8, 3), [b"junk"]
    for batch in ({"image": good}, {"bytes": bad}, {"bytes": []}):
        found = Predictor(model)(batch)
        count = len(found["error"])
        assert found["probabilities"].shape == (count, 3)
        assert found["probabilities"].dtype == found["probability"].dtype == np.float32
        assert all(type(text) is str for text in (*found["class"], *found["error"]))
    assert Predictor(model)([]) == []


def test_settings_are_those_of_predict(model, files):
    network = ninc.load(model)
    found = Predictor(model, tta="flip", batch_size=2)({"path": files})
    np.testing.assert_array_equal(found["probabilities"], network.predict(files, 2, tta="flip"))
    unsure = Predictor(model, at_least=0.999)({"path": [*files, "gone.png"]})
    assert unsure["class"].tolist() == ["unsure"] * 6 + [""]


@pytest.mark.parametrize(
    "batch, words",
    [
        ("photo.jpg", "a batch must be a dict of columns"),
        (np.zeros((2, 4, 4, 3), np.uint8), "a batch must be a dict of columns"),
        (3, "a batch must be a dict of columns"),
        ({"picture": [1]}, "needs a column bytes, image or path, got 'picture'"),
        ({}, "needs a column bytes, image or path, got none"),
        ({"bytes": [b""], "image": [b""]}, "both bytes and image"),
        ({"bytes": np.array([b"a\0"])}, "cuts off zeros"),
        ({"path": "photo.jpg"}, "path must be a column of pictures, got 'photo.jpg'"),
        ({"path": ["a"], "label": [1, 2]}, "1 pictures and 2 in 'label'"),
    ],
)
def test_a_batch_of_another_form_is_told(model, batch, words):
    with pytest.raises(ninc.ArgumentError, match="^Predictor: ") as told:
        Predictor(model)(batch)
    assert words in str(told.value)


def test_what_is_wrong_with_the_network_is_raised(tmp_path):
    predict = Predictor(tmp_path / "gone.safetensors")  # the file is looked for by the first call
    with pytest.raises(FileNotFoundError, match="gone.safetensors: cannot read"):
        predict([b"junk"])
    ninc.nn.Sequential(ninc.nn.Conv2d(3, 2, 1), ninc.nn.GlobalAvgPool2d()).save(tmp_path / "bare")
    with pytest.raises(ninc.ArgumentError, match="no preprocessing"):
        Predictor(tmp_path / "bare")([b"junk"])


# ---- One network a process -----------------------------------------------------------------------


@pytest.fixture
def loads(monkeypatch):
    """The paths that networks are loaded from."""
    paths = []

    def load(path):
        paths.append(path)
        return ninc.load(path)

    monkeypatch.setattr(predictor, "load", load)
    predictor._loaded.cache_clear()
    return paths


def test_it_is_pickled_as_its_settings_and_loads_once_a_process(model, files, loads):
    predict = Predictor(model, batch_size=2)
    assert loads == []
    predict(files)
    pickled = pickle.dumps(predict)
    assert len(pickled) < 500
    for _ in range(3):
        again = pickle.loads(pickled)
        assert again.settings == predict.settings
        again(files)
    assert loads == [str(model)]


def test_a_file_that_was_replaced_is_read_anew(tmp_path, files, loads):
    path = tmp_path / "net.safetensors"
    picture_network().save(path)
    first = Predictor(path)
    before = first(files)[0]["probabilities"]
    other = picture_network()
    other.load_state_dict({name: -value for name, value in other.state_dict().items()})
    other.save(path)
    assert (first(files)[0]["probabilities"] == before).all()  # it keeps what it began with
    assert (Predictor(path)(files)[0]["probabilities"] != before).any()
    assert len(loads) == 2


def test_a_network_may_travel_as_bytes_and_by_a_relative_path(model, files, wanted, monkeypatch):
    monkeypatch.chdir(model.parent)
    for given in (model.read_bytes(), "net.safetensors"):
        predict = pickle.loads(pickle.dumps(Predictor(given)))
        monkeypatch.chdir("/")
        np.testing.assert_array_equal(predict({"path": files})["probabilities"], wanted)
        monkeypatch.chdir(model.parent)


def test_threads_are_the_ones_asked_for(model, threads):
    threads(3)
    predict = Predictor(model, threads=2)
    assert ninc.get_num_threads() == 3
    predict([])
    assert ninc.get_num_threads() == 2
    Predictor(model)([])  # without Ray and Dask nobody gave it other ones
    assert ninc.get_num_threads() == 2


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_pool_of_processes(model, files, wanted, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    predict = Predictor(model, threads=1)
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        lists = list(pool.map(predict, [files[:3], files[3:], [b"junk"]]))
    rows = [row for answered in lists[:2] for row in answered]
    np.testing.assert_array_equal([row["probabilities"] for row in rows], wanted)
    assert [row["path"] for row in rows] == files and lists[2][0]["error"]


def test_the_room_is_imported_without_anything_that_it_may_need():
    code = (
        "import sys\n"
        "for name in ('ray', 'dask', 'distributed', 'pyarrow', 'pandas', 'mpi4py'):\n"
        "    sys.modules[name] = None\n"
        "import ninc.distributed\n"
        "assert 'ninc._core' not in sys.modules\n"
        "print(ninc.distributed.Predictor('net'), dir(ninc.distributed)[0])"
    )
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [f"Predictor({os.path.abspath('net')!r})", "Predictor"]
