"""The benchmark that masks pictures: its masks, its figures, and the command."""

import json

import numpy as np
import pytest

from benchmarks import masking
from benchmarks.masking import BLOCK, MOVED, PIXELS, STRONGEST
from support.explain_networks import per_pixel
from support.small_pictures import save


def rng():
    return np.random.default_rng(7)


# ---- Masks ---------------------------------------------------------------------------------------


def test_the_strongest_places_are_masked_and_equal_ones_at_random():
    heat = np.zeros((6, 8), np.float32)
    heat[1, 2:5], heat[4] = (0.9, 1.0, 0.8), 0.5
    assert np.argwhere(masking.strongest(heat, 3, rng())).tolist() == [[1, 2], [1, 3], [1, 4]]
    some = [masking.strongest(heat, 6, np.random.default_rng(seed)) for seed in range(20)]
    assert all(mask[1, 2:5].all() and mask[4].sum() == 3 for mask in some)
    assert np.logical_or.reduce(some)[4].all()


@pytest.mark.parametrize(
    "shape, count", [((32, 32), 205), ((6, 90), 108), ((50, 4), 40), ((3, 3), 1)]
)
def test_random_masks_have_as_many_pixels(shape, count):
    draw = rng()
    heights, widths = set(), set()
    for _ in range(1000):
        block = masking.random_block(shape, count, draw)
        assert masking.random_pixels(shape, count, draw).sum() == block.sum() == count
        rows, columns = (np.flatnonzero(block.any(axis=axis)) for axis in (1, 0))
        for line in (rows, columns):  # without a gap
            assert line[-1] - line[0] + 1 == len(line)
        assert len(rows) * len(columns) - count < len(columns)
        heights.add(int(rows[0])), widths.add(int(columns[0]))
    side = np.sqrt(count)
    if side <= min(shape):
        assert max(abs(len(line) - side) for line in (rows, columns)) <= 1
    # Every place that the block has room for.
    assert heights == set(range(shape[0] - len(rows) + 1))
    assert widths == set(range(shape[1] - len(columns) + 1))


def test_a_moved_mask_keeps_its_form():
    mask = np.zeros((5, 7), bool)
    mask[0, 0] = mask[1, 1] = True
    places = set()
    draw = rng()
    for _ in range(400):
        found = masking.moved(mask, draw)
        assert found.sum() == 2
        rolled = [(y, x) for y, x in np.argwhere(found) if found[(y + 1) % 5, (x + 1) % 7]]
        places.update((int(y), int(x)) for y, x in rolled)
    assert len(places) == 35


def test_masked_pixels_take_the_mean_colour():
    pictures = np.zeros((2, 2, 2, 3), np.uint8)
    pictures[1] = (10, 101, 200)
    colour = masking.mean_colour(pictures)
    assert colour.tolist() == [5, 50, 100] and colour.dtype == np.uint8
    masks = np.zeros((2, 2, 2), bool)
    masks[0, 0, 1] = True
    found = masking.masked(pictures, masks, colour)
    assert found.dtype == np.uint8 and found[0, 0, 1].tolist() == [5, 50, 100]
    assert np.array_equal(
        np.delete(found.reshape(8, 3), 1, 0), np.delete(pictures.reshape(8, 3), 1, 0)
    )


# ---- Figures -------------------------------------------------------------------------------------


def test_the_figures_are_those_of_their_definition():
    before = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    labels = np.array([0, 1, 1, 0])

    def after(*left):
        """Probabilities that leave the predicted class so much."""
        rows = np.array(left)[:, None]
        return np.where(np.eye(2, dtype=bool)[before.argmax(axis=1)], rows, 1 - rows)

    found = masking.compare(
        before,
        {
            STRONGEST: after(0.2, 0.4, 0.9, 0.1),
            PIXELS: after(0.3, 0.4, 0.6, 0.5),  # lowers it less, alike, more, less
            BLOCK: after(0.9, 0.9, 0.95, 0.9),
            MOVED: after(0.0, 0.0, 0.0, 0.0),
        },
        labels,
    )
    nothing = found["masked"]["nothing"]
    assert nothing == {"changed": 0.0, "accuracy": 0.75, "probability": pytest.approx(0.75)}
    # The first, second and fourth change; of the first two only the second was wrong before.
    strongest = found["masked"][STRONGEST]
    assert strongest == {"changed": 0.75, "accuracy": 0.5, "probability": pytest.approx(0.4)}
    shares = found["map's share"]
    assert shares[PIXELS] == {"share": 0.5, "error": 0.25}
    assert shares[BLOCK]["share"] == 1.0 and shares[MOVED]["share"] == 0.0


# ---- The command ---------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A network that sees red, blue and all else, and pictures with a square of the first two."""
    pytest.importorskip("PIL.Image")
    network = per_pixel([[60.0, 0.0, -60.0], [-60.0, 0.0, 60.0], [0.0, 0.0, 0.0]], (10, 10))
    network.classes = ["red", "blue", "other"]
    network.save(tmp_path / "net.safetensors")
    draw = rng()
    for name, channel in (("red", 0), ("blue", 2)):
        for index in range(10):
            picture = np.full((10, 10, 3), 90, np.uint8)
            top, left = draw.integers(7, size=2)
            picture[top : top + 4, left : left + 4, channel] = 200
            save(tmp_path / "data" / "test" / name / f"{index}.png", picture)
            save(tmp_path / "data" / "train" / name / f"{index}.png", picture)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("method", ["cam", "grad-cam"])
def test_hiding_what_the_map_shows_is_hiding_the_thing(folder, capsys, method):
    words = ["net.safetensors", "data", "--method", method, "--json", "found.json"]
    masking.main(words)
    out, err = capsys.readouterr()
    assert "20 pictures, " in out and "masking: the data have 20 pictures" in err
    assert "the map's share against a random block        100.0% ± 0.0 points" in out
    found = json.loads((folder / "found.json").read_text())
    assert found["pictures"] == 20 and found["method"] == method and found["without heat"] == 0
    assert found["masked"]["nothing"]["accuracy"] == 1.0
    assert found["masked"][STRONGEST]["probability"] < 0.5  # not even the square's edge is left
    for way in (PIXELS, BLOCK, MOVED):
        assert found["masked"][way]["probability"] > found["masked"][STRONGEST]["probability"]
        assert found["map's share"][way]["share"] >= 0.9
    (folder / "found.json").unlink()
    masking.main(words)
    assert json.loads((folder / "found.json").read_text()) == found  # the seed draws it all


def test_a_layer_and_fewer_pictures(folder, capsys):
    words = ["net.safetensors", "data", "--pictures", "5", "--method", "grad-cam"]
    masking.main([*words, "--layer", "conv1", "--seed", "3"])
    out, err = capsys.readouterr()
    assert out.startswith("5 pictures, grad-cam, conv1, seed 3\n") and "masking: " not in err


def test_what_cannot_be_is_told(folder, capsys):
    for words, told in (
        (["none", "data"], "none"),
        (["net.safetensors", "none"], "none"),
        (
            ["net.safetensors", "data", "--method", "grad-cam", "--layer", "conv2"],
            "no layer 'conv2'",
        ),
        (["net.safetensors", "data", "--layer", "conv1"], "layer goes with method"),
    ):
        with pytest.raises(SystemExit, match=f"masking: .*{told}"):
            masking.main(words)
    with pytest.raises(SystemExit, match="2"):
        masking.main(["net.safetensors", "data", "--share", "1"])
    assert "--share must be between 0 and 1" in capsys.readouterr().err
    per_pixel([[1.0] * 3, [0.0] * 3]).save("any.safetensors")
    with pytest.raises(SystemExit, match="says nothing about the size"):
        masking.main(["any.safetensors", "data"])
