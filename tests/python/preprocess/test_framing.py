"""How pictures of any size become the network's: crop, pad, squash, and what of it is stored."""

import numpy as np
import pytest

import ninc
from ninc import data, nn
from ninc.errors import ArgumentError
from ninc.formats.metadata import stored_preprocessing
from ninc.preprocess import Framing, Preprocessing
from support.small_pictures import random_bytes

Image = pytest.importorskip("PIL.Image")


def half_clear():
    """Black on the left; nothing at all on the right."""
    pixels = np.zeros((2, 4, 4), np.uint8)
    pixels[:, :2, 3] = 255
    return Image.fromarray(pixels)


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
        ("fit must be 'crop', 'pad' or 'squash', got 'stretch'", dict(fit="stretch")),
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
    assert stored_preprocessing(again.core) == stored
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


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda x: x[:3].fill(0), "3 of 8 training pictures have one value all over .3 of them"),
        (lambda x: x[2].fill(77), "1 of 8 training pictures have one value all over$"),
    ],
)
def test_pictures_with_nothing_in_them_are_remarked_on(change, words):
    images = random_bytes(8, 6, 6, 3)
    change(images)
    with pytest.warns(ninc.Remark, match=words):
        Preprocessing.fit(images)


def test_ordinary_pictures_are_not_remarked_on(recwarn):
    Preprocessing.fit(random_bytes(8, 6, 6, 3))
    assert not recwarn.list
