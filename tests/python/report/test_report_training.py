"""The report of a training run: written as it goes, and in nobody's way."""

import json

import numpy as np
import pytest

import ninc
from ninc.data import BatchStream
from ninc.report.record import Record
from ninc.report.recorder import Folder, Recorder
from support.command_line import ninc_command, printed_json
from support.html_pages import check
from support.small_training import (
    assert_same_checkpoints,
    bars,
    everything,
    fit_in,
    remarks,
    small_network,
    stop_after,
)


def recorder(folder):
    made = Recorder(Folder(folder), Record("training", "net.safetensors", "ninc train", epochs=2))
    made.looks_at("32 pictures of bars")
    return made


def report_in(folder):
    """The page and the numbers of a report."""
    return check((folder / "report.html").read_text("utf-8")), json.loads(
        (folder / "report.json").read_text()
    )


def test_each_epoch_is_written(tmp_path):
    states = []

    class Watched(Recorder):
        def epoch_ended(self, history):
            super().epoch_ended(history)
            states.append(report_in(tmp_path))

    trainer = everything(small_network())
    trainer.listener = Watched(recorder(tmp_path).folder, recorder(tmp_path).record)
    trainer.listener.looks_at("32 pictures of bars")
    history = trainer.fit(bars(), bars(32, seed=1), epochs=2, batch_size=16, progress=False)
    assert [len(numbers["history"]) for _, numbers in states] == [0, 1, 2]
    page, numbers = states[0]
    assert numbers["results"] is None and "under way: 0 of 2 epochs" in page.text
    assert numbers["settings"]["batch size"] == "16" and not page.all("svg")
    for row, (page, numbers) in zip(history, states[1:]):
        assert numbers["results"]["accuracy"] == row["val_accuracy"]
        assert numbers["results"]["loss"] == row["val_loss"]
        assert f"On 32 pictures of bars, after epoch {row['epoch']}." in page.text
        assert numbers["history"][-1] == row and len(page.all("figure")) > 3
        # The pictures are those of the weights that were evaluated, which are averages here.
        chances = [entry["probability"] for entry in numbers["pictures"]["uncertain"]]
        assert chances == sorted(chances)


def test_a_listener_changes_no_bit_of_a_run(tmp_path):
    fit_in(tmp_path / "plain")
    trainer = everything(small_network())
    trainer.listener = recorder(tmp_path / "report")
    options = dict(epochs=2, batch_size=16, progress=False, checkpoint_dir=tmp_path / "told")
    trainer.fit(bars(), bars(32, seed=1), **options)
    assert_same_checkpoints(tmp_path / "plain", tmp_path / "told")


def test_streams_and_runs_without_held_out_data(tmp_path):
    data = bars()
    batches = [(data.images[i : i + 16], data.labels[i : i + 16]) for i in range(0, 96, 16)]
    network = small_network()
    network.preprocessing = ninc.preprocess.Preprocessing.fit(data.images)
    trainer = ninc.Trainer(network)
    trainer.listener = recorder(tmp_path)
    trainer.fit(BatchStream(batches, data.classes), bars(32, seed=1), epochs=2, progress=False)
    page, numbers = report_in(tmp_path)
    assert numbers["results"]["images"] == 32 and len(page.all("table")) >= 3
    trainer.listener = recorder(tmp_path)
    trainer.fit(data, epochs=2, batch_size=16, progress=False)
    page, numbers = report_in(tmp_path)
    assert numbers["results"] is None and "No evaluation yet" in page.text
    assert [key.text.strip() for key in page.all("span", class_="key")] == ["training"]


def test_a_report_that_cannot_be_written_ends_no_run(tmp_path, monkeypatch):
    trainer = everything(small_network())
    trainer.listener = recorder(tmp_path)

    def full(self, record, shown):
        raise OSError("the disk is full")

    monkeypatch.setattr(Folder, "write", full)
    with remarks() as told:
        history = trainer.fit(bars(), bars(32, seed=1), epochs=2, batch_size=16, progress=False)
    assert len(history) == 2
    assert [text for text in told if text.startswith("report: ")] == [
        f"report: {tmp_path} is not up to date: the disk is full"
    ]


# ---- The command ---------------------------------------------------------------------------------


@pytest.fixture
def parts(tmp_path):
    """A .npz file with training and test pictures of a bright column each."""
    rng = np.random.default_rng(3)
    arrays = {}
    for suffix, count in (("", 40), ("_test", 20)):
        labels = np.arange(count) % 4
        images = rng.integers(0, 120, (count, 28, 28, 1), np.uint8)
        for image, label in zip(images, labels):
            image[:, 4 + 4 * label : 7 + 4 * label] += 100
        arrays |= {f"x{suffix}": images, f"y{suffix}": labels}
    np.savez(tmp_path / "data.npz", **arrays, classes=["<a>", "b", "c", "d"])
    return tmp_path


def train(folder, *options):
    words = ["train", folder / "data.npz", "-o", folder / "net.safetensors", "--model", "nin-mnist"]
    words += ["--epochs", 2, "--batch-size", 20, "--report", folder / "report", *options]
    return ninc_command(*words)


def test_the_report_of_training_says_what_eval_says(parts, capsys):
    assert train(parts, "--average", "ema") == 0
    out = capsys.readouterr().out
    assert f"wrote {parts / 'report' / 'report.html'}\n" in out
    told = printed_json(capsys, "eval", parts / "net.safetensors", parts / "data.npz")
    page, numbers = report_in(parts / "report")
    assert numbers["results"] == told and numbers["state"] == "finished"
    assert f"test accuracy {told['accuracy']:.2%}" in out
    assert f"{told['accuracy']:.2%}" in page.one("section", id="results").text
    assert numbers["command"].startswith(f"ninc train {parts / 'data.npz'} -o ")
    assert numbers["chosen_by"] is None and "chose nothing" in numbers["choice"]
    assert len(numbers["history"]) == 2 == numbers["epochs"] and numbers["epoch"] == 2


def test_a_network_chosen_by_the_test_set_says_so(parts, capsys):
    assert train(parts, "--patience", 2, "--json") == 0
    assert json.loads(capsys.readouterr().out)["report"] == str(parts / "report")
    page, numbers = report_in(parts / "report")
    assert numbers["chosen_by"] == "test"
    assert numbers["choice"].startswith(
        "Chosen by the test set itself: early stopping (--patience 2) kept the best epoch"
    )
    assert numbers["choice"] in page.text and "a little too good" in page.text
    told = printed_json(capsys, "eval", parts / "net.safetensors", parts / "data.npz")
    assert numbers["results"] == told  # of the best epoch, whichever it is


def test_a_network_chosen_by_validation_pictures_is_tested_once(parts, capsys):
    assert train(parts, "--validation", 0.2, "--schedule", "plateau") == 0
    _, numbers = report_in(parts / "report")
    assert numbers["chosen_by"] == "validation" and numbers["results"]["images"] == 20
    assert "--schedule plateau lowered the rate by the validation pictures" in numbers["choice"]
    assert "The test set was looked at once, at the end" in numbers["choice"]
    told = printed_json(capsys, "eval", parts / "net.safetensors", parts / "data.npz")
    assert numbers["results"] == told


def test_what_was_held_out_is_told_as_eval_tells_it(parts, capsys):
    with np.load(parts / "data.npz") as arrays:
        np.savez(parts / "data.npz", x=arrays["x"], y=arrays["y"])
    assert train(parts, "--held-out", 0.3, "--limit", 8) == 0
    told = printed_json(capsys, "eval", parts / "net.safetensors", parts / "data.npz")
    _, numbers = report_in(parts / "report")
    assert numbers["results"] == told and "held out of" in told["data"]
    assert "A quick try: of each class at most 8 pictures." in numbers["remarks"]


def test_a_validation_set_without_a_test_set(parts, capsys):
    with np.load(parts / "data.npz") as arrays:
        renamed = {name.replace("_test", "_val"): array for name, array in arrays.items()}
    np.savez(parts / "data.npz", **renamed)
    assert train(parts, "--patience", 2) == 0
    told = printed_json(capsys, "eval", parts / "net.safetensors", parts / "data.npz")
    _, numbers = report_in(parts / "report")
    assert numbers["results"] == told and "in the validation set of" in told["data"]
    assert numbers["choice"].startswith("Chosen by the validation set itself: early stopping")
    assert "--validation" not in numbers["choice"]


def test_pictures_in_both_sets_are_on_the_page(parts):
    with np.load(parts / "data.npz") as arrays:
        again = dict(arrays, x_test=arrays["x"][:20], y_test=arrays["y"][:20])
    np.savez(parts / "data.npz", **again)
    assert train(parts) == 0
    page, _ = report_in(parts / "report")
    assert "20 of the 20 pictures to test with are also among those to train with" in page.text


def test_an_interrupted_run_keeps_its_report(parts, own_handler, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        assert train(parts, "--checkpoint", parts / "run") == 1
    page, numbers = report_in(parts / "report")
    assert numbers["state"] == "interrupted" and len(numbers["history"]) == 1
    assert "interrupted after 2 epochs" not in page.text and "interrupted after 1 of 2" in page.text
    assert train(parts, "--checkpoint", parts / "run", "--resume") == 0
    page, numbers = report_in(parts / "report")
    assert numbers["state"] == "finished" and len(numbers["history"]) == 2


def test_an_evaluation_at_the_end_that_is_interrupted(parts, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "_evaluated", interrupted)
        patch.setattr(Recorder, "evaluate", lambda self, net, data, **_: net.evaluate(data))
        assert train(parts) == 1
    page, numbers = report_in(parts / "report")
    assert numbers["state"] == "interrupted" and "in the evaluation at its end" in page.text
    assert (parts / "net.safetensors").exists()


def test_a_run_that_fails_says_why(parts, capsys):
    assert train(parts, "--lr", "1e30") == 1
    page, numbers = report_in(parts / "report")
    assert numbers["state"] == "failed" and "try a rate below" in numbers["said"]
    assert "ended by an error after 0 of 2 epochs" in page.text


def test_a_report_beside_the_checkpoints(parts):
    assert train(parts, "--checkpoint", parts / "report") == 0
    names = {path.name for path in (parts / "report").iterdir()}
    assert {"report.html", "report.json", "run.json", "last.safetensors"} <= names
