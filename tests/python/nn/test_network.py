"""Network: weights in and out, pictures to probabilities, files."""

import json
import pathlib

import numpy as np
import pytest

import ninc
from ninc import functional as F
from ninc import nn
from ninc.errors import (
    ArgumentError,
    DeviceError,
    DTypeError,
    FileError,
    ModelError,
    ShapeError,
)
from ninc.preprocess import Preprocessing
from support.weights import assert_same_weights, copies


def small_network(seed=0):
    return nn.Sequential(
        nn.MlpConv(3, (6, 5), 3, padding=1, batch_norm=True),
        nn.MaxPool2d(2),
        nn.Conv2d(5, 4, 1),
        nn.GlobalAvgPool2d(),
        seed=seed,
    )


@pytest.fixture
def network():
    return small_network()


@pytest.fixture
def pictured(network):
    network.preprocessing = Preprocessing((8, 8), 3, (0.5, 0.4, 0.3), (0.25,) * 3).to_dict()
    network.classes = ["a", "b", "c", "d"]
    return network


# ---- Weights -------------------------------------------------------------------------------------


def test_state_dict_is_read_only_and_stays_as_it_is(network):
    state = network.state_dict()
    weight = state["conv1.weight"]
    assert weight.dtype == np.float32 and weight.shape == (6, 3, 3, 3)
    with pytest.raises(ValueError, match="read-only"):
        weight[0] = 1
    with pytest.raises(ValueError):
        weight.flags.writeable = True
    before = weight.copy()
    network.load_state_dict({name: value + 1 for name, value in state.items()})
    np.testing.assert_array_equal(weight, before)
    np.testing.assert_array_equal(network.state_dict()["conv1.weight"], before + 1)


def test_views_outlive_their_network():
    weight = small_network().state_dict()["conv1.weight"]
    expected = weight.copy()
    networks = [small_network(seed) for seed in range(1, 4)]  # takes what memory became free
    np.testing.assert_array_equal(weight, expected)
    assert len(networks) == 3


def test_load_state_dict_tells_all_that_is_wrong_and_changes_nothing(network):
    before = copies(network)
    new = {name: value + 1 for name, value in before.items()}

    def refused(kind, *words, **changes):
        values = {**new, **changes}
        values = {name: value for name, value in values.items() if value is not None}
        with pytest.raises(kind) as told:
            network.load_state_dict(values)
        for word in words:
            assert word in str(told.value), told.value
        assert_same_weights(network, before)

    wrong = np.zeros((6, 3, 1, 1), np.float32)
    refused(ShapeError, "conv1.weight is 6×3×1×1 instead of 6×3×3×3", **{"conv1.weight": wrong})
    refused(ModelError, "missing: conv1.weight", **{"conv1.weight": None})
    refused(ModelError, "unknown: fc.weight", **{"fc.weight": wrong})
    refused(
        ModelError, "missing: conv2.bias", "unknown: z", "of another shape: conv1.weight",
        **{"conv1.weight": wrong, "conv2.bias": None, "z": wrong},
    )  # fmt: skip
    # The last in order, so that all before it could have been written already.
    last = list(before)[-1]
    refused(DTypeError, last, "float64", **{last: before[last].astype(np.float64)})
    refused(DTypeError, last, **{last: before[last].tolist()})


def test_load_state_dict_takes_any_layout(network, rng):
    values = {
        name: np.asfortranarray(rng.standard_normal(value.shape, np.float32))[..., ::-1]
        for name, value in network.state_dict().items()
    }
    network.load_state_dict(values)
    assert_same_weights(network, values)


# ---- Running -------------------------------------------------------------------------------------


def test_any_strides_give_the_same_bits(network, rng):
    x = rng.standard_normal((3, 3, 9, 10), np.float32)
    expected = network(x)
    assert expected.shape == (3, 4) and expected.dtype == np.float32
    for other in (
        np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
        np.ascontiguousarray(x[:, ::-1, :, ::-1])[:, ::-1, :, ::-1],
        np.frombuffer(b"_" + x.tobytes(), np.uint8)[1:].view(np.float32).reshape(x.shape),
    ):
        np.testing.assert_array_equal(network(other), expected)


def test_each_picture_is_computed_alone(network, rng):
    x = rng.standard_normal((5, 3, 8, 8), np.float32)
    together = network(x)
    assert network(x[:0]).shape == (0, 4)
    alone = np.concatenate([network(x[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)


def test_maps_stay_maps(rng):
    x = rng.standard_normal((2, 3, 7, 6), np.float32)
    assert nn.Sequential(nn.Conv2d(3, 5, 3))(x).shape == (2, 5, 5, 4)


def test_refuses_what_does_not_fit(network):
    x = np.zeros((1, 3, 8, 8), np.float32)
    for kind, wrong in (
        (ShapeError, x[0]),
        (ShapeError, x[:, :2]),
        (ShapeError, x[:, :, :1]),
        (DTypeError, x.astype(np.float64)),
        (DTypeError, x.astype(">f4")),
        (DTypeError, x.tolist()),
        (DTypeError, None),
    ):
        with pytest.raises(kind):
            network(wrong)


# ---- Pictures ------------------------------------------------------------------------------------


def test_predict_is_softmax_of_the_normalised_pictures(pictured, rng):
    images = rng.integers(0, 256, (7, 8, 8, 3), dtype=np.uint8)
    x = (images / 255 - [0.5, 0.4, 0.3]) / 0.25
    expected = F.softmax(pictured(x.transpose(0, 3, 1, 2).astype(np.float32)))
    for batch_size in (1, 3, 64):
        got = pictured.predict(images, batch_size=batch_size)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(pictured.predict(images).sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(pictured.predict(images[2]), expected[2:3], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(pictured.predict(list(images)), expected, rtol=1e-4, atol=1e-6)
    assert pictured.predict(images[:0]).shape == pictured.predict([]).shape == (0, 4)


def test_predict_keeps_the_order_of_mixed_sizes(pictured, rng):
    settings = pictured.preprocessing
    pictured.preprocessing = {**settings, "size": None}
    sizes = [(8, 8), (9, 7), (8, 8), (6, 12), (9, 7)]
    images = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    together = pictured.predict(images)
    for image, row in zip(images, together):
        np.testing.assert_allclose(pictured.predict(image)[0], row, rtol=1e-4, atol=1e-6)
    assert pictured.predict(np.zeros((0, 8, 8, 3), np.uint8)).shape == (0, 4)
    with pytest.raises(ArgumentError, match="no pictures"):
        pictured.predict([])


def test_predict_reads_and_resizes_files(pictured, tmp_path, rng):
    Image = pytest.importorskip("PIL.Image")
    picture = Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8))
    picture.save(tmp_path / "one.png")
    expected = pictured.predict(picture)
    assert expected.shape == (1, 4)
    for path in (tmp_path / "one.png", str(tmp_path / "one.png")):
        np.testing.assert_array_equal(pictured.predict(path), expected)
    mixed = [tmp_path / "one.png", np.asarray(picture), picture]
    np.testing.assert_allclose(
        pictured.predict(mixed), expected.repeat(3, axis=0), rtol=1e-5, atol=1e-7
    )
    with pytest.raises(FileError, match="none.png"):
        pictured.predict([tmp_path / "one.png", tmp_path / "none.png"])


def test_predict_does_not_repeat_a_softmax(rng):
    layers = nn.Conv2d(3, 4, 1), nn.GlobalAvgPool2d()
    images = rng.integers(0, 256, (2, 6, 6, 3), dtype=np.uint8)
    results = []
    for network in (nn.Sequential(*layers), nn.Sequential(*layers, nn.Softmax())):
        network.preprocessing = Preprocessing(None, 3, (0.0,) * 3, (1.0,) * 3).to_dict()
        results.append(network.predict(images))
    np.testing.assert_allclose(*results, rtol=1e-6)


def test_predict_refuses(network, pictured):
    image = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(ArgumentError, match="no preprocessing"):
        small_network().predict(image)
    with pytest.raises(ShapeError, match="uint8"):
        pictured.predict(image.astype(np.float32))
    with pytest.raises(ArgumentError, match="batch_size"):
        pictured.predict(image, batch_size=0)
    with pytest.raises(ArgumentError, match="a file name, the bytes of a file"):
        pictured.predict(7)
    maps = nn.Sequential(nn.Conv2d(3, 2, 1))
    maps.preprocessing = pictured.preprocessing
    with pytest.raises(ShapeError, match="one number a class"):
        maps.predict(image)


# ---- What is stored beside the weights -----------------------------------------------------------


def test_preprocessing_and_classes_can_be_set_and_taken_away(network):
    assert network.preprocessing is None and network.classes is None
    settings = Preprocessing((4, 5), 1, (0.5,), (0.25,)).to_dict()
    network.preprocessing = settings
    network.classes = ("cat", "naïve 犬", "c", "d")
    assert network.preprocessing == settings and network.classes == ["cat", "naïve 犬", "c", "d"]
    network.preprocessing = network.classes = None
    assert network.preprocessing is None and network.classes is None


def test_wrong_preprocessing_and_classes_are_told_and_not_stored(network):
    for wrong in ({}, {"size": [4, 5], "channels": 2, "mean": [0, 0], "std": [1, 1]}):
        with pytest.raises(ArgumentError, match="preprocessing"):
            network.preprocessing = wrong
    for wrong in ("cat", [1, 2]):
        with pytest.raises(ArgumentError, match="classes"):
            network.classes = wrong
    assert network.preprocessing is None and network.classes is None


@pytest.mark.parametrize("text", ["{", "[]", '"cat"'])
def test_damaged_metadata_is_told(network, text):
    network.core.change({"preprocessing": text})
    with pytest.raises(ModelError, match="preprocessing"):
        network.preprocessing  # noqa: B018


# ---- Files ---------------------------------------------------------------------------------------


def test_a_file_holds_everything(pictured, tmp_path, rng):
    path = tmp_path / "net.safetensors"
    pictured.save(path)
    x = rng.standard_normal((2, 3, 8, 8), np.float32)
    for place in (path, str(path)):
        loaded = ninc.load(place)
        np.testing.assert_array_equal(loaded(x), pictured(x))
        assert list(loaded.state_dict()) == list(pictured.state_dict())
        assert loaded.preprocessing == pictured.preprocessing
        assert loaded.classes == pictured.classes
        assert loaded.summary(x.shape) == pictured.summary(x.shape)
    assert [file.name for file in tmp_path.iterdir()] == ["net.safetensors"]


def test_a_file_is_safetensors(pictured, tmp_path):
    """Eight bytes of length, a JSON header, tensors: read here without a library."""
    path = tmp_path / "net.safetensors"
    pictured.save(path)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert json.loads(header["__metadata__"]["classes"]) == pictured.classes
    for name, value in pictured.state_dict().items():
        entry = header[name]
        begin, end = entry["data_offsets"]
        stored = np.frombuffer(content[8 + length + begin : 8 + length + end], "<f4")
        assert entry["dtype"] == "F32"
        np.testing.assert_array_equal(stored.reshape(entry["shape"]), value)


def test_files_that_cannot_be(network, tmp_path):
    with pytest.raises(FileError, match="none"):
        ninc.load(tmp_path / "none.safetensors")
    with pytest.raises(FileError):
        network.save(tmp_path / "no" / "folder.safetensors")
    with pytest.raises(OSError):  # FileError is one
        network.save(tmp_path)
    path = tmp_path / "cut.safetensors"
    network.save(path)
    content = path.read_bytes()
    for cut in (b"", content[:7], content[:100], content[:-1], content + b"x"):
        path.write_bytes(cut)
        with pytest.raises(ModelError, match="cut"):
            ninc.load(path)


def test_saving_over_a_file_keeps_the_old_one_on_failure(network, tmp_path):
    folder = pathlib.Path(tmp_path / "is a folder.safetensors")
    folder.mkdir()
    (folder / "inside").write_text("here")
    with pytest.raises(FileError):
        network.save(folder)
    assert [file.name for file in tmp_path.rglob("*")] == [folder.name, "inside"]


# ---- What it shows -------------------------------------------------------------------------------


def test_summary(network):
    table = network.summary((3, 8, 8))
    assert table == network.summary((16, 3, 8, 8))  # figures are of one picture
    lines = table.splitlines()
    rows = {line.split(" (")[0]: line.split() for line in lines[2:-2]}
    assert rows["conv1"][2:] == ["6×8×8", "162", "0.01"]
    assert rows["bn_conv1"][2:] == ["6×8×8", "12"]
    assert rows["pool1"][2:] == ["5×4×4"]
    assert rows["gap"][2:] == ["4×1×1"]
    assert lines[-1].split()[:2] == ["total", str(network.num_parameters)]
    with pytest.raises(ArgumentError, match="input_shape"):
        network.summary((8, 8))
    with pytest.raises(ShapeError, match="conv1"):
        network.summary((1, 8, 8))


def test_plan(network):
    plan = network.plan((2, 3, 8, 8))
    multiplications = 2 * 64 * (27 * 6 + 6 * 5) + 2 * 16 * 5 * 4
    assert plan.flops >= 2 * multiplications
    assert plan.arena_bytes > 0 and plan.packed_bytes > 0
    for name in ("conv1", "pool1", "gap"):
        assert name in plan.describe()
    training = network.plan((2, 3, 8, 8), training=True)
    assert training.flops > 2 * plan.flops and training.arena_bytes > plan.arena_bytes
    assert "2×3×8×8" in repr(plan) and "training" in repr(training)
    with pytest.raises(ShapeError, match="conv1"):
        network.plan((2, 4, 8, 8))


def test_loaded_networks_have_a_short_repr(network, tmp_path):
    network.save(tmp_path / "net.safetensors")
    loaded = ninc.load(tmp_path / "net.safetensors")
    assert repr(loaded) == f"<Network of 9 layers, {network.num_parameters:,} parameters>"


# ---- Devices and precision -----------------------------------------------------------------------


def test_devices(network):
    assert network.to("cpu") is network
    for name in ("cuda", "tpu"):
        with pytest.raises(DeviceError, match=name):
            network.to(name)


def test_precision(network, monkeypatch, rng):
    x = rng.standard_normal((1, 3, 8, 8), np.float32)
    assert network.precision == "float32"
    expected = network(x)
    for name in ("strict", "fast"):
        network.precision = name
        assert network.precision == name
        np.testing.assert_allclose(network(x), expected, rtol=2e-5, atol=2e-5)
    with pytest.raises(ArgumentError, match="'float32', 'strict' or 'fast'"):
        network.precision = "double"
    assert network.precision == "fast"
    monkeypatch.setenv("NINC_PRECISION", "strict")
    assert small_network().precision == "strict"
    monkeypatch.setenv("NINC_PRECISION", "double")
    with pytest.raises(ArgumentError, match="NINC_PRECISION"):
        small_network()
