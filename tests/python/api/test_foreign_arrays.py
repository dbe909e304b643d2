"""Arrays of other libraries, and masked ones, wherever users hand in arrays."""

import re

import numpy as np
import pytest

import ninc
from ninc import functional as F
from ninc import nn
from ninc.data import BatchStream, Dataset
from ninc.errors import ArgumentError, DTypeError
from ninc.preprocess import Preprocessing, Whitening
from support.foreign_arrays import ByArray, ByDLPack, Unreadable, masked
from support.small_pictures import picture_network, random_bytes
from support.small_training import bars, batch, small_network
from support.weights import assert_same_weights

KINDS = [ByDLPack, ByArray]


def torch_tensor(array):
    return pytest.importorskip("torch").from_numpy(np.ascontiguousarray(array))


def jax_array(array):
    return pytest.importorskip("jax").numpy.asarray(array)


ALL_KINDS = [*KINDS, torch_tensor, jax_array]

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 3, 6, 6)).astype(np.float32)
Y = RNG.normal(size=(2, 4, 6, 6)).astype(np.float32)
WEIGHT = RNG.normal(size=(4, 3, 3, 3)).astype(np.float32)
CHANNELS = RNG.uniform(0.5, 1, 3).astype(np.float32)
ROWS = RNG.normal(size=(2, 3)).astype(np.float32)
MATRIX = RNG.normal(size=(4, 3)).astype(np.float32)
LABELS = np.array([0, 2])

# Functions with arrays for all of their arguments.
CALLS = {
    "conv2d": (lambda *a: F.conv2d(*a, padding="same"), X, WEIGHT, MATRIX[:, 0].copy()),
    "conv2d_backward": (lambda *a: F.conv2d_backward(*a, padding=1), Y, X, WEIGHT),
    "mlpconv": (lambda x, w, b: F.mlpconv(x, [(w, b)]), X, WEIGHT, MATRIX[:, 0].copy()),
    "linear": (F.linear, ROWS, MATRIX, MATRIX[:, 0].copy()),
    "linear_backward": (F.linear_backward, ROWS @ MATRIX.T, ROWS, MATRIX),
    "relu": (F.relu, ROWS),
    "softmax": (F.softmax, X),
    "softmax_cross_entropy": (F.softmax_cross_entropy, ROWS, LABELS),
    "max_pool2d": (lambda x: F.max_pool2d(x, 2), X),
    "avg_pool2d_backward": (lambda dy, x: F.avg_pool2d_backward(dy, x, 1), X, X),
    "global_avg_pool2d": (F.global_avg_pool2d, X),
    "global_avg_pool2d_backward": (F.global_avg_pool2d_backward, ROWS, X),
    "batch_norm2d": (F.batch_norm2d, X, CHANNELS, CHANNELS, CHANNELS, CHANNELS),
    "batch_norm2d in training": (
        lambda x, w, b: F.batch_norm2d(x, None, None, w, b, training=True),
        X,
        CHANNELS,
        CHANNELS,
    ),
    "batch_norm2d of none": (
        lambda x, w, b: F.batch_norm2d(x, None, None, w, b, training=True),
        X[:0],
        CHANNELS,
        CHANNELS,
    ),
    "batch_norm2d_backward": (
        lambda dy, x, w: F.batch_norm2d_backward(dy, x, None, None, w, training=True),
        X,
        X,
        CHANNELS,
    ),
    "Flip": (lambda x: ninc.augment.Flip(1.0)(x, np.random.default_rng(0)), X),
}


def flat(result):
    """The arrays of a result, which may be a tuple of arrays and numbers."""
    return [np.asarray(one) for one in (result if isinstance(result, tuple) else (result,))]


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("name", CALLS)
def test_functions(name, kind):
    call, *arrays = CALLS[name]
    wanted = flat(call(*arrays))
    for place in (*range(len(arrays)), None):  # one of them, and all
        given = [kind(a) if place in (i, None) else a for i, a in enumerate(arrays)]
        for one, other in zip(flat(call(*given)), wanted):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", CALLS)
def test_functions_refuse_masked_values(name):
    call, *arrays = CALLS[name]
    for place, array in enumerate(arrays):
        if not array.size:
            continue
        given = [*arrays]
        given[place] = masked(array, 2)
        with pytest.raises(DTypeError, match="has 2 masked values; fill them: x.filled"):
            call(*given)
        given[place] = masked(array, 0)
        for one, other in zip(flat(call(*given)), flat(call(*arrays))):
            np.testing.assert_array_equal(one, other)


def test_the_message_names_function_and_argument():
    with pytest.raises(DTypeError, match="conv2d: weight: this Unreadable .*detach"):
        F.conv2d(X, Unreadable(WEIGHT))
    with pytest.raises(DTypeError, match="relu: x: this ByDLPack is on a GPU; copy it to the CPU"):
        F.relu(ByDLPack(X, 2))
    with pytest.raises(DTypeError, match="relu: x: expected float32, got float64"):
        F.relu(ByArray(X.astype(float)))
    with pytest.raises(DTypeError, match="relu: x: expected a numpy array of float32, got list"):
        F.relu([1.0])


@pytest.mark.skipif(not hasattr(np, "from_dlpack"), reason="numpy before 1.23")
def test_running_statistics_are_updated_where_they_lie():
    wanted = [np.zeros(3, np.float32), np.ones(3, np.float32)]
    F.batch_norm2d(X, *wanted, CHANNELS, CHANNELS, training=True)
    found = [np.zeros(3, np.float32), np.ones(3, np.float32)]
    if np.lib.NumpyVersion(np.__version__) < "2.0.0":
        with pytest.raises(ArgumentError, match="read-only"):
            F.batch_norm2d(X, *map(ByDLPack, found), CHANNELS, CHANNELS, training=True)
        return
    F.batch_norm2d(X, *map(ByDLPack, found), CHANNELS, CHANNELS, training=True)
    np.testing.assert_array_equal(found, wanted)
    with pytest.raises(DTypeError, match="batch_norm2d: mean: expected a numpy array"):
        F.batch_norm2d(X, *map(ByArray, found), CHANNELS, CHANNELS, training=True)


# ---- Networks and trainers -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_a_network(kind):
    network = picture_network()
    np.testing.assert_array_equal(network(kind(X)), network(X))
    np.testing.assert_array_equal(network.class_maps(kind(X)), network.class_maps(X))
    other = nn.Sequential(nn.MlpConv(3, (8, 3), 3, logits=True), nn.GlobalAvgPool2d(), seed=9)
    arrays = {name: array.copy() for name, array in network.state_dict().items()}
    other.load_state_dict({name: kind(array) for name, array in arrays.items()})
    assert_same_weights(other, network)


def test_what_a_network_refuses():
    network = picture_network()
    with pytest.raises(DTypeError, match="predict and ninc.explain take them as they are"):
        network(ByDLPack(random_bytes(1, 6, 8, 3)))
    for call in (network, network.class_maps):
        with pytest.raises(DTypeError, match="x: has 7 masked values"):
            call(masked(X, 7))
    before = {name: array.copy() for name, array in network.state_dict().items()}
    name, first = next(iter(before.items()))
    for wrong, words in (
        (masked(first, 1), "has 1 masked value;"),
        (Unreadable(first), r"cannot be read \(use tensor.detach\(\) first\)"),
        (ByDLPack(first, 2), "is on a GPU"),
    ):
        with pytest.raises(DTypeError, match=f"load_state_dict: {re.escape(name)}: .*{words}"):
            network.load_state_dict({**before, name: wrong})
    with pytest.raises(DTypeError, match="got list"):
        network.load_state_dict({**before, name: first.tolist()})
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_a_step(kind):
    x, labels = batch()
    one, other = small_network(), small_network()
    loss = ninc.Trainer(one).step(x, labels)
    assert ninc.Trainer(other).step(kind(x), kind(labels.astype(np.int32))) == loss
    assert_same_weights(one, other)


def test_what_a_step_refuses():
    x, labels = batch()
    trainer = ninc.Trainer(small_network())
    for given in ((masked(x, 3), labels), (x, masked(labels, 3)), (x, list(masked(labels, 3)))):
        with pytest.raises(DTypeError, match="masked value"):
            trainer.step(*given)
    with pytest.raises(DTypeError, match="step: labels: this ByDLPack is on a GPU"):
        trainer.step(x, ByDLPack(labels, 2))


# ---- Data ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_data_sets(kind):
    data = bars(24)
    wanted = small_network()
    ninc.Trainer(wanted).fit((data.images, data.labels), epochs=1, batch_size=8, progress=False)
    network = small_network()
    given = kind(data.images), kind(data.labels)
    ninc.Trainer(network).fit(given, epochs=1, batch_size=8, progress=False)
    assert_same_weights(network, wanted)
    assert Dataset(*given).fingerprint() == Dataset(data.images, data.labels).fingerprint()
    batches = [(kind(data.images[i : i + 8]), kind(data.labels[i : i + 8])) for i in (0, 8, 16)]
    for (x, y), start in zip(BatchStream(batches).epoch(), (0, 8, 16)):
        np.testing.assert_array_equal(x, data.images[start : start + 8])
        np.testing.assert_array_equal(y, data.labels[start : start + 8])


def test_an_array_in_memory_is_taken_without_a_copy():
    images = random_bytes(4, 5, 5, 3)
    assert np.shares_memory(Dataset(ByDLPack(images), [0, 1, 0, 1]).images, images)


def test_what_data_sets_refuse():
    images, labels = random_bytes(4, 5, 5, 3), np.array([0, 1, 0, 1])
    words = np.array(["cat", "dog", "cat", "dog"])
    for given, what in (
        ((masked(images, 5), labels), "images: has 5 masked values"),
        (([masked(image, 5) for image in images], labels), "images: has 5 masked values"),
        ((images, masked(labels, 1)), "labels: has 1 masked value;"),
        ((images, list(masked(labels, 1))), "labels: has 1 masked value;"),
        ((images, masked(words, 2)), "labels: has 2 masked values"),
        ((images, labels, list(masked(words[:2], 1))), "classes: has 1 masked value;"),
        ((ByDLPack(images, 2), labels), "images: this ByDLPack is on a GPU"),
        ((images, ByDLPack(labels, 2)), "labels: this ByDLPack is on a GPU"),
        ((images, Unreadable(labels)), "labels: this Unreadable"),
    ):
        with pytest.raises(DTypeError, match=f"Dataset: {what}"):
            Dataset(*given)
    data = Dataset(masked(images, 0), masked(labels, 0), ["cat", "dog"])
    assert type(data.images) is np.ndarray
    with pytest.raises(DTypeError, match="indices: has 1 masked value"):
        data.subset(masked(np.arange(2), 1))
    stream = BatchStream([(images, labels), (masked(images, 1), labels)])
    with pytest.raises(DTypeError, match="BatchStream: batch 2: x: has 1 masked value;"):
        list(stream.epoch())


class OfNetCdf:
    """Read as it goes, and gives masked arrays of what nobody has written yet."""

    def __init__(self, array, missing):
        self._array, self.shape, self.dtype = array, array.shape, array.dtype
        self.missing = missing

    def __len__(self):
        return len(self._array)

    def __getitem__(self, chosen):
        block = np.ma.masked_array(self._array[chosen])
        if self.missing:
            block[0] = np.ma.masked
        return block


def test_what_is_read_as_it_goes_may_give_masked_arrays():
    images, labels = random_bytes(4, 5, 5, 3), [0, 1, 0, 1]
    whole, holes = OfNetCdf(images, False), OfNetCdf(images, True)
    np.testing.assert_array_equal(Dataset(whole, labels).images[1:3], images[1:3])
    for chosen in (slice(1, 3), [3, 1], [2]):
        with pytest.raises(DTypeError, match="Dataset: images: has 75 masked values"):
            Dataset(holes, labels).images[chosen]
    with pytest.raises(DTypeError, match="Dataset: images: has 75 masked values"):
        Dataset(holes, labels).images.read_all()
    assert Preprocessing.fit(whole) == Preprocessing.fit(images)
    for kind in ("normalize", "gcn_zca"):
        with pytest.raises(DTypeError, match="images: has 75 masked values"):
            Preprocessing.fit(holes, kind)


# ---- Pictures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_pictures(kind):
    pytest.importorskip("PIL.Image")
    network, pictures = picture_network(), random_bytes(3, 7, 9, 3)
    wanted = network.predict(pictures)
    np.testing.assert_array_equal(network.predict(kind(pictures)), wanted)
    np.testing.assert_array_equal(network.predict(kind(pictures[1])), wanted[1:2])
    if kind is not ByArray:  # which tells no shape before it is read
        assert network.predict(kind(pictures[:0])).shape == (0, 3)
    np.testing.assert_array_equal(network.predict([kind(one) for one in pictures]), wanted)
    mixed = [pictures[0], kind(pictures[1:])]
    np.testing.assert_array_equal(network.predict(mixed), wanted)
    explained = ninc.explain(network, kind(pictures[0]))
    np.testing.assert_array_equal(explained.heat, ninc.explain(network, pictures[0]).heat)
    fitted = Preprocessing.fit(pictures)
    assert Preprocessing.fit(kind(pictures)) == fitted
    np.testing.assert_array_equal(fitted.apply(kind(pictures)), fitted.apply(pictures))
    np.testing.assert_array_equal(
        network.predict(fitted.resize_and_crop(kind(pictures[0]))),
        network.predict(fitted.resize_and_crop(pictures[0])),
    )


def test_what_pictures_are_refused():
    pytest.importorskip("PIL.Image")
    network, pictures = picture_network(), random_bytes(3, 7, 9, 3)
    for call in (
        network.predict,
        lambda given: network.predict(list(given)),
        lambda given: network.predict([given[0]]),
        lambda given: ninc.explain(network, given[0]),
        Preprocessing.fit,
        Preprocessing.fit(pictures).apply,
        lambda given: Preprocessing.fit(pictures).resize_and_crop(given[0]),
    ):
        with pytest.raises(DTypeError, match="has 9 masked values"):
            call(masked(pictures, 9))
    with pytest.raises(DTypeError, match=r"predict: images\[2\]: picture: has 4 masked values"):
        network.predict([*pictures[:2], masked(pictures[2], 4)])
    with pytest.raises(DTypeError, match="predict: pictures: this ByDLPack is on a GPU"):
        network.predict(ByDLPack(pictures, 2))
    with pytest.raises(DTypeError, match=r"predict: images\[1\]: picture: this ByDLPack is on a"):
        network.predict([pictures[0], ByDLPack(pictures[1], 2)])
    with pytest.raises(DTypeError, match="preprocessing: images: this ByDLPack is on a GPU"):
        Preprocessing.fit(pictures).apply(ByDLPack(pictures, 2))


def test_a_whitenings_arrays():
    mean, matrix = np.zeros(3, np.float32), np.eye(3, dtype=np.float32)
    wanted = Whitening(mean, matrix)
    assert Whitening(ByArray(mean), ByDLPack(matrix)) == wanted
    with pytest.raises(DTypeError, match="whitening: matrix: has 1 masked value;"):
        Whitening(mean, masked(matrix, 1))


def test_tables_of_pandas():
    pandas = pytest.importorskip("pandas")
    images = random_bytes(4, 5, 5, 3)
    words = pandas.Series(["cat", "dog", "cat", "dog"], index=[9, 7, 5, 3])
    assert Dataset(images, words).labels.tolist() == [0, 1, 0, 1]
    assert Dataset(images, words.astype("category")).classes == ["cat", "dog"]
    assert Dataset(images, pandas.Series([0, 1, 0, 1], dtype="Int64")).labels.tolist() == [
        0,
        1,
        0,
        1,
    ]
    with pytest.raises(DTypeError, match="Dataset"):
        Dataset(images, pandas.Series([0, 1, None, 1], dtype="Int64"))
    with pytest.raises(DTypeError, match="Dataset: image 1 has"):
        Dataset(images, pandas.Series(["cat", None, "dog", "dog"], dtype=object))
    frame = pandas.DataFrame(ROWS)
    np.testing.assert_array_equal(F.linear(frame, MATRIX), F.linear(ROWS, MATRIX))
