"""`ninc train --init` and `--freeze`: going on from a model file, with the same classes or not."""

import numpy as np
import pytest

import ninc
from ninc import cli
from ninc.augment import AlternatingFlip, Compose, Flip, PadCrop, Until
from ninc.cli.train_options import make_trainer
from ninc.preprocess import Preprocessing
from ninc.training import recipes
from support.command_line import ninc_command, printed_json, usage
from support.small_pictures import save
from support.small_training import bars, random_npz, small_network
from support.weights import same_bits

SETTINGS = ("--epochs", 1, "--batch-size", 8, "--lr", 0.01)


def folder_of(path, names, count=12, side=20):
    """A folder of PNG pictures, one folder a class, each class of a grey level of its own."""
    pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(1)
    for number, name in enumerate(names):
        for i in range(count):
            pixels = rng.integers(0, 60, (side, side + i % 3, 3), dtype=np.uint8) + 90 * number
            save(path / name / f"{i}.png", pixels.astype(np.uint8))
    return path


@pytest.fixture
def model(tmp_path):
    """A trained network of two classes with settings of its own."""
    network = small_network()
    ninc.Trainer(network, ninc.SGD(0.05)).fit(bars(), epochs=1, batch_size=16, progress=False)
    network.classes = ["dark", "light"]
    network.preprocessing = Preprocessing((8, 8), 1, (0.25,), (0.5,))
    network.held_out = ninc.formats.held_out.HeldOut.of(bars(20), 0.2, 3, None)
    network.save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def train(data, out, init, *options):
    return ninc_command("train", data, "-o", out, "--init", init, *SETTINGS, *options)


def test_the_same_classes_keep_the_last_layer(tmp_path, model, capsys):
    data = folder_of(tmp_path / "data", ["light", "dark"])
    out = tmp_path / "out.safetensors"
    # All but one layer stands still: what the run began with shows in its result.
    assert train(data, out, model, "--freeze", "c*", "--freeze", "bn_conv1") == 0
    err = capsys.readouterr().err
    assert "last layer" not in err and f"from {model}, " in err
    before, after = ninc.load(model), ninc.load(out)
    names = set(before.state_dict())
    moved = {n for n in names if n.startswith("bn_cccp1")}
    assert same_bits(before, after) == names - moved
    assert after.classes == ["dark", "light"]
    assert after.preprocessing == before.preprocessing
    assert after.held_out.share == 0.1 and after.held_out != before.held_out


def test_classes_in_another_order_are_mapped_by_name(tmp_path, model):
    network = ninc.load(model)
    network.classes = ["light", "dark"]  # not the order of the folder
    network.save(model)
    data = folder_of(tmp_path / "data", ["dark", "light"])
    assert train(data, tmp_path / "out", model, "--epochs", "12", "--lr", "0.05") == 0
    after = ninc.load(tmp_path / "out")
    assert after.classes == ["light", "dark"]
    levels = np.full((2, 8, 8, 1), 30, np.uint8)
    levels[0] += 90
    assert after.predict(levels).argmax(axis=1).tolist() == [0, 1]


def test_other_classes_get_a_new_last_layer(tmp_path, model, capsys):
    data = folder_of(tmp_path / "data", ["ant", "bee", "cow"])
    out = tmp_path / "out.safetensors"
    assert train(data, out, model, "--freeze", "*conv*", "--freeze", "cccp1", "--seed", "2") == 0
    line = f"ninc: the last layer is new: 3 classes, was 2; all else from {model}\n"
    assert line in capsys.readouterr().err
    before, after = ninc.load(model), ninc.load(out)
    assert after.classes == ["ant", "bee", "cow"]
    assert after.state_dict()["cccp2.weight"].shape == (3, 8, 1, 1)
    assert after.preprocessing == before.preprocessing
    still = {n for n in before.state_dict() if "conv" in n or n.startswith("cccp1")}
    assert still <= same_bits(before, after)
    assert len(printed_json(capsys, "eval", out, data)["confusion"]) == 3


def test_two_others_get_a_new_one_too(tmp_path, model, capsys):
    data = folder_of(tmp_path / "data", ["dark", "red"])
    assert train(data, tmp_path / "out", model, "--freeze", "c*.weight") == 0
    assert "is new: 2 classes, was 2 others; all else from" in capsys.readouterr().err
    old, new = ninc.load(model), ninc.load(tmp_path / "out")
    assert "cccp1.weight" in same_bits(old, new) and "cccp2.weight" not in same_bits(old, new)


def test_a_checkpoint_is_gone_on_from(tmp_path, capsys):
    data = random_npz(tmp_path / "data.npz", 40)
    args = ["train", data, "-o", tmp_path / "a", "--model", "nin-mnist", "--epochs", 1]
    args += ["--batch-size", 8, "--average", "ema", "--checkpoint", tmp_path / "run"]
    assert ninc_command(*args) == 0
    last = tmp_path / "run" / "last.safetensors"
    assert train(data, tmp_path / "b", last, "--freeze", "*", "--freeze", "cccp6") == 1
    assert "nothing is left to be trained" in capsys.readouterr().err
    assert train(data, tmp_path / "b", last, "--freeze", "*[v12345]") == 0
    network = ninc.load(tmp_path / "b")
    still = {n for n in network.state_dict() if n.rpartition(".")[0][-1] in "12345"}
    assert len(still) > 20 and still <= same_bits(ninc.load(last), network)
    assert not any(name.startswith("velocity") for name in network.core.extras())


@pytest.mark.parametrize(
    "options, words",
    [
        (["--model", "nin-mnist"], "not allowed with argument"),
        (["--model", "nin-cifar10"], "not allowed with argument"),  # the default, but given
        (["--resize", "40"], "--resize does not go with --init"),
        (["--preprocessing", "normalize"], "--preprocessing does not go with --init"),
    ],
)
def test_what_the_file_says_is_not_said_twice(tmp_path, model, capsys, options, words):
    command = ("train", "data", "-o", tmp_path / "out", "--init", model)
    assert words in usage(capsys, *command, *options)


def test_no_file_and_no_layer_are_told_in_one_line(tmp_path, model, capsys):
    assert train("data", tmp_path / "out", tmp_path / "none.safetensors") == 1
    err = capsys.readouterr().err
    assert "none.safetensors: no such model file" in err and err.count("\n") == 1
    data = folder_of(tmp_path / "data", ["dark", "light"])
    assert train(data, tmp_path / "out", model, "--freeze", "conv3") == 1
    assert "freeze 'conv3' matches none" in capsys.readouterr().err.splitlines()[-1]


def test_a_run_from_a_file_is_resumed(tmp_path, model, capsys):
    data = folder_of(tmp_path / "data", ["ant", "bee"])
    options = ["--freeze", "*conv1", "--checkpoint", tmp_path / "run", "--resume"]
    assert train(data, tmp_path / "a", model, *options) == 0
    assert train(data, tmp_path / "b", model, *options) == 0
    assert "was finished already" in capsys.readouterr().err
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert train(data, tmp_path / "c", model, *options[2:]) == 1
    assert "frozen conv1.weight" in capsys.readouterr().err


@pytest.mark.parametrize(
    "shape, augment",
    [
        ((1, 40, 40), PadCrop(2)),
        ((3, 32, 32), Compose(Until(1, PadCrop(2)), AlternatingFlip())),
        ((3, 64, 48), Compose(Until(1, PadCrop(2)), AlternatingFlip())),
        ((3, 224, 224), Compose(PadCrop(16), Flip())),
    ],
)
def test_augmentation_follows_the_pictures(shape, augment):
    assert repr(recipes.recipe("fast", recipes.like(*shape)).augment(1)) == repr(augment)


def test_recipes_take_networks_without_biases():
    network = ninc.nn.Sequential(
        ninc.nn.Conv2d(1, 4, 3, bias=False), ninc.nn.GlobalAvgPool2d(),
        ninc.nn.Linear(4, 2, bias=False),
    )  # fmt: skip
    args = cli.build_parser().parse_args(["train", "d", "-o", "n", "--recipe", "original"])
    make_trainer(args, network)
    lr, _ = recipes.recipe("original").optimizer(network, 0.1).vectors(list(network.parameters()))
    np.testing.assert_allclose(lr, [0.1, 0.01])
