"""The drawn explanation: what is on it, in which colours, and the files it is written to."""

import numpy as np
import pytest

import ninc
from ninc.errors import ArgumentError, FileError
from ninc.explanation import explain, image_files
from ninc.explanation.colours import overlay, ramp
from ninc.explanation.figure import row, sheet
from ninc.explanation.lettering import Lettering, shortened, wrapped
from support.command_line import ninc_command
from support.explain_networks import per_pixel, square
from support.small_pictures import save, save_noise

Image = pytest.importorskip("PIL.Image")
WHOLE = (0.0, 0.0, 1000.0, 1000.0)


@pytest.fixture
def network():
    network = per_pixel([[1.0, 0.3, 0.0], [0.0, 0.3, 1.0]], (16, 16))
    network.classes = ["warm", "cold"]
    return network


def luminance(colours):
    return colours @ np.array([0.299, 0.587, 0.114])


# ---- Colours -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ground", [(255, 255, 255), (250, 225, 40), (255, 0, 0), (0, 0, 0)])
def test_only_heat_has_colour_and_hot_is_brighter_than_any_cold_place(ground):
    picture = np.broadcast_to(np.array(ground, np.uint8), (10, 20, 3))
    heat = np.zeros((10, 20), np.float32)
    heat[:, 10:] = 1.0
    shown = overlay(picture, heat, WHOLE).astype(int)
    cold, hot = shown[:, :10], shown[:, 10:]
    assert (np.ptp(cold, axis=2) == 0).all()  # grey, whatever the picture's own colour
    assert luminance(cold).max() <= 150 and luminance(hot).min() >= 175
    assert (np.ptp(hot, axis=2) > 50).all()


def test_the_ramps_lightness_rises_all_the_way():
    steps = luminance(ramp(np.linspace(0, 1, 50)))
    assert (np.diff(steps) > 0).all() and steps[-1] - steps[0] > 180


def test_the_pictures_detail_shows_through_the_heat():
    picture = np.zeros((4, 4, 1), np.uint8)
    picture[:, 2:] = 255
    shown = overlay(picture, np.ones((4, 4), np.float32), WHOLE).astype(int)
    assert (shown[:, 2:] - shown[:, :2]).min() > 20


def test_what_the_network_did_not_see_is_striped():
    picture = np.full((30, 40, 3), 128, np.uint8)
    heat = np.ones((30, 40), np.float32)
    shown = overlay(picture, heat, (10.0, 0.0, 30.0, 30.0))
    for part in (shown[:, :10], shown[:, 30:]):
        assert (np.ptp(part, axis=2) == 0).all() and len(np.unique(part)) == 2
    assert len(np.unique(shown[:, 10:30].reshape(-1, 3), axis=0)) == 1


# ---- The figure ----------------------------------------------------------------------------------


def test_the_picture_stands_beside_its_overlay(network):
    picture = square((28, 28), 6, 8, 9)
    shown = row(explain(network, picture, "warm"))
    assert shown.picture.size == shown.overlay.size == (392, 392)
    assert np.array_equal(np.asarray(shown.picture)[7::14, 7::14], picture)
    assert np.asarray(shown.overlay)[14 * 10, 14 * 12].tolist() != [255] * 3
    assert shown.title.startswith("warm: ") and shown.title.endswith("%")
    assert shown.facts == "28 by 28 pixels" and not shown.remarks
    drawn = np.asarray(sheet([shown]))
    # Somewhere on the sheet, pixel for pixel, but for the frame around it.
    inner = np.asarray(shown.overlay)[1:-1, 1:-1]
    windows = [
        (y, x)
        for y, x in np.argwhere((drawn == inner[0, 0]).all(axis=2))
        if drawn[y : y + 390, x : x + 390].shape == inner.shape
        and np.array_equal(drawn[y : y + 390, x : x + 390], inner)
    ]
    assert len(windows) == 1 and windows[0][1] > 392


@pytest.mark.parametrize(
    "size, shown",
    [((1, 1), (384, 384)), ((300, 260), (260, 300)), ((320, 100), (100, 320)), ((2, 900), (640, 1)),
     ((3000, 2000), (427, 640)), ((500, 640), (640, 500))],
)  # fmt: skip
def test_pictures_of_all_sizes_are_shown_at_sensible_ones(network, size, shown):
    explanation = explain(network, square(size, 0, 0, 1), 0)
    drawn = row(explanation)
    assert drawn.picture.size == drawn.overlay.size == shown
    assert max(sheet([drawn]).size) < 1500
    assert explanation.overlay().shape == (*size, 3)


def test_what_is_cut_off_and_what_is_missing_is_said(network):
    picture = np.full((30, 50, 3), 90, np.uint8)
    assert [words for words in row(explain(network, picture, 0)).remarks] == [
        "The network did not see what is striped.",
        "Next to nothing in this picture speaks for this class.",
    ]


def test_names_that_no_font_has_are_told_by_number(network):
    network.classes = ["warm\U000f0000", "cold"]
    assert row(explain(network, square((9, 9), 1, 1, 3), 0)).title.startswith("warm")
    assert "(class 0)" in row(explain(network, square((9, 9), 1, 1, 3), 0)).title
    assert Lettering("a\U000f0000b", 14).text == "a?b"


@pytest.mark.parametrize("name", ["Füße naïf", "собака", "犬", "كلب", "कुत्ता", "🐕", " ", "x" * 500])
def test_names_in_any_script_are_drawn(network, name, tmp_path):
    network.classes = [name, "cold"]
    explain(network, square((9, 9), 1, 1, 3), 0).save(tmp_path / "map.png")
    with Image.open(tmp_path / "map.png") as image:
        assert image.width < 1500


def test_long_words_are_shortened_and_long_lines_broken():
    short = shortened("a" * 50 + "z" * 50, 14, 200)
    assert short.width <= 200 and short.text.startswith("aa") and short.text.endswith("zz")
    assert "..." in short.text and shortened("word", 14, 200).text == "word"
    lines = wrapped("one two three " + "w" * 80 + " four", 14, 120)
    assert all(line.width <= 120 for line in lines)
    assert lines[0].text.startswith("one") and lines[-1].text.endswith("four")


def test_letters_of_one_size_alone_do(monkeypatch, network):
    """Pillow before 10.1 and Pillow without FreeType have only a fixed font of Latin letters."""
    from PIL import ImageFont

    from ninc.explanation import lettering

    fixed = getattr(ImageFont, "load_default_imagefont", ImageFont.load_default)()
    monkeypatch.setattr(lettering, "_own_font", lambda points: fixed)
    monkeypatch.setattr(lettering, "_other_fonts", lambda points: ())
    network.classes = ["犬 dog", "cold"]
    drawn = row(explain(network, square((9, 9), 1, 1, 3), 0))
    assert drawn.title.startswith("犬 dog (class 0)")
    assert Lettering(drawn.title, 14).text.startswith("? dog (class 0)")
    assert sheet([drawn]).width > 600


# ---- Files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ending, kind",
    [("png", "PNG"), ("JPG", "JPEG"), ("jpeg", "JPEG"), ("webp", "WEBP"), ("tif", "TIFF"),
     ("bmp", "BMP"), ("gif", "GIF"), ("pdf", None)],
)  # fmt: skip
def test_the_ending_tells_the_format(network, tmp_path, ending, kind):
    if f".{ending.lower()}" not in image_files.endings():
        pytest.skip(f"this Pillow does not write {ending}")
    path = tmp_path / f"map.{ending}"
    explain(network, square((20, 20), 5, 5, 8), 0).save(path)
    if kind is None:
        assert path.read_bytes().startswith(b"%PDF-")
        return
    with Image.open(path) as image:
        assert image.format == kind and image.width > 640
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["map", "map.svg", "map.xyz", ".png", "map.", ""])
def test_other_endings_are_told(network, tmp_path, name):
    shown = explain(network, square((20, 20), 5, 5, 8), 0)
    with pytest.raises(ArgumentError, match=r"\.png, \.jpg"):
        shown.save(f"{tmp_path}/{name}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", [None, 3, 2.5, ["map.png"], "a\0.png", "\ud800.png"])
def test_what_is_no_file_name_is_told(network, path):
    with pytest.raises(ArgumentError, match="file name"):
        explain(network, square((20, 20), 5, 5, 8), 0).save(path)


def test_files_are_written_whole_or_not_at_all(network, tmp_path, monkeypatch):
    shown = explain(network, square((20, 20), 5, 5, 8), 0)
    with pytest.raises(FileError, match="cannot write"):
        shown.save(tmp_path / "none" / "map.png")
    monkeypatch.setitem(image_files._LONGEST, "JPEG", 100)
    with pytest.raises(FileError, match="JPEG holds at most 100 pixels a side"):
        shown.save(tmp_path / "map.jpg")
    assert not list(tmp_path.iterdir())


# ---- The command line ----------------------------------------------------------------------------


@pytest.fixture
def folder(network, tmp_path):
    """A model, two pictures of one name in two folders, one of another size, and a bad one."""
    network.save(tmp_path / "net.safetensors")
    for place, size in (("a/1.png", (20, 30)), ("b/1.png", (30, 20)), ("b/2.bmp", (400, 300))):
        save(tmp_path / place, square(size, 2, 3, 9))
    (tmp_path / "bad.png").write_bytes(b"no picture")
    return tmp_path


def run(folder, monkeypatch, *words):
    monkeypatch.chdir(folder)
    return ninc_command("explain", "net.safetensors", *words)


def test_several_pictures_on_one_sheet(folder, monkeypatch, capsys):
    assert run(folder, monkeypatch, "a/1.png", "-o", "one.png") == 0
    assert run(folder, monkeypatch, "a/1.png", "b/1.png", "b/2.bmp", "-o", "three.png") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[2:5]] == ["a/1.png", "b/1.png", "b/2.bmp"]
    assert "warm" in lines[2] and "%" in lines[2] and lines[5] == "wrote three.png"
    with Image.open("one.png") as one, Image.open("three.png") as three:
        assert three.height > 2.5 * one.height


def test_a_folder_gets_a_file_a_picture(folder, monkeypatch, capsys):
    pictures = ["a/1.png", "b/1.png", "b/2.bmp"]
    assert run(folder, monkeypatch, *pictures, "-o", "maps/") == 0
    assert "wrote 3 files to maps" in capsys.readouterr().out
    wanted = ["1-map-2.png", "1-map.png", "2-map.png"]
    assert sorted(path.name for path in (folder / "maps").iterdir()) == wanted
    assert run(folder, monkeypatch, *pictures, "-o", "maps") == 0  # a folder that is there already
    assert sorted(path.name for path in (folder / "maps").iterdir()) == wanted


def test_maps_do_not_take_the_place_of_pictures(folder, monkeypatch, capsys):
    own = (folder / "a" / "1.png").read_bytes()
    assert run(folder, monkeypatch, "b/1.png", "a/1.png", "-o", "b/../a/1.png") == 1
    out, err = capsys.readouterr()
    assert "is one of the pictures to explain, and would be overwritten" in err and not out
    (folder / "a" / "1-MAP.png").write_bytes(own)  # somebody's picture, which has a map's name
    pictures = ["a/1.png", "a/1-MAP.png"]
    assert run(folder, monkeypatch, *pictures, "-o", "a") == 0
    assert "wrote 2 files to a" in capsys.readouterr().out
    assert (folder / "a" / "1.png").read_bytes() == own
    assert (folder / "a" / "1-MAP.png").read_bytes() == own
    wanted = ["1-MAP-map.png", "1-MAP.png", "1-map-2.png", "1.png"]
    assert sorted(path.name for path in (folder / "a").iterdir()) == wanted


def test_bad_pictures_are_named_and_end_nothing(folder, monkeypatch, capsys):
    words = ["a/1.png", "bad.png", "none.png", "b/2.bmp", "-o", "map.png"]
    assert run(folder, monkeypatch, *words) == 1
    out, err = capsys.readouterr()
    assert "a/1.png: " in out and "b/2.bmp: " in out and "wrote map.png" in out
    assert [line.split(":")[1].strip() for line in err.splitlines()] == ["bad.png", "none.png"]
    (folder / "map.png").unlink()
    assert run(folder, monkeypatch, "bad.png", "-o", "map.png") == 1
    assert not (folder / "map.png").exists()


def test_pictures_too_small_for_the_network_are_named_too(folder, monkeypatch, capsys):
    network = ninc.nn.Sequential(ninc.nn.Conv2d(3, 2, 25), ninc.nn.GlobalAvgPool2d())
    network.preprocessing = ninc.preprocess.Preprocessing(None, 3, (0.0,) * 3, (1.0,) * 3)
    network.save(folder / "net.safetensors")
    assert run(folder, monkeypatch, "a/1.png", "b/2.bmp", "-o", "map.png") == 1
    out, err = capsys.readouterr()
    assert err.startswith("ninc: a/1.png: ") and "conv1" in err and "b/2.bmp: " in out


def test_outputs_that_cannot_be_are_told_first(folder, monkeypatch, capsys):
    for output, words in (
        ("maps", "for a folder write maps/"),
        ("map.svg", ".svg is none"),
        ("none/map.png", "cannot write there"),
        ("bad.png/", "cannot make this folder"),
    ):
        assert run(folder, monkeypatch, "a/1.png", "-o", output) == 1
        out, err = capsys.readouterr()
        assert words in err and not out and len(err.splitlines()) == 1
    assert run(folder, monkeypatch, *["a/1.png"] * 51, "-o", "map.png") == 1
    assert "-o map/" in capsys.readouterr().err


def test_folders_are_explained_picture_by_picture(tmp_path, capsys):
    net = per_pixel([[1, 0, 0], [0, 1, 0]])
    net.save(tmp_path / "net")
    for name in ("a.png", "below/b.jpg"):
        save_noise(tmp_path / "few" / name)
    (tmp_path / "few" / "notes.txt").write_text("no picture")
    words = ("explain", tmp_path / "net", tmp_path / "few", "-o", f"{tmp_path / 'maps'}/")
    assert ninc_command(*words) == 0
    assert sorted(p.name for p in (tmp_path / "maps").iterdir()) == ["a-map.png", "b-map.png"]
    assert "1 file is no picture and passed over: notes.txt" in capsys.readouterr().err
