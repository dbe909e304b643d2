"""Recipes: what they choose for a network, and the first layer of `fast_cifar10`."""

import numpy as np
import pytest

import ninc
from ninc.augment import AlternatingFlip, Compose, PadCrop, Until
from ninc.data import Dataset
from ninc.data.draws import BatchGenerator
from ninc.errors import ArgumentError
from ninc.preprocess import Preprocessing
from ninc.training import recipes
from ninc.training.recipes.patch_whitening import whiten_patches


def _pictures(count=64, side=8):
    """Pictures whose neighbouring pixels and colours are alike, as those of photographs are."""
    rng = np.random.default_rng(3)
    rough = rng.integers(0, 200, (count, side // 2, side // 2, 3)).repeat(2, 1).repeat(2, 2)
    grey = rng.integers(0, 40, (count, side, side, 1))
    return Dataset((rough + grey).astype(np.uint8), np.arange(count) % 2, ["a", "b"])


def test_the_whitened_outputs_are_uncorrelated_and_of_variance_one():
    data = _pictures()
    network = ninc.models.fast_cifar10(2)
    assert whiten_patches(network, data, "normalize") == ["conv1.weight"]
    preprocessing = Preprocessing.from_dict(network.preprocessing)
    assert preprocessing == Preprocessing.fit(data.images)
    filters = network.state_dict()["conv1.weight"]
    y = ninc.functional.conv2d(preprocessing.apply(data.images), filters)
    values = y[:, :12].transpose(1, 0, 2, 3).reshape(12, -1).astype(np.float64)
    moment = values @ values.T / values.shape[1]
    # What is added to the eigenvalues makes the smallest ones' variance a little less than 1.
    np.testing.assert_allclose(moment, np.eye(12), atol=0.05)
    np.testing.assert_array_equal(filters[12:], -filters[:12])


def test_whitening_takes_arrays_and_keeps_a_preprocessing():
    data = _pictures()
    network, other = ninc.models.fast_cifar10(2), ninc.models.fast_cifar10(2, seed=1)
    mine = Preprocessing((8, 8), 3, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
    network.preprocessing = mine
    whiten_patches(network, data, "normalize")
    assert Preprocessing.from_dict(network.preprocessing) == mine
    whiten_patches(other, Dataset(mine.apply(data.images), data.labels), "normalize")
    assert other.preprocessing is None
    for name in ("conv1.weight",):
        np.testing.assert_array_equal(network.state_dict()[name], other.state_dict()[name])


def test_whitening_of_another_first_layer_says_what_it_needs():
    with pytest.raises(ArgumentError, match="conv1 has 8 filters; those of 3 channels by 2×2 are"):
        network = ninc.nn.Sequential(ninc.nn.Conv2d(3, 8, 2), ninc.nn.GlobalAvgPool2d())
        whiten_patches(network, _pictures(), "normalize")
    with pytest.raises(ArgumentError, match="begins with MaxPool2d"):
        layers = ninc.nn.MaxPool2d(2), ninc.nn.Conv2d(3, 24, 2), ninc.nn.GlobalAvgPool2d()
        whiten_patches(ninc.nn.Sequential(*layers), _pictures(), "normalize")
    network, labels = ninc.models.fast_cifar10(2), np.arange(4) % 2
    for shape, told in (((4, 1, 8, 8), "3 channels of at least 2×2"), ((4, 3, 1, 8), "are 3×1×8")):
        with pytest.raises(ArgumentError, match=told):
            whiten_patches(network, Dataset(np.zeros(shape, np.float32), labels), "normalize")
    with pytest.raises(ArgumentError, match="numbers that are not finite"):
        broken = np.full((4, 3, 8, 8), np.nan, np.float32)
        whiten_patches(network, Dataset(broken, labels), "normalize")


def test_the_network_has_maps_to_explain_itself_by():
    network = ninc.models.fast_cifar10()
    assert network.num_parameters == 837_506
    assert network.class_maps(np.zeros((1, 3, 32, 32), np.float32)).shape == (1, 10, 7, 7)
    kernel = network.state_dict()["conv5.weight"]
    np.testing.assert_array_equal(kernel[:, :, 1, 1], np.eye(160, dtype=np.float32))
    assert np.count_nonzero(kernel) == 160


def test_the_rates_of_fast():
    network = ninc.models.fast_cifar10()
    recipe = recipes.recipe("fast", "fast-cifar10")
    names = list(network.parameters())
    rates, decays = recipe.optimizer(network, 0.5).vectors(names)
    rates, decays = dict(zip(names, rates)), dict(zip(names, decays))
    assert rates["bn1.bias"] == 4.0
    assert {rates[name] for name in ("bn1.weight", "conv8.bias", "conv2.weight")} == {0.5}
    assert [decays[name] for name in ("bn1.bias", "bn1.weight", "conv8.bias")] == [0, 0, 0]
    assert decays["conv8.weight"] == np.float32(1.3e-3)


@pytest.mark.parametrize(("epochs", "cropped"), [(1, 1), (5, 4), (8, 6), (16, 13), (17, 14)])
def test_the_last_epochs_are_not_cropped(epochs, cropped):
    augment = recipes.recipe("fast", "fast-cifar10").augment(epochs)
    assert repr(augment) == repr(Compose(Until(cropped, PadCrop(2)), AlternatingFlip()))


def test_original_is_of_the_papers_networks():
    with pytest.raises(ArgumentError, match='recipe "original" is that of the paper'):
        recipes.recipe("original", "fast-cifar10")
    with pytest.raises(ArgumentError, match="unknown recipe 'quick'; known are original, fast"):
        recipes.recipe("quick")


def test_until_ends_with_its_epochs():
    batch = np.random.default_rng(0).standard_normal((4, 3, 8, 8)).astype(np.float32)
    crop = PadCrop(3)
    for epoch, changed in ((0, True), (1, True), (2, False), (7, False)):
        key = (5, epoch, 1, np.arange(4))
        expected = crop(batch, BatchGenerator(*key)) if changed else batch
        np.testing.assert_array_equal(Until(2, crop)(batch, BatchGenerator(*key)), expected)
    with pytest.raises(ArgumentError, match="Until: augment must be a function"):
        Until(2, 3)


@pytest.mark.filterwarnings("ignore::ninc.Remark")
def test_until_counts_the_epochs_of_each_fit():
    seen = []

    def note(batch, rng):
        seen.append(rng.run_epoch)
        return batch

    network = ninc.nn.Sequential(ninc.nn.Conv2d(3, 2, 3), ninc.nn.GlobalAvgPool2d())
    trainer = ninc.Trainer(network, augment=Until(2, note))
    x = np.zeros((8, 3, 4, 4), np.float32)
    for _ in range(2):
        trainer.fit((x, np.arange(8) % 2), epochs=4, progress=False)
    assert seen == [0, 1, 0, 1]


def test_until_keeps_what_is_on_pixels_apart():
    jitter, crop = ninc.augment.ColorJitter(0.2), PadCrop(2)
    steps = Compose(Until(3, Compose(crop, jitter)), Until(1, jitter)).single_steps()
    assert [repr(step) for step in steps] == [
        f"Until(3, {crop})", f"Until(3, {jitter})", f"Until(1, {jitter})"
    ]  # fmt: skip
    assert [step.on_pixels for step in steps] == [False, True, True]
