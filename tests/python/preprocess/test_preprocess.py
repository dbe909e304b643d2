"""Preprocessing: normalisation, its statistics, and pictures brought to size."""

import numpy as np
import pytest

from ninc.errors import ArgumentError, FileError, ShapeError
from ninc.preprocess import Preprocessing
from support.small_pictures import random_bytes

GREY = Preprocessing(size=(4, 6), channels=1, mean=(0.5,), std=(0.25,))


def test_apply_is_the_formula():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 5, 7, 3), dtype=np.uint8)
    settings = Preprocessing(None, 3, (0.4, 0.5, 0.6), (0.2, 0.25, 0.3))
    wanted = (images.astype(np.float64) / 255 - [0.4, 0.5, 0.6]) / [0.2, 0.25, 0.3]
    got = settings.apply(images)
    assert got.dtype == np.float32 and got.flags.c_contiguous
    # Two roundings of values up to 1/0.2 in magnitude, and those of the two constants.
    np.testing.assert_allclose(got, wanted.transpose(0, 3, 1, 2), rtol=0, atol=4 * 5 * 2**-23)


def test_apply_takes_views_and_no_images():
    images = np.arange(2 * 4 * 6 * 3, dtype=np.uint8).reshape(2, 4, 6, 3)
    settings = Preprocessing(None, 3, (0, 0, 0), (1, 1, 1))
    view = images[:, ::2, ::-1]
    np.testing.assert_array_equal(settings.apply(view), settings.apply(view.copy()))
    assert settings.apply(images[:0]).shape == (0, 3, 4, 6)


def test_fit_normalises_to_mean_0_and_deviation_1():
    images = np.random.default_rng(1).integers(0, 200, (1500, 4, 4, 3), dtype=np.uint8)
    images[..., 1] //= 3
    normal = Preprocessing.fit(images).apply(images).astype(np.float64)
    np.testing.assert_allclose(normal.mean(axis=(0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(normal.std(axis=(0, 2, 3)), 1, atol=1e-6)


def test_fit_of_a_flat_picture_stays_finite():
    flat = np.full((2, 3, 3, 1), 77, np.uint8)
    assert np.isfinite(Preprocessing.fit(flat).apply(flat)).all()


def test_dict_round_trip():
    assert Preprocessing.from_dict(GREY.to_dict()) == GREY
    free = Preprocessing(None, 3, (0.1, 0.2, 0.3), (1, 1, 1))
    assert Preprocessing.from_dict(free.to_dict()) == free


@pytest.mark.parametrize(
    "change",
    [
        dict(mean=[1, 2]),
        dict(std=[0.0]),
        dict(std=["x"]),
        dict(channels=2),
        dict(size=[0, 3]),
        dict(size=[3]),
        dict(scale=-1),
        dict(std=[1e-40]),
        dict(scale=1e-37),
        dict(mean=[-3], std=[1e-38]),
        dict(mean=[float("nan")]),
        dict(resize="lanczos"),
        dict(crop="none"),
        dict(resize=5),
        dict(resize=9000),
        dict(resize=8.5),
        dict(size=None, resize=8),
        dict(size=[4, 9000]),
        dict(size=[4.5, 6]),
        dict(size="46"),
        dict(channels=10**30),
        dict(mean=[10**400]),
        dict(kind="whiten"),
        dict(kind="gcn_zca"),
    ],
)
def test_bad_settings_are_told(change):
    with pytest.raises(ArgumentError, match="preprocessing"):
        Preprocessing.from_dict({**GREY.to_dict(), **change})


def test_missing_setting_is_told():
    settings = GREY.to_dict()
    del settings["mean"]
    with pytest.raises(ArgumentError, match="mean"):
        Preprocessing.from_dict(settings)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 4, 6, 1), np.float32),
        np.zeros((2, 4, 6, 3), np.uint8),
        np.zeros((4, 6, 1), np.uint8),
    ],
)
def test_apply_refuses_other_arrays(images):
    with pytest.raises(ShapeError):
        GREY.apply(images)


def test_a_fitting_array_is_not_touched():
    picture = np.arange(24, dtype=np.uint8).reshape(4, 6, 1)
    assert np.shares_memory(GREY.resize_and_crop(picture), picture)
    np.testing.assert_array_equal(GREY.resize_and_crop(picture[:, :, 0]), picture)


def test_resize_keeps_proportions_and_crops_the_centre():
    pytest.importorskip("PIL")
    # 8×24 to 4×6: halved to 4×12, then 3 columns cut off on each side.
    picture = np.zeros((8, 24, 1), np.uint8)
    picture[:, 6:18] = 200
    got = GREY.resize_and_crop(picture)
    assert got.shape == (4, 6, 1)
    # Bilinear halving mixes two columns beyond the border of the bright part at most.
    assert (got[:, 1:5] == 200).all() and (got[:, [0, 5]] >= 100).all()


def test_the_shorter_side_may_be_longer_than_the_crop():
    image = pytest.importorskip("PIL.Image")
    settings = Preprocessing((4, 6), 1, (0.5,), (0.25,), resize=8)
    assert settings.to_dict()["resize"] == 8
    assert Preprocessing.from_dict(settings.to_dict()) == settings
    # 16×32 to 8×16, of which columns 5..11 and rows 2..6 stay: a frame of 4 and 10 pixels is lost.
    picture = np.zeros((16, 32, 1), np.uint8)
    picture[4:12, 10:22] = 200
    np.testing.assert_array_equal(
        settings.resize_and_crop(image.fromarray(picture[:, :, 0]))[1:3, 1:5], 200
    )
    assert GREY.resize_and_crop(picture)[0, 0] == 0
    # Even a picture of the crop's size goes through the rule, but an array of it is cut already.
    small = np.arange(24, dtype=np.uint8).reshape(4, 6)
    resized = np.asarray(image.fromarray(small).resize((12, 8), image.BILINEAR))[2:6, 3:9]
    np.testing.assert_array_equal(
        settings.resize_and_crop(image.fromarray(small))[:, :, 0], resized
    )
    assert np.shares_memory(settings.resize_and_crop(small), small)


def test_a_strip_does_not_grow_to_gigabytes():
    image = pytest.importorskip("PIL.Image")
    strip = np.zeros((1, 60_001), np.uint8)
    strip[:, 29_000:31_000] = 90
    settings = Preprocessing((2048, 1024), 1, (0.5,), (0.25,))
    got = settings.resize_and_crop(image.fromarray(strip))  # resized whole: 252 GB
    assert got.shape == (2048, 1024, 1) and (got == 90).all()


def test_description():
    assert GREY.describe() == "4×6 by crop, grey, mean 0.5000, std 0.2500"
    colour = Preprocessing((224, 224), 3, (0.5,) * 3, (0.25,) * 3, resize=256)
    assert colour.describe().startswith("224×224 by crop from a shorter side of 256, RGB, mean")
    assert Preprocessing(None, 1, (0,), (1,)).describe().startswith("any size, grey")


def test_colours_are_converted(tmp_path):
    image = pytest.importorskip("PIL.Image")
    path = tmp_path / "red.png"
    image.new("P", (6, 4)).save(path)
    colour = Preprocessing((4, 6), 3, (0, 0, 0), (1, 1, 1))
    assert colour.resize_and_crop(path).shape == (4, 6, 3)
    assert GREY.resize_and_crop(str(path)).shape == (4, 6, 1)


def test_unreadable_pictures_are_named(tmp_path):
    image = pytest.importorskip("PIL.Image")
    with pytest.raises(FileError, match="none.png: no such file"):
        GREY.resize_and_crop(tmp_path / "none.png")
    text = tmp_path / "text.png"
    text.write_text("this is no picture")
    with pytest.raises(FileError, match="text.png: not a picture"):
        GREY.resize_and_crop(text)
    whole = tmp_path / "whole.jpg"
    noise = random_bytes(64, 64, 3)
    image.fromarray(noise).save(whole)
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(whole.read_bytes()[:1000])
    with pytest.raises(FileError, match="cut.jpg"):
        GREY.resize_and_crop(cut)
    with pytest.raises(ArgumentError, match="int"):
        GREY.resize_and_crop(7)
