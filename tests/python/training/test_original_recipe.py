"""The recipe "original" number by number, as the authors' definitions have it.

CIFAR-10: the paper and `NIN/cifar-10_def` with its parameters; CIFAR-100 and SVHN: `NIN/*_params`;
ImageNet: the Caffe model's solver and network.
"""

import numpy as np
import pytest

import ninc
from ninc import cli
from ninc.cli.train_options import fit_options, make_trainer
from ninc.data import Dataset
from ninc.data.batches import training_batches
from ninc.preprocess import Preprocessing
from ninc.training import recipes
from support.command_line import usage

# model: rate, the last layer's share of it, decay, batch, epochs, whether pictures are whitened
PUBLISHED = {
    "nin-cifar10": (0.1, 0.1, 1e-4, 128, 260, True),
    "nin-cifar100": (0.02, 1.0, 5e-4, 128, 260, True),
    "nin-svhn": (0.1, 0.1, 1e-4, 128, 260, False),
    "nin-mnist": (0.1, 0.1, 1e-4, 128, 260, False),
    "nin-imagenet": (0.01, 1.0, 5e-4, 64, 22, False),
}


def parsed(model, *options):
    words = ["train", "data", "-o", "net", "--recipe", "original", "--model", model, *options]
    return cli.build_parser().parse_args(words)


@pytest.mark.parametrize("model", PUBLISHED)
def test_each_parameter_has_its_rate_and_decay(model):
    rate, last, decay, *_ = PUBLISHED[model]
    network = ninc.models.create(model)
    trainer = make_trainer(parsed(model), network)
    names = list(network.parameters())
    lr, weight_decay = trainer.optimizer.vectors(names)
    layer = names[-1].rpartition(".")[0]
    assert sum(name.startswith(f"{layer}.") for name in names) == 2
    for name, its_rate, its_decay in zip(names, lr, weight_decay):
        share = last if name.startswith(f"{layer}.") else 1.0
        bias = name.endswith(".bias")
        assert its_rate == pytest.approx(rate * share * (2 if bias else 1), rel=1e-6), name
        assert its_decay == pytest.approx(0.0 if bias else decay, rel=1e-6), name
    sgd = trainer.optimizer
    assert (type(sgd), sgd.momentum, sgd.nesterov, sgd.clip_norm) == (ninc.SGD, 0.9, False, None)
    assert (trainer.label_smoothing, trainer.average) == (0.0, None)


@pytest.mark.parametrize("model", PUBLISHED)
def test_the_command_takes_the_networks_own_batch_epochs_and_preprocessing(model):
    *_, batch, epochs, whitened = PUBLISHED[model]
    options = fit_options(parsed(model), 100)
    assert (options["batch_size"], options["epochs"]) == (batch, epochs)
    assert options["preprocessing"] == ("gcn_zca" if whitened else "normalize")


def test_the_rate_falls_at_epochs_200_and_230():
    schedule, epochs = recipes.recipe("original").schedule, 260
    factors = [schedule(epoch, epochs) for epoch in (0, 199, 200, 229.99, 230, 259.99)]
    assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    # The same shares of a run of 13 epochs.
    assert [schedule(e, 13) for e in (9.99, 10, 11.49, 11.5)] == pytest.approx([1, 0.1, 0.1, 0.01])


def test_imagenets_rate_falls_every_200_of_450_thousand_steps():
    schedule = recipes.recipe("original", "nin-imagenet").schedule
    places = [0, 199_999, 200_000, 399_999, 400_000, 449_999]
    factors = [schedule(step / 450_000 * 22, 22) for step in places]
    assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


# Deviation of each layer's initial weights, block by block.
STDS = {
    "nin-cifar10": [0.05] * 9,
    "nin-cifar100": [0.001, 0.01, 0.01, *[0.05] * 6],
    "nin-svhn": [0.05] * 9,
    "nin-mnist": [0.05] * 9,
    "nin-imagenet": [0.01, 0.05, 0.05, *[0.05] * 3, 0.01, 0.05, 0.05, 0.05, 0.05, 0.01],
}


@pytest.mark.parametrize("model", STDS)
def test_weights_begin_as_published_and_biases_at_zero(model):
    network = ninc.models.create(model)
    values = network.parameters()
    weights = [value for name, value in values.items() if name.endswith(".weight")]
    biases = [value for name, value in values.items() if name.endswith(".bias")]
    assert len(weights) == len(biases) == len(STDS[model])
    for weight, std in zip(weights, STDS[model]):
        # Mean and deviation of n draws: five of their standard errors, 1/sqrt(n) and 1/sqrt(2n).
        error = 5 / np.sqrt(weight.size)
        assert weight.std() == pytest.approx(std, rel=error)
        assert abs(weight.mean()) < error * std
    assert not any(bias.any() for bias in biases)


@pytest.mark.parametrize("model", sorted(set(PUBLISHED) - {"nin-imagenet"}))
def test_dropout_of_a_half_follows_both_pools(model):
    kinds = [node.operation for node in ninc.models.create(model).graph]
    after = [kinds[place - 1] for place, kind in enumerate(kinds) if kind == "Dropout"]
    assert [kind in ("MaxPool2d", "AvgPool2d") for kind in after] == [True, True]
    drops = [node for node in ninc.models.create(model).graph if node.operation == "Dropout"]
    assert [node.attributes["p"] for node in drops] == [0.5, 0.5]


# ---- Pictures ------------------------------------------------------------------------------------


def test_pictures_are_padded_after_they_are_whitened(rng):
    """Each of a batch is a window of the whitened picture with zeros around it, or its mirror."""
    images = rng.integers(0, 256, (40, 8, 8, 3), np.uint8)
    whitening = Preprocessing.fit(images, recipes.recipe("original").preprocessing)
    assert (whitening.whitening.scale, whitening.whitening.epsilon) == (55.0, 0.1)
    padded = np.pad(whitening.apply(images), ((0, 0), (0, 0), (4, 4), (4, 4)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (8, 8), axis=(2, 3))
    shifted = set()
    data = Dataset(images, np.arange(40) % 2, ["a", "b"])
    augment = recipes.recipe("original").augment(1)
    for x, _ in training_batches(data, whitening, 40, augment, 0, 0):
        for picture in x:
            for mirrored in (picture, picture[..., ::-1]):
                same = np.isclose(windows, mirrored[:, None, None], atol=1e-4).all((1, 4, 5))
                shifted |= {(int(i), int(j)) for _, i, j in np.argwhere(same)}
                if same.any():
                    break
            else:
                pytest.fail("a picture is no window of a whitened one")
    assert len(shifted) > 10  # of 81 places


@pytest.mark.parametrize("model, usual", [("nin-cifar10", "avg"), ("nin-svhn", "max")])
def test_both_second_pools_are_reached_from_the_command(model, usual):
    from ninc.cli.start import Start

    data = Dataset(np.zeros((2, 32, 32, 3), np.uint8), np.arange(2), ["a", "b"])
    kinds = {"avg": ["MaxPool2d", "AvgPool2d"], "max": ["MaxPool2d", "MaxPool2d"]}
    for options, pool in ([], usual), (["--pool2", "max"], "max"), (["--pool2", "avg"], "avg"):
        network = Start(parsed(model, *options)).network(data)
        assert [n.operation for n in network.graph if n.operation.endswith("Pool2d")][:2] == kinds[
            pool
        ]


def test_a_second_pool_that_cannot_be_chosen_is_told(capsys, tmp_path):
    words = "train", "data", "-o", "net"
    told = usage(capsys, *words, "--model", "nin-imagenet", "--pool2", "avg")
    assert "--pool2: nin-imagenet has max pools alone" in told
    assert "invalid choice: 'min'" in usage(capsys, *words, "--pool2", "min")
    ninc.models.nin_mnist().save(tmp_path / "a.safetensors")
    told = usage(capsys, *words, "--init", str(tmp_path / "a.safetensors"), "--pool2", "avg")
    assert "--pool2 does not go with --init: the model file says it" in told
