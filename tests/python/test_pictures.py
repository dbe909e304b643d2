"""One way from a file to pixels: what viewers show is what every part of ninc sees."""

import io

import numpy as np
import pytest

import ninc
from ninc import data, nn
from ninc.errors import ArgumentError, FileError
from ninc.preprocess import Framing, Preprocessing, open_picture

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
FORMATS = {
    "jpg": dict(quality=95, subsampling=0),
    "png": {},
    "webp": dict(lossless=True),
    "tif": {},
}


def upright():
    """16×24 pixels in blocks of 8, each of another colour: no turn gives the same picture."""
    blocks = np.random.default_rng(1).integers(0, 256, (2, 3, 3), dtype=np.uint8)
    return blocks.repeat(8, 0).repeat(8, 1)


def turned(path, orientation, pixels, **options):
    image = Image.fromarray(pixels)
    if STORED[orientation] is not None:
        image = image.transpose(STORED[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(path, exif=exif, **options)
    return path


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
        (tmp_path / "d" / name).mkdir(parents=True)
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


# ---- Framing -------------------------------------------------------------------------------------


def stripes(height, width):
    """Columns that count up from the left: a pixel's value says where it was."""
    return np.broadcast_to(np.arange(width, dtype=np.uint8), (height, width)).copy()


def test_crop_pad_and_squash():
    wide = Image.fromarray(stripes(40, 120))
    crop, pad, squash = (Framing((20, 20), 1, fit=fit) for fit in ("crop", "pad", "squash"))
    # 120 columns become 60, of which the middle 20 stay: columns 40 to 80 of the picture.
    got = crop.pixels(wide)[10, :, 0]
    assert 39 <= got[0] <= 42 and 77 <= got[-1] <= 80
    # Two thirds of the height are ground: 120×40 becomes 20×7.
    got = pad.pixels(wide)[:, 10, 0]
    assert (got[:6] == 255).all() and (got[13:] == 255).all() and (got[6:13] < 80).all()
    got = squash.pixels(wide)[10, :, 0]
    assert got[0] < 6 and got[-1] > 113


@pytest.mark.parametrize(
    "framing, size, box, lost",
    [
        (Framing((20, 20), 3), (120, 40), (40, 0, 80, 40), 2 / 3),
        (Framing((20, 20), 3, fit="squash"), (120, 40), (0, 0, 120, 40), 0),
        (Framing((20, 20), 3, fit="pad"), (120, 60), (0, -30, 120, 90), 0),
        (Framing((10, 10), 3, resize=20), (40, 40), (10, 10, 30, 30), 3 / 4),
        (Framing(None, 3), (7, 9), (0, 0, 7, 9), 0),
        (Framing((30, 20), 3), (20, 30), (0, 0, 20, 30), 0),
    ],
)
def test_which_part_of_a_picture_is_seen(framing, size, box, lost):
    assert framing.box(*size) == pytest.approx(box)
    assert framing.lost(*size) == pytest.approx(lost)


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
def test_the_box_is_where_the_pixels_came_from(fit):
    """A mark's place in the framed picture, carried back by the box, is where it was."""
    picture = np.zeros((90, 150), np.uint8)
    picture[40:50, 60:70] = 255
    framing = Framing((30, 40), 1, fit=fit, ground=(0, 0, 0))
    seen = framing.pixels(Image.fromarray(picture))[:, :, 0].astype(float)
    left, top, right, bottom = framing.box(150, 90)
    rows, columns = np.indices(seen.shape) + 0.5
    x = left + (columns * seen).sum() / seen.sum() * (right - left) / 40
    y = top + (rows * seen).sum() / seen.sum() * (bottom - top) / 30
    assert abs(x - 65) < 1 and abs(y - 45) < 1


def test_framing_refuses_what_makes_no_sense():
    for words, options in (
        ("fit must be one of crop, pad, squash, got 'stretch'", dict(fit="stretch")),
        ("resize goes with fit 'crop' alone", dict(fit="pad", resize=40)),
        ("channels must be 1 or 3", dict(channels=4)),
        ("at most 8192", dict(size=(9000, 4))),
    ):
        with pytest.raises(ArgumentError, match=words):
            Framing(**{**dict(size=(20, 20), channels=3), **options})


@pytest.mark.parametrize("in_memory", [True, False])
def test_load_frames_and_says_how(tmp_path, in_memory):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for index in range(2):
            half_clear().resize((40, 20)).save(tmp_path / name / f"{index}.png")
    options = dict(size=(16, 16), fit="pad", ground=(10, 20, 30))
    got = data.load(tmp_path, "all", in_memory=in_memory, **options)
    rule = Framing((16, 16), 3, fit="pad", ground=(10, 20, 30))
    assert got.framing == rule
    np.testing.assert_array_equal(got.images[0], rule.pixels(tmp_path / "a/0.png"))
    assert got.images[0][0, 0].tolist() == [10, 20, 30]
    other = data.load(tmp_path, "all", in_memory=in_memory, size=(16, 16))
    assert other.fingerprint() != got.fingerprint()


# ---- What is stored ------------------------------------------------------------------------------


def test_framing_is_stored_with_the_network(tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.GlobalAvgPool2d())
    stored = Preprocessing((8, 8), 3, (0.5,) * 3, (0.2,) * 3, fit_mode="pad", ground=(1, 2, 3))
    net.preprocessing = stored
    assert net.preprocessing["fit"] == "pad" and net.preprocessing["ground"] == [1, 2, 3]
    net.save(tmp_path / "n")
    again = ninc.load(tmp_path / "n")
    assert again._stored_preprocessing() == stored
    wide = half_clear().resize((20, 10))
    np.testing.assert_array_equal(again.predict([wide]), net.predict([wide]))
    assert b'"format_version":"3"' in (tmp_path / "n").read_bytes()


def test_older_files_mean_crop_and_white():
    older = dict(size=[8, 8], resize="bilinear", crop="center", channels=1, mean=[0.5], std=[0.2])
    read = Preprocessing.from_dict(older)
    assert (read.fit_mode, read.ground) == ("crop", (255, 255, 255))


def test_an_entry_that_is_not_known_is_refused_by_name(tmp_path):
    plain = dict(size=[8, 8], channels=1, mean=[0.5], std=[0.2])
    with pytest.raises(ArgumentError, match="entry 'gamma' is not known"):
        Preprocessing.from_dict({**plain, "gamma": 2.2})
    with pytest.raises(ArgumentError, match="fit 'seam' is not known, only crop, pad, squash"):
        Preprocessing.from_dict({**plain, "fit": "seam"})


# ---- Remarks -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda x: x[:3].fill(0), "3 of 8 training pictures have one value all over .3 of them"),
        (lambda x: x[2].fill(77), "1 of 8 training pictures have one value all over$"),
        (lambda x: x[:].__setitem__(slice(None), x[0].copy()), "all 8 training pictures are the"),
        (lambda x: x[..., 1].fill(40), "channel 1 has values that hardly vary"),
    ],
)
def test_pictures_with_nothing_in_them_are_remarked_on(change, words):
    images = np.random.default_rng(0).integers(0, 256, (8, 6, 6, 3), dtype=np.uint8)
    change(images)
    with pytest.warns(ninc.Remark, match=words):
        Preprocessing.fit(images)


def test_ordinary_pictures_are_not_remarked_on(recwarn):
    Preprocessing.fit(np.random.default_rng(0).integers(0, 256, (8, 6, 6, 3), dtype=np.uint8))
    assert not recwarn.list
