"""The benchmark of trainings with and without Winograd: statistics, what it keeps and refuses."""

import json
import math

import numpy as np
import pytest

from benchmarks import winograd_accuracy
from ninc._base.files import append_line

SETTINGS = {"epochs": 1, "batch": 10}


def row(seed, mode, accuracy, losses=(2.0,)):
    return {
        "settings": SETTINGS,
        "seed": seed,
        "mode": mode,
        "accuracy": accuracy,
        "loss": 1.0,
        "losses": list(losses),
    }


# ---- Statistics ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "quantile"), [(2, 12.706), (5, 2.776), (13, 2.179), (31, 2.042)])
def test_the_interval_is_students(count, quantile):
    differences = [0.3 + 0.1 * (-1) ** index for index in range(count)]
    mean, error, half = winograd_accuracy.interval(differences)
    assert mean == pytest.approx(np.mean(differences))
    assert error == pytest.approx(np.std(differences, ddof=1) / math.sqrt(count))
    assert half == pytest.approx(quantile * error, rel=1e-3)


def test_one_pair_has_no_interval():
    mean, error, half = winograd_accuracy.interval([0.25])
    assert mean == 0.25 and math.isnan(error) and math.isnan(half)


def test_pairs_are_those_trained_both_ways_by_seed():
    rows = [row(2, "direct", 0.5), row(1, "winograd", 0.6), row(2, "winograd", 0.4)]
    ((winograd, direct),) = winograd_accuracy.pairs(rows)
    assert (winograd["accuracy"], direct["accuracy"]) == (0.4, 0.5)


def test_the_table_tells_each_seed_the_means_and_the_difference():
    rows = [
        *(row(0, "winograd", 0.50, (2.002, 1.1)), row(0, "direct", 0.51, (2.0, 1.0))),
        *(row(1, "winograd", 0.60), row(1, "direct", 0.58)),
    ]
    lines = winograd_accuracy.table(rows)
    assert lines[2] == "| 0 | 50.00% | 1.0000 | 51.00% | 1.0000 | -1.00 | 1.0e-03 | 1.0e-01 |"
    assert lines[4].startswith("| mean ± sd | 55.00 ± 7.07 % | 1.0000 ± 0.0000 | 54.50 ± 4.95 % ")
    assert lines[6].startswith("paired difference +0.50 points, standard error 1.50, ")
    assert "within the spread of seeds, 4.95 points" in lines[7]


def test_a_difference_beyond_the_seeds_is_told():
    rows = [row(seed, "direct", 0.5 + 0.01 * seed) for seed in range(3)]
    rows += [row(seed, "winograd", 0.4 + 0.01 * seed) for seed in range(3)]
    assert "BEYOND the spread of seeds, 1.00 points" in winograd_accuracy.table(rows)[-1]


# ---- What is kept --------------------------------------------------------------------------------


def test_a_torn_line_is_cut_off_and_trained_again(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [row(0, "winograd", 0.5), row(0, "direct", 0.4), row(1, "winograd", 0.6)]
    for one in rows:
        append_line(path, json.dumps(one))
    path.write_bytes(path.read_bytes()[:-20])
    assert winograd_accuracy.stored(path) == rows[:2]
    assert winograd_accuracy.missing(rows[:2], range(2)) == [(1, "winograd"), (1, "direct")]
    append_line(path, json.dumps(rows[2]))
    assert winograd_accuracy.stored(path) == rows


def test_other_lines_and_other_settings_are_refused(tmp_path):
    path = tmp_path / "rows.jsonl"
    assert winograd_accuracy.stored(path) == []
    path.write_text(json.dumps(row(0, "direct", 0.5)) + '\n{"seed": 1}\n')
    with pytest.raises(ValueError, match="line 2 is no result of this benchmark"):
        winograd_accuracy.stored(path)
    rows = [row(0, "direct", 0.5)]
    winograd_accuracy.check_same("file", rows, SETTINGS)
    with pytest.raises(ValueError, match="holds trainings whose epochs is 1, here it is 2"):
        winograd_accuracy.check_same("file", rows, {**SETTINGS, "epochs": 2})


# ---- Training ------------------------------------------------------------------------------------


def test_plans_that_do_not_differ_are_refused():
    winograd_accuracy.check_plan("winograd", True, "conv2d  winograd F(4×4, 5×5) 8×48")
    winograd_accuracy.check_plan("direct", False, "conv2d  implicit gemm 8×48")
    with pytest.raises(ValueError, match="'float32': expected a step by winograd, found none"):
        winograd_accuracy.check_plan("winograd", True, "conv2d  implicit gemm 8×48")
    with pytest.raises(ValueError, match="'strict': expected no step by winograd, found one"):
        winograd_accuracy.check_plan("direct", True, "conv2d  winograd F(4×4, 5×5) 8×48")


def test_it_trains_both_ways_and_goes_on_behind_what_is_kept(tmp_path, rng, capsys):
    pictures = rng.integers(0, 256, (20, 32, 32, 3), np.uint8)
    data, path = tmp_path / "pictures.npz", tmp_path / "rows.jsonl"
    np.savez(data, x=pictures, y=np.arange(20) % 10, x_test=pictures[:10], y_test=np.arange(10))
    command = [str(data), "--images", "20", "--test-images", "10", "--epochs", "1"]
    command += ["--batch", "10", "--json", str(path), "--seeds"]
    winograd_accuracy.main([*command, "1"])
    kept = path.read_text()
    winograd, direct = winograd_accuracy.stored(path)
    assert (winograd["mode"], direct["mode"]) == ("winograd", "direct")
    assert len(winograd["losses"]) == len(direct["losses"]) == 2
    # The same weights and pictures, another algorithm: apart by rounding alone.
    assert winograd["losses"] == pytest.approx(direct["losses"], rel=1e-4)
    winograd_accuracy.main([*command, "1"])
    assert path.read_text() == kept
    with pytest.raises(SystemExit, match="trainings whose epochs is 1, here it is 2"):
        winograd_accuracy.main([*command, "1", "--epochs", "2"])
    capsys.readouterr()
    winograd_accuracy.main(["--report", "--json", str(path)])
    assert "| mean ± sd |" in capsys.readouterr().out


def test_wrong_usage_is_told(capsys):
    for arguments, text in [
        ([], "DATA is missing"),
        (["data", "--images", "15"], "--images wants a multiple of 10"),
        (["data", "--images", "100"], "--batch 128 is more than the 100 --images"),
        (["data", "--seeds", "0"], "argument --seeds: must be a whole number of at least 1"),
    ]:
        with pytest.raises(SystemExit):
            winograd_accuracy.main(arguments)
        assert text in capsys.readouterr().err
