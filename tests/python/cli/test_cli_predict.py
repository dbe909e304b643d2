"""`ninc predict`: folders, bad pictures, tables, and names that terminals cannot show."""

import csv
import io
import json
import os
import subprocess
import sys

import pytest

from support.command_line import ninc_command, usage
from support.small_pictures import CLASSES, picture_network, save_noise

Image = pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "net.safetensors"
    picture_network().save(path)
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder to work in, so that names are short."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys, *args):
    """(status, stdout, stderr)."""
    status = ninc_command("predict", *args)
    return status, *capsys.readouterr()


def process(*args, stdin=None, **environment):
    """(status, stdout, stderr) of a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "ninc", "predict", *map(str, args)],
        input=stdin,
        capture_output=True,
        env={**os.environ, **environment},
    )
    return done.returncode, done.stdout, done.stderr


def test_a_folder_and_files_in_their_order(model, folder, capsys):
    for name in ("b/2.png", "b/below/3.webp", "a.png"):
        save_noise(folder / name)
    (folder / "b" / "index.txt").write_bytes(bytes(40))
    status, out, err = run(capsys, model, "b", "a.png", "--top", "1")
    assert status == 0
    assert [line.partition(": ")[0] for line in out.splitlines()] == [
        "b/2.png", "b/below/3.webp", "a.png"
    ]  # fmt: skip
    assert err == "ninc: b: 1 file is no picture and passed over: index.txt\n"


@pytest.mark.parametrize("skip", [False, True])
def test_bad_pictures_are_named_and_do_not_end_the_others(model, folder, capsys, skip):
    for name in ("1.png", "2.png", "3.png"):
        save_noise(folder / name)
    (folder / "2.png").write_bytes((folder / "2.png").read_bytes()[:60])
    (folder / "empty").mkdir()
    options = ["--on-corrupt", "skip"] if skip else []
    status, out, err = run(
        capsys, model, "1.png", "2.png", "none.png", "empty", "3.png", *options
    )  # fmt: skip
    assert status == (0 if skip else 1)
    assert [line.partition(": ")[0] for line in out.splitlines()] == ["1.png", "3.png"]
    lines = err.splitlines()
    assert len(lines) == 3 and all(line.startswith("ninc: ") for line in lines)
    assert "ninc: empty: no pictures in this folder" in lines
    assert "ninc: none.png: no such file" in lines and any("2.png" in line for line in lines)


def test_the_table_has_every_class(model, folder, capsys):
    for seed in range(3):
        save_noise(folder / f"odd, {seed}.png", seed)
    (folder / "odd, 1.png").write_bytes(b"junk")
    status, out, err = run(capsys, model, ".", "--csv", "out.csv")
    assert status == 1 and out == "wrote out.csv: 2 pictures\n" and "odd, 1.png" in err
    header, *rows = csv.reader(io.StringIO((folder / "out.csv").read_text("utf-8"), newline=""))
    assert header == ["file", "class", "probability", *CLASSES]
    assert [row[0] for row in rows] == ["./odd, 0.png", "./odd, 2.png"]
    network = picture_network()
    for row in rows:
        wanted = network.predict(row[0])[0]
        assert row[1] == CLASSES[wanted.argmax()]
        assert float(row[2]) == pytest.approx(wanted.max(), abs=1e-6)
        assert [float(value) for value in row[3:]] == pytest.approx(wanted.tolist(), abs=1e-6)
    status, out, _ = run(capsys, model, "./odd, 0.png", "--csv", "-")
    assert list(csv.reader(out.splitlines()))[1:] == rows[:1]


def test_a_table_is_whole_or_not_there(model, folder, capsys, monkeypatch):
    save_noise(folder / "1.png")
    (folder / "out.csv").write_text("from before")
    before = sorted(os.listdir(folder))

    def interrupted(*args, **options):
        yield next(answers(*args, **options))
        raise KeyboardInterrupt

    from ninc.inference.predict import answers

    monkeypatch.setattr("ninc.inference.predict.answers", interrupted)
    status, out, err = run(capsys, model, "1.png", "1.png", "--csv", "out.csv")
    assert (status, out, err) == (1, "", "ninc: interrupted\n")
    assert (folder / "out.csv").read_text() == "from before"
    assert sorted(os.listdir(folder)) == before
    status, _, err = run(capsys, model, "1.png", "--csv", "none/out.csv")
    assert status == 1 and "cannot write there" in err


@pytest.mark.parametrize("other, words", [(["--json"], "not allowed with"),
                                          (["--top", "2"], "--top would be ignored")])  # fmt: skip
def test_what_a_table_cannot_go_with_is_wrong_usage(model, other, words, capsys):
    assert words in usage(capsys, "predict", model, "x.png", "--csv", "-", *other)


def test_a_table_of_bad_pictures_alone_has_its_head(model, folder, capsys):
    (folder / "bad.jpg").write_bytes(b"no picture")
    status, out, err = run(capsys, model, "bad.jpg", "gone.jpg", "--csv", "out.csv")
    assert status == 1 and len(err.splitlines()) == 2 and "wrote out.csv: 0 pictures" in out
    assert (folder / "out.csv").read_text(
        "utf-8"
    ) == f"file,class,probability,{','.join(CLASSES)}\n"
    network = picture_network(size=None)  # what a picture of it is, the first result says
    network.save(folder / "any.safetensors")
    save_noise(folder / "1.png")
    assert run(capsys, "any.safetensors", "bad.jpg", "1.png", "--csv", "out.csv")[0] == 1
    lines = (folder / "out.csv").read_text("utf-8").splitlines()
    assert lines[0].split(",")[3:] == CLASSES and [line[:5] for line in lines[1:]] == ["1.png"]


def test_a_table_does_not_take_the_place_of_what_is_read(model, folder, capsys):
    before = save_noise(folder / "1.png").read_bytes()
    (folder / "bare").write_bytes(before)
    for name in ("1.png", "2.JPG"):  # --csv taken for a switch, as --json is one
        words = usage(capsys, "predict", model, "--csv", name, "1.png")
        assert f"--csv: {name} is named as a picture" in words
    status, _, err = run(capsys, model, "1.png", "bare", "--csv", "./bare")
    assert status == 1 and "bare: is one of the files to read, and would be overwritten" in err
    assert (folder / "1.png").read_bytes() == (folder / "bare").read_bytes() == before
    assert sorted(os.listdir(folder)) == ["1.png", "bare"]


def test_a_picture_from_standard_input(model, folder):
    path = save_noise(folder / "1.png")
    status, out, err = process(model, "-", "1.png", stdin=path.read_bytes())
    first, second = out.decode().splitlines()
    assert status == 0 and first.startswith("standard input: ")
    assert first.partition(": ")[2] == second.partition(": ")[2]
    status, out, err = process(model, "-", stdin=b"junk")
    assert status == 1 and out == b"" and err.startswith(b"ninc: standard input: ")
    assert err.count(b"\n") == 1


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_streams_that_are_closed_end_nothing_in_a_traceback(model, folder, closed):
    save_noise(folder / "1.png")
    for picture, status in (("1.png", 0), ("none.png", 1), ("-", 1)):
        words = [sys.executable, "-m", "ninc", "predict", str(model), picture, "--csv", "t.csv"]
        done = subprocess.run(
            ["sh", "-c", f'exec "$@" {closed}', "sh", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == status and "Traceback" not in done.stderr
    assert "1.png" not in (folder / "t.csv").read_text()  # the last picture was none


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_terminal_shows_any_name(model, folder, encoding):
    names = ["plain.png", "żółw.png", "二.png", "two\nlines.png", "\x1b[31mred.png"]
    if sys.platform == "linux":
        names.append(os.fsdecode(b"latin-\xe9.png"))
    for name in names:
        save_noise(folder / name)
    (folder / "bad-二\n.png").write_bytes(b"junk")
    environment = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    status, out, err = process(model, ".", "--top", "3", **environment)
    lines = out.decode(encoding).splitlines()
    assert status == 1 and len(lines) == len(names)
    assert b"Traceback" not in err and err.count(b"\n") == 1 and b"\\n.png" in err
    shown = {line.partition(": ")[0] for line in lines}
    assert {"./plain.png", "./two\\nlines.png", "./\\x1b[31mred.png"} <= shown
    assert (encoding == "utf-8") == ("./żółw.png" in shown)
    assert (encoding == "utf-8") == any("犬いぬ" in line for line in lines)
    status, out, _ = process(model, ".", "--json", "--on-corrupt", "skip", **environment)
    assert status == 0
    assert sorted(json.loads(line)["image"] for line in out.decode("ascii").splitlines()) == sorted(
        f"./{name}" for name in names
    )


def test_names_that_are_no_utf8_keep_their_bytes_in_a_table(model, folder):
    if sys.platform != "linux":
        pytest.skip("file names are text here")
    save_noise(folder / os.fsdecode(b"caf\xe9.png"))
    status, _, err = process(model, ".", "--csv", "out.csv")
    assert status == 0, err
    assert (folder / "out.csv").read_bytes().splitlines()[1].startswith(b"./caf\xe9.png,")
