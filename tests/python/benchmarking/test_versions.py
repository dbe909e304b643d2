"""Two builds in turn: the order of turns, the interval, and what goes wrong."""

import json
import math
from pathlib import Path

import pytest

import ninc
from benchmarks import versions

HERE = Path(ninc.__file__).parents[1]


@pytest.mark.parametrize("pairs", [6, 7, 8, 9, 16, 20, 25, 60])
def test_the_interval_is_the_smallest_that_is_sure_enough(pairs):
    low, high = versions.interval([float(i) for i in reversed(range(pairs))])
    assert high == pairs - 1 - low

    def sure(rank):
        outside = 2 * sum(math.comb(pairs, heads) for heads in range(rank + 1))
        return 1 - outside / 2**pairs

    assert sure(int(low)) >= 0.95 > sure(int(low) + 1)


def test_a_machine_that_becomes_slower_favours_neither():
    turns = []

    def side(name, seconds):
        def turn(_):
            turns.append(name)
            return seconds * 1.01 ** len(turns)

        return turn

    ratio = versions.ratio_of(side("old", 2.0), side("new", 3.0), 0.0, rounds=3)
    assert ratio == pytest.approx(1.5)
    assert turns == ["old", "new"] + 3 * ["old", "new", "new", "old"]


def test_a_build_beside_itself(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(versions, "_FEWEST_PAIRS", 1)
    out = tmp_path / "ratios.json"
    options = ["--rows", "cifar-b1", "plan", "--threads", "1", "--seconds", "0", "--rounds", "1"]
    assert versions.main([str(HERE), str(HERE), *options, "--pairs", "1", "--json", str(out)]) == 0
    assert "cifar-b1" in capsys.readouterr().out
    written = json.loads(out.read_text())
    assert written["old"] == str(HERE)
    assert [row["row"] for row in written["rows"]] == ["cifar-b1", "plan"]
    for row in written["rows"]:
        assert row["target"] == ninc.targets()[0]
        assert row["ratios"] == [row["ratio"]] == [row["low"]]


def test_a_folder_without_ninc_is_told(tmp_path, capsys):
    assert versions.main([str(tmp_path), str(HERE), "--rows", "cifar-b1"]) == 1
    assert f"not from {tmp_path}" in capsys.readouterr().err


def test_a_build_that_fails_is_told(tmp_path, capfd):
    package = tmp_path / "ninc"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit(3)")
    assert versions.main([str(tmp_path), str(HERE), "--rows", "cifar-b1"]) == 1
    assert f"{tmp_path}: its process ended with 3" in capfd.readouterr().err


@pytest.mark.parametrize(
    "options, told",
    [
        (["--rows", "cifar-b2"], "no row is called 'cifar-b2'"),
        (["--pairs", "5"], "--pairs is 5; an interval needs 6 at least"),
    ],
)
def test_wrong_options_are_told(options, told, capsys):
    with pytest.raises(SystemExit):
        versions.main(["old", "new", *options])
    assert told in capsys.readouterr().err
