"""`ninc train`'s options, and what programs may read of every command."""

import json
import re

import numpy as np
import pytest

import ninc
from ninc import cli, schedules
from ninc.averages import EMA, SWA
from ninc.cli.train_options import fit_options, make_trainer
from support.command_line import ninc_command, printed, printed_json, usage
from support.small_pictures import save_around
from support.small_training import random_npz


def parsed(*options):
    return cli.build_parser().parse_args(["train", "data", "-o", "net", *options])


def trainer_of(*options):
    args = parsed("--model", "nin-mnist", *options)
    return make_trainer(args, ninc.models.create("nin-mnist", batch_norm=True))


def test_without_options_the_recipe_counts():
    trainer = trainer_of()
    assert isinstance(trainer.schedule, schedules.OneCycle) and trainer.average is None
    sgd = trainer.optimizer
    assert (sgd.lr, sgd.momentum, sgd.nesterov, sgd.clip_norm) == (0.1, 0.9, True, None)
    assert trainer.label_smoothing == 0.1
    options = fit_options(parsed(), 50_000)
    assert options["batch_size"] == 128
    assert options["epochs"] == 10 and options["checkpoint_every"] is None
    assert fit_options(parsed("--checkpoint", "run"), 100)["checkpoint_every"] == "10m"
    assert options["preprocessing"] == "normalize"
    assert fit_options(parsed("--recipe", "original"), 100)["preprocessing"] == "gcn_zca"
    svhn = parsed("--recipe", "original", "--model", "nin-svhn")
    assert fit_options(svhn, 100)["preprocessing"] == "normalize"


@pytest.mark.parametrize(
    "options, words",
    [
        (["-o", "pets/a.jpg"], "-o: pets/a.jpg is named as a picture"),
        (["-o", "net", "--history", "b.PNG"], "--history: b.PNG is named as a picture"),
        (["-o", "net", "--plot", "c.jpg"], "--plot: c.jpg would be a PNG picture"),
    ],
)
def test_no_output_takes_a_pictures_name(options, words, capsys):
    assert words in usage(capsys, "train", "data", *options)


@pytest.mark.parametrize(
    "recipe, images, expected",
    [
        ("fast", 2048, 128),
        ("fast", 2047, 127),
        ("fast", 600, 37),
        ("fast", 256, 16),
        ("fast", 3, 3),
        ("original", 100, 128),
    ],
)
def test_few_pictures_are_taken_in_smaller_batches(recipe, images, expected):
    assert fit_options(parsed("--recipe", recipe), images)["batch_size"] == expected
    given = parsed("--recipe", recipe, "--batch-size", "99")
    assert fit_options(given, images)["batch_size"] == 99


def test_nothing_is_a_number_too():
    trainer = trainer_of(
        "--label-smoothing", "0", "--momentum", "0", "--weight-decay", "0", "--warmup", "0"
    )  # fmt: skip
    sgd = trainer.optimizer
    assert (sgd.momentum, sgd.nesterov, sgd.weight_decay) == (0.0, False, 0.0)
    assert trainer.label_smoothing == 0.0 and isinstance(trainer.schedule, schedules.OneCycle)


def test_options_change_the_recipe():
    trainer = trainer_of(
        "--lr", "0.3", "--momentum", "0.8", "--weight-decay", "0", "--clip-norm", "2",
        "--label-smoothing", "0.2", "--schedule", "plateau", "--warmup", "1.5", "--average",
        "ema:0.99", "--no-augment", "--seed", "7",
    )  # fmt: skip
    sgd = trainer.optimizer
    assert (sgd.lr, sgd.momentum, sgd.weight_decay, sgd.clip_norm) == (0.3, 0.8, 0.0, 2.0)
    assert sgd.groups == trainer_of().optimizer.groups and sgd.nesterov
    assert repr(trainer.schedule) == repr(schedules.Warmup(1.5, then=schedules.Plateau()))
    assert repr(trainer.average) == repr(EMA(0.99))
    assert (trainer.augment, trainer.label_smoothing, trainer.seed) == (None, 0.2, 7)
    assert repr(trainer_of("--average", "swa").average) == repr(SWA())
    kinds = ("constant", "step", "cosine", "one-cycle", "plateau")
    names = [type(trainer_of("--schedule", kind).schedule).__name__ for kind in kinds]
    assert names == ["Constant", "Step", "Cosine", "OneCycle", "Plateau"]
    options = fit_options(
        parsed("--checkpoint", "run", "--resume", "--checkpoint-every", "50", "--patience", "3",
               "--monitor", "val_loss", "--preprocessing", "gcn_zca", "--batch-size", "9",
               "--freeze", "*conv1", "--freeze", "cccp1", "--class-weights", "balanced"),
        100,
    )  # fmt: skip
    assert options == {
        "epochs": 10, "batch_size": 9, "checkpoint_dir": "run", "resume": True,
        "checkpoint_every": 50, "patience": 3, "monitor": "val_loss", "preprocessing": "gcn_zca",
        "freeze": ["*conv1", "cccp1"], "class_weights": "balanced",
    }  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        ["--resume"],
        ["--checkpoint-every", "50"],
        ["--monitor", "val_loss"],
        ["--checkpoint-every", "soon"],
        ["--checkpoint-every", "0"],
        ["--average", "mean"],
        ["--average", "ema:2"],
        ["--momentum", "1"],
        ["--clip-norm", "0"],
        ["--weight-decay", "-1"],
        ["--label-smoothing", "1"],
        ["--schedule", "soon"],
        ["--patience", "0"],
        ["--validation", "1"],
        ["--device", "tpu"],
        ["--preprocessing", "none"],
    ],
)
def test_wrong_usage_is_status_2(options, capsys):
    err = usage(capsys, "train", "data", "-o", "net", *options)
    assert "usage: ninc train" in err and options[0] in err.splitlines()[-1]


@pytest.mark.parametrize(
    "option, given, needs",
    [
        ("--epochs", "2.5", "a whole number of at least 1"),
        ("--epochs", "0", "a whole number of at least 1"),
        ("--seed", "-1", "a whole number of at least 0"),
        ("--lr", "fast", "a number above 0"),
        ("--lr", "inf", "a number above 0"),
        ("--weight-decay", "nan", "a number of 0 or more"),
        ("--momentum", "1", "a number from 0 up to but not including 1"),
        ("--validation", "0", "a number between 0 and 1"),
    ],
)
def test_numbers_are_told_by_option_what_it_got_and_what_it_needs(option, given, needs, capsys):
    line = usage(capsys, "train", "data", "-o", "net", option, given).splitlines()[-1]
    assert line == f"ninc train: error: argument {option}: must be {needs}, got '{given}'"


def test_preprocessing_of_float_arrays(tmp_path, capsys):
    path, out = tmp_path / "data.npz", tmp_path / "net"
    x = np.random.default_rng(0).normal(size=(24, 3, 32, 32)).astype(np.float32)
    np.savez(path, x=x, y=np.arange(24) % 2)
    command = ["train", path, "-o", out, "--epochs", 1, "--batch-size", 4]
    command += ["--recipe", "original", "--lr", 0.001]
    assert ninc_command(*command, "--preprocessing", "gcn_zca") == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert "preprocessing 'gcn_zca' is for uint8 pictures" in line
    assert ninc_command(*command) == 0  # the recipe's whitening is for pictures


def test_plot_without_matplotlib_is_told_before_the_training(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cli.train, "find_spec", lambda _: None)
    data = random_npz(tmp_path / "data.npz")
    assert ninc_command("train", data, "-o", tmp_path / "net", "--plot", tmp_path / "p.png") == 1
    assert "--plot needs matplotlib: pip install" in capsys.readouterr().err
    assert not (tmp_path / "net").exists()


def test_the_data_are_not_overwritten_by_the_network(tmp_path, capsys):
    data = random_npz(tmp_path / "digits.npz")
    before = data.read_bytes()
    assert ninc_command("train", data, "-o", data) == 1
    assert "digits.npz: is the data, and would be overwritten" in capsys.readouterr().err
    assert data.read_bytes() == before


def test_cuda_is_refused_in_one_line(tmp_path, capsys):
    data = random_npz(tmp_path / "data.npz")
    args = ("train", data, "-o", tmp_path / "n", "--model", "nin-mnist")
    assert ninc_command(*args, "--device", "cuda") == 1
    assert re.search("cuda: (this build|no)", capsys.readouterr().err.splitlines()[-1])


@pytest.mark.parametrize("validation", [[], ["--validation", "0.25", "--patience", "2"]])
def test_train_prints_one_json_object(tmp_path, capsys, validation):
    data = random_npz(tmp_path / "data.npz")
    out = tmp_path / "net.safetensors"
    args = ["train", data, "-o", out, "--model", "nin-mnist", "--epochs", 2]
    args += ["--batch-size", 8, "--held-out", 0.25, "--json"]
    assert ninc_command(*args, *validation) == 0
    captured = capsys.readouterr()
    results = json.loads(captured.out)
    assert results["model"] == str(out) and results["epochs"] == 2
    assert results["checkpoint"] is None and "val_accuracy" in results["epoch"]
    # Remarks are lines of their own.
    lines = [line for line in captured.err.splitlines() if not line.startswith("ninc: ")]
    threads = ninc.get_num_threads()
    assert lines[2].startswith("2 epochs of ")
    assert lines[2].endswith(
        f" of 8 pictures, rate 0.1, on cpu, {threads} thread{'s' * (threads != 1)}"
    )
    assert [line.split()[:2] for line in lines[3:]] == [["epoch", "1/2"], ["epoch", "2/2"]]
    result = printed_json(capsys, "eval", out, data, "--split", "test", "--held-out", 0.25)
    assert result["accuracy"] == results["test_accuracy"]


@pytest.mark.parametrize(
    "options, chosen_by, words",
    [
        ([], None, "test accuracy "),
        (["--schedule", "plateau"], "test", "; chosen by the test set itself: --validation 0.1"),
        (["--patience", "9"], "test", ", the best of 2; chosen by the test set itself"),
        (["--patience", "9", "--validation", "0.3"], "validation", ", the best of 2\n"),
        (["--schedule", "plateau", "--validation", "0.3"], "validation", "test accuracy "),
    ],
)
def test_what_chose_the_network_is_told(tmp_path, capsys, options, chosen_by, words):
    data = random_npz(tmp_path / "data.npz")
    args = ["train", data, "-o", tmp_path / "net", "--model", "nin-mnist"]
    args += ["--epochs", 2, "--batch-size", 16, *options]
    assert printed_json(capsys, *args)["chosen_by"] == chosen_by
    assert ninc_command(*args) == 0
    captured = capsys.readouterr()
    assert words in captured.out
    assert ("chosen by the test set" in captured.out) == (chosen_by == "test")
    assert "held out: loss" in captured.err and "test accuracy" not in captured.err


def test_info_and_bench_print_json(capsys, monkeypatch):
    build = printed_json(capsys, "info")
    assert build["version"] == ninc.__version__ and build["target"] in build["targets"]
    network = printed_json(capsys, "info", "nin-cifar10")
    assert network["parameters"] == 966_986 and network["input_shape"] == [1, 3, 32, 32]
    monkeypatch.setattr(cli.bench, "_SECONDS", 0.0)
    result = printed_json(capsys, "bench", "nin-mnist", "--batch", 2, "--training")
    assert result["batch"] == 2 and result["training"] and result["images_per_second"] > 0


def parts_of(folder, *parts):
    """Pictures of two classes for each part, dark and light; each part has others."""
    pytest.importorskip("PIL.Image")
    for seed, part in enumerate(parts):
        for name, level in (("dark", 60), ("light", 190)):
            save_around(folder / part / name, level, 8 if part == "train" else 3, seed)
    return folder


@pytest.mark.parametrize(
    "parts, announced, result, chosen_by",
    [
        (("train", "val", "test"), "6 to choose by, 6 to test with", "test", "validation"),
        (("train", "valid"), "6 to choose by\n", "validation", "validation"),
        (("train", "test"), "6 to test with\n", "test", "test"),
    ],
)
def test_what_chooses_and_what_tests(tmp_path, capsys, parts, announced, result, chosen_by):
    data = parts_of(tmp_path / "data", *parts)
    arguments = ["train", data, "-o", tmp_path / "net", "--model", "nin-mnist", "--epochs", 2]
    arguments += ["--batch-size", 8, "--patience", 1, "--no-augment"]
    assert ninc_command(*arguments, "--json") == 0
    captured = capsys.readouterr()
    assert announced in captured.err
    assert json.loads(captured.out)["chosen_by"] == chosen_by
    text = printed(capsys, *arguments)
    assert text.startswith(f"{result} accuracy ")
    assert ("chosen by" in text) == (result == chosen_by)
    if "val" in "".join(parts):
        words = usage(capsys, *arguments, "--validation", 0.2)
        assert "has a validation set of its own" in words


def test_data_without_a_train_part(tmp_path, capsys):
    data = parts_of(tmp_path / "data", "test")
    assert ninc_command("train", data, "-o", tmp_path / "net") == 1
    assert "no train part; it has test" in capsys.readouterr().err


def test_an_epoch_better_than_the_last_is_told_with_its_file(tmp_path, capsys):
    data, run = random_npz(tmp_path / "data.npz"), tmp_path / "run"
    args = ["train", data, "-o", tmp_path / "net", "--model", "nin-mnist"]
    args += ["--batch-size", 8, "--checkpoint", run, "--monitor", "val_loss"]
    # With so high a rate the loss goes up and down; where it ends depends on the instructions.
    assert ninc_command(*args, "--schedule", "constant", "--lr", 0.5, "--epochs", 6) == 0
    rows = (run / "history.jsonl").read_text().splitlines()
    losses = [json.loads(row)["val_loss"] for row in rows]
    best = min(losses)
    words = f"best of val_loss, epoch {losses.index(best) + 1}'s {best:.4f}"
    told = f"{run / 'best.safetensors'} has the {words}\n" in capsys.readouterr().out
    assert told == (best < losses[-1]), losses
