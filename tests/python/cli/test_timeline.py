"""`ninc bench --timeline`: what the file has, what is printed, and what is refused beforehand."""

import json
import re
from collections import defaultdict

import numpy as np
import pytest

import ninc
from ninc import _core, cli
from support.command_line import ninc_command, printed, printed_json, usage

STEPS = "steps"
UPDATE = ("limit gradients", "sgd update", "copy updated")  # of a training step, behind its plan's


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(cli.bench, "_SECONDS", 0.0)


def tracks_of(path):
    """The events with a begin and an end by the names of their tracks, in the file's order."""
    trace = json.loads(path.read_text())
    assert trace.keys() == {"traceEvents", "displayTimeUnit"}
    assert trace["displayTimeUnit"] == "ns"
    names, tracks = {}, defaultdict(list)
    for event in trace["traceEvents"]:
        assert event["pid"] == 1
        if event["ph"] == "M":
            if event["name"] == "thread_name":
                names[event["tid"]] = event["args"]["name"]
            continue
        assert event["ph"] == "X" and event["ts"] >= 0 and event["dur"] >= 0
        tracks[names[event["tid"]]].append(event)
    assert len(set(names.values())) == len(names)
    return set(names.values()), tracks


def described(plan):
    """The names of a plan's steps as a timeline has them, from the table that people read."""
    lines = plan.describe().splitlines()
    place = {word: lines[1].index(word) for word in ("layers", "algorithm")}
    names = []
    for line in lines[2:]:
        if re.match(r"\d+ steps, ", line):
            return names
        kind, layers = line[: place["layers"]], line[place["layers"] : place["algorithm"]]
        names.append(": ".join(filter(None, (layers.strip(), kind.strip()))))
    raise AssertionError("the table does not end")


def end(event):
    # Of microseconds with three digits behind the point, so that no rounding is in the way.
    return round(1000 * event["ts"]) + round(1000 * event["dur"])


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("training", [False, True])
def test_the_file_has_the_plans_steps_and_each_threads_work(
    training, count, tmp_path, capsys, threads
):
    path = tmp_path / "run.json"
    words = ["bench", "nin-mnist", "--batch", 2, "--threads", count, "--timeline", path]
    printed(capsys, *words, *(["--training"] if training else []))
    names, tracks = tracks_of(path)
    workers = ["thread 0 (caller)", "thread 1"][:count]
    assert names == {STEPS, *workers}

    steps = tracks[STEPS]
    want = described(ninc.models.nin_mnist().plan((2, 1, 28, 28), training=training))
    assert [step["name"] for step in steps[: len(want)]] == want
    update = [step["name"] for step in steps[len(want) :]]
    assert bool(update) == training and all(name.endswith(UPDATE) for name in update)
    for step, after in zip(steps, [*steps[1:], None]):
        assert after is None or end(step) <= round(1000 * after["ts"])
        facts = step["args"]
        assert facts.keys() == {"layers", "algorithms", "GFLOP", "GFLOP/s", "busy", "waiting"}
        assert bool(facts["algorithms"]) == (facts["GFLOP"] > 0) == (facts["GFLOP/s"] > 0)
        assert 0 <= facts["busy"] <= 1
        assert facts["busy"] + sum(facts["waiting"].values()) == pytest.approx(1)

    assert tracks[workers[0]]
    for worker in workers:
        works = tracks[worker]
        for work, after in zip(works, [*works[1:], None]):
            assert after is None or end(work) <= round(1000 * after["ts"])
            assert work["args"].keys() == {"tasks"} and work["args"]["tasks"] > 0
            (step,) = [
                step for step in steps if step["ts"] <= work["ts"] and end(work) <= end(step)
            ]
            assert step["name"] == work["name"]


def test_the_summary_is_printed(tmp_path, capsys, threads):
    path = tmp_path / "run.json"
    words = ["bench", "nin-mnist", "--batch", 1, "--threads", 2, "--timeline", path]
    first, wrote, busy, time = printed(capsys, *words).splitlines()
    assert "images/s" in first
    assert wrote.startswith(f"wrote {path}: one run of ") and "between them" in wrote
    assert re.fullmatch(r"work in the steps: thread 0 [\d.]+%, thread 1 [\d.]+%", busy)
    assert time.startswith("the threads' time in the steps: ")

    summary = printed_json(capsys, *words)["timeline"]
    assert summary["steps"] == len(tracks_of(path)[1][STEPS])
    assert summary["seconds"] >= summary["seconds_in_steps"] + summary["seconds_between_steps"]
    assert len(summary["busy"]) == 2 and all(0 <= share <= 1 for share in summary["busy"])
    assert sum(summary["time"].values()) == pytest.approx(1)
    assert summary["time"]["work"] == pytest.approx(sum(summary["busy"]) / 2)


def test_without_the_option_nothing_is_recorded(capsys):
    assert "timeline" not in printed_json(capsys, "bench", "nin-mnist", "--batch", 1)


def test_on_a_gpu_it_is_wrong_usage(tmp_path, capsys):
    said = usage(capsys, "bench", "--device", "cuda", "--timeline", tmp_path / "run.json")
    assert "--timeline shows what the processor's threads do: it goes with --device cpu" in said


def test_a_path_that_cannot_be_written_is_told_before_anything_is_measured(
    tmp_path, capsys, monkeypatch
):
    def refuse(*arguments):
        raise AssertionError("it measured")

    monkeypatch.setattr(cli.bench, "_median_seconds", refuse)
    path = tmp_path / "nowhere" / "run.json"
    assert ninc_command("bench", "nin-mnist", "--timeline", path) == 1
    assert f"{path}: cannot write there" in capsys.readouterr().err

    model = tmp_path / "net.safetensors"
    ninc.models.nin_mnist().save(model)
    before = model.read_bytes()
    assert ninc_command("bench", model, "--timeline", model) == 1
    assert "is the model, and would be overwritten" in capsys.readouterr().err
    assert model.read_bytes() == before


def test_what_the_work_raises_passes():
    def fail():
        raise ValueError("of the work's own")

    with pytest.raises(ValueError, match="of the work's own"):
        _core.record_timeline(fail)
    network = ninc.models.nin_mnist()
    x = np.zeros((1, 1, 28, 28), np.float32)
    network(x)  # the failed recording is over: nobody reads what this run would write to it
    assert _core.record_timeline(lambda: None)["steps"] == []
