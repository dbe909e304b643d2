"""Heat: where it lies, how much of it there is, at whose size."""

import io

import numpy as np
import pytest

import ninc
from ninc import nn
from ninc.errors import ArgumentError, FileError, ModelError, ShapeError
from ninc.explanation import Explanation, explain
from support.explain_networks import brightness, centroid, per_pixel, square
from support.small_pictures import random_bytes, save, turned_exif

Image = pytest.importorskip("PIL.Image")


def unpadded():
    return nn.Sequential(
        nn.MlpConv(3, (4, 4), 5), nn.MaxPool2d(2), nn.MlpConv(4, (4, 3), 5), nn.GlobalAvgPool2d()
    )


# ---- Where it lies -------------------------------------------------------------------------------


@pytest.mark.parametrize("top, left, side", [(9, 14, 5), (13, 10, 4), (16, 18, 6), (12, 11, 8)])
@pytest.mark.parametrize("pool", ["avg", "max"])
def test_a_square_is_found_within_a_pixel_by_nin_cifar(top, left, side, pool):
    network = brightness(ninc.models.nin_cifar10(pool2=pool), (32, 32))
    heat = explain(network, square((32, 32), top, left, side), 0).heat
    middle = np.array([top, left]) + (side - 1) / 2
    assert np.abs(centroid(heat) - middle).max() < 1.0


@pytest.mark.parametrize("size", [(32, 32), (40, 56), (61, 33)])
def test_a_square_is_found_within_a_pixel_without_padding(size):
    network = brightness(unpadded(), size)
    for top, left in ((11, 12), (12, 15), (size[0] - 16, size[1] - 17)):
        heat = explain(network, square(size, top, left, 5), 0).heat
        assert np.abs(centroid(heat) - (top + 2, left + 2)).max() < 1.0


@pytest.mark.parametrize("top, left, side", [(96, 96, 32), (84, 100, 48), (88, 92, 40)])
def test_a_square_is_found_within_two_pixels_by_nin_imagenet(top, left, side):
    network = brightness(ninc.models.nin_imagenet(num_classes=3), (224, 224))
    heat = explain(network, square((224, 224), top, left, side), 0).heat
    assert np.abs(centroid(heat) - (top + (side - 1) / 2, left + (side - 1) / 2)).max() < 2.0


@pytest.mark.parametrize("top, left", [(0, 0), (0, 25), (25, 4), (25, 25)])
def test_a_square_in_a_corner_is_found_there(top, left):
    # The network's outermost places look 3 pixels inside; the heat goes on level to the edge.
    network = brightness(ninc.models.nin_cifar10(), (32, 32))
    heat = explain(network, square((32, 32), top, left, 7), 0).heat
    assert np.abs(centroid(heat) - (top + 3, left + 3)).max() < 2.5
    assert heat[top + 3, left + 3] > 0.7


def test_a_linear_layer_behind_the_pooling():
    features = (nn.Conv2d(1, 2, 3, padding=1, bias=False), nn.MaxPool2d(2), nn.GlobalAvgPool2d())
    network = nn.Sequential(*features, nn.Dropout(0.5), nn.Linear(2, 3))
    sobel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)
    weights = {
        "conv1.weight": np.stack([sobel, -sobel])[:, None],
        "linear1.weight": np.array([[1, 0], [0, 1], [0, 0]], np.float32),
        "linear1.bias": np.zeros(3, np.float32),
    }
    network.load_state_dict(weights)
    network.preprocessing = ninc.preprocess.Preprocessing(None, 1, (0.0,), (1.0,))
    picture = np.zeros((20, 30, 1), np.uint8)
    picture[:, 9:20] = 200  # a left edge at column 9, a right edge at 19
    left, right = (centroid(explain(network, picture, label).heat)[1] for label in (0, 1))
    assert abs(left - 8.5) <= 1.0 and abs(right - 19.5) <= 1.0


# ---- How much there is ---------------------------------------------------------------------------


def test_heat_is_evidence_by_the_pictures_strongest():
    network = per_pixel([[2.0], [0.0], [-2.0]])
    row = np.array([[[0], [51], [102], [255]]], np.uint8)
    # Class 0 leads over the mean of the others, -x, by 2x - (-x) = 3x, at most 3 at x = 1.
    shown = explain(network, row, 0)
    assert shown.scale == pytest.approx(3.0, rel=1e-5)
    np.testing.assert_allclose(shown.heat, [[0.0, 0.2, 0.4, 1.0]], atol=1e-5)
    # Class 1 stands at the mean of the two others, class 2 below it: nothing speaks for them.
    for label in (1, 2):
        other = explain(network, row, label)
        assert not other.heat.any() and other.scale == shown.scale


def test_what_speaks_less_glows_less():
    network = per_pixel([[9.0, 0.0, 0.0], [0.0, 0.9, 0.0], [0.0, 0.0, 0.0]])
    picture = np.zeros((6, 12, 3), np.uint8)
    picture[:, 2:4, 0] = 255
    picture[:, 8:10, 1] = 255
    much, little = (explain(network, picture, label).heat for label in (0, 1))
    assert much.max() == pytest.approx(1.0) and centroid(much)[1] == pytest.approx(2.5)
    assert 0.09 < little.max() < 0.11 and centroid(little)[1] == pytest.approx(8.5)


def test_a_map_that_is_the_same_everywhere_has_no_heat():
    network = per_pixel([[5.0], [-5.0]])
    shown = explain(network, np.full((9, 9, 1), 180, np.uint8), 0)
    assert not shown.heat.any() and shown.probability > 0.99


def test_leads_that_change_no_odds_stay_dark():
    network = per_pixel([[1e-3], [0.0]])
    shown = explain(network, square((8, 8), 2, 2, 3, 1), 0)
    assert shown.scale == 0.1 and shown.heat.max() == pytest.approx(0.01, rel=1e-3)


def test_a_single_class_is_shown_against_zero():
    network = per_pixel([[1.0]])
    shown = explain(network, square((8, 8), 2, 3, 3, 1))
    assert (shown.label, shown.probability) == (0, 1.0)
    assert shown.heat.max() == 1.0 and centroid(shown.heat).tolist() == [3, 4]


def test_numbers_that_are_not_finite_are_told():
    network = per_pixel([[np.inf], [1.0]])
    with pytest.raises(ModelError, match="not finite"):
        explain(network, square((4, 4), 1, 1, 2, 1), 0)


# ---- The user's picture, at its own size ---------------------------------------------------------


def test_a_cut_picture_has_heat_in_its_middle_only():
    network = per_pixel([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]], (20, 20))
    wide = np.zeros((60, 150, 3), np.uint8)
    wide[12:24, 60:78] = 255  # in the middle
    wide[30:50, 5:25] = 255  # in what is cut off: columns 45 to 105 stay
    shown = explain(network, wide, 0)
    assert shown.seen == (45.0, 0.0, 105.0, 60.0)
    assert np.array_equal(shown.picture, wide) and shown.heat.shape == (60, 150)
    assert shown.heat.dtype == np.float32
    assert not shown.heat[:, :45].any() and not shown.heat[:, 105:].any()
    assert np.abs(centroid(shown.heat) - (17.5, 68.5)).max() < 1.0


def test_an_array_of_the_networks_size_is_seen_whole():
    # `resize` would bring its shorter side to 32 and cut 4 pixels off each side; it is not applied.
    network = per_pixel([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]], (24, 24), resize=32)
    picture = square((24, 24), 1, 2, 5)
    shown = explain(network, picture, 0)
    assert shown.seen == (0.0, 0.0, 24.0, 24.0)
    assert centroid(shown.heat).tolist() == [3, 4]
    # A file of this size is brought to 32 and cut, as `predict` does it.
    shown = explain(network, Image.fromarray(picture), 0)
    assert shown.seen == (3.0, 3.0, 21.0, 21.0)
    assert not shown.heat[:3].any() and not shown.heat[:, :3].any()


@pytest.mark.parametrize("fit", ["pad", "squash"])
@pytest.mark.parametrize("size", [(40, 90), (90, 40), (33, 64)])
def test_a_padded_or_squashed_picture_has_heat_where_it_is_bright(fit, size):
    network = per_pixel([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]], (32, 32), fit_mode=fit)
    picture = square(size, size[0] // 2, size[1] // 4, 12)
    if fit == "pad":
        network.preprocessing = {**network.preprocessing, "ground": [0, 0, 0]}
    shown = explain(network, picture, 0)
    assert shown.seen == (0.0, 0.0, size[1], size[0]) and shown.heat.shape == size
    middle = np.array([size[0] // 2, size[1] // 4]) + 5.5
    assert np.abs(centroid(shown.heat) - middle).max() < 1.0


def test_a_picture_on_its_side_is_shown_upright(tmp_path):
    network = per_pixel([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]], (24, 24))
    upright = square((24, 36), 4, 20, 6)
    turned = np.rot90(upright, -1)  # and to be turned a quarter to the left
    save(tmp_path / "turned.png", turned, exif=turned_exif(8))
    shown = explain(network, tmp_path / "turned.png", 0)
    assert np.array_equal(shown.picture, upright)
    assert np.abs(centroid(shown.heat) - (6.5, 22.5)).max() < 0.5
    assert shown.source == str(tmp_path / "turned.png")


def test_every_kind_of_picture_gives_the_same(tmp_path):
    network = per_pixel([[1.0, 0.5, 0.0], [0.0, 0.5, 1.0]], (16, 16))
    pixels = random_bytes(20, 30, 3, seed=4)
    image = Image.fromarray(pixels)
    image.save(tmp_path / "p.png")
    content = (tmp_path / "p.png").read_bytes()
    wanted = explain(network, pixels)
    assert wanted.probability == network.predict(pixels)[0, wanted.label]
    for kind in (tmp_path / "p.png", str(tmp_path / "p.png"), content, io.BytesIO(content), image):
        shown = explain(network, kind)
        assert np.array_equal(shown.picture, pixels) and np.array_equal(shown.heat, wanted.heat)
        assert (shown.label, shown.probability) == (wanted.label, wanted.probability)


def test_transparent_pixels_lie_on_the_networks_ground():
    network = per_pixel([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], (6, 6), ground=(10, 20, 30))
    shown = explain(network, Image.new("RGBA", (6, 6), (200, 0, 0, 0)))
    assert (shown.picture == [10, 20, 30]).all()


def test_grey_pictures_for_networks_of_colour_and_the_other_way_round():
    grey, colour = square((9, 9), 3, 4, 2, 1), square((9, 9), 3, 4, 2, 3)
    shown = explain(per_pixel([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]), grey, 0)
    assert np.array_equal(shown.picture, grey) and centroid(shown.heat).tolist() == [3.5, 4.5]
    shown = explain(per_pixel([[1.0], [0.0]]), colour, 0)
    assert np.array_equal(shown.picture, colour) and centroid(shown.heat).tolist() == [3.5, 4.5]
    assert np.array_equal(explain(per_pixel([[1.0], [0.0]]), grey[:, :, 0], 0).picture, grey)


# ---- Arguments -----------------------------------------------------------------------------------


@pytest.fixture
def network():
    network = per_pixel([[1.0], [-1.0]], (8, 8))
    network.classes = ["bright", "dark"]
    return network


@pytest.mark.parametrize("label", ["dark", 1, "1", np.int64(1)])
def test_a_class_may_be_named(network, label):
    shown = explain(network, square((8, 8), 2, 2, 4, 1), label)
    assert isinstance(shown, Explanation)
    assert (shown.label, shown.name) == (1, "dark") and shown.probability < 0.5


@pytest.mark.parametrize("label", ["grey", 2, -1, 1.0, [1], b"dark"])
def test_an_unknown_class_is_told(network, label):
    with pytest.raises(ArgumentError, match="no class .* bright, dark"):
        explain(network, square((8, 8), 2, 2, 4, 1), label)


@pytest.mark.parametrize("method", ["gradcam", None, 3, ["cam"], np.zeros(2)])
def test_an_unknown_method_is_told(network, method):
    with pytest.raises(ArgumentError, match="method must be cam or grad-cam"):
        explain(network, square((8, 8), 2, 2, 4, 1), method=method)


@pytest.mark.parametrize("picture", [None, 3, [1, 2], {}, object()])
def test_what_is_no_picture_is_told(network, picture):
    with pytest.raises(ArgumentError, match="picture"):
        explain(network, picture)
    with pytest.raises(ShapeError):
        explain(network, np.zeros((4, 4)))
    with pytest.raises(FileError, match="no such file"):
        explain(network, "none.png")


@pytest.mark.parametrize("thing", [None, "net.safetensors", 3])
def test_what_is_no_network_is_told(thing):
    with pytest.raises(ArgumentError, match="a network is needed"):
        explain(thing, square((8, 8), 2, 2, 4, 1))


def test_networks_that_cannot_be_explained_are_told():
    bare = nn.Sequential(nn.Conv2d(1, 2, 1), nn.GlobalAvgPool2d())
    with pytest.raises(ArgumentError, match="no preprocessing"):
        explain(bare, square((8, 8), 2, 2, 4, 1))
    without_maps = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    without_maps.preprocessing = ninc.preprocess.Preprocessing((4, 4), 1, (0.0,), (1.0,))
    with pytest.raises(ArgumentError, match="linear1 is Linear fed by x.*method 'grad-cam'"):
        explain(without_maps, square((4, 4), 1, 1, 2, 1))
