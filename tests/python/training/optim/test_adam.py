"""Adam and AdamW in whole runs: settings, frozen layers, checkpoints, the command line."""

import json
import os

import numpy as np
import pytest

import ninc
from ninc import cli
from ninc.cli.train_options import make_trainer
from ninc.errors import ArgumentError
from ninc.training.optim import OPTIMIZERS
from ninc.training.record import checkpoint
from support.command_line import ninc_command, usage
from support.small_training import (
    assert_same_checkpoints,
    bars,
    batch,
    fit_in,
    interrupted_after,
    random_npz,
    small_network,
)
from support.weights import assert_same_weights, copies

ADAMW = ninc.AdamW(0.02, weight_decay=0.1, groups=[("*.bias", {"weight_decay": 0})], clip_norm=0.5)


@pytest.mark.parametrize("kind", [ninc.Adam, ninc.AdamW])
def test_the_defaults_are_torchs(kind):
    made = kind()
    assert (made.lr, made.betas, made.eps) == (1e-3, (0.9, 0.999), 1e-8)
    assert made.weight_decay == (0.0 if kind is ninc.Adam else 0.01)
    assert made.replaced(betas=[0.5, 0.25]).betas == (0.5, 0.25)
    assert repr(kind(**made.settings())) == repr(made)


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("betas", 0.9, "AdamW: betas must be two numbers in 0..1, 1 excluded, got 0.9"),
        ("betas", (0.9,), "betas must be two numbers"),
        ("betas", (0.9, 1.0), "betas must lie in 0..1, 1 excluded, got 1.0"),
        ("betas", (0.9, "0.99"), "betas must be a number, got '0.99'"),
        ("eps", -1e-8, "AdamW: eps must be a number of 0 or more"),
        ("lr", float("nan"), "AdamW: lr must be a number of 0 or more"),
        ("momentum", 0.9, "AdamW: 'momentum' is no setting.*lr, betas, eps, weight_decay, groups"),
        ("groups", [("*", {"betas": 1})], "knows lr_mult and weight_decay, got betas"),
    ],
)
def test_a_wrong_value_is_named_and_changes_nothing(name, value, words):
    made = ninc.AdamW(0.5)
    before = repr(made)
    with pytest.raises(ArgumentError, match=words):
        setattr(made, name, value)
    with pytest.raises(ArgumentError, match="AdamW"):
        ninc.AdamW(**{name: value}) if name in made.SETTINGS else made.replaced(**{name: value})
    assert repr(made) == before


def test_a_first_step_is_as_long_as_the_rate():
    """m / sqrt(v) is then the gradient's sign; decoupled decay takes its share of the weight."""
    trainer = ninc.Trainer(small_network(), ninc.AdamW(0.5, weight_decay=0.25, eps=0.0))
    before = copies(trainer.network)
    gradients = trainer.stepper.core.gradients(*batch(), seed=0, step=0)[2]
    trainer.step(*batch())
    for name, now in trainer.network.parameters().items():
        there = gradients[name] != 0
        expected = before[name] * (1 - 0.5 * 0.25) - 0.5 * np.sign(gradients[name])
        np.testing.assert_allclose(now[there], expected[there], atol=1e-6)


def test_a_layer_that_was_frozen_begins_with_its_first_step():
    trainer = ninc.Trainer(small_network(), ninc.Adam(0.01))
    options = dict(epochs=2, batch_size=16, progress=False)
    trainer.fit(bars(), freeze="conv1", **options)
    state = trainer.stepper.core.optimizer_state()
    assert state["steps"]["conv1.weight"] == 0 and not state["first_moment"]["conv1.weight"].any()
    assert state["steps"]["conv2.weight"] == 12
    trainer.fit(bars(), **options)
    state = trainer.stepper.core.optimizer_state()
    assert state["steps"]["conv1.weight"] == 12 and state["steps"]["conv2.weight"] == 24


def test_the_history_tells_the_betas():
    trainer = ninc.Trainer(small_network(), ninc.Adam(0.01, betas=(0.5, 0.75)))
    history = trainer.fit(bars(32), epochs=1, batch_size=16, progress=False)
    assert list(history.rows[0])[:5] == ["epoch", "lr", "beta1", "beta2", "weight_decay"]
    assert (history["beta1"], history["beta2"]) == ([0.5], [0.75])


def test_one_of_another_kind_begins_anew():
    trainer = ninc.Trainer(small_network(), ninc.SGD(0.1, momentum=0.9))
    trainer.step(*batch())
    assert set(trainer.stepper.core.optimizer_state()) == {"velocity"}
    trainer.optimizer = ninc.Adam(0.01)
    trainer.step(*batch())
    state = trainer.stepper.core.optimizer_state()
    assert set(state) == {"first_moment", "second_moment", "steps"}
    assert {float(steps[0]) for steps in state["steps"].values()} == {1.0}


# ---- Checkpoints ---------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [3, 6, 8])
def test_a_resumed_run_ends_with_the_same_bytes(tmp_path, monkeypatch, steps):
    options = dict(changed={"optimizer": ADAMW}, class_weights=[1.0, 2.0], checkpoint_every=1)
    whole = fit_in(tmp_path / "whole", **options)
    with interrupted_after(monkeypatch, steps):
        fit_in(tmp_path / "cut", **options)
    again = fit_in(tmp_path / "cut", resume=True, **options)
    assert_same_checkpoints(tmp_path / "cut", tmp_path / "whole")
    assert_same_weights(again.network, copies(whole.network))
    extras = checkpoint.load(tmp_path / "cut" / "last.safetensors").model.extras()
    kinds = {name.partition(":")[0] for name in extras}
    assert kinds == {"first_moment", "second_moment", "steps", "average"}
    network = ninc.load(tmp_path / "cut" / "last.safetensors")
    assert not network.core.extras() and "training" not in network.core.metadata()


def test_threads_change_no_byte(tmp_path, threads):
    for count in (1, 2, 5):
        threads(count)
        fit_in(tmp_path / str(count), epochs=1, changed={"optimizer": ADAMW})
    assert_same_checkpoints(tmp_path / "1", tmp_path / "2")
    assert_same_checkpoints(tmp_path / "1", tmp_path / "5")


@pytest.mark.parametrize(
    "begun, now, words",
    [
        (ninc.SGD(0.02), ADAMW, "begun with optimizer SGD, now it is AdamW"),
        (ADAMW, ninc.SGD(0.02), "begun with optimizer AdamW, now it is SGD"),
        (ADAMW, ninc.Adam(**ADAMW.settings()), "begun with optimizer AdamW, now it is Adam"),
        (ADAMW, ADAMW.replaced(betas=(0.8, 0.999)), r"betas \(0.9, 0.999\), now it is \(0.8"),
        (ADAMW, ADAMW.replaced(eps=1e-7), "eps 1e-08, now it is 1e-07"),
    ],
)
def test_another_optimiser_is_refused(tmp_path, begun, now, words):
    fit_in(tmp_path, epochs=1, changed={"optimizer": begun})
    before = (tmp_path / "last.safetensors").read_bytes()
    with pytest.raises(ArgumentError, match=words) as told:
        fit_in(tmp_path, epochs=2, resume=True, changed={"optimizer": now})
    assert "another folder" in str(told.value)
    assert (tmp_path / "last.safetensors").read_bytes() == before


def test_a_checkpoint_that_names_no_optimiser_is_of_sgd(tmp_path):
    options = dict(checkpoint_every=1)
    fit_in(tmp_path / "whole", **options)
    fit_in(tmp_path / "old", epochs=1, **options)
    last = tmp_path / "old" / "last.safetensors"
    model = ninc._core.Model.load(os.fsencode(last))
    training = json.loads(model.metadata()["training"])
    assert training["settings"].pop("optimizer") == "SGD"
    assert training["state"]["optimizer"].pop("optimizer") == "SGD"
    assert training["settings"].pop("class weights") == "none"
    model.change({"training": json.dumps(training, sort_keys=True)})
    model.save(os.fsencode(last))
    with pytest.raises(ArgumentError, match="begun with optimizer SGD, now it is AdamW"):
        fit_in(tmp_path / "old", resume=True, changed={"optimizer": ADAMW}, **options)
    fit_in(tmp_path / "old", resume=True, **options)
    assert_same_checkpoints(tmp_path / "old", tmp_path / "whole")


def test_what_a_run_had_changed_to_comes_back(tmp_path, monkeypatch):
    """A schedule of one's own may put another optimiser in place; that is no setting of the run."""

    class Changing:
        extendable = True
        trainer = None

        def __call__(self, epoch, epochs):
            if epoch == 0.5:
                self.trainer.optimizer = ninc.Adam(0.005)
            return 1.0

        def __repr__(self):
            return "Changing()"

    def run(folder, **options):
        trainer = ninc.Trainer(small_network(), ninc.SGD(0.05, momentum=0.9), Changing(), seed=1)
        trainer.schedule.trainer = trainer
        settings = dict(epochs=2, batch_size=16, progress=False, checkpoint_dir=folder)
        trainer.fit(bars(), bars(32, seed=1), **{**settings, **options})
        return trainer

    run(tmp_path / "whole")
    with interrupted_after(monkeypatch, 8):
        run(tmp_path / "cut")
    again = run(tmp_path / "cut", resume=True)
    assert type(again.optimizer) is ninc.Adam
    assert_same_checkpoints(tmp_path / "cut", tmp_path / "whole")


# ---- The command line ----------------------------------------------------------------------------


def trainer_of(*options):
    args = cli.build_parser().parse_args(
        ["train", "data", "-o", "net", "--model", "nin-mnist", *options]
    )
    return make_trainer(args, ninc.models.create("nin-mnist", batch_norm=True))


def test_the_command_line_knows_them():
    assert (
        trainer_of().optimizer.settings() == trainer_of("--optimizer", "sgd").optimizer.settings()
    )
    for name, kind in (("adam", ninc.Adam), ("adamw", ninc.AdamW)):
        made = trainer_of("--optimizer", name).optimizer
        assert type(made) is kind and (made.lr, made.weight_decay) == (1e-3, kind.weight_decay)
        assert made.groups == trainer_of().optimizer.groups  # the recipe's rules by name
        told = ("--lr", "0.02", "--weight-decay", "0.5", "--clip-norm", "2")
        made = trainer_of("--optimizer", name, *told).optimizer
        assert (made.lr, made.weight_decay, made.clip_norm) == (0.02, 0.5, 2.0)
    assert set(OPTIMIZERS) == {"SGD", "Adam", "AdamW"}


def test_momentum_is_sgds(capsys):
    told = usage(capsys, "train", "data", "-o", "net", "--optimizer", "adam", "--momentum", 0.8)
    assert "--momentum is SGD's; --optimizer adam has none" in told


def test_it_trains_from_the_command_line(tmp_path, capsys):
    data, folder = random_npz(tmp_path / "columns.npz"), tmp_path / "run"
    command = (
        "train", data, "-o", tmp_path / "net.safetensors", "--model", "nin-mnist", "--epochs", 2,
        "--batch-size", 16, "--class-weights", "balanced", "--checkpoint", folder, "--resume",
    )  # fmt: skip
    assert ninc_command(*command, "--optimizer", "adamw") == 0
    assert "AdamW, rate 0.001" in capsys.readouterr().err
    settings = json.loads((folder / "run.json").read_text())["settings"]
    assert settings["optimizer"] == "AdamW" and settings["weight decay"] == "0.01"
    assert len(settings["class weights"].split(", ")) == 5
    assert ninc_command(*command) == 1
    assert "begun with optimizer AdamW, now it is SGD" in capsys.readouterr().err
