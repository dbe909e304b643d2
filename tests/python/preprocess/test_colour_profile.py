"""Pictures with a colour profile of their own are brought to sRGB, as viewers show them."""

import numpy as np
import pytest

from ninc.preprocess import open_picture
from support.colour_profiles import DISPLAY_P3, SRGB, icc_profile, srgb_of
from support.small_pictures import FORMATS, random_bytes

Image = pytest.importorskip("PIL.Image")
ImageCms = pytest.importorskip("PIL.ImageCms")


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif"])
def test_colours_of_another_profile_are_brought_to_srgb(tmp_path, ending):
    pixels = np.uint8([[200, 120, 90], [90, 160, 120], [60, 80, 150], [250, 250, 250]])
    image = Image.fromarray(
        np.broadcast_to(pixels[:, None, None], (4, 8, 32, 3)).reshape(32, 32, 3)
    )
    path = tmp_path / f"p.{ending}"
    image.save(path, icc_profile=icc_profile(DISPLAY_P3, 2.2, "Display P3"), **FORMATS[ending])
    got = np.asarray(open_picture(path), float).reshape(4, 8, 32, 3)[:, 2:6, 2:-2].mean(axis=(1, 2))
    wanted = srgb_of(pixels, DISPLAY_P3, 2.2)
    assert np.abs(wanted - pixels).max() > 10  # the profile does make a difference
    np.testing.assert_allclose(got, wanted, atol=3)


def test_transparent_pictures_with_a_profile(tmp_path):
    pixels = np.uint8([[[200, 120, 90, 255], [0, 0, 0, 0]]])
    profile = icc_profile(DISPLAY_P3, 2.2, "Display P3")
    Image.fromarray(pixels).save(tmp_path / "p.png", icc_profile=profile)
    got = np.asarray(open_picture(tmp_path / "p.png", (10, 20, 30)))[0]
    np.testing.assert_allclose(got[0], srgb_of(pixels[0, 0, :3], DISPLAY_P3, 2.2), atol=2)
    assert got[1].tolist() == [10, 20, 30]  # the ground is sRGB already


def test_palettes_with_a_profile(tmp_path):
    image = Image.fromarray(np.zeros((2, 2), np.uint8), mode="P")
    image.putpalette([200, 120, 90])
    image.save(tmp_path / "p.png", icc_profile=icc_profile(DISPLAY_P3, 2.2, "Display P3"))
    got = np.asarray(open_picture(tmp_path / "p.png"))[0, 0]
    np.testing.assert_allclose(got, srgb_of(np.uint8([200, 120, 90]), DISPLAY_P3, 2.2), atol=2)


def test_what_a_profile_is_called_does_not_count(tmp_path):
    """Linear light with sRGB's primaries is called "sRGB" by some, and is not."""
    pixels = np.uint8([[[200, 60, 40]]])
    profile = icc_profile(SRGB, 1.0, "Linear sRGB")
    Image.fromarray(pixels).save(tmp_path / "p.png", icc_profile=profile)
    got = np.asarray(open_picture(tmp_path / "p.png"))[0, 0]
    np.testing.assert_allclose(got, srgb_of(pixels[0, 0], SRGB, 1.0), atol=2)


def test_srgb_and_damaged_profiles_change_nothing(tmp_path):
    pixels = random_bytes(8, 8, 3)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (srgb, b"no profile", b"x" * 200):
        Image.fromarray(pixels).save(tmp_path / "p.png", icc_profile=profile)
        np.testing.assert_array_equal(np.asarray(open_picture(tmp_path / "p.png")), pixels)
