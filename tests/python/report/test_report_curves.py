"""Curves: numbers lie where they should, gaps stay gaps, and the words say the same."""

import re

import pytest

from ninc.report import words
from ninc.report.curves import Series, chart, legend
from support.html_pages import Element, read


def drawn(*series, told=words.plain, mark=None):
    """The chart's figure, read; None where nothing was drawn."""
    text = chart("it", "Title", series, told, mark)
    if not text:
        return None
    return read(f"<!DOCTYPE html>\n<html>{text}</html>").one("figure")


def line(*values, name="a line", number=0):
    return Series(name, list(enumerate(values, start=1)), number)


def path(figure, class_="curve"):
    """The points of the only line of this class: [[(x, y), ...] of each piece]."""
    [found] = figure.all("path", class_=class_)
    pieces = [piece for piece in found.attributes["d"].split("M") if piece]
    return [[tuple(map(float, p.split())) for p in piece.split("L")] for piece in pieces]


def labels(figure, anchor):
    """Text -> attributes of an axis's labels: "end" of the heights, "middle" of the epochs."""
    texts = figure.all("text", **{"text-anchor": anchor})
    return {text.text: text.attributes for text in texts}


def test_points_lie_on_the_axes():
    figure = drawn(line(2.0, 1.0, 0.0))
    [points] = path(figure)
    heights, epochs = labels(figure, "end"), labels(figure, "middle")
    for value, epoch, (x, y) in zip("210", "123", points):
        assert float(heights[value]["y"]) - 4 == pytest.approx(y, abs=0.1)  # half a letter below
        assert float(epochs[epoch]["x"]) == pytest.approx(x, abs=0.1)
    assert "epoch" in epochs


def test_what_is_no_number_is_a_gap():
    figure = drawn(line(3.0, 2.0, None, 1.0, float("nan"), 0.5))
    assert [len(piece) for piece in path(figure)] == [2, 1, 1]
    assert len(figure.all("path", class_="dot")) == 4


def test_nothing_to_draw_is_nothing():
    assert drawn(line(None, float("inf"))) is None and drawn() is None


def test_one_epoch_is_a_mark():
    figure = drawn(line(0.25), told=lambda value: words.percent(value, 2))
    assert len(figure.all("path", class_="dot")) == 1
    assert figure.one("desc").text == "a line: 25.00% at epoch 1."


def test_words_say_what_the_line_shows():
    figure = drawn(line(2.5, 3.5, 0.5), line(1.0, None, 2.0, name="other", number=1))
    assert figure.one("desc").text == (
        "a line: 2.5 at epoch 1, 0.5 at epoch 3, between 0.5 and 3.5; "
        "other: 1 at epoch 1, 2 at epoch 3, between 1 and 2."
    )
    titles = [mark.one("title").text for mark in figure.all("path", class_="dot")]
    assert titles[0] == "a line, epoch 1: 2.5" and len(titles) == 5


def test_a_loss_that_runs_away_has_a_logarithmic_scale():
    figure = drawn(line(0.1, 10.0, 1000.0))
    assert "logarithmic" in figure.one("h3").text
    [[first, middle, last]] = path(figure)
    assert first[1] - middle[1] == pytest.approx(middle[1] - last[1], abs=0.2)
    assert "logarithmic" not in drawn(line(0.1, 1.0)).one("h3").text


def test_the_epoch_that_is_kept_is_marked():
    figure = drawn(line(1.0, 2.0, 3.0), mark=(2.0, "kept: 2"))
    [mark] = figure.all("path", class_="mark")
    [[_, middle, _]] = path(figure)
    assert float(re.match(r"M([\d.]+) ", mark.attributes["d"])[1]) == pytest.approx(
        middle[0], abs=0.1
    )
    assert "kept: 2" in [text.text for text in figure.all("text")]


def test_lines_differ_without_colours():
    looks = set()
    for number in range(24):
        figure = drawn(line(1.0, 2.0, number=number))
        [curve] = figure.all("path", class_="curve")
        shape = re.sub(r"[\d. -]+", "", figure.all("path", class_="dot")[0].attributes["d"])
        looks.add((curve.attributes["class"], curve.attributes.get("stroke-dasharray"), shape))
    assert len(looks) == 24
    first, second = (drawn(line(1.0, 2.0, number=n)).all("path", class_="curve")[0] for n in (0, 1))
    assert first.attributes.get("stroke-dasharray") != second.attributes.get("stroke-dasharray")
    keys = read(
        f"<!DOCTYPE html>\n<html>{legend([line(1.0), line(2.0, name='<i>', number=1)])}</html>"
    )
    names = [key.all("span")[0] for key in keys.all("span", class_="key")]
    assert all(isinstance(name, Element) for name in names)
    assert [name.text for name in names] == ["a line", "<i>"]


def test_many_epochs_have_few_marks():
    figure = drawn(line(*(1.0 / (1 + i) for i in range(300))))
    assert len(figure.all("path", class_="dot")) == 1 and len(path(figure)[0]) == 300
