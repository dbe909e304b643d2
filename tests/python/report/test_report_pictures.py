"""The pictures of a report: the right ones, with their class maps, as parts of the page."""

import base64
import io

import numpy as np
import pytest

import ninc
from ninc import nn
from ninc.data import Dataset
from ninc.explanation import colours, explain
from ninc.inference.evaluation import evaluate
from ninc.report import image_data
from ninc.report.answers import Answers
from ninc.report.image_data import data_uri, png, reduced
from ninc.report.pictures import gallery
from ninc.report.record import Record
from ninc.report.recorder import Folder, Recorder
from support.explain_networks import per_pixel
from support.html_pages import check
from support.small_pictures import random_bytes

# Class 0 looks for red, class 1 for green, class 2 for blue.
COLOURS = 9 * np.eye(3)


def answered(logits, labels):
    answers = Answers()
    for start in range(0, len(labels), 4):  # as batches come
        rows = slice(start, start + 4)
        answers.add(np.array(logits, np.float32)[rows], np.array(labels)[rows])
    return answers


def shown(network, data):
    """(the evaluation, the gallery) of a network on a data set."""
    answers = Answers()
    result = evaluate(network, data, 5, each=answers.add)
    return result, gallery(network, data, result.classes, answers)


def decoded(uri):
    Image = pytest.importorskip("PIL.Image")
    kind, _, content = uri.partition(";base64,")
    image = Image.open(io.BytesIO(base64.b64decode(content)))
    assert kind == f"data:image/{image.format.lower()}"
    return np.asarray(image)


# ---- Which pictures ------------------------------------------------------------------------------


def test_mistakes_come_by_confidence_and_others_by_doubt():
    logits = [[0, 3], [0, 1], [5, 0], [0, 0.1], [0, 9], [2, 0]]
    answers = answered(logits, [0, 0, 0, 1, 1, 1])
    mistakes = answers.confident_mistakes()
    assert [a.index for a in mistakes] == [0, 5, 1]
    first = mistakes[0]
    odds = np.exp(3.0)
    assert (first.label, first.said) == (0, 1)
    assert first.probability == pytest.approx(odds / (1 + odds), rel=1e-6)
    assert first.of_label == pytest.approx(1 / (1 + odds), rel=1e-6)
    assert [a.index for a in answers.uncertain(3)] == [3, 1, 5]
    assert [a.index for a in answers.confident_mistakes(1)] == [0]


def test_answers_that_are_not_finite_are_passed_over():
    answers = answered([[np.nan, 1], [np.inf, np.inf], [0, 1]], [0, 0, 0])
    assert [a.index for a in answers.confident_mistakes()] == [2]
    assert [a.index for a in answers.uncertain()] == [2]


def test_no_picture_is_shown_twice():
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (60, 8, 8, 3), np.uint8), rng.integers(0, 3, 60)
    result, found = shown(per_pixel(COLOURS, (8, 8)), Dataset(images, labels, list("rgb")))
    both = [entry.answer.index for entry in (*found.mistakes, *found.uncertain)]
    assert len(found.mistakes) == len(found.uncertain) == 12 and len(set(both)) == 24
    wrong = [entry for entry in (*found.mistakes, *found.uncertain) if entry.label != entry.said]
    assert len(found.mistakes) <= len(wrong) <= result.count - result.correct


# ---- What they show ------------------------------------------------------------------------------


def test_a_mistake_is_explained_for_both_classes_as_explain_does():
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[:3, :3, 0] = 255  # red in the upper left corner, green along the lower edge
    picture[6:, :, 1] = 200
    network = per_pixel(COLOURS, (8, 8))
    network.classes = ["red", "green", "blue"]
    _, found = shown(network, Dataset(picture[None], [0], network.classes))
    [entry] = found.mistakes
    assert (entry.label, entry.said, found.uncertain) == ("red", "green", ())
    assert [(each.name, each.place) for each in entry.maps] == [
        ("green", "lower left"),
        ("red", "upper left"),
    ]
    np.testing.assert_array_equal(decoded(entry.uri), picture)
    for each in entry.maps:
        expected = explain(network, picture, each.name)
        np.testing.assert_array_equal(decoded(each.uri), expected.overlay())


def test_where_nothing_speaks_for_a_class():
    picture = np.zeros((1, 8, 8, 3), np.uint8)
    picture[..., 1] = 255
    network = per_pixel(COLOURS, (8, 8))
    _, found = shown(network, Dataset(picture, [2], ["red", "green", "blue"]))
    assert [each.place for each in found.mistakes[0].maps] == ["", ""]


def test_arrays_are_shown_between_their_least_and_greatest():
    x = np.linspace(-2.0, 2.0, 3 * 64, dtype=np.float32).reshape(1, 3, 8, 8)
    network = per_pixel(COLOURS)
    _, found = shown(network, Dataset(x, [0], ["r", "g", "b"]))
    pixels = decoded(found.mistakes[0].uri)
    assert found.as_arrays and pixels.min() == 0 and pixels.max() == 255
    assert pixels[0, 0, 0] == 0 and pixels[7, 7, 2] == 255 and len(found.mistakes[0].maps) == 2


def test_arrays_of_other_channels_have_no_picture():
    network = nn.Sequential(nn.Conv2d(5, 2, 1), nn.GlobalAvgPool2d(), seed=1)
    x = np.random.default_rng(0).standard_normal((3, 5, 4, 4), np.float32)
    _, found = shown(network, Dataset(x, [0, 1, 1], ["a", "b"]))
    entries = (*found.mistakes, *found.uncertain)
    assert len(entries) == 3 and all(e.uri == "" and e.maps == () for e in entries)


def test_files_are_told_by_their_last_folder(tmp_path):
    pytest.importorskip("PIL")
    from support.small_pictures import put

    put(tmp_path / "home" / "data", "cat/a.png", "dog/<i>.png")
    data = ninc.data.load(tmp_path / "home" / "data", "all")
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.GlobalAvgPool2d(), seed=1)
    network.preprocessing = ninc.preprocess.Preprocessing((6, 5), 3, (0.5,) * 3, (0.2,) * 3)
    for part in (data, ninc.data.load(tmp_path / "home" / "data", "all", in_memory=False)):
        _, found = shown(network, part)
        files = {entry.file for entry in (*found.mistakes, *found.uncertain)}
        assert files == {"cat/a.png", "dog/<i>.png"}


# ---- Image data ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 7, 1), (32, 32, 3), (64, 3, 3)])
def test_png_files_hold_the_pixels(shape):
    for pixels in (random_bytes(*shape), np.zeros(shape, np.uint8), np.arange(
        np.prod(shape), dtype=np.uint64).astype(np.uint8).reshape(shape)):  # fmt: skip
        again = decoded(data_uri(pixels))
        np.testing.assert_array_equal(again.reshape(shape), pixels)


def test_large_pictures_are_jpeg_with_pillow_and_small_without(monkeypatch):
    pytest.importorskip("PIL")
    smooth = colours.ramp(np.linspace(0, 1, 300 * 200).reshape(300, 200)).astype(np.uint8)
    small = reduced(smooth, image_data.longest_side())
    assert max(small.shape) <= 144 and data_uri(small).startswith("data:image/jpeg")
    assert np.abs(decoded(data_uri(small)).astype(int) - small).mean() < 4
    monkeypatch.setattr(image_data, "find_spec", lambda name: None)
    small = reduced(smooth, image_data.longest_side())
    assert max(small.shape) <= 64
    np.testing.assert_array_equal(decoded(data_uri(small)), small)


@pytest.mark.parametrize("with_pillow", [True, False])
def test_the_page_of_large_pictures_of_many_classes_is_small(tmp_path, monkeypatch, with_pillow):
    if with_pillow:
        pytest.importorskip("PIL")
    else:
        monkeypatch.setattr(image_data, "find_spec", lambda name: None)
    rng = np.random.default_rng(0)
    names = [f"a class with a name, number {i}" for i in range(1000)]
    network = nn.Sequential(nn.Conv2d(3, 1000, 32, stride=32), nn.GlobalAvgPool2d(), seed=1)
    network.preprocessing = ninc.preprocess.Preprocessing((224, 224), 3, (0.5,) * 3, (0.2,) * 3)
    network.classes = names
    # Noise is what pictures are compressed worst of.
    images = rng.integers(0, 256, (30, 224, 224, 3), np.uint8)
    recorder = Recorder(Folder(tmp_path), Record("evaluation", "net", "ninc eval net data"))
    recorder.finish(network, Dataset(images, rng.integers(0, 1000, 30), names), "noise", 10)
    text = (tmp_path / "report.html").read_text("utf-8")
    assert len(check(text).all("img")) == 24 * 3 and len(text) < 3_000_000


def test_reduced_pictures_are_means_of_blocks():
    pixels = random_bytes(9, 6, 3).astype(np.float64)
    expected = pixels[:8].reshape(4, 2, 3, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(reduced(pixels, 5)[:4], expected)
    assert reduced(pixels, 5).shape == (5, 3, 3)
    np.testing.assert_allclose(reduced(pixels, 5)[4], pixels[8].reshape(3, 2, 3).mean(axis=1))
    assert reduced(pixels, 9) is pixels


def test_flat_pictures_take_few_bytes():
    assert len(png(np.full((32, 32, 3), 200, np.uint8))) < 120
