"""Kinds of pictures that Pillow hands over otherwise than viewers show them."""

import io
import struct
import zlib

import numpy as np
import pytest

import ninc
from ninc import nn
from ninc.preprocess import Framing, Preprocessing, open_picture
from ninc.preprocess.pictures import picture_size
from support.colour_profiles import DISPLAY_P3, icc_profile, srgb_of
from support.small_pictures import random_bytes, save, turned_exif

Image = pytest.importorskip("PIL.Image")

PALETTE = np.uint8([[0, 0, 0], [200, 120, 90], [60, 80, 150], [250, 250, 250]])
RED = (255, 0, 0)


def chunk(name, content):
    check = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + check


def png(width, depth, colour, row, before=b"", after=b""):
    """A PNG one pixel high; before, after: chunks beside its pixels."""
    header = struct.pack(">IIBBBBB", width, 1, depth, colour, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" + row))
    end = chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + pixels + after + end


def tiff(row, bits, photometric, width, kind=1, turned=1):
    """A TIFF one pixel high; kind: 1 whole numbers, 3 floats; turned: its EXIF orientation."""
    tags = [(256, 4, width), (257, 4, 1), (258, 3, bits), (259, 3, 1), (262, 3, photometric)]
    tags += [(273, 4, 8), (274, 3, turned), (277, 3, 1), (278, 4, 1), (279, 4, len(row))]
    tags += [(339, 3, kind)]
    content = b"".join(struct.pack("<HHII", tag, of, 1, value) for tag, of, value in tags)
    directory = struct.pack("<H", len(tags)) + content + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(row)) + row + directory


def exif(orientation):
    return turned_exif(orientation).tobytes().removeprefix(b"Exif\0\0")


def seen(picture, **options):
    return np.asarray(open_picture(picture, **options))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
def test_lab_pictures_for_every_network(channels, fit):
    from PIL import ImageCms

    blocks = random_bytes(2, 3, 3, seed=3)
    image = Image.fromarray(blocks.repeat(5, 0).repeat(5, 1))
    spaces = [ImageCms.createProfile(name) for name in ("sRGB", "LAB")]
    lab = ImageCms.profileToProfile(image, *spaces, outputMode="LAB")
    framing = Framing((8, 8), channels, fit=fit)
    got, wanted = framing.pixels(lab), framing.pixels(image)
    assert got.shape == wanted.shape == (8, 8, channels)
    assert np.abs(got.astype(int) - wanted).mean() <= 4  # LAB in bytes is coarse


def test_a_palette_s_colours_have_a_profile_too():
    profile = icc_profile(DISPLAY_P3, 2.2, "Display P3")
    chunks = chunk(b"iCCP", b"p\0\0" + zlib.compress(profile)) + chunk(b"PLTE", PALETTE.tobytes())
    got = seen(png(4, 8, 3, bytes(range(4)), chunks))
    np.testing.assert_allclose(got[0], srgb_of(PALETTE, DISPLAY_P3, 2.2), atol=2)


def test_a_palette_s_own_transparency_without_a_file():
    pixels = np.zeros((4, 6, 4), np.uint8)
    pixels[:2] = (10, 200, 30, 255)
    image = Image.fromarray(pixels).quantize(4)
    assert image.mode == "P" and "transparency" not in image.info
    got = seen(image, ground=RED)
    assert got[0, 0].tolist() == [10, 200, 30] and got[3, 5].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    "depth, colour, row, clear, levels",
    [
        (1, 0, b"\xb0", [1], [None, 0, None, None]),
        (2, 0, b"\x1b", [1], [0, None, 170, 255]),
        (4, 0, b"\x05\x5f", [5], [0, None, None, 255]),
        (8, 0, b"\x00\x05\x55\xff", [5], [0, None, 85, 255]),
        (16, 0, struct.pack(">4H", 0, 1000, 30000, 65535), [1000], [0, None, 117, 255]),
        (16, 2, struct.pack(">12H", *[0] * 3, 1000, 2000, 3000, *[30000] * 3, *[65535] * 3),
         [1000, 2000, 3000], [0, None, 117, 255]),
    ],
)  # fmt: skip
def test_one_transparent_value_of_any_depth(depth, colour, row, clear, levels):
    chunks = chunk(b"tRNS", struct.pack(f">{len(clear)}H", *clear))
    got = seen(png(4, depth, colour, row, chunks), ground=RED)[0].tolist()
    assert got == [list(RED) if level is None else [level] * 3 for level in levels]


def test_an_opened_pillow_image_is_turned_as_its_file_is():
    """PNG may tell the orientation after the pixels, where only loading finds it."""
    content = png(3, 8, 2, PALETTE[1:].tobytes(), after=chunk(b"eXIf", exif(6)))
    whole = seen(content)
    assert whole.shape == (3, 1, 3)
    np.testing.assert_array_equal(seen(Image.open(io.BytesIO(content))), whole)
    net = nn.Sequential(nn.Conv2d(3, 2, 1), nn.GlobalAvgPool2d())
    net.preprocessing = Preprocessing((2, 1), 3, (0.5,) * 3, (0.25,) * 3)
    predicted = net.predict([Image.open(io.BytesIO(content)), content])
    np.testing.assert_array_equal(predicted[0], predicted[1])


@pytest.mark.parametrize(
    "bits, kind, row, levels",
    [
        (8, 1, bytes([0, 1, 255, 100]), [0, 1, 255, 100]),
        (16, 1, struct.pack("<4H", 0, 257, 65535, 25700), [0, 1, 255, 100]),
        (32, 3, struct.pack("<4f", 0, 1 / 255, 1, 100 / 255), [0, 1, 255, 100]),
    ],
)
@pytest.mark.parametrize("turned", [1, 8])
def test_tiff_counts_from_black_or_from_white(bits, kind, row, levels, turned):
    black, white = (seen(tiff(row, bits, p, 4, kind, turned)).ravel() for p in (1, 0))
    assert black.tolist() == (levels if turned == 1 else levels[::-1])
    np.testing.assert_array_equal(white, 255 - black)


def test_twelve_bits_reach_from_black_to_white():
    row = bytes([0x00, 0x0F, 0xFF, 0x80, 0x00, 0x10])  # 0, 4095, 2048, 16 in twelve bits each
    assert seen(tiff(row, 12, 1, 4))[0].tolist() == [0, 255, 128, 1]


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
def test_sizes_from_headers_are_those_that_are_seen(tmp_path, ending, orientation):
    Image.new("RGB", (9, 4)).save(tmp_path / f"p.{ending}", exif=turned_exif(orientation))
    wanted = (9, 4) if orientation > 4 else (4, 9)
    assert picture_size(tmp_path / f"p.{ending}") == wanted
    assert seen(tmp_path / f"p.{ending}").shape[:2] == wanted


def test_much_cut_counts_turned_tiffs_as_they_are_seen(tmp_path):
    """Upright 12×20 pictures stored on their side: brought to 12×20, nothing is lost."""
    for name in ("a", "b"):
        save(tmp_path / name / "0.tif", np.zeros((12, 20, 3), np.uint8), exif=turned_exif(6))
    from ninc.data.survey import much_cut

    assert much_cut(ninc.data.load(tmp_path, "all", size=(20, 12))) == (0, 2)
    assert much_cut(ninc.data.load(tmp_path, "all", size=(12, 20))) == (2, 2)


@pytest.mark.parametrize("size", [(0, 5), (5, 0)])
def test_pictures_without_pixels_are_told(size):
    for mode in ("RGB", "RGBA", "F"):
        with pytest.raises(ninc.FileError, match=f"Pillow image of mode {mode}.*no pixels"):
            Framing((4, 4), 3).pixels(Image.new(mode, size))
