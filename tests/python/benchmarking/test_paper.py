"""The paper's experiments: their networks and settings, what is kept, and what the tables say."""

import dataclasses
import json
import math

import numpy as np
import pytest

import ninc
from benchmarks import paper, stored_rows
from benchmarks.experiments import table
from benchmarks.experiments.training import Plan, network
from benchmarks.experiments.what import EXPERIMENTS, NIN, VARIANTS, variants_of

SETTINGS = {
    "recipe": "original",
    "epochs": 4,
    "rate": 0.1,
    "batch": 128,
    "pictures": "CIFAR-10 (JPEG)",
    "training pictures": 50000,
    "test pictures": 10000,
}


def row(variant, seed, error, loss=1.0, seconds=60.0, **settings):
    return {
        "settings": {**SETTINGS, **settings},
        "variant": variant,
        "seed": seed,
        "error": error,
        "training losses": [2.3, loss],
        "seconds": seconds,
    }


# ---- Networks ------------------------------------------------------------------------------------

# Parameters as published and with batch norm, whether by hand: 640 × 10 + 10 more for a head.
COUNTS = {
    NIN: (966_986, 968_394),
    "no-dropout": (966_986, 968_394),
    "fc": (973_396, 974_804),
    "fc-dropout": (973_396, 974_804),
    "augmented": (966_986, 968_394),
    "avg": (966_986, 968_394),
}
DROPOUTS = {NIN: 2, "no-dropout": 0, "fc": 2, "fc-dropout": 3, "augmented": 2, "avg": 2}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_network_has_the_parts_that_its_name_says(name):
    for batch_norm, count in zip((False, True), COUNTS[name]):
        made = network(VARIANTS[name], batch_norm, 0)
        kinds = [node.operation for node in made.graph]
        assert made.num_parameters == count
        assert made.core.output_shape((1, 3, 32, 32))[1] == 10
        assert kinds.count("Dropout") == DROPOUTS[name]
        assert kinds.count("AvgPool2d") == (name == "avg")
        head = kinds[-3:]
        assert ("GlobalAvgPool2d" in head) != ("Linear" in head)
        if name == "fc-dropout":
            assert head == ["Flatten", "Dropout", "Linear"]


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("name, pool2", [(NIN, "max"), ("avg", "avg")])
def test_the_two_published_ones_are_those_of_the_library(name, pool2, batch_norm):
    ours = network(VARIANTS[name], batch_norm, 5)
    theirs = ninc.models.nin_cifar10(pool2=pool2, batch_norm=batch_norm, seed=5)
    assert [(n.operation, n.attributes) for n in ours.graph] == [
        (n.operation, n.attributes) for n in theirs.graph
    ]
    for (name, value), (other, same) in zip(ours.state_dict().items(), theirs.state_dict().items()):
        assert name == other
        np.testing.assert_array_equal(value, same)


def test_variants_differ_from_nin_in_one_thing():
    plain = vars(VARIANTS[NIN])
    for name, variant in VARIANTS.items():
        changed = [key for key in plain if key != "words" and vars(variant)[key] != plain[key]]
        assert len(changed) == (name != NIN), name


def test_the_head_leaves_the_rates_of_the_other_layers():
    for recipe in ("original", "fast"):
        rates = []
        for name in (NIN, "fc"):
            trainer = Plan(recipe, 2).trainer(VARIANTS[name], 0)
            names = list(trainer.network.parameters())
            rates.append(dict(zip(names, zip(*trainer.optimizer.vectors(names)))))
        plain, head = rates
        assert {name: head[name] for name in plain} == plain
        last = [head["linear1.weight"], head["linear1.bias"]]
        assert last == [plain["cccp6.weight"], plain["cccp6.bias"]]


def test_gradients_are_limited_where_that_is_asked_for():
    trainers = [Plan("original", 2, 0.05, norm).trainer(VARIANTS["fc"], 0) for norm in (None, 0.5)]
    assert [(t.optimizer.clip_norm, t.optimizer.lr) for t in trainers] == [
        (None, 0.05),
        (0.5, 0.05),
    ]
    told = "\n".join(table.markdown([row(NIN, 0, 20.0, **{"clip norm": 0.5})], ["dropout"]))
    assert "rate 0.1, gradients limited to a norm of 0.5, batch 128;" in told


def test_pictures_are_augmented_in_one_experiment_alone():
    augmented = {n: Plan("original", 2).trainer(v, 0).augment for n, v in VARIANTS.items()}
    assert repr(augmented.pop("augmented")) == "Compose(PadCrop(4), Flip(0.5))"
    assert set(augmented.values()) == {None}


def test_a_network_that_several_compare_with_is_trained_once():
    assert variants_of(["dropout", "augmentation"]) == [NIN, "no-dropout", "augmented"]
    assert sorted(variants_of(list(EXPERIMENTS))) == sorted(VARIANTS)


# ---- What the tables say -------------------------------------------------------------------------


def test_the_order_is_told_to_agree_or_to_differ():
    dropout, head = EXPERIMENTS["dropout"], EXPERIMENTS["head"]
    rows = [row(NIN, 0, 20.0), row("no-dropout", 0, 25.0)]
    assert table.verdict(dropout, rows) == (
        "The order agrees with the paper's: with dropout 20.00 %, without dropout 25.00 % "
        "(of seed 0). One seed tells no spread."
    )
    rows = [row(NIN, 0, 25.0), row("no-dropout", 0, 20.0)]
    assert table.verdict(dropout, rows).startswith(
        "The order DIFFERS from the paper's, which is, from the worst to the best, without "
        "dropout, with dropout; measured: with dropout 25.00 %, without dropout 20.00 %"
    )
    # The paper's: fc, then fc-dropout, then NIN. Equal errors are no order.
    for errors, words in [
        ((30, 29, 28), "agrees"),
        ((30, 28, 29), "DIFFERS"),
        ((28, 29, 30), "DIFFERS"),
        ((30, 28, 28), "DIFFERS"),
    ]:
        rows = [row(n, 1, float(e)) for n, e in zip(("fc", "fc-dropout", NIN), errors)]
        assert words in table.verdict(head, rows)


def test_means_are_over_seeds_that_all_have_and_beside_them_stands_their_spread():
    experiment = EXPERIMENTS["augmentation"]
    rows = [row(NIN, 0, 20.0), row(NIN, 1, 22.0), row(NIN, 2, 90.0)]
    rows += [row("augmented", 1, 20.5), row("augmented", 0, 19.5)]
    assert table.verdict(experiment, rows) == (
        "The order agrees with the paper's: without augmentation 21.00 %, with augmentation "
        "20.00 % (of seeds 0, 1). The smallest difference, 1.00 points, is within the spread of "
        "the seeds, 1.41 points (standard deviation)."
    )
    rows[-2:] = [row("augmented", 1, 10.5), row("augmented", 0, 9.5)]
    assert table.verdict(experiment, rows).endswith("(of seeds 0, 1).")


def test_what_is_missing_or_failed_gives_no_order():
    experiment = EXPERIMENTS["dropout"]
    assert "is not known yet: without dropout is missing" in table.verdict(
        experiment, [row(NIN, 0, 20.0)]
    )
    apart = [row(NIN, 0, 20.0), row("no-dropout", 1, 30.0)]
    assert "a seed that all were trained from is missing" in table.verdict(experiment, apart)
    rows = [row(NIN, 0, 90.0, loss=math.log(10)), row("no-dropout", 0, 30.0)]
    told = table.verdict(experiment, rows)
    assert told.startswith("The order cannot be told") and "with dropout from seed 0" in told


def test_what_diverged_is_told_and_in_no_mean():
    rows = [row(NIN, seed, 20.0 + seed) for seed in range(3)]
    rows += [row("no-dropout", seed, 25.0 + 4 * seed) for seed in (0, 2)]
    rows.append({**row("no-dropout", 1, None), "training losses": [], "diverged": "the loss"})
    lines = table.markdown(rows, ["dropout"])
    assert "| without dropout | 14.51 | 29.00 | 0: 25.00, 1: diverged, 2: 33.00 | 4 | 60 |" in lines
    assert lines[-1].startswith(
        "The order agrees with the paper's: with dropout 21.00 %, without dropout 29.00 % (of "
        "seeds 0, 2)."
    )
    assert lines[-1].endswith(" Diverged, and in no mean: without dropout from seed 1.")


def test_figures_that_tell_no_order_are_not_ranked():
    rows = [row(NIN, 0, 20.0), row("avg", 0, 18.5)]
    assert table.verdict(EXPERIMENTS["pool2"], rows) == (
        "The authors' figures are too close to tell an order; measured 1.50 points apart: "
        "max (cuda-convnet) 20.00 %, average (Caffe) 18.50 % (of seed 0)."
    )


def test_the_table_has_the_papers_figure_beside_the_measured_ones():
    rows = [row(NIN, 1, 20.5, seconds=100.0), row(NIN, 0, 20.0, seconds=50.0)]
    rows.append(row(NIN, 0, 15.0, epochs=9, recipe="fast"))
    lines = table.markdown(rows, ["dropout"])
    assert "| with dropout | 10.41 | 20.25 | 0: 20.00, 1: 20.50 | 4 | 75 |" in lines
    assert "| without dropout | 14.51 | not measured yet |  | 4 |  |" in lines
    assert "| with dropout | 10.41 | 15.00 | 0: 15.00 | 9 | 60 |" in lines
    headings = [line for line in lines if line.startswith("### ")]
    assert headings == [
        "### Recipe `original`, 4 epochs of 50,000 pictures",
        "### Recipe `fast`, 9 epochs of 50,000 pictures",
    ]
    assert any("CIFAR-10, lossless" in line and "CIFAR-10 (JPEG)" in line for line in lines)
    assert table.markdown([]) == ["nothing has been measured yet"]


# ---- The command ---------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path, rng, monkeypatch):
    """64 pictures in 10 classes, and a whitening that takes no 3072 eigenvectors."""
    pictures = rng.integers(0, 256, (64, 32, 32, 3), np.uint8)
    labels = np.arange(64) % 10
    np.savez(tmp_path / "p.npz", x=pictures, y=labels, x_test=pictures[:20], y_test=labels[:20])
    usual = paper.recipes.recipe

    def unwhitened(*names):
        return dataclasses.replace(usual(*names), preprocessing="normalize")

    monkeypatch.setattr(paper.recipes, "recipe", unwhitened)
    return str(tmp_path / "p.npz")


def test_trainings_are_made_once_and_go_on_where_they_stopped(data, tmp_path, capsys, monkeypatch):
    path = tmp_path / "rows.jsonl"
    command = [data, "--epochs", "2", "--seeds", "3", "--json", str(path), "--experiments"]
    paper.main([*command, "dropout"])
    first = path.read_text()
    rows = stored_rows(path, paper._FIELDS)
    assert [(r["variant"], r["seed"]) for r in rows] == [(NIN, 3), ("no-dropout", 3)]
    for made in rows:
        assert len(made["training losses"]) == made["settings"]["epochs"] == 2
        assert made["settings"]["training pictures"] == 64 and made["settings"]["rate"] == 0.1
        assert 0.0 <= made["error"] <= 100.0 and made["parameters"] == 966_986
    told = capsys.readouterr()
    assert "| with dropout | 10.41 |" in told.out and "training 2 of 2: no-dropout" in told.err

    # Another experiment trains what it lacks alone, another rate everything.
    paper.main([*command, "dropout", "augmentation"])
    assert path.read_text().startswith(first) and path.read_text().count("\n") == 3
    assert "3 trainings of 2 epochs of 64 pictures" in capsys.readouterr().err

    # A training that is interrupted leaves the finished ones as they are.
    def stop(*_, **__):
        raise KeyboardInterrupt

    kept = path.read_text()
    with monkeypatch.context() as patch:
        patch.setattr(Plan, "run", stop)
        with pytest.raises(SystemExit, match="interrupted; the same command goes on from"):
            paper.main([*command, "dropout", "--lr", "0.01"])
        assert path.read_text() == kept
        paper.main([*command, "dropout", "augmentation"])  # trains nothing

    capsys.readouterr()
    paper.main(["--markdown", "--json", str(path), "--experiments", "augmentation"])
    told = capsys.readouterr().out
    assert "#### Augmentation" in told and "#### Dropout" not in told


def test_the_same_seed_gives_the_same_result(data, tmp_path, capsys):
    errors = []
    for file in ("a", "b"):
        path = tmp_path / file
        paper.main([data, "--epochs", "1", "--seeds", "0", "--limit", "2", "--recipe", "fast",
                    "--experiments", "pool2", "--json", str(path)])  # fmt: skip
        rows = stored_rows(path, paper._FIELDS)
        errors.append([(r["error"], r["loss"], r["training losses"]) for r in rows])
    assert errors[0] == errors[1] and errors[0][0] != errors[0][1]


def test_a_training_that_diverges_is_a_result(data, tmp_path, capsys):
    path = tmp_path / "rows.jsonl"
    command = [data, "--epochs", "2", "--seeds", "0", "--experiments", "dropout", "--json"]
    paper.main([*command, str(path), "--lr", "1e30"])
    told = capsys.readouterr()
    assert "no-dropout, seed 0: diverged after " in told.err and "the loss became" in told.err
    assert "| without dropout | 14.51 | none | 0: diverged | 2 |  |" in told.out
    rows = stored_rows(path, paper._FIELDS)
    assert [(r["variant"], r["error"]) for r in rows] == [(NIN, None), ("no-dropout", None)]

    # It is not repeated, since the same seed gives the same.
    kept = path.read_text()
    paper.main([*command, str(path), "--lr", "1e30"])
    assert path.read_text() == kept


def test_what_the_data_are_called(tmp_path):
    assert paper.pictures_called(str(tmp_path / "missing")) == "CIFAR-10"
    (tmp_path / "train" / "cat").mkdir(parents=True)
    assert paper.pictures_called(str(tmp_path)) == "CIFAR-10"
    (tmp_path / "train" / "cat" / "1.JPG").touch()
    assert paper.pictures_called(str(tmp_path)) == "CIFAR-10 (JPEG)"


def test_wrong_usage_is_told(tmp_path, capsys):
    for arguments, text in [
        ([], "DATA is missing: CIFAR-10, or --markdown"),
        (["data", "--experiments", "lrn"], "invalid choice: 'lrn'"),
        (["data", "--epochs", "0"], "argument --epochs: must be a whole number of at least 1"),
    ]:
        with pytest.raises(SystemExit):
            paper.main(arguments)
        assert text in capsys.readouterr().err
    np.savez(tmp_path / "two.npz", x=np.zeros((4, 32, 32, 3), np.uint8), y=np.arange(4) % 2)
    with pytest.raises(SystemExit, match="paper: .*two.npz"):
        paper.main([str(tmp_path / "two.npz")])
    (tmp_path / "rows").write_text(json.dumps({"settings": {}}) + "\n")
    with pytest.raises(SystemExit, match="line 1 is no result of this benchmark"):
        paper.main(["--markdown", "--json", str(tmp_path / "rows")])
