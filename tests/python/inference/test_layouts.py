"""Arrays whose axes or numbers are another library's: said what makes of them what ninc takes."""

import numpy as np
import pytest

import ninc
from ninc import nn
from ninc.data import BatchStream, Dataset, load
from ninc.errors import ArgumentError, ShapeError
from ninc.preprocess import Preprocessing
from support.small_pictures import noise, picture_network
from support.small_training import bars, remarks

pytest.importorskip("PIL.Image")

PLANES = noise(7, 9).transpose(2, 0, 1)  # 3×7×9


@pytest.fixture(scope="module")
def network():
    return picture_network()


@pytest.fixture(scope="module")
def grey():
    made = nn.Sequential(nn.MlpConv(1, (4, 2), 3, logits=True), nn.GlobalAvgPool2d())
    made.preprocessing = Preprocessing((6, 8), 1, (0.5,), (0.25,))
    return made


# ---- Channels that stand first -------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 32, 32), (3, 64, 48), (3, 7, 9)])
def test_one_picture_with_its_channels_first_is_no_three_grey_ones(network, shape):
    pixels = np.zeros(shape, np.uint8)
    with pytest.raises(ShapeError) as told:
        network.predict(pixels)
    assert str(shape) in str(told.value)
    assert "x.transpose(1, 2, 0) makes one RGB picture of it" in str(told.value)
    assert len(network.predict(pixels.transpose(1, 2, 0))) == 1
    assert len(network.predict(pixels[..., None])) == 3  # what the message says of grey ones


def test_the_hint_makes_the_picture_that_was_meant(network):
    wanted = network.predict(noise(7, 9))
    np.testing.assert_array_equal(network.predict(PLANES.transpose(1, 2, 0)), wanted)


def test_such_a_picture_among_others_is_told_by_its_place(network):
    for call in (network.predict, lambda images: list(network.predict_each(images))):
        with pytest.raises(ShapeError, match=r"images\[1\]: .*x.transpose\(1, 2, 0\) makes H×W×C"):
            call([noise(), PLANES, noise()])


def test_many_such_pictures_at_every_door(network):
    many, wanted = np.stack([PLANES] * 5), r"\(5, 3, 7, 9\).*x.transpose\(0, 2, 3, 1\) makes N×H×W"
    for call in (
        lambda: network.predict(many),
        lambda: network.predict_each(many),
        lambda: Dataset(many, [0, 1, 0, 1, 0]),
        lambda: network.evaluate((many, [0, 1, 0, 1, 0])),
        lambda: BatchStream([(many, np.zeros(5, int))]).first(),
        lambda: Preprocessing.fit(many),
        lambda: Preprocessing((7, 9), 3, (0.5,) * 3, (0.25,) * 3).apply(many),
    ):
        with pytest.raises(ShapeError, match=wanted):
            call()


def test_such_pictures_in_a_file(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.stack([PLANES] * 4), y=[0, 1, 0, 1])
    with pytest.raises(ninc.FileError, match=r"x.npz: 'x' .*x.transpose\(0, 2, 3, 1\) makes N×H"):
        load(tmp_path / "x.npz")


def test_one_picture_for_explain_and_framing(network):
    for call in (
        lambda: ninc.explain(network, PLANES),
        lambda: ninc.preprocess.open_picture(PLANES),
    ):
        with pytest.raises(ShapeError, match=r"x.transpose\(1, 2, 0\) makes H×W×C of it"):
            call()


def test_three_grey_pictures_for_a_grey_network_are_a_remark(grey):
    three = noise(7, 9, seed=1).transpose(2, 0, 1)
    with remarks() as told:
        rows = grey.predict(three)
    assert len(rows) == 3
    assert told == [
        "predict: (3, 7, 9) is read as 3 grey pictures; for one RGB picture use "
        "x.transpose(1, 2, 0)"
    ]
    with remarks() as told:
        np.testing.assert_array_equal(grey.predict(three[..., None]), rows)
        assert len(grey.predict(np.zeros((4, 7, 9), np.uint8))) == 4
        assert len(grey.predict(np.zeros((3, 7, 3), np.uint8))) == 1
    assert told == []


# ---- Numbers of another type ---------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pictures_in_0_to_1(network, dtype):
    picture = noise(7, 9)
    x = (picture / 255).astype(dtype)
    hint = r"\(x \* 255\).round\(\).astype\(np.uint8\) makes uint8 of values in 0..1"
    for call in (
        lambda: network.predict(x),
        lambda: network.predict(x[None]),
        lambda: network.predict([picture, x]),
        lambda: ninc.explain(network, x),
        lambda: Preprocessing.fit(x[None]),
    ):
        with pytest.raises(ShapeError, match=f"got float.*{hint}"):
            call()
    # Every pixel comes back: cut off and not rounded, some would be one less.
    np.testing.assert_array_equal((x * 255).round().astype(np.uint8), picture)


def test_pictures_of_whole_numbers(network):
    for call in (network.predict, lambda x: ninc.explain(network, x)):
        with pytest.raises(ShapeError, match=r"got int64.*x.astype\(np.uint8\) makes uint8 of val"):
            call(noise(7, 9).astype(np.int64))


# ---- Inputs of the network itself ----------------------------------------------------------------


def test_one_picture_without_the_axis_of_pictures(network):
    x = np.zeros((3, 6, 8), np.float32)
    trainer = ninc.Trainer(network)
    for call in (network, network.class_maps, lambda x: trainer.step(x, [0])):
        with pytest.raises(ShapeError, match=r"3×6×8\); x\[np.newaxis\] makes N×C×H×W of one"):
            call(x)
        with pytest.raises(ShapeError, match=r"x.transpose\(2, 0, 1\)\[np.newaxis\] makes N×C×H×"):
            call(x.transpose(1, 2, 0))
    assert network(x[np.newaxis]).shape == (1, 3)
    assert network(x.transpose(1, 2, 0).transpose(2, 0, 1)[np.newaxis]).shape == (1, 3)


def pools():
    """Takes pictures from 10×10 on: less 2, and three pools halve it."""
    made = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.MaxPool2d(2), nn.AvgPool2d(2), nn.Conv2d(4, 2, 1),
        nn.GlobalAvgPool2d(),
    )  # fmt: skip
    made.preprocessing = Preprocessing(None, 3, (0.5,) * 3, (0.25,) * 3)
    return made


@pytest.mark.parametrize("height, width", [(9, 9), (2, 2), (1, 1), (9, 40), (40, 9)])
def test_what_is_too_small_is_told_with_the_least_that_does(height, width):
    made = pools()
    shape = (1, 3, height, width)
    words = (
        rf"the network was given 3×{height}×{width}, and the least square that it takes is 3×10×10"
    )
    x, picture = np.zeros(shape, np.float32), np.zeros((height, width, 3), np.uint8)
    data = Dataset(np.stack([picture, picture]), [0, 1])
    for call in (
        lambda: made(x),
        lambda: made.class_maps(x),
        lambda: made.summary(shape),
        lambda: made.plan(shape),
        lambda: made.predict(picture),
        lambda: made.evaluate(data),
        lambda: ninc.Trainer(made).fit(data, progress=False),
    ):
        with pytest.raises(ShapeError, match=words):
            call()
    assert made(np.zeros((1, 3, 10, 10), np.float32)).shape == (1, 2)


def test_no_size_is_named_where_none_would_do():
    made = pools()
    with pytest.raises(ShapeError) as told:
        made(np.zeros((1, 5, 9, 9), np.float32))
    assert "expected 3 input channels, got 5" in str(told.value)
    assert "least square" not in str(told.value)
    flat = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 30 * 30, 2))
    with pytest.raises(ShapeError, match="least square that it takes is 3×32×32"):
        flat(np.zeros((1, 3, 2, 2), np.float32))
    with pytest.raises(ShapeError) as told:
        flat(np.zeros((1, 3, 33, 33), np.float32))  # too large, and the network takes one size
    assert "least square" not in str(told.value)


def test_a_wrong_type_is_no_matter_of_size():
    net = ninc.models.nin_cifar10()
    x = np.zeros((1, 3, 32, 32))
    for call in (net, net.outputs, net.class_maps):
        with pytest.raises(ninc.DTypeError, match=r"use x.astype\(np.float32\)$"):
            call(x)


# ---- Evaluation ----------------------------------------------------------------------------------


def test_a_network_evaluates_as_its_trainer_does():
    made, data = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.GlobalAvgPool2d()), bars(40)
    made.preprocessing = Preprocessing((8, 8), 1, (0.5,), (0.25,))
    one, other = made.evaluate(data, batch_size=7), ninc.Trainer(made).evaluate(data)
    assert one.accuracy == other.accuracy and one.loss == pytest.approx(other.loss, rel=1e-6)
    np.testing.assert_array_equal(one.confusion, other.confusion)
    assert made.evaluate((data.images, data.labels)).count == 40
    with pytest.raises(ArgumentError, match=r"got ndarray; did you mean evaluate\(\(x, y\)\)\?$"):
        made.evaluate(data.images, data.labels)
