"""The benchmark of recipe "fast": what it trains, and what it counts."""

import json

import numpy as np
import pytest

import ninc
from benchmarks import fast
from ninc import cli, nn

pytestmark = pytest.mark.filterwarnings("ignore::ninc.Remark")


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 256, (48, 32, 32, 3), np.uint8), np.arange(48) % 10
    np.savez(tmp_path / "d.npz", x=x, y=y, x_test=x[:20], y_test=y[:20])
    return str(tmp_path / "d.npz")


def test_multiply_adds_are_of_the_gradients_that_are_taken():
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 5, 1, stride=2), nn.GlobalAvgPool2d()
    )
    first, second = 4 * 3 * 9 * 64, 5 * 4 * 16
    assert fast.multiply_adds(network, (3, 8, 8), []) == 2 * first + 3 * second
    # The first layer's bias is trained, and its gradient comes through the second layer.
    assert fast.multiply_adds(network, (3, 8, 8), ["conv1.weight"]) == first + 3 * second
    frozen = ["conv1.weight", "conv1.bias"]
    assert fast.multiply_adds(network, (3, 8, 8), frozen) == first + 2 * second


def test_it_trains_what_the_command_trains(data, tmp_path, capsys):
    options = ["--model", "fast-cifar10", "--seed", "3", "--epochs", "2"]
    assert cli.main(["train", data, "-o", str(tmp_path / "a.safetensors"), *options]) == 0
    rows = str(tmp_path / "rows.jsonl")
    command = [data, "--seeds", "3", "--epochs", "2", "--json", rows, "--save", str(tmp_path)]
    assert fast.main(command) == 0
    ours = ninc.load(tmp_path / "ninc-3.safetensors").state_dict()
    for name, value in ninc.load(tmp_path / "a.safetensors").state_dict().items():
        np.testing.assert_array_equal(ours[name], value, err_msg=name)
    capsys.readouterr()
    assert fast.main(command) == 0  # the training stands in the file
    [row] = [json.loads(line) for line in open(rows)]
    out = capsys.readouterr()
    assert f"| ninc | 3 | {row['accuracy']:.2%} | {row['flip_accuracy']:.2%} |" in out.out
    assert out.err == ""


def test_torch_trains_the_same(data, tmp_path, monkeypatch):
    """After one epoch the two differ by rounding alone, averages and statistics included."""
    pytest.importorskip("torch")
    monkeypatch.setenv("NINC_PRECISION", "strict")
    command = [data, "--epochs", "1", "--save", str(tmp_path)]
    for engine in fast.ENGINES:
        assert fast.main([*command, "--engine", engine]) == 0
    ours = ninc.load(tmp_path / "ninc-0.safetensors").state_dict()
    theirs = ninc.load(tmp_path / "torch-0.safetensors").state_dict()
    for name, value in ours.items():
        scale = np.abs(value).max()
        np.testing.assert_allclose(theirs[name], value, atol=1e-3 * scale, err_msg=name)
