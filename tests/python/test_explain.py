"""Class maps: stretched, coloured and laid over their picture."""

import numpy as np
import pytest

from ninc import nn
from ninc.errors import ArgumentError, FileError
from ninc.explanation import explain, overlay, stretch
from ninc.preprocess import Preprocessing

Image = pytest.importorskip("PIL.Image")


def spot_network():
    """Class "bright" grows with a place's brightness, class "dark" falls: maps known by heart."""
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.GlobalAvgPool2d())
    names = list(network.parameters())
    weight = np.array([1.0, -1.0], np.float32).reshape(2, 1, 1, 1)
    network.load_state_dict({names[0]: weight, names[1]: np.zeros(2, np.float32)})
    network.preprocessing = Preprocessing((8, 8), 1, (0.0,), (1.0,)).to_dict()
    network.classes = ["bright", "dark"]
    return network


def spot(row=2, column=5):
    picture = np.full((8, 8, 1), 20, np.uint8)
    picture[row, column] = 220
    return picture


def test_heat_is_where_the_class_is():
    explanation = explain(spot_network(), spot())
    assert (explanation.label, explanation.name) == (0, "bright")
    assert explanation.heat.shape == (8, 8)
    assert np.unravel_index(explanation.heat.argmax(), (8, 8)) == (2, 5)
    assert explanation.heat.min() == 0.0 and explanation.heat.max() == 1.0
    assert 0.5 < explanation.probability < 1.0


@pytest.mark.parametrize("label", ["dark", 1, "1"])
def test_a_class_may_be_named(label):
    explanation = explain(spot_network(), spot(), label)
    assert explanation.name == "dark" and explanation.probability < 0.5
    assert np.unravel_index(explanation.heat.argmin(), (8, 8)) == (2, 5)


@pytest.mark.parametrize("label", ["grey", 2, -1])
def test_an_unknown_class_is_told(label):
    with pytest.raises(ArgumentError, match="no class"):
        explain(spot_network(), spot(), label)


def test_a_network_without_preprocessing_is_told():
    with pytest.raises(ArgumentError, match="no preprocessing"):
        explain(nn.Sequential(nn.Conv2d(1, 2, 1), nn.GlobalAvgPool2d()), spot())


def test_stretch_is_bilinear_and_normalised():
    got = stretch(np.array([[1.0, 3.0]], np.float32), 1, 4)
    # Pixel centres of 4 over 2: 1/4 and 3/4 between the two values, clamped at the ends.
    np.testing.assert_allclose(got, [[0.0, 0.25, 0.75, 1.0]], atol=1e-6)
    assert (stretch(np.full((2, 2), 5.0), 4, 4) == 0).all()


def test_overlay_leaves_cold_places_alone_and_enlarges():
    heat = np.zeros((8, 8), np.float32)
    heat[:, 4:] = 1.0
    got = overlay(spot(), heat, strength=1.0)
    assert got.shape == (256, 256, 3) and got.dtype == np.uint8
    assert (got[100, 20] == 20).all()
    assert (got[100, 250] == [246, 215, 70]).all()


def test_the_picture_is_written_whole(tmp_path):
    explanation = explain(spot_network(), spot())
    explanation.save(tmp_path / "map.png")
    with Image.open(tmp_path / "map.png") as image:
        assert image.size == (256, 256)
    with pytest.raises(FileError, match="none"):
        explanation.save(tmp_path / "none" / "map.png")
    assert [path.name for path in tmp_path.iterdir()] == ["map.png"]
