"""The page of an evaluation: it stands alone, and says what `ninc eval --json` says."""

import json
import re

import numpy as np
import pytest

import ninc
from ninc import nn
from ninc.inference.evaluation import Evaluation, as_dict
from ninc.report.page import page
from ninc.report.record import FINISHED, Record
from ninc.report.style import DARK, LIGHT, LINES, MOST_SHADE, style
from support.command_line import ninc_command, printed, printed_json
from support.explain_networks import per_pixel
from support.html_pages import check, read

# Names that would be elements, attributes or references, or turn the rest of their line about.
NAMES = ["<b>cat</b>", "\"dog\" & 'co'", "</style><script>alert(1)</script>", "turned \u202e 犬"]


def colours(count=24, classes=4, seed=0):
    """8×8 RGB pictures of noise, and labels."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 8, 8, 3), np.uint8), rng.integers(0, classes, count)


def saved(folder, names=NAMES, count=24, network=None):
    """(a model file, a .npz file) of these classes."""
    if network is None:
        rng = np.random.default_rng(2)
        network = per_pixel(30 * rng.standard_normal((len(names), 3)), (8, 8))
    network.classes = names
    network.save(folder / "net.safetensors")
    images, labels = colours(count, len(names))
    labels[: len(names)] = np.arange(len(names))[:count]
    np.savez(folder / "data.npz", x=images, y=labels, classes=names)
    return folder / "net.safetensors", folder / "data.npz"


def reported(folder, *options):
    """The page and report.json that `ninc eval --report` writes."""
    model, data = folder / "net.safetensors", folder / "data.npz"
    assert ninc_command("eval", model, data, "--report", folder / "report", *options) == 0
    assert sorted(path.name for path in (folder / "report").iterdir()) == [
        "report.html",
        "report.json",
    ]
    text = (folder / "report" / "report.html").read_text("utf-8")
    return check(text), json.loads((folder / "report" / "report.json").read_text())


def tiles(found):
    """Name -> number of the page's large numbers, without what stands below them."""
    [listed] = found.all("dl", class_="tiles")
    return {name.text: value.content[0] for name, value in zip(listed.all("dt"), listed.all("dd"))}


def table(found, ident):
    """The table whose caption has this id."""
    return next(t for t in found.all("table") if t.one("caption").attributes["id"] == ident)


# ---- Figures -------------------------------------------------------------------------------------


def test_the_page_says_what_eval_says(tmp_path, capsys):
    model, data = saved(tmp_path)
    told = printed_json(capsys, "eval", model, data)
    found, numbers = reported(tmp_path)
    assert numbers["results"] == told
    shown = tiles(found)
    assert shown["accuracy"] == f"{told['accuracy']:.2%}" and shown["loss"] == f"{told['loss']:.4f}"
    assert told["data"] in found.one("section", id="results").text
    matrix = table(found, "matrix").rows()
    assert [[int(cell) for cell in row[1:]] for row in matrix[1:]] == told["confusion"]
    rows = table(found, "by-class").rows()[1:]
    for index, (_, count, recall, precision, taken) in enumerate(rows):
        row = list(told["confusion"][index])
        assert int(count) == sum(row) and recall == f"{told['recall'][index]:.1%}"
        said = told["precision"][index]
        assert precision == ("–" if said is None else f"{said:.1%}")
        row[index] = 0
        assert taken == "–" if not max(row) else taken.endswith(f"({max(row)})")


def test_the_printed_table_is_the_same_with_a_report(tmp_path, capsys):
    model, data = saved(tmp_path)
    plain = printed(capsys, "eval", model, data)
    with_report = printed(capsys, "eval", model, data, "--report", tmp_path / "report")
    assert with_report == f"{plain}\nwrote {tmp_path / 'report' / 'report.html'}\n"


def test_figures_that_eval_learns_later_are_listed():
    results = {"data": "d", **as_dict(Evaluation(0.5, np.eye(2, dtype=int), ["a", "b"]))}
    record = Record("evaluation", "net", "ninc eval", FINISHED, results=results)
    record.results["top_5_accuracy"] = 0.875
    assert tiles(check(page(record, None)))["top 5 accuracy"] == "0.875"


def test_the_interval_is_wilsons():
    # 81 of 263: the example of Newcombe 1998, "Two-sided confidence intervals for the single
    # proportion", table I, method 3.
    results = as_dict(Evaluation(0.5, np.array([[81, 182], [0, 0]]), ["a", "b"]))
    record = Record("evaluation", "net", "", FINISHED, results={"data": "d", **results})
    assert "81 of 263 right; 95% interval 25.5% to 36.6%" in check(page(record, None)).text


def test_shares_of_nothing_are_a_dash():
    results = as_dict(Evaluation(float("nan"), np.array([[3, 0], [0, 0]]), ["here", "nowhere"]))
    record = Record("evaluation", "net", "", FINISHED, results={"data": "d", **results})
    found = check(page(record, None))
    assert table(found, "by-class").rows()[2] == ["nowhere", "0", "–", "–", "–"]
    assert tiles(found)["loss"] == "–"


# ---- Names ---------------------------------------------------------------------------------------


def test_names_stay_names(tmp_path):
    saved(tmp_path)
    found, numbers = reported(tmp_path)
    assert numbers["results"]["classes"] == NAMES
    assert [row[0] for row in table(found, "by-class").rows()[1:]] == NAMES
    assert table(found, "matrix").rows()[0][1:] == NAMES
    assert not found.all("b") and not found.all("script")
    for image in found.all("img"):
        assert any(name in image.attributes["alt"] for name in NAMES)


def test_text_that_no_encoding_has_is_escaped():
    record = Record("evaluation", "odd\udce9.safetensors", "ninc eval 'odd\udce9' \x00")
    text = page(record, None)
    text.encode()
    assert "odd\\udce9.safetensors: evaluation" in check(text).text and "\x00" not in text


# ---- How many classes and pictures ---------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 30])
def test_two_classes_and_few_pictures(tmp_path, count):
    saved(tmp_path, ["no", "yes"], count)
    found, numbers = reported(tmp_path)
    assert numbers["results"]["images"] == count
    shown = numbers["pictures"]["mistakes"] + numbers["pictures"]["uncertain"]
    assert len({entry["index"] for entry in shown}) == len(shown) >= min(count, 3)
    assert len([card for cards in found.all("ol") for card in cards.all("li")]) == len(shown)


def test_a_thousand_classes_have_a_table_of_the_worst_confusions(tmp_path):
    names = [f"class {i}" for i in range(1000)]
    rng = np.random.default_rng(0)
    confusion = np.diag(rng.integers(1, 40, 1000))
    pairs = rng.choice(1000 * 1000, 500, replace=False)
    confusion.flat[pairs] += rng.integers(1, 9, 500)
    confusion[17, 400] = 77
    results = {"data": "d", **as_dict(Evaluation(1.5, confusion, names))}
    text = page(Record("evaluation", "net", "", FINISHED, results=results), None)
    found = check(text)
    assert len(text) < 1_000_000
    worst = table(found, "confusions").rows()[1:]
    assert len(worst) == 40
    assert worst[0][:3] == ["class 17", "class 400", "77"]
    counts = [int(row[2]) for row in worst]
    off = confusion - np.diag(np.diag(confusion))
    assert counts == sorted(off.flat, reverse=True)[:40]
    weakest = [row[2] for row in table(found, "weakest").rows()[1:]]
    recall = np.sort(results["recall"])[:20]
    assert weakest == [f"{share:.1%}" for share in recall]
    assert len(table(found, "by-class").rows()) == 1001


def test_no_confusion_among_many_classes():
    results = as_dict(Evaluation(0.0, np.eye(30, dtype=int), [str(i) for i in range(30)]))
    record = Record("evaluation", "net", "", FINISHED, results={"data": "d", **results})
    assert "No picture was taken for another class" in check(page(record, None)).text


# ---- What it says of itself ----------------------------------------------------------------------


def test_what_may_be_too_good_is_told(tmp_path):
    saved(tmp_path)
    found, numbers = reported(tmp_path)
    assert "does not say that any of these pictures were held out" in numbers["remarks"][0]
    notes = [note.text for note in found.one("ul", **{"class": "notes"}).all("li")]
    assert notes == [numbers["choice"], *numbers["remarks"]]
    found, numbers = reported(tmp_path, "--split", "all")
    assert numbers["choice"].startswith("These are all pictures") and numbers["remarks"] == []
    _, numbers = reported(tmp_path, "--split", "train")
    assert "nothing about others" in numbers["choice"]


def test_the_network_and_the_command(tmp_path):
    model, data = saved(tmp_path)
    found, numbers = reported(tmp_path)
    assert numbers["command"].startswith("ninc eval ") and str(data) in numbers["command"]
    assert found.one("pre").text.strip() == numbers["command"]
    summary = ninc.load(model).summary((3, 8, 8)).splitlines()
    shown = [" ".join(filter(None, row)) for row in table(found, "layers").rows()]
    assert shown == [" ".join(line.split()) for line in summary if not line.startswith("-")]
    assert numbers["time"]["evaluation"] > 0 and numbers["memory"]["values"] > 0


def test_a_network_without_class_maps_says_why(tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 4, 8), nn.Flatten(), nn.Linear(4, 4), seed=3)
    network.preprocessing = ninc.preprocess.Preprocessing((8, 8), 3, (0.5,) * 3, (0.2,) * 3)
    saved(tmp_path, network=network)
    found, _ = reported(tmp_path)
    words = "There are no class maps: scores must come from global average pooling"
    assert words in found.one("section", id="pictures").text
    assert {image.attributes["alt"][:10] for image in found.all("img")} == {"A picture "}


def test_a_folder_that_cannot_be_is_told_first(tmp_path, capsys):
    model, data = saved(tmp_path)
    (tmp_path / "file").write_text("")
    assert ninc_command("eval", model, data, "--report", tmp_path / "file") == 1
    assert "cannot make this folder" in capsys.readouterr().err


# ---- Colours -------------------------------------------------------------------------------------


def luminance(rgb):
    """Relative luminance (WCAG 2.2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def contrast(one, other):
    low, high = sorted(luminance(np.array(rgb) / 255) for rgb in (one, other))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_contrast(theme):
    for text in ("text", "faint", "link"):
        for ground in ("page", "card"):
            assert contrast(theme[text], theme[ground]) >= 4.5, (text, ground)
    for number in range(LINES):
        assert contrast(theme[f"line{number}"], theme["card"]) >= 3.0, number
    card = np.array(theme["card"])
    for shade in ("right", "wrong"):
        mixed = MOST_SHADE * np.array(theme[shade]) + (1 - MOST_SHADE) * card
        assert contrast(theme["text"], mixed) >= 4.5, shade


def test_every_colour_that_is_used_is_there():
    text = style()
    used = set(re.findall(r"var\(--([\w]+)\)", text)) - {"c", "s"}
    assert used <= LIGHT.keys() and LIGHT.keys() == DARK.keys()
    assert text.count("{") == text.count("}")


def test_pages_that_are_not_closed_are_found():
    with pytest.raises(AssertionError):
        read("<!DOCTYPE html>\n<html><p><b>x</p></b></html>")
