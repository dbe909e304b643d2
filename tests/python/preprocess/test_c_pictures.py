"""Pictures through the C interface: the same bytes as Pillow's, the same probabilities as Python's.

A network whose scores tell each byte of the picture that reached it shows whether the core's bytes
are Pillow's; probabilities of others are compared with `Network.predict`.
"""

import numpy as np
import pytest

from ninc import models, nn
from ninc.preprocess import Framing, Preprocessing
from support.c_library import CError, in_c
from support.small_pictures import random_bytes

PIL = pytest.importorskip("PIL")
needs_pillow_13 = pytest.mark.skipif(
    int(PIL.__version__.partition(".")[0]) < 13,
    reason="before Pillow 13 tall pictures were resized across first, which rounds otherwise",
)


def preprocessing(framing, scale=255.0):
    """Numbers that are no powers of two, another for each channel."""
    mean, std = (0.47, 0.44, 0.41)[: framing.channels], (0.25, 0.24, 0.26)[: framing.channels]
    return Preprocessing(
        framing.size, framing.channels, mean, std, scale, framing.resize, None, framing.fit,
        framing.ground,
    )  # fmt: skip


def reader(framing):
    """A network with a class for each byte of the framed picture, in the order C, H, W.

    Its scores are the bytes over 16, so that probabilities tell them to less than a quarter.
    """
    height, width = framing.size
    values = height * width * framing.channels
    network = nn.Sequential(nn.Flatten(), nn.Linear(values, values, bias=False))
    network.load_state_dict({"linear1.weight": np.eye(values, dtype=np.float32)})
    ones = (1.0,) * framing.channels
    network.preprocessing = Preprocessing(
        framing.size, framing.channels, (0.0,) * framing.channels, ones, 16.0, framing.resize,
        None, framing.fit, framing.ground,
    )  # fmt: skip
    return network


def bytes_seen(model, pictures, framing):
    """N×H×W×C: the framed pictures, from the probabilities of a `reader`."""
    height, width = framing.size
    values = height * width * framing.channels
    classes, probabilities = model.classify(pictures, values)
    ordered = np.empty_like(probabilities)
    np.put_along_axis(ordered, classes, probabilities, axis=1)
    scores = 16.0 * np.log(ordered.astype(np.float64))
    return scores.reshape(-1, framing.channels, height, width).transpose(0, 2, 3, 1)


def framings():
    """Framings of all kinds, and pictures of many proportions for each."""
    rng = np.random.default_rng(5)
    for _ in range(60):
        size = tuple(int(side) for side in rng.integers(1, 12, 2))
        fit = str(rng.choice(["crop", "pad", "squash"]))
        resize = (
            int(max(size) + rng.integers(0, 9)) if fit == "crop" and rng.random() < 0.5 else None
        )
        ground = tuple(int(value) for value in rng.integers(0, 256, 3))
        yield Framing(size, int(rng.choice([1, 3])), resize, fit, ground)


@needs_pillow_13
def test_framed_pictures_have_pillows_bytes(tmp_path):
    rng = np.random.default_rng(6)
    kinds = set()
    for framing in framings():
        with in_c(reader(framing), tmp_path) as model:
            for _ in range(8):
                most = rng.choice([3, 30, 300])
                height, width = rng.integers(1, most + 1, 2)
                channels = int(rng.choice([1, 3]))
                picture = rng.integers(0, 256, (1, height, width, channels), dtype=np.uint8)
                expected = framing.pixels(picture[0]).astype(np.float64)
                seen = bytes_seen(model, picture, framing)[0]
                # Probabilities tell differences alone.
                difference = (seen - seen.flat[0]) - (expected - expected.flat[0])
                assert np.abs(difference).max() < 0.25, (framing, picture.shape)
                kinds.add((framing.fit, framing.channels, channels, framing.resize is None))
    assert len(kinds) == 16  # crop with and without resize, pad, squash; four pairs of channels


@needs_pillow_13
@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
def test_a_strip_is_framed_without_resizing_all_of_it(tmp_path, fit):
    framing = Framing((9, 8), 1, fit=fit)
    with in_c(reader(framing), tmp_path) as model:
        for shape in ((1, 1, 900_000, 1), (1, 900_000, 1, 1), (1, 3, 400_000, 1)):
            picture = random_bytes(*shape)
            expected = framing.pixels(picture[0]).astype(np.float64)
            seen = bytes_seen(model, picture, framing)[0]
            difference = (seen - seen.flat[0]) - (expected - expected.flat[0])
            assert np.abs(difference).max() < 0.25, shape


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("given", [1, 3])
def test_classes_and_probabilities_are_those_of_predict(tmp_path, channels, given):
    network = nn.Sequential(
        nn.MlpConv(channels, (8, 6), 3, padding=1), nn.Conv2d(6, 7, 1), nn.GlobalAvgPool2d()
    )
    for framing in (
        Framing((12, 10), channels),
        Framing((12, 10), channels, resize=17),
        Framing((12, 10), channels, fit="pad", ground=(9, 200, 30)),
        Framing((12, 10), channels, fit="squash"),
        Framing(None, channels),
    ):
        network.preprocessing = preprocessing(framing)
        pictures = random_bytes(70, 23, 31, given)  # more than one batch
        expected = network.predict(pictures)
        with in_c(network, tmp_path) as model:
            classes, probabilities = model.classify(pictures, 7)
        order = np.argsort(-expected, axis=1, kind="stable")
        np.testing.assert_array_equal(classes, order)
        np.testing.assert_array_equal(probabilities, np.take_along_axis(expected, order, axis=1))


def test_a_network_that_ends_with_softmax_is_not_given_another(tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 5, 1), nn.GlobalAvgPool2d(), nn.Softmax())
    network.preprocessing = preprocessing(Framing((6, 6), 3))
    pictures = random_bytes(3, 8, 6, 3)
    with in_c(network, tmp_path) as model:
        _, probabilities = model.classify(pictures, 2)
    best = np.sort(network.predict(pictures), axis=1)[:, ::-1]
    np.testing.assert_array_equal(probabilities, best[:, :2])


def test_whitened_pictures(tmp_path):
    framing = Framing((6, 5), 3, fit="pad")
    network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.GlobalAvgPool2d())
    network.preprocessing = Preprocessing.fit(random_bytes(40, 6, 5, 3), "gcn_zca", framing=framing)
    pictures = random_bytes(9, 11, 8, 3)
    pictures[4] = 77  # one value all over
    expected = network.predict(pictures)
    with in_c(network, tmp_path) as model:
        classes, probabilities = model.classify(pictures, 5)
    order = np.argsort(-expected, axis=1, kind="stable")
    np.testing.assert_array_equal(classes, order)
    np.testing.assert_array_equal(probabilities, np.take_along_axis(expected, order, axis=1))


def test_networks_made_in_python_say_their_channels(tmp_path):
    graph = nn.Graph()
    x = graph.input("x")
    pooled = graph.add(nn.MaxPool2d(2), x)
    joined = graph.add(nn.Concat(), pooled, graph.add(nn.ReLU(), pooled))
    graph.add(nn.GlobalAvgPool2d(), graph.add(nn.Conv2d(6, 4, 1), joined))
    networks = {
        3: nn.Sequential(nn.Conv2d(3, 4, 3), nn.GlobalAvgPool2d()),
        5: nn.Sequential(nn.BatchNorm2d(5), nn.GlobalAvgPool2d()),
        1: models.nin_mnist(),
    }
    for channels, network in (*networks.items(), (3, graph), (3, models.nin_cifar10())):
        with in_c(network, tmp_path) as model:
            assert model.number("ninc_model_input_channels") == channels
    with in_c(models.nin_cifar10(num_classes=7), tmp_path) as model:
        assert model.number("ninc_model_num_classes") == 7


def test_the_preprocessing_says_what_layers_leave_open(tmp_path):
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
    with in_c(network, tmp_path) as model:
        with pytest.raises(CError, match=r"linear1 \(Linear\) takes a flattened map") as error:
            model.number("ninc_model_input_channels")
        assert error.value.status == 2
    network.preprocessing = preprocessing(Framing((4, 4), 3))
    with in_c(network, tmp_path) as model:
        assert model.number("ninc_model_input_channels") == 3
    with in_c(nn.Sequential(nn.GlobalMaxPool2d()), tmp_path) as model:
        with pytest.raises(CError, match="no layer that reads the input needs a certain one"):
            model.number("ninc_model_input_channels")


def test_class_maps_are_pythons(tmp_path, rng):
    x = rng.standard_normal((2, 3, 9, 8), np.float32)
    front = (nn.Conv2d(3, 5, 3), nn.ReLU(), nn.GlobalAvgPool2d())
    plain = nn.Sequential(*front)
    with in_c(plain, tmp_path) as model:
        np.testing.assert_array_equal(model.class_maps(x), plain.class_maps(x))
    for bias in (True, False):
        mixed = nn.Sequential(*front, nn.Flatten(), nn.Dropout(0.3), nn.Linear(5, 4, bias))
        values = {n: rng.standard_normal(v.shape) for n, v in mixed.state_dict().items()}
        mixed.load_state_dict({n: v.astype(np.float32) for n, v in values.items()})
        with in_c(mixed, tmp_path) as model:
            # Sums of five products in another order.
            np.testing.assert_allclose(model.class_maps(x), mixed.class_maps(x), 1e-5, 1e-5)


def test_classes_have_their_names(tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.GlobalAvgPool2d())
    network.classes = ["Bär", "dog", "馬"]
    with in_c(network, tmp_path) as model:
        assert [model.class_name(index) for index in range(4)] == ["Bär", "dog", "馬", None]
