"""What `ninc train` holds out of data without a test set is recorded and found again by `eval`."""

import json
import re
import shutil

import numpy as np
import pytest

import ninc
from ninc import data
from ninc.errors import ArgumentError, ModelError
from ninc.formats.held_out import HeldOut
from support.command_line import ninc_command, printed, printed_json, usage
from support.small_pictures import save
from support.small_training import bars, random_npz

pytest.importorskip("PIL.Image")

OPTIONS = ("--model", "nin-mnist", "--epochs", 1, "--batch-size", 8)


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    """CLASS/*.png: 24×24 pictures of two classes, of unlike counts."""
    root = tmp_path_factory.mktemp("pets")
    rng = np.random.default_rng(5)
    for name, count in (("cat", 20), ("dog", 13)):
        for number in range(count):
            pixels = rng.integers(0, 200, (24, 24), dtype=np.uint8)
            save(root / name / f"{number}.png", pixels)
    return root


@pytest.fixture(scope="module")
def run(pets, tmp_path_factory):
    """(model file, run folder) of a run that held out 0.3 of each class by seed 4."""
    root = tmp_path_factory.mktemp("run")
    out, folder = root / "net.safetensors", root / "run"
    command = ("train", pets, "-o", out, *OPTIONS, "--checkpoint", folder)
    assert ninc_command(*command, "--held-out", 0.3, "--seed", 4) == 0
    return out, folder


def test_it_stands_in_the_model_and_in_run_json(run, pets):
    out, folder = run
    expected = data.load(pets, "test", size=(28, 28), channels=1, held_out=0.3, seed=4)
    record = HeldOut(0.3, 4, None, 10, expected.fingerprint())
    for name in ("last", "best"):
        assert ninc.load(folder / f"{name}.safetensors").held_out == record
    assert ninc.load(out).held_out == record
    about = json.loads((folder / "run.json").read_text())
    assert HeldOut.from_dict(about["data"]["held_out"]) == record


def test_eval_takes_just_these(run, pets, capsys, tmp_path):
    out, folder = run
    result = printed_json(capsys, "eval", out, pets)
    last = json.loads((folder / "history.jsonl").read_text().splitlines()[-1])
    assert result["images"] == 10 and result["accuracy"] == last["val_accuracy"]
    assert result["loss"] == pytest.approx(last["val_loss"], rel=1e-6)
    assert result["data"] == f"10 pictures held out of {pets} when the network was trained"
    moved = shutil.copytree(pets, tmp_path / "elsewhere")  # the same pictures in another place
    assert printed_json(capsys, "eval", out, moved)["confusion"] == result["confusion"]
    streamed = printed_json(capsys, "eval", out, pets, "--stream")
    assert streamed["confusion"] == result["confusion"]
    assert printed_json(capsys, "eval", out, pets, "--limit", "2")["images"] == 4
    assert "held out of" in printed(capsys, "eval", out, pets).splitlines()[0]


def test_eval_refuses_other_data(run, pets, capsys, tmp_path):
    out, _ = run
    other = shutil.copytree(pets, tmp_path / "other")
    held_out = data.load(pets, "test", size=(28, 28), channels=1, held_out=0.3, seed=4)
    victim = other / held_out.origin.name(0)[len(f"{pets}/") :]
    save(victim, np.zeros((24, 24), np.uint8))
    assert ninc_command("eval", out, other) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith(f"ninc: {other}: not the data {out} was trained on")
    assert "10 pictures (share 0.3, seed 4) were held out" in line and "--split all" in line
    everything = printed_json(capsys, "eval", out, other, "--split", "all")
    assert everything["images"] == 33 and everything["data"] == f"33 pictures in all of {other}"
    # Held out as in training, whatever they are; and as told.
    assert printed_json(capsys, "eval", out, other, "--split", "test")["images"] == 10
    anew = ("--split", "test", "--held-out", 0.1, "--seed", 0)
    told = printed_json(capsys, "eval", out, other, *anew)
    assert told["images"] == 3
    assert told["data"].endswith("with --held-out 0.1 and --seed 0")


def test_a_limit_is_part_of_it(tmp_path, capsys):
    pictures = random_npz(tmp_path / "data.npz")
    out = tmp_path / "net"
    command = ("train", pictures, "-o", out, *OPTIONS, "--limit", 3)
    trained = printed_json(capsys, *command, "--held-out", 0.5)
    assert ninc.load(out).held_out.limit == 3
    result = printed_json(capsys, "eval", out, pictures)
    assert result["images"] == 15 and result["accuracy"] == trained["test_accuracy"]
    assert "15 pictures (share 0.5, seed 0, limit 3)" in printed(capsys, "info", out)


def test_data_with_a_test_set_leave_no_record(tmp_path, capsys):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (24, 28, 28), dtype=np.uint8), np.arange(24) % 3
    path, out = tmp_path / "data.npz", tmp_path / "net"
    np.savez(path, x_train=images, y_train=labels, x_test=images[:9], y_test=labels[:9])
    assert ninc_command("train", path, "-o", out, *OPTIONS) == 0
    assert ninc.load(out).held_out is None
    told = printed_json(capsys, "eval", out, path)
    assert told["data"] == f"9 pictures in the test set of {path}"


# ---- Trained in Python ---------------------------------------------------------------------------


def trained(root, size=(28, 28), **changed):
    """A network fitted to what `load` gives of a folder; changed: of the test part alone."""
    options = dict(size=size, channels=1, held_out=0.3, seed=4)
    train = data.load(root, "train", **options)
    test = data.load(root, "test", **{**options, **changed})
    network = ninc.models.nin_mnist(num_classes=2, batch_norm=True)
    ninc.Trainer(network, ninc.SGD(0.01)).fit(train, test, 1, batch_size=8, progress=False)
    return network, test


def test_fit_records_what_load_held_out(pets, capsys, tmp_path):
    network, test = trained(pets)
    record = HeldOut(0.3, 4, None, 10, test.fingerprint())
    assert network.held_out == record
    network.save(tmp_path / "net")
    result = printed_json(capsys, "eval", tmp_path / "net", pets)
    assert result["data"] == f"10 pictures held out of {pets} when the network was trained"
    assert result["accuracy"] == network.evaluate(test).accuracy
    assert capsys.readouterr().err == ""
    as_it_goes = data.load(
        pets, "test", size=(28, 28), channels=1, held_out=0.3, seed=4, in_memory=False
    )
    assert (
        HeldOut.of_training(data.load(pets, held_out=0.3, seed=4, size=(28, 28)), as_it_goes)
        == record
    )


def test_a_later_fit_on_other_data_takes_the_record_away(pets, capsys, tmp_path):
    """Else `ninc eval` would test on pictures that the second run has trained on."""
    network, test = trained(pets)
    assert network.held_out is not None
    every = data.load(pets, "all", size=(28, 28), channels=1)
    trainer = ninc.Trainer(network, ninc.SGD(0.01))
    trainer.fit(every, epochs=1, batch_size=8, progress=False)
    assert network.held_out is None
    network.save(tmp_path / "net")
    assert printed_json(capsys, "eval", tmp_path / "net", pets)["images"] == 33
    # Whoever divided the data otherwise can say what was held out.
    trainer.held_out = HeldOut.of(test, 0.3, 4)
    trainer.fit(every, epochs=1, batch_size=8, progress=False)
    assert network.held_out == HeldOut.of(test, 0.3, 4)


def test_train_keeps_the_record_where_it_validates_on_other_pictures(pets, capsys, tmp_path):
    out = tmp_path / "net"
    printed(capsys, "train", pets, "-o", out, *OPTIONS, "--validation", 0.2, "--held-out", 0.3)
    assert ninc.load(out).held_out.images == 10
    assert printed_json(capsys, "eval", out, pets)["images"] == 10


def test_fit_records_it_of_arrays_and_of_names_in_another_order(tmp_path, capsys):
    pictures = random_npz(tmp_path / "data.npz")
    train, test = (
        data.load(pictures, split, held_out=0.25, limit=8) for split in ("train", "test")
    )
    network = ninc.models.nin_mnist(num_classes=5, batch_norm=True)
    network.classes = list("43210")
    ninc.Trainer(network, ninc.SGD(0.01)).fit(train, test, 1, batch_size=8, progress=False)
    assert network.held_out == HeldOut(0.25, 0, 8, 20, test.fingerprint())
    network.save(tmp_path / "net")
    assert printed_json(capsys, "eval", tmp_path / "net", pictures)["images"] == 20


def test_fit_records_nothing_that_eval_would_not_find(pets, tmp_path):
    for changed in (dict(seed=5), dict(held_out=0.2), dict(limit=3)):
        assert trained(pets, **changed)[0].held_out is None
    # The file's own size is asked for when the data are loaded again, which is another fingerprint.
    assert trained(pets, size=None)[0].held_out is None
    parts = [data.load(pets, split, size=(28, 28)) for split in ("train", "test", "all")]
    train, test, both = parts
    elsewhere = data.load(shutil.copytree(pets, tmp_path / "pets"), "test", size=(28, 28))
    for pair in (
        (train, None), (train, train), (test, train), (both, test), (train, both),
        (train, elsewhere), (train, test.subset([0])), (train.subset([0, 1]), test),
        (train, test.with_classes(["dog", "cat"])), train.split(0.2), (bars(), bars()),
    ):  # fmt: skip
        assert HeldOut.of_training(*pair) is None
    assert HeldOut.of_training(train, test) is not None


def test_eval_remarks_on_pictures_of_which_nobody_knows_whether_they_were_trained_on(
    pets, capsys, tmp_path
):
    network, _ = trained(pets)
    network.held_out = None
    network.save(tmp_path / "net")
    capsys.readouterr()
    command = ("eval", tmp_path / "net", pets, "--json")
    assert ninc_command(*command) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["images"] == 33
    (line,) = captured.err.splitlines()
    assert line.startswith(
        f"ninc: {tmp_path}/net does not say that any of these pictures were held"
    )
    assert "the result is too good if the network was trained on some of them" in line
    for asked in ("all", "test"):  # whoever says which pictures needs no remark
        assert ninc_command(*command, "--split", asked) == 0
        assert capsys.readouterr().err == ""
    # What the line says of --split test.
    held_out = data.load(pets, "test", size=(28, 28), channels=1)
    assert printed_json(capsys, *command[:-1], "--split", "test")["images"] == len(held_out) == 3


@pytest.mark.parametrize("options", [["--held-out", "0.2"], ["--seed", "1", "--split", "all"]])
def test_options_that_would_do_nothing(run, pets, options, capsys):
    line = usage(capsys, "eval", run[0], pets, *options).splitlines()[-1]
    assert f"{options[0]} says what to hold out anew" in line


def test_train_holds_nothing_out_of_data_with_a_test_set(tmp_path, capsys):
    for part in ("train", "test"):
        for name in ("a", "b"):
            (tmp_path / part / name).mkdir(parents=True)
            (tmp_path / part / name / "0.png").touch()
    words = usage(capsys, "train", tmp_path, "-o", tmp_path / "net", "--held-out", 0.2)
    assert re.search("--held-out: .* has a test set of its own", words)


def test_a_stored_record_that_makes_no_sense():
    network = ninc.models.create("nin-mnist")
    good = HeldOut(0.1, 0, None, 5, "0123456789abcdef" * 2)
    network.held_out = good
    assert network.held_out == good
    network.held_out = None
    assert "held_out" not in network.core.metadata()
    changes = (
        dict(share=1.0), dict(share="0.5"), dict(share=None), dict(seed=-1), dict(seed=2**64),
        dict(seed=0.5), dict(limit=0), dict(images=0), dict(images=10**30), dict(fingerprint="0"),
        dict(fingerprint="../" * 11), dict(fingerprint=["a"] * 32),
    )  # fmt: skip
    for change in changes:
        with pytest.raises(ArgumentError, match="held_out: "):
            HeldOut.from_dict({**good.to_dict(), **change})
    texts = ["[]", "{}", "7", "[" * 100_000, '{"share": NaN}', json.dumps({"share": 0.1})]
    texts += [json.dumps({**good.to_dict(), **change}) for change in changes]
    for text in texts:
        network.core.change({"held_out": text})
        with pytest.raises(ModelError, match="the network's stored held_out"):
            network.held_out  # noqa: B018
