"""The fine-tuning benchmark: which pictures it draws, and what it says."""

import json

import numpy as np
import pytest

from benchmarks import finetune
from ninc.data import Dataset

NAMES = ["bird", "cat", "dog", "frog"]


def _data(count=40):
    rng = np.random.default_rng(1)
    labels = np.arange(count) % 4
    return Dataset(rng.integers(0, 256, (count, 32, 32, 3), np.uint8), labels, NAMES)


def test_two_classes_are_labelled_in_the_order_asked_for():
    data = _data()
    part = finetune.of_classes(data, ["dog", "bird"])
    assert part.classes == ["dog", "bird"] and len(part) == 20
    np.testing.assert_array_equal(
        part.labels, [{2: 0, 0: 1}[n] for n in data.labels if n in (0, 2)]
    )
    np.testing.assert_array_equal(part.images, data.images[np.isin(data.labels, [0, 2])])


def test_pictures_are_drawn_by_the_seed_and_the_further_ones_are_others():
    data = _data()
    few, further = finetune.drawn(data, 3, seed=0, others=4)
    assert np.bincount(few.labels).tolist() == [3] * 4
    assert np.bincount(further.labels).tolist() == [4] * 4
    there = {image.tobytes() for image in few.images}
    assert not there & {image.tobytes() for image in further.images}
    again, _ = finetune.drawn(data, 3, seed=0)
    np.testing.assert_array_equal(again.images, few.images)
    other, _ = finetune.drawn(data, 3, seed=1)
    assert (other.images != few.images).any()
    with pytest.raises(ValueError, match="bird: 11 training pictures are needed, there are 10"):
        finetune.drawn(data, 11, seed=0)


def test_the_table_says_whether_the_goal_is_reached():
    rows = [
        dict(seed=0, fine_tuned=0.8, from_nothing=0.7),
        dict(seed=1, fine_tuned=0.7, from_nothing=0.7),
    ]
    lines = finetune.table(rows)
    assert lines[2] == "| 0 | 80.00% | 70.00% | +10.00 |"
    assert lines[4] == "| mean | 75.00% | 70.00% | +5.00 |"
    assert lines[-1] == "the goal of 5 points is reached"
    assert finetune.table(rows[1:])[-1] == "the goal of 5 points is not reached"


@pytest.mark.filterwarnings("ignore::ninc.Remark")
def test_the_command(tmp_path, capsys):
    data = _data()
    split = dict(x=data.images, y=data.labels, x_test=data.images[:8], y_test=data.labels[:8])
    np.savez(tmp_path / "d.npz", **split, classes=NAMES)
    command = [str(tmp_path / "d.npz"), "--base-epochs", "1", "--epochs", "1", "--pictures", "5"]
    command += ["--seeds", "3", "--json", str(tmp_path / "out.json")]
    finetune.main(command)
    told = json.loads((tmp_path / "out.json").read_text())
    assert [row["seed"] for row in told["seeds"]] == [3]
    assert "cat and dog: 5 training pictures of each" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="finetune: no class mouse"):
        finetune.main([*command, "--held-out-classes", "cat", "mouse"])
