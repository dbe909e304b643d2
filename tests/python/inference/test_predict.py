"""`Network.predict` and `predict_each`: pictures in every form that people have them in."""

import io
import threading

import numpy as np
import pytest

import ninc
from ninc.data import Dataset, load
from ninc.data.listing import picture_files
from ninc.inference import predict
from support.small_pictures import noise, picture_network, save_noise
from support.small_training import remarks

Image = pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def network():
    return picture_network()


def rows_of(network, seeds):
    """What the network says of `noise`, one picture a call."""
    return np.concatenate([network.predict(noise(seed=seed)) for seed in seeds])


def same(got, wanted):
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-7)


def test_every_form_of_a_picture_gives_the_same_row(network, tmp_path):
    path = save_noise(tmp_path / "4.png", 4)
    wanted = rows_of(network, [4])
    with open(path, "rb") as file:
        forms = [path, str(path), path.read_bytes(), bytearray(path.read_bytes()), file,
                 io.BytesIO(path.read_bytes()), Image.open(path), noise(seed=4)]  # fmt: skip
        for form in forms:
            if hasattr(form, "seek"):
                form.seek(0)
            same(network.predict(form), wanted)
        file.seek(0)
        forms[5].seek(0)
        same(network.predict(forms), wanted.repeat(len(forms), axis=0))


def test_arrays_of_many_pictures_stand_for_them_all(network):
    many = np.stack([noise(seed=seed) for seed in range(3)])
    wanted = rows_of(network, range(3))
    same(network.predict(many), wanted)
    same(network.predict([many, noise(seed=1)]), np.concatenate([wanted, wanted[1:2]]))
    same(network.predict(Dataset(many, np.zeros(3, int))), wanted)
    grey = picture_network()
    grey.preprocessing = {**grey.preprocessing, "channels": 3}
    flat = np.concatenate([many, many])[..., 0]  # N×H×W
    colours = np.repeat(flat[..., None], 3, axis=3)
    same(grey.predict(flat), grey.predict(colours))


@pytest.mark.parametrize("channels", [2, 4])
def test_an_array_with_transparency_is_no_stack_of_narrow_grey_pictures(network, channels):
    """What np.asarray gives of an RGBA picture once got a row for each of its lines."""
    pixels = np.zeros((9, 11, channels), np.uint8)
    with pytest.raises(ninc.ShapeError, match="transparency may be a Pillow image"):
        network.predict(pixels)
    with pytest.raises(ninc.ShapeError, match=r"images\[1\]: a picture must be H×W×3"):
        network.predict([noise(), pixels])
    kind = {2: "LA", 4: "RGBA"}[channels]
    assert len(network.predict(Image.new(kind, (9, 11)))) == 1


def test_a_dataset_that_reads_as_it_goes(network, tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "_READ_AT_A_TIME", 3)
    for seed in range(8):
        save_noise(tmp_path / "ab"[seed % 2] / f"{seed}.png", seed)
    data = load(tmp_path, "all", size=(6, 8), in_memory=False)
    assert not isinstance(data.images, np.ndarray)
    wanted = network.predict(np.asarray(data.images))
    for images in (data, data.images):
        same(network.predict(images, batch_size=5), wanted)
    assert [picture.shape for picture, _ in network.predict_each(data)] == [(6, 8, 3)] * 8
    floats = Dataset(np.zeros((2, 3, 6, 8), np.float32), [0, 1])
    with pytest.raises(ninc.ShapeError, match="pictures must be uint8"):
        network.predict(floats)


def test_texts_in_an_array_are_paths(network, tmp_path):
    paths = [str(save_noise(tmp_path / f"{seed}.bmp", seed)) for seed in (3, 1)]
    same(network.predict(np.array(paths)), rows_of(network, (3, 1)))
    same(network.predict(np.array(paths, object)), rows_of(network, (3, 1)))


def test_a_folder_stands_for_the_pictures_below_it_in_order(network, tmp_path):
    for name, seed in (("b.png", 1), ("a/z.jpe", 2), ("a/deep/y.TIFF", 3), ("c", 4)):
        path = save_noise(tmp_path / name, seed, format="PNG")
    (tmp_path / "notes.txt").write_text("no picture")
    save_noise(tmp_path / ".hidden.png")
    save_noise(tmp_path / ".cache" / "thumbnail.png")
    with pytest.warns(ninc.Remark, match=r"1 file is no picture and passed over: notes.txt$"):
        found = list(network.predict_each(tmp_path))
    names = ["a/deep/y.TIFF", "a/z.jpe", "b.png", "c"]
    assert [path for path, _ in found] == [str(tmp_path / name) for name in names]
    same(np.stack([row for _, row in found]), rows_of(network, (3, 2, 1, 4)))
    with pytest.warns(ninc.Remark):
        same(network.predict([path, str(tmp_path)]), rows_of(network, (4, 3, 2, 1, 4)))


def test_links_that_go_round_end(tmp_path):
    save_noise(tmp_path / "a" / "1.png")
    (tmp_path / "a" / "up").symlink_to(tmp_path, target_is_directory=True)
    files, ignored = picture_files(tmp_path)
    assert files == [str(tmp_path / "a" / "1.png")] and ignored == []


def test_an_empty_folder_is_told(network, tmp_path):
    with pytest.raises(ninc.FileError, match="no pictures in this folder"):
        network.predict(tmp_path)


def test_results_come_before_the_last_picture_is_asked_for(network):
    """An endless iterator: what is held is a few batches, and results come as they are ready."""
    asked = []

    def camera():
        while True:
            asked.append(len(asked))
            yield noise(seed=asked[-1] % 5)

    results = network.predict_each(camera(), batch_size=4)
    rows = [next(results)[1] for _ in range(10)]
    results.close()
    assert len(asked) <= 10 + 4 * 4
    same(np.stack(rows), rows_of(network, [i % 5 for i in range(10)]))
    assert not [t for t in threading.enumerate() if t.name == "ninc-batches"]


@pytest.mark.parametrize("batch_size", [1, 2, 5, 6, 7, 100])
def test_the_size_of_batches_changes_nothing(network, batch_size):
    pictures = (noise(seed=seed) for seed in range(6))
    same(network.predict(pictures, batch_size=batch_size), rows_of(network, range(6)))


def bad_among(tmp_path):
    """Paths of pictures 0, 1, 2, 3, of which 1 is junk and 2 is missing."""
    paths = [save_noise(tmp_path / f"{seed}.png", seed) for seed in range(4)]
    paths[1].write_bytes(b"junk")
    paths[2].unlink()
    return paths


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_a_bad_picture_does_not_end_the_others(network, tmp_path, batch_size):
    paths = bad_among(tmp_path)
    with remarks() as told:
        found = list(network.predict_each(paths, batch_size, on_error="skip"))
    assert [path for path, _ in found] == [paths[0], paths[3]]
    same(np.stack([row for _, row in found]), rows_of(network, (0, 3)))
    assert ["1.png" in words for words in told] == [True, False]
    assert ["2.png: no such file" in words for words in told] == [False, True]
    results = network.predict_each(paths, batch_size)
    assert next(results)[0] == paths[0]
    with pytest.raises(ninc.FileError, match="1.png"):
        next(results)


def test_a_picture_too_small_for_a_network_of_any_size_is_skipped():
    network = picture_network(size=None)  # its 3×3 convolution has no padding
    pictures = [noise(5, 5), noise(2, 2), noise(4, 6)]
    with pytest.warns(ninc.Remark, match=r"images\[1\]"):
        found = list(network.predict_each(pictures, on_error="skip"))
    assert [picture.shape for picture, _ in found] == [(5, 5, 3), (4, 6, 3)]
    with pytest.raises(ninc.ShapeError, match=r"images\[1\]"):
        network.predict(pictures)


def test_what_is_no_picture_at_all_is_an_error_with_its_place(network):
    for wrong in (7, None, object(), 1.5):
        with pytest.raises(ninc.ArgumentError, match=r"predict: images\[2\]: a picture must be"):
            network.predict([noise(), noise(), wrong])
        results = network.predict_each([noise(), wrong], on_error="skip")
        next(results)
        with pytest.raises(ninc.ArgumentError):
            next(results)
    with pytest.raises(ninc.FileError, match=r"images\[1\]"):
        network.predict([noise(), b"junk"])


def test_settings_are_looked_at_before_the_first_result_is_asked_for(network):
    with pytest.raises(ninc.ArgumentError, match="predict_each: batch_size"):
        network.predict_each([], batch_size=0)
    with pytest.raises(ninc.ArgumentError, match="on_error must be 'raise' or 'skip', got 'no'"):
        network.predict_each([], on_error="no")
    network = picture_network()
    network.preprocessing = None
    with pytest.raises(ninc.ArgumentError, match="predict_each: the network has no preprocessing"):
        network.predict_each([])


def test_an_error_in_the_users_own_iterator_is_the_users(network):
    def pictures():
        yield from (noise(seed=seed) for seed in range(3))
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        network.predict(pictures(), batch_size=2)
