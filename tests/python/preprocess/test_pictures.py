"""One way from a file to pixels: what viewers show is what every part of ninc sees."""

import io
from importlib.util import find_spec

import numpy as np
import pytest

import ninc
from ninc import data, nn
from ninc.errors import ArgumentError, FileError
from ninc.preprocess import Framing, Preprocessing, open_picture
from support.small_pictures import FORMATS, random_bytes, save, turned_exif

Image = pytest.importorskip("PIL.Image")

# What is done to an upright picture so that a file with this EXIF orientation shows it upright.
STORED = {
    1: None,
    2: Image.FLIP_LEFT_RIGHT,
    3: Image.ROTATE_180,
    4: Image.FLIP_TOP_BOTTOM,
    5: Image.TRANSPOSE,
    6: Image.ROTATE_90,
    7: Image.TRANSVERSE,
    8: Image.ROTATE_270,
}


def upright():
    """16×24 pixels in blocks of 8, each of another colour: no turn gives the same picture."""
    blocks = random_bytes(2, 3, 3, seed=1)
    return blocks.repeat(8, 0).repeat(8, 1)


def turned(path, orientation, pixels, **options):
    image = Image.fromarray(pixels)
    if STORED[orientation] is not None:
        image = image.transpose(STORED[orientation])
    return save(path, np.asarray(image), exif=turned_exif(orientation), **options)


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("orientation", STORED)
def test_a_picture_is_turned_as_its_exif_data_say(tmp_path, ending, orientation):
    pixels = upright()
    path = turned(tmp_path / f"p.{ending}", orientation, pixels, **FORMATS[ending])
    got = np.asarray(open_picture(path), int)
    assert got.shape == pixels.shape
    # JPEG is allowed what it loses; in blocks of 8 that is little.
    assert np.abs(got - pixels).mean() < (4 if ending == "jpg" else 1e-9)


def test_every_part_of_ninc_turns_it(tmp_path):
    """Loading at once and as it goes, and predicting; sizes are those of the turned picture."""
    pixels = upright()
    for name in ("a", "b"):
        turned(tmp_path / "d" / name / "0.png", 8, pixels)
    for in_memory in (True, False):
        got = data.load(tmp_path / "d", "all", in_memory=in_memory)
        np.testing.assert_array_equal(got.images[0], pixels)
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.GlobalAvgPool2d())
    net.preprocessing = Preprocessing(None, 3, (0.5,) * 3, (0.25,) * 3)
    np.testing.assert_array_equal(net.predict([tmp_path / "d/a/0.png"]), net.predict(pixels))


def test_damaged_exif_data_do_not_cost_the_picture(tmp_path):
    Image.fromarray(upright()).save(tmp_path / "p.png", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    np.testing.assert_array_equal(np.asarray(open_picture(tmp_path / "p.png")), upright())


@pytest.mark.parametrize(
    "stored, mode, expected",
    [
        (np.uint16([[0, 257, 128, 129], [65535, 32896, 65407, 30000]]), "I;16", None),
        (np.int32([[0, 257, 128, 129], [65535, 32896, 65407, 30000]]), "I", None),
        (np.float32([[0, 1 / 255, 0.5 / 257, 0.002], [1, 128 / 255, 1.0005, 0.4577]]), "F", None),
    ],
)
def test_deep_grey_is_scaled(tmp_path, stored, mode, expected):
    Image.fromarray(stored).save(tmp_path / "p.tif")
    with Image.open(tmp_path / "p.tif") as image:
        assert image.mode == mode
    full = 1.0 if mode == "F" else 65535
    expected = np.rint(np.clip(stored.astype(np.float64) / full, 0, 1) * 255)
    np.testing.assert_array_equal(np.asarray(open_picture(tmp_path / "p.tif")), expected)


def test_sixteen_bit_png_and_its_transparent_value(tmp_path):
    stored = np.arange(0, 65536, 4096, dtype=np.uint16).reshape(4, 4)
    Image.fromarray(stored).save(tmp_path / "p.png")
    np.testing.assert_array_equal(
        np.asarray(open_picture(tmp_path / "p.png")), np.rint(stored / 257)
    )
    image = Image.fromarray(stored)
    image.info["transparency"] = 8192
    image.save(tmp_path / "clear.png", transparency=8192)
    got = np.asarray(open_picture(tmp_path / "clear.png", (9, 8, 7)))
    assert got[0, 2].tolist() == [9, 8, 7] and got[0, 3].tolist() == [48, 48, 48]


@pytest.mark.parametrize(
    "stored, words",
    [
        (np.float32([[0, 255.0]]), "run from 0 to 255; they are taken as grey from 0 to 1"),
        (np.float32([[0, np.nan]]), "taken as grey from 0 to 1"),
        (np.int32([[0, 70000]]), "run from 0 to 70000; they are taken as 16-bit grey"),
        (np.int32([[-1, 5]]), "run from -1 to 5"),
    ],
)
def test_values_that_fit_no_rule_are_told(tmp_path, stored, words):
    Image.fromarray(stored).save(tmp_path / "p.tif")
    with pytest.raises(FileError, match=f"p.tif: cannot read this picture .*{words}"):
        open_picture(tmp_path / "p.tif")


def half_clear():
    """Black on the left, three quarters opaque; nothing at all on the right."""
    pixels = np.zeros((2, 4, 4), np.uint8)
    pixels[:, :2, 3] = 191
    return Image.fromarray(pixels)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("ground", [(255, 255, 255), (0, 100, 200)])
def test_an_alpha_channel_is_laid_over_the_ground(tmp_path, mode, ground):
    half_clear().convert(mode).save(tmp_path / "p.png")
    got = np.asarray(open_picture(tmp_path / "p.png", ground), int)
    assert (got[:, 2:] == ground).all()
    np.testing.assert_allclose(got[:, :2], np.broadcast_to(ground, (2, 2, 3)) * 64 / 255, atol=1)
    grey = Framing(None, 1, ground=ground).pixels(tmp_path / "p.png")
    wanted = np.asarray(Image.new("RGB", (1, 1), ground).convert("L"))[0, 0]
    assert (grey[:, 2:, 0] == wanted).all()


def test_a_palettes_transparency(tmp_path):
    image = Image.fromarray(np.uint8([[0, 1, 2, 2]]), mode="P")
    image.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200])
    image.save(tmp_path / "one.png", transparency=1)  # one of its colours
    image.save(tmp_path / "each.png", transparency=b"\xff\x00\x80")  # a byte for each
    image.save(tmp_path / "one.gif", transparency=2)
    read = {n: np.asarray(open_picture(tmp_path / n), int)[0] for n in ("one.png", "each.png")}
    assert read["one.png"].tolist() == [[200, 0, 0], [255, 255, 255], [0, 0, 200], [0, 0, 200]]
    assert read["each.png"][:2].tolist() == [[200, 0, 0], [255, 255, 255]]
    np.testing.assert_allclose(read["each.png"][2], [127, 127, 227], atol=1)
    assert np.asarray(open_picture(tmp_path / "one.gif"))[0, 2].tolist() == [255, 255, 255]


def test_one_colour_may_be_transparent(tmp_path):
    Image.fromarray(np.uint8([[[1, 2, 3], [4, 5, 6]]])).save(
        tmp_path / "rgb.png", transparency=(4, 5, 6)
    )
    assert np.asarray(open_picture(tmp_path / "rgb.png")).tolist() == [[[1, 2, 3], [255] * 3]]
    Image.fromarray(np.uint8([[7, 8]])).save(tmp_path / "grey.png", transparency=7)
    assert np.asarray(open_picture(tmp_path / "grey.png")).tolist() == [[[255] * 3, [8] * 3]]


@pytest.mark.parametrize("ending", ["gif", "webp", "png", "tif"])
def test_the_first_frame_of_an_animation(tmp_path, ending):
    frames = [Image.new("RGB", (8, 6), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    options = dict(lossless=True) if ending == "webp" else {}
    frames[0].save(tmp_path / f"a.{ending}", save_all=True, append_images=frames[1:], **options)
    got = Framing(None, 3).pixels(tmp_path / f"a.{ending}")
    assert got.shape == (6, 8, 3) and (got == (255, 0, 0)).all()


def test_other_kinds_of_colours(tmp_path):
    Image.fromarray(np.bool_([[True, False]])).save(tmp_path / "bits.png")
    assert Framing(None, 1).pixels(tmp_path / "bits.png")[0, :, 0].tolist() == [255, 0]
    Image.new("CMYK", (2, 1), (0, 255, 255, 0)).save(tmp_path / "ink.tif")
    np.testing.assert_allclose(Framing(None, 3).pixels(tmp_path / "ink.tif")[0, 0], [255, 0, 0])


def test_bytes_and_file_objects(tmp_path):
    kept = io.BytesIO()
    Image.fromarray(upright()).save(kept, "PNG")
    content = kept.getvalue()
    (tmp_path / "p.png").write_bytes(content)
    with open(tmp_path / "p.png", "rb") as file:
        for picture in (content, bytearray(content), io.BytesIO(content), file):
            np.testing.assert_array_equal(np.asarray(open_picture(picture)), upright())
    with pytest.raises(FileError, match="a picture of 2 bytes: not a picture"):
        open_picture(b"no")
    with pytest.raises(ArgumentError, match="must be a file name, the bytes of a file.*got int"):
        open_picture(3)


def test_the_ground_is_three_bytes():
    for ground in ("red", (1, 2), (1, 2, 256), (1, 2, -1), (0.5, 0, 0), 7, None, (1, 2, "x")):
        with pytest.raises(ArgumentError, match="ground must be three whole numbers 0..255"):
            Framing(None, 3, ground=ground)


# ---- Files that Pillow cannot open by itself -----------------------------------------------------


@pytest.mark.skipif(find_spec("pillow_heif") is not None, reason="pillow-heif reads them here")
def test_heic_pictures_say_what_reads_them(tmp_path):
    (tmp_path / "IMG_0023.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(200))
    with pytest.raises(FileError, match="IMG_0023.HEIC: .*pip install pillow-heif"):
        open_picture(tmp_path / "IMG_0023.HEIC")


def test_very_large_pictures_are_named_with_what_helps(tmp_path, monkeypatch):
    Image.fromarray(upright()).save(tmp_path / "slide.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # 24×16 is more than twice as many
    with pytest.raises(FileError, match="slide.png: .*384 pixels.*MAX_IMAGE_PIXELS higher"):
        open_picture(tmp_path / "slide.png")


def test_home_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        save(tmp_path / "pets" / name / "0.png", upright())
    assert len(data.load("~/pets", "all")) == 2
    np.testing.assert_array_equal(np.asarray(open_picture("~/pets/a/0.png")), upright())
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.GlobalAvgPool2d())
    net.save("~/net.safetensors")
    assert (tmp_path / "net.safetensors").exists() and ninc.load("~/net.safetensors")
    trainer = ninc.Trainer(net, ninc.SGD(0.1))
    trainer.fit(data.load("~/pets", "all"), epochs=1, checkpoint_dir="~/run", progress=False)
    assert (tmp_path / "run" / "last.safetensors").exists()
    trainer.history.save("~/h.jsonl")
    assert (tmp_path / "h.jsonl").exists() and not (tmp_path / "~").exists()
    (tmp_path / "~").mkdir()  # what is there as it is written is meant
    (tmp_path / "~" / "odd.png").write_bytes((tmp_path / "pets/a/0.png").read_bytes())
    assert open_picture("~/odd.png").size == (24, 16)
