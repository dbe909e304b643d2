"""`ninc report`: several runs on one page, from reports and from checkpoints."""

import dataclasses
import json

import numpy as np
import pytest

from ninc.errors import FileError
from ninc.inference.evaluation import Evaluation, as_dict
from ninc.report.compare import page_of_runs, summary
from ninc.report.record import FINISHED, Record, load
from ninc.report.runs import load_run
from support.command_line import ninc_command, printed, printed_json
from support.html_pages import check
from support.small_training import fit_in


def record(accuracy=0.5, name="net", epochs=3, **changed):
    """A finished run on 200 pictures of two classes."""
    right = round(100 * accuracy)
    confusion = np.array([[right, 100 - right], [100 - right, right]])
    results = {"data": "200 pictures", **as_dict(Evaluation(1.25, confusion, ["<a>", "b"]))}
    rows = [
        {"epoch": i, "lr": 0.1, "loss": 1 / i, "accuracy": 0.5, "seconds": 2.0,
         "val_loss": 1.5 / i, "val_accuracy": accuracy * i / epochs}
        for i in range(1, epochs + 1)
    ]  # fmt: skip
    made = Record(
        "training", name, f"ninc train {name}", FINISHED, results=results, history=rows,
        epochs=epochs, settings={"seed": "0", "rate": "0.1"}, data="d", choice="Chosen by nobody.",
    )  # fmt: skip
    return dataclasses.replace(made, **changed)


def stored(folder, made):
    folder.mkdir()
    made.save(folder / "report.json")
    return folder


def table(page, ident):
    return next(t for t in page.all("table") if t.one("caption").attributes["id"] == ident).rows()


def test_a_record_is_read_as_it_was_written(tmp_path):
    made = record(time={"training": 6.0}, memory={"peak": 5}, network={"parameters": 7})
    made.history[0]["loss"] = float("nan")
    again = load_run(stored(tmp_path / "run", made))
    assert again.history[0]["loss"] is None
    again.history[0]["loss"] = made.history[0]["loss"]
    assert again == made and load_run(tmp_path / "run" / "report.json").name == "net"


def test_runs_stand_side_by_side(tmp_path, capsys):
    one, other = (
        stored(tmp_path / "a", record(0.5)),
        stored(tmp_path / "b", record(0.75, epochs=2, settings={"seed": "1", "rate": "0.1"})),
    )
    out = tmp_path / "all.html"
    assert printed(capsys, "report", one, other, "-o", out) == f"wrote {out}\n"
    page = check(out.read_text("utf-8"))
    head, *rows = table(page, "runs-table")
    assert [row[:5] for row in rows] == [
        [str(one), "50.00%", "43.1% to 56.9%", "1.2500", "3"],
        [str(other), "75.00%", "68.6% to 80.5%", "1.2500", "2"],
    ]
    assert [row[-1] for row in rows] == ["nothing held out"] * 2
    assert table(page, "settings-table") == [["setting", str(one), str(other)], ["seed", "0", "1"]]
    assert table(page, "class-table")[1:] == [["<a>", "50.0%", "75.0%"], ["b", "50.0%", "75.0%"]]
    assert [f.one("h3").text for f in page.all("figure")][:2] == [
        "Held-out accuracy",
        "Held-out loss",
    ]
    epochs = table(page, "epochs")
    assert epochs[3] == ["3", "50.00%", "–"]
    assert "keeps the best of several runs" in page.text and "not all" not in page.text
    told = printed_json(capsys, "report", one, other, "-o", out)
    assert [run["accuracy"] for run in told["runs"]] == [0.5, 0.75] and told["page"] == str(out)
    assert told["runs"][0]["seconds"] == 6.0


def test_other_pictures_are_told():
    page = check(page_of_runs([("a", record()), ("b", record(data="e"))], "ninc report a b"))
    assert "These runs were not all evaluated on the same pictures" in page.text
    page = check(page_of_runs([("a", record(data="")), ("b", record(data=""))], ""))
    assert "or do not tell" in page.text


def test_checkpoints_have_no_report_but_a_history(tmp_path, capsys):
    trainer = fit_in(tmp_path / "run", patience=2, epochs=3)
    run = load_run(tmp_path / "run")
    told = summary("run", run)
    best = max(trainer.history, key=lambda row: row["val_accuracy"])
    assert told["accuracy"] == best["val_accuracy"] and told["state"] == "finished"
    assert run.history == trainer.history.rows and run.settings["patience"] == "2"
    out = tmp_path / "page.html"
    assert ninc_command("report", tmp_path / "run", "-o", out) == 0
    page = check(out.read_text("utf-8"))
    assert table(page, "runs-table")[1][-1] == "not told"
    # A crash may have cut the last line short; any other damage is told.
    history = tmp_path / "run" / "history.jsonl"
    whole = history.read_text()
    history.write_text(whole + '{"epoch": 9, "lo')
    assert load_run(tmp_path / "run").history == run.history
    history.write_text('{"epoch": 9, "lo\n' + whole)
    with pytest.raises(FileError, match="damaged"):
        load_run(tmp_path / "run")


def test_the_same_run_is_taken_once(tmp_path, capsys):
    folder = stored(tmp_path / "a", record())
    told = printed_json(capsys, "report", folder, f"{folder}/", "-o", tmp_path / "o.html")
    assert len(told["runs"]) == 1


@pytest.mark.parametrize(
    "change",
    [
        dict(format=2),
        dict(results={"classes": ["a"]}),
        dict(history=[{"loss": 1.0}]),
        dict(history=[{"epoch": "one"}]),
        dict(state="asleep"),
        dict(remarks=[1]),
        dict(settings=["rate"]),
        dict(epochs="two"),
        dict(name=None),
    ],
)
def test_damaged_reports_are_told_by_name(tmp_path, change, capsys):
    folder = stored(tmp_path / "run", record())
    content = json.loads((folder / "report.json").read_text())
    (folder / "report.json").write_text(json.dumps({**content, **change}))
    assert ninc_command("report", folder, "-o", tmp_path / "out.html") == 1
    [line] = capsys.readouterr().err.splitlines()
    assert str(folder / "report.json") in line and not (tmp_path / "out.html").exists()


def test_confusions_must_be_square(tmp_path):
    made = record()
    made.results["confusion"][1] = [1]
    with pytest.raises(FileError, match="the confusion matrix makes no sense"):
        load(stored(tmp_path / "run", made) / "report.json")


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b"[" * 100000, b"{}"])
def test_what_is_no_report(tmp_path, content):
    (tmp_path / "report.json").write_bytes(content)
    with pytest.raises(FileError):
        load_run(tmp_path)


def test_what_holds_no_run_is_told(tmp_path, capsys):
    assert ninc_command("report", tmp_path) == 1
    assert "holds no run" in capsys.readouterr().err
    assert ninc_command("report", tmp_path / "nowhere") == 1
    assert "there is no such folder" in capsys.readouterr().err


def test_no_file_of_a_run_is_overwritten(tmp_path, capsys):
    folder = stored(tmp_path / "a", record())
    before = (folder / "report.json").read_bytes()
    assert ninc_command("report", folder, "-o", folder / "report.json") == 1
    assert "would be overwritten" in capsys.readouterr().err
    assert (folder / "report.json").read_bytes() == before
