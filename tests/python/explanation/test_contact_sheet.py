"""Contact sheets: what stands in a cell, how cells are laid out, and the command that makes one."""

import numpy as np
import pytest

import ninc
from ninc.errors import ArgumentError
from ninc.explanation import contact_sheets, explain
from ninc.explanation.contact_sheets import cell, contact_sheet
from support.command_line import ninc_command
from support.explain_networks import per_pixel, square
from support.small_pictures import save

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def network():
    network = per_pixel([[1.0, 0.3, 0.0], [0.0, 0.3, 1.0]])
    network.classes = ["warm", "cold"]
    return network


def red(side=32):
    """A red square on black, which is warm."""
    return square((side, side), 4, 5, side // 3) * np.array([1, 0, 0], np.uint8)


def pixels(image):
    return np.asarray(image).astype(int)


def found(sheet, part):
    """(row, column) of every place where the sheet has the part, pixel for pixel."""
    whole, part = np.asarray(sheet), np.asarray(part)
    height, width = part.shape[:2]
    places = []
    for y in range(len(whole) - height + 1):
        row, first, at = whole[y].tobytes(), part[0].tobytes(), -1
        while (at := row.find(first, at + 1)) >= 0:
            x, rest = divmod(at, 3)
            if not rest and np.array_equal(whole[y : y + height, x : x + width], part):
                places.append((y, x))
    return places


# ---- Cells ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "size, shown",
    [((32, 32), (128, 128)), ((28, 28), (112, 112)), ((48, 30), (60, 96)), ((128, 90), (90, 128)),
     ((150, 100), (100, 150)), ((600, 800), (192, 144)), ((1, 3), (126, 42))],
)  # fmt: skip
def test_small_pictures_are_enlarged_whole_and_photographs_shown_smaller(network, size, shown):
    picture = square(size, 0, 0, 1)
    made = cell(explain(network, picture), None)
    assert made.picture.size == made.overlay.size == shown
    if shown[0] > size[1]:
        times = shown[0] // size[1]
        assert np.array_equal(pixels(made.picture)[::times, ::times], picture)


def test_a_cell_says_what_the_network_said(network, tmp_path):
    save(tmp_path / "cold" / "1.png", red())
    path = tmp_path / "cold" / "1.png"
    probability = network.predict(path)[0, 0]
    right, wrong = (cell(explain(network, path), truth) for truth in ("warm", "cold"))
    assert right.answer == wrong.answer == f"warm {probability:.1%}"
    assert right.right is True and wrong.right is False
    assert wrong.lines == ("true class: cold", "cold/1.png")
    # The class explained is told where it is not the answer, and the answer stays the network's.
    other = cell(explain(network, path, "cold"), None)
    assert other.right is None and other.answer == right.answer
    assert other.lines == (f"heat of: cold {1 - probability:.1%}", "cold/1.png")
    assert cell(explain(network, red()), None).lines == ()


# ---- The sheet -----------------------------------------------------------------------------------


def test_every_picture_stands_beside_its_heat_in_rows(network):
    explained = [explain(network, square((32, 32), 2 * n, n, 9)) for n in range(5)]
    sheet = contact_sheet(explained, columns=2)
    places = []
    for each in explained:
        made = cell(each, None)
        # A frame is drawn over the outermost pixels.
        inner = made.picture.crop((1, 1, 127, 127)), made.overlay.crop((1, 1, 127, 127))
        (picture,), (overlay,) = (found(sheet, part) for part in inner)
        assert picture[0] == overlay[0] and overlay[1] - picture[1] == 128 + 4
        places.append(picture)
    rows, columns = zip(*places)
    assert rows[0] == rows[1] < rows[2] == rows[3] < rows[4]
    assert columns[0] == columns[2] == columns[4] < columns[1] == columns[3]


def test_right_and_wrong_differ_in_form_and_colour_and_are_counted(network):
    explained = [explain(network, red())] * 2
    plain, right, wrong = (
        contact_sheet(explained, truths)
        for truths in (None, ["warm", None], ["cold", None])
    )  # fmt: skip
    heads = [head_of(explained, truths) for truths in (None, ["warm", None], ["cold", None])]
    assert heads == [
        "",
        "1 picture of 2 with a known class: 1 right, 0 wrong",
        "1 picture of 2 with a known class: 0 right, 1 wrong",
    ]
    assert plain.height < right.height == wrong.height
    green, red_ink = (pixels(mark(is_right)) for is_right in (True, False))
    marked = [(drawn != 255).any(axis=2) for drawn in (green, red_ink)]
    assert (marked[0] != marked[1]).sum() > 40  # of 144: another form, whatever the colour
    assert green[marked[0]][:, 1].min() > green[marked[0]][:, 0].max()
    assert red_ink[marked[1]][:, 0].min() > red_ink[marked[1]][:, 1].max()
    for sheet, colour in ((right, contact_sheets._RIGHT), (wrong, contact_sheets._WRONG)):
        assert (pixels(sheet) == colour).all(axis=2).sum() > 40
        assert not (pixels(plain) == colour).all(axis=2).any()


def head_of(explained, truths):
    """The line that counts."""
    truths = truths or [None] * len(explained)
    return contact_sheets._count([cell(*pair) for pair in zip(explained, truths)])


def mark(right):
    """A tick or a cross on white."""
    image = Image.new("RGB", (12, 12), (255, 255, 255))
    colour = contact_sheets._RIGHT if right else contact_sheets._WRONG
    contact_sheets._mark(contact_sheets.canvas(image), right, (0, 0), colour)
    return image


def test_columns_are_chosen_for_a_sheet_a_little_wider_than_high(network):
    one = explain(network, red())
    for count in (12, 40, 100):
        sheet = contact_sheet(one for _ in range(count))
        assert 1.0 < sheet.width / sheet.height < 1.8
    assert contact_sheet([one] * 3, columns=9).width == contact_sheet([one] * 3, columns=3).width


def test_both_methods_are_told_once_and_a_title_stands_above(network):
    cam, grad = (explain(network, red(), method=method) for method in ("cam", "grad-cam"))
    height = {name: contact_sheet(x, columns=4).height for name, x in
              (("one", [cam] * 4), ("both", [cam, grad] * 2))}  # fmt: skip
    assert height["both"] > height["one"]
    assert contact_sheet([cam] * 4, columns=4, title="Four").height > height["one"]


def test_no_explanation_is_kept_beyond_its_cell(network, monkeypatch):
    alive = []

    def some():
        import weakref

        for _ in range(5):
            one = explain(network, red())
            alive.append(weakref.ref(one))
            yield one
            del one
            assert sum(ref() is not None for ref in alive) <= 1

    contact_sheet(some())


def test_what_cannot_be_shown_is_told(network, monkeypatch):
    one = explain(network, red())
    monkeypatch.setattr(contact_sheets, "MOST_ON_A_CONTACT_SHEET", 3)
    for words, arguments in (
        ("there are no explanations to show", ([],)),
        ("a list of explanations is needed, got Explanation", (one,)),
        ("a list of explanations is needed, got NoneType", (None,)),
        ("explanation 1 must be what `explain` gives, got str", ([one, "cat.png"],)),
        ("holds at most 3 explanations", ([one] * 4,)),
        ("1 truths for more explanations", ([one] * 2, ["warm"])),
        ("3 truths for 2 explanations", ([one] * 2, ["warm"] * 3)),
        ("truths must be a list of names", ([one], "warm")),
        ("a truth must be a class's name, got 3", ([one], [3])),
        ("columns must be at least 1, got 0", ([one], None, 0)),
        ("title must be a string, got 3", ([one], None, None, 3)),
    ):
        with pytest.raises(ArgumentError, match=words):
            contact_sheet(*arguments)


# ---- The command line ----------------------------------------------------------------------------


@pytest.fixture
def folder(network, tmp_path, monkeypatch):
    """A model, and pictures in folders of which two have the names of its classes."""
    network.save(tmp_path / "net.safetensors")
    for place in ("set/warm/1.png", "set/warm/2.png", "set/cold/1.png", "set/other/1.png"):
        save(tmp_path / place, red())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words):
    return ninc_command("explain", "net.safetensors", *words)


def test_a_folder_on_a_contact_sheet(folder, capsys):
    assert run("set", "-o", "sheet.png", "--sheet", "--columns", "4") == 0
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 5 and out[-1] == "wrote sheet.png"
    net = ninc.load("net.safetensors")
    # The pictures are sorted: cold, other, warm, warm.
    names = ["set/cold/1.png", "set/other/1.png", "set/warm/1.png", "set/warm/2.png"]
    truths = ["cold", None, "warm", "warm"]
    wanted = contact_sheet([ninc.explain(net, name) for name in names], truths, columns=4)
    with Image.open("sheet.png") as sheet:
        assert np.array_equal(pixels(sheet), pixels(wanted))


def test_gradients_by_a_layer_on_the_command_line(folder, capsys):
    assert run("set", "-o", "a.png", "--sheet", "--method", "grad-cam", "--layer", "conv1") == 0
    assert run("set/warm/1.png", "-o", "b.png", "--method", "grad-cam") == 0
    assert "wrote b.png" in capsys.readouterr().out
    assert run("set", "-o", "c.png", "--method", "grad-cam", "--layer", "conv2") == 1
    assert "did you mean 'conv1'" in capsys.readouterr().err


def test_options_that_do_not_go_together_are_told(folder, capsys):
    (folder / "maps").mkdir()
    for words, told in (
        (("--layer", "conv1"), "--layer goes with --method grad-cam"),
        (("--columns", "3"), "--columns goes with --sheet"),
    ):
        with pytest.raises(SystemExit, match="2"):
            run("set", "-o", "map.png", *words)
        assert told in capsys.readouterr().err
    for words, told in (
        (("--sheet", "-o", "maps"), "maps: is a folder; --sheet writes one file"),
        (("--sheet", "-o", "sheet"), "no ending that names a format"),
    ):
        assert run("set", *words) == 1
        assert told in capsys.readouterr().err
    assert run(*["set/warm/1.png"] * 501, "-o", "map.png", "--sheet") == 1
    assert "501 pictures are too many for one sheet, which holds 500" in capsys.readouterr().err
    assert not (folder / "map.png").exists()


def test_a_sheet_of_no_readable_picture_is_not_written(folder, capsys):
    (folder / "bad.png").write_bytes(b"no picture")
    assert run("bad.png", "-o", "map.png", "--sheet") == 1
    assert not (folder / "map.png").exists()
    assert run("bad.png", "set/warm/1.png", "-o", "map.png", "--sheet") == 1
    assert (folder / "map.png").exists() and "bad.png" in capsys.readouterr().err
