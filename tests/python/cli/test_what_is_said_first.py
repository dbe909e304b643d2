"""What a command finds out before it says what it is about to do, and how networks are named."""

import pytest

import ninc
from support.command_line import ninc_command, printed, printed_json, usage
from support.small_pictures import save_around

pytest.importorskip("PIL.Image")


def pictures_of(root, *names):
    for level, name in enumerate(names):
        save_around(root / name, 60 + 100 * level, 10, level)
    return root


@pytest.mark.parametrize("empty", [False, True])
def test_one_class_is_told_before_a_plan_is(tmp_path, capsys, empty):
    root = pictures_of(tmp_path / "data", "cat")
    if empty:
        (root / "dog").mkdir()
    out = tmp_path / "net"
    assert ninc_command("train", root, "-o", out, "--model", "nin-mnist") == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == (
        "ninc: fit: all training pictures (9) are of one class, 'cat': a classifier needs at least "
        "two"
    )
    assert all(line.startswith("ninc: ") for line in lines) and not out.exists()


@pytest.mark.parametrize("count", [1, 2])
def test_the_header_says_where_it_computes(tmp_path, capsys, threads, count):
    threads(count)
    root = pictures_of(tmp_path / "data", "cat", "dog")
    command = ("train", root, "-o", tmp_path / "net", "--model", "nin_mnist", "--epochs", 1)
    assert ninc_command(*command) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("nin-mnist, ")
    words = f", on cpu, {count} thread{'s' if count > 1 else ''}"
    assert [line for line in lines if line.startswith("1 epoch of ")][0].endswith(words)


def test_published_networks_by_their_functions_names(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ninc.models.__all__[1:]:
        one, other = ninc.models.create(name), ninc.models.create(name.replace("_", "-"))
        assert repr(one) == repr(other)
    told = printed_json(capsys, "info", "nin_mnist")
    assert told == printed_json(capsys, "info", "nin-mnist") and told["input_shape"][1:] == [
        1,
        28,
        28,
    ]
    assert "nin_mnist inference" in printed(capsys, "bench", "nin_mnist", "--batch", 1)
    # A file of that name is meant where there is one.
    ninc.nn.Sequential(ninc.nn.Conv2d(5, 2, 1), ninc.nn.GlobalAvgPool2d()).save("nin_mnist")
    assert printed_json(capsys, "info", "nin_mnist")["input_shape"] == [1, 5, 32, 32]


def test_names_of_no_network(capsys, tmp_path):
    for name in ("nin_cifar11", "cifar10", "", 3, None):
        with pytest.raises(ninc.ArgumentError, match="unknown network .*; known are nin-cifar10, "):
            ninc.models.create(name)
    with pytest.raises(ninc.ArgumentError, match="'nin_cifar11'"):
        ninc.models.create("nin_cifar11")
    told = usage(capsys, "train", tmp_path, "-o", "net", "--model", "nin_cifar11")
    assert "invalid choice: 'nin-cifar11'" in told
