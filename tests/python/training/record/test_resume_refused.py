"""What a run is not resumed from, told in one sentence with the checkpoint left as it was."""

import json
import os

import pytest

import ninc
from ninc import nn
from ninc.averages import EMA
from ninc.data import Dataset
from ninc.errors import ArgumentError, FileError
from ninc.preprocess import Preprocessing
from ninc.training.record import checkpoint
from ninc.training.record.run_folder import RunFolder
from support.small_training import bars, fit_in, interrupted_after, small_network


@pytest.fixture
def interrupted(tmp_path, monkeypatch):
    """The folder of a run that was stopped in its second epoch."""
    with interrupted_after(monkeypatch, 7) as stopped:
        fit_in(tmp_path / "run")
    assert "after epoch 2, step 1" in str(stopped.value)
    return tmp_path / "run"


OTHER_NETWORK = nn.Sequential(nn.Conv2d(1, 2, 3), nn.GlobalAvgPool2d())


def changed_bars():
    data = bars()
    data.images[5, 0, 0, 0] ^= 1
    return data


@pytest.mark.parametrize(
    "options, words",
    [
        ({"train": changed_bars()}, "the training data are not those the run was begun with"),
        ({"validation": False, "changed": {"schedule": None}}, "schedule Warmup"),
        ({"seed": 1}, "seed 0, now it is 1"),
        ({"batch_size": 8}, "batch size 16, now it is 8"),
        ({"epochs": 1}, "stands after epoch 2, step 1 already, now epochs is 1; give at least 2"),
        ({"network": OTHER_NETWORK}, "network of .* parameters .*, now it is of"),
        ({"patience": 4}, "patience none, now it is 4; give the same or none"),
        ({"min_delta": 0.25}, "min_delta 0, now it is 0.25"),
        ({"changed": {"optimizer": ninc.SGD(0.1, momentum=0.9)}}, "momentum 0.9 .*Nesterov"),
        ({"changed": {"augment": None}}, "augmentation Compose"),
        ({"changed": {"average": EMA(0.8)}}, r"averages EMA\(decay=0.9"),
        ({"changed": {"label_smoothing": 0.2}}, "label smoothing 0.1, now it is 0.2"),
        ({"preprocessing": "gcn_zca"}, "preprocessing normalize, now it is gcn_zca"),
        ({"resume": False}, "a run is in this folder already"),
    ],
)
def test_a_run_is_not_resumed_as_another(interrupted, options, words):
    before = (interrupted / "last.safetensors").read_bytes()
    with pytest.raises((ArgumentError, FileError), match=words) as told:
        fit_in(interrupted, **{"resume": True, **options})
    assert str(interrupted / "last.safetensors") in str(told.value)
    assert "another folder" in str(told.value) and "\n" not in str(told.value)
    assert (interrupted / "last.safetensors").read_bytes() == before
    fit_in(interrupted, resume=True)  # and nothing is lost


def test_another_instruction_set_is_refused(interrupted):
    if len(ninc.targets()) < 2:
        pytest.skip("this processor has one target alone")
    before = ninc.target()
    other = next(name for name in ninc.targets() if name != before)
    try:
        ninc.set_target(other)
        with pytest.raises(ArgumentError, match=f"{before} instructions .*NINC_TARGET={before}"):
            fit_in(interrupted, resume=True)
    finally:
        ninc.set_target(before)
    fit_in(interrupted, resume=True)


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-100])


def other_bytes(path):
    path.write_bytes(b"no model at all")


def plain_model(path):
    small_network().save(path)


def of_other_kinds(**entries):
    """Puts entries into the state of the run that are of no use there."""

    def damage(path):
        model = ninc._core.Model.load(os.fsencode(path))
        metadata = model.metadata()
        training = json.loads(metadata["training"])
        where = training if "settings" in entries else training["state"]
        where.update(entries)
        model.change({"training": json.dumps(training)})
        model.save(os.fsencode(path))

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        cut_short,
        other_bytes,
        plain_model,
        of_other_kinds(epoch="one"),
        of_other_kinds(step=-1),
        of_other_kinds(rows=[{"loss": 1.0}]),
        of_other_kinds(rows=[]),
        of_other_kinds(best={"epoch": 1}),
        of_other_kinds(best=[1, 0.5]),
        of_other_kinds(lr=None),
        of_other_kinds(schedule=3),
        of_other_kinds(settings=["seed"]),
        of_other_kinds(settings={"seed": 0}),
    ],
)
def test_a_damaged_checkpoint_is_named_and_left(interrupted, damage):
    last = interrupted / "last.safetensors"
    damage(last)
    before = last.read_bytes()
    with pytest.raises(FileError, match="last.safetensors: damaged checkpoint") as told:
        fit_in(interrupted, resume=True)
    assert "\n" not in str(told.value) and "best.safetensors" in str(told.value)
    assert last.read_bytes() == before
    assert ninc.load(interrupted / "best.safetensors").classes == ["lying", "upright"]


@pytest.mark.parametrize(
    "written, why",
    [(1, ", whose epochs left out the pictures that did not fill a batch"), (99, "")],
)
def test_another_rule_of_batches_is_told(interrupted, written, why):
    last = interrupted / "last.safetensors"
    model = checkpoint.load(last).model
    entry = json.loads(model.metadata()["training"])
    changed = {**entry, "format": written, "ninc": "0.0.7"}
    model.save(str(last), {"training": json.dumps(changed)})
    before = last.read_bytes()
    with pytest.raises(FileError) as told:
        fit_in(interrupted, resume=True)
    words = f"{last}: cannot resume: ninc 0.0.7 began this run{why} (checkpoint format {written}, "
    assert str(told.value).startswith(words)
    assert "finish it with that version, or begin anew in another folder" in str(told.value)
    assert last.read_bytes() == before and ninc.load(last).classes == ["lying", "upright"]


def test_a_missing_best_is_told_before_training(tmp_path):
    fit_in(tmp_path, patience=2)
    (tmp_path / "best.safetensors").unlink()
    with pytest.raises(FileError, match="best.safetensors: missing, but epoch . was the best"):
        fit_in(tmp_path, patience=2, resume=True)


def test_two_runs_do_not_share_a_folder(interrupted):
    folder = RunFolder(interrupted)
    try:
        with pytest.raises(FileError, match="another training run is using this folder"):
            fit_in(interrupted, resume=True)
    finally:
        folder.close()
    fit_in(interrupted, resume=True)


def test_resume_needs_a_folder():
    with pytest.raises(ArgumentError, match="resume needs a checkpoint_dir"):
        fit_in(None, resume=True)


def test_remains_of_a_killed_process_are_removed(interrupted):
    for name in (".ninc-1-1.tmp", ".history.jsonl.77"):
        (interrupted / name).write_text("half a fi")
    fit_in(interrupted, resume=True)
    assert not list(interrupted.glob(".*"))


def test_a_network_that_brings_another_preprocessing_is_refused(interrupted):
    other = small_network()
    other.preprocessing = Preprocessing((8, 8), 1, (0.25,), (0.5,))
    with pytest.raises(ArgumentError, match="stored preprocessing is not the one that the run"):
        fit_in(interrupted, network=other, resume=True)
    same = small_network()
    same.preprocessing = ninc.load(interrupted / "last.safetensors").preprocessing
    fit_in(interrupted, network=same, resume=True)


def framed(folder, **options):
    image = pytest.importorskip("PIL.Image")
    for name, level in (("lying", 60), ("upright", 190)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(6):
            image.new("L", (16 + index, 10), level + index).save(folder / name / f"{index}.png")
    return ninc.data.load(folder, "all", size=(8, 8), channels=1, **options)


@pytest.mark.parametrize(
    "options, words",
    [
        (
            dict(fit="pad"),
            "pictures of 8×8 by crop, grey on .*now it is of 8×8 by pad",
        ),
        (dict(ground=(0, 0, 0)), r"now it is of 8×8 by crop, grey on ground \(0, 0, 0\)"),
        (dict(names=["lie", "up"]), "classes lying, upright, now it is lie, up"),
    ],
)
def test_other_framing_and_classes_are_named(tmp_path, options, words):
    def run(data, **more):
        trainer = ninc.Trainer(
            nn.Sequential(nn.Conv2d(1, 2, 3), nn.GlobalAvgPool2d()), ninc.SGD(0.1)
        )
        trainer.fit(
            data, epochs=1, batch_size=6, checkpoint_dir=tmp_path / "run", progress=False, **more
        )

    run(framed(tmp_path / "d"))
    names = options.pop("names", None)
    data = framed(tmp_path / "d", **options)
    if names:
        data = Dataset(data.images, data.labels, names)
        data.framing = framed(tmp_path / "d").framing
    with pytest.raises(ArgumentError, match=words):
        run(data, resume=True)
