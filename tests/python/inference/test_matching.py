"""Data are compared with what a network holds: classes by name, pictures by how they were made."""

import numpy as np
import pytest

import ninc
from ninc import nn
from ninc.data import BatchStream, Dataset
from ninc.errors import ArgumentError
from ninc.formats.metadata import stored_preprocessing
from ninc.inference.evaluation import evaluate
from ninc.preprocess import Framing, Preprocessing

COLOURS = {"moss": (40, 120, 40), "rust": (180, 60, 20), "sand": (220, 200, 120)}


def colours(names, count=6, size=8, order=None):
    """`count` pictures of each named colour; labels count `order`."""
    order = list(order or names)
    rng = np.random.default_rng(len(names) + size)
    labels = np.repeat([order.index(name) for name in names], count)
    pixels = np.array([COLOURS[name] for name in names]).repeat(count, 0)[:, None, None]
    noise = rng.normal(0, 8, (len(labels), size, size, 3))
    return Dataset(np.clip(pixels + noise, 0, 255).astype(np.uint8), labels, order)


def network(classes=3, channels=3):
    return nn.Sequential(nn.Conv2d(channels, classes, 1), nn.GlobalAvgPool2d(), seed=1)


def trained(names=("moss", "rust", "sand"), epochs=60):
    net = network(len(names))
    ninc.Trainer(net, ninc.SGD(0.2, momentum=0.9)).fit(
        colours(list(names)), epochs=epochs, batch_size=9, progress=False
    )
    assert evaluate(net, colours(list(names))).accuracy == 1
    return net


def test_names_in_another_order_or_fewer_of_them_are_mapped():
    net = trained()
    for other in (
        colours(["sand", "moss", "rust"]),
        colours(["rust"]),
        colours(["sand", "moss"], order=["sand", "rust", "moss"]),
    ):
        result = evaluate(net, other)
        assert result.accuracy == 1 and result.classes == ["moss", "rust", "sand"]
        counts = dict(zip(result.classes, result.confusion.sum(1)))
        there = {name: int((other.labels == i).sum()) for i, name in enumerate(other.classes)}
        assert {name: count for name, count in counts.items() if count} == {
            name: count for name, count in there.items() if count
        }


def test_validation_with_fewer_classes_keeps_its_labels():
    net = network()
    trainer = ninc.Trainer(net, ninc.SGD(0.2, momentum=0.9))
    history = trainer.fit(
        colours(["moss", "rust", "sand"]), colours(["rust", "sand"]), 60, 9, progress=False
    )
    assert history["val_accuracy"][-1] == 1


def test_training_on_with_names_in_another_order():
    net = trained()
    trainer = ninc.Trainer(net, ninc.SGD(0.0))
    history = trainer.fit(colours(["sand", "moss", "rust"]), epochs=1, progress=False)
    assert history["accuracy"] == [1] and net.classes == ["moss", "rust", "sand"]


def test_other_classes_are_an_error_that_says_how_to_go_on():
    net = trained(("moss", "rust"))
    for call, where in (
        (lambda: evaluate(net, colours(["rust", "sand"])), "evaluate"),
        (lambda: ninc.Trainer(net).fit(colours(["rust", "sand"]), progress=False), "fit"),
        (
            lambda: ninc.Trainer(net).fit(
                colours(["moss", "rust"]), colours(["sand"]), progress=False
            ),
            "fit: validation",
        ),
    ):
        with pytest.raises(
            ArgumentError, match=f"{where}: 'sand' of the data is not among .*'moss', 'rust'.*head"
        ):
            call()
    assert net.classes == ["moss", "rust"]


def test_a_network_without_names_and_other_numbers_of_classes():
    for outputs in (5, 2):
        words = f"{outputs} outputs and the data 3 classes"
        with pytest.raises(ArgumentError, match=f"{words}.*num_classes=3.*new_head"):
            ninc.Trainer(network(outputs)).fit(colours(["moss", "rust", "sand"]), progress=False)
    net = network(5)
    net.preprocessing = Preprocessing((8, 8), 3, (0.5,) * 3, (0.25,) * 3)
    with pytest.raises(ArgumentError, match="evaluate: the network has 5 outputs.*num_classes=3"):
        evaluate(net, colours(["moss", "rust", "sand"]))


def test_numbers_count_the_outputs_of_a_network_without_names():
    net = trained()
    net.classes = None
    named = colours(["moss", "rust", "sand"])
    kept = named.labels != 1
    result = evaluate(net, (named.images[kept], named.labels[kept]))  # the labels are 0 and 2
    assert result.accuracy == 1 and result.confusion.sum(1).tolist() == [6, 0, 6]


def test_labels_without_names_count_the_outputs_of_a_network_with_names():
    net = trained()
    named = colours(["moss", "rust", "sand"])
    assert evaluate(net, (named.images, named.labels)).accuracy == 1
    kept = named.labels != 1
    assert evaluate(net, Dataset(named.images[kept], named.labels[kept], list("012"))).accuracy == 1
    with pytest.raises(ArgumentError, match="label 7 .* counts beyond .* 3 classes"):
        evaluate(net, Dataset(named.images, np.full(18, 7), [str(i) for i in range(8)]))


def test_channels_and_size_are_compared():
    net = trained()
    grey = Dataset(np.zeros((4, 8, 8, 1), np.uint8), [0, 1, 2, 0])
    large = colours(["moss", "rust", "sand"], size=12)
    for data, words in (
        (grey, "have channels 1, but the network's are 8×8 by crop, RGB.*channels=3"),
        (large, r"have size \(12, 12\), but .*load them with size=\(8, 8\)"),
        (BatchStream([(large.images, large.labels)]), r"have size \(12, 12\)"),
    ):
        with pytest.raises(ArgumentError, match=f"fit: the pictures {words}"):
            ninc.Trainer(net).fit(data, epochs=1, progress=False)
    with pytest.raises(ArgumentError, match="evaluate: the pictures have size"):
        evaluate(net, large)


def test_how_pictures_were_framed_is_compared(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for name, colour in COLOURS.items():
        (tmp_path / name).mkdir()
        for index in range(3):
            image.new("RGB", (16, 10), colour).save(tmp_path / name / f"{index}.png")

    def load(**options):
        return ninc.data.load(tmp_path, "all", size=(8, 8), **options)

    net = network()
    ninc.Trainer(net, ninc.SGD(0.1)).fit(load(fit="pad"), epochs=1, progress=False)
    assert net.preprocessing["fit"] == "pad"
    evaluate(net, load(fit="pad"))
    for other, words in (
        (load(), "fit crop.*load them with fit='pad'"),
        (load(fit="pad", ground=(0, 0, 0)), r"ground \(0, 0, 0\).*ground=\(255, 255, 255\)"),
        (load(resize=9), "resize 9, fit crop.*resize=None, fit='pad'"),
    ):
        with pytest.raises(ArgumentError, match=words):
            evaluate(net, other)
    # Of arrays nobody says how they were made; of the right size, they are taken as they are.
    evaluate(net, (load(fit="squash").images, load().labels))


def test_a_network_that_takes_pictures_of_any_size():
    net = trained()
    stored = stored_preprocessing(net.core)
    net.preprocessing = Preprocessing(None, 3, stored.mean, stored.std)
    assert evaluate(net, colours(["moss", "rust"], size=12)).accuracy == 1


def test_an_array_source_of_the_right_size_has_no_framing(tmp_path):
    data = colours(["moss", "rust"])
    np.savez(tmp_path / "d.npz", x=data.images, y=data.labels)
    assert ninc.data.load(tmp_path / "d.npz", "all").framing is None
    asked = ninc.data.load(tmp_path / "d.npz", "all", size=(8, 8), fit="squash")
    assert asked.framing == Framing((8, 8), 3, fit="squash")


def test_streams_with_names_are_mapped_as_data_sets_are():
    net = trained()
    swapped = colours(["sand", "moss", "rust"])
    batches = [(swapped.images[i : i + 6], swapped.labels[i : i + 6]) for i in range(0, 18, 6)]
    trainer = ninc.Trainer(net, ninc.SGD(0.0))
    for stream in (
        BatchStream(batches, swapped.classes),
        BatchStream(lambda: iter(batches), swapped.classes),
        BatchStream(iter(batches), swapped.classes),
        BatchStream([(x, y[:, None]) for x, y in batches], swapped.classes),
        BatchStream([(x, np.eye(3)[y]) for x, y in batches], swapped.classes),
    ):
        stream.first()  # what was fetched before is mapped too
        assert trainer.fit(stream, epochs=1, progress=False)["accuracy"] == [1]
    assert net.classes == ["moss", "rust", "sand"]
    with pytest.raises(ArgumentError, match="fit: 'lime' of the data is not among the network's"):
        trainer.fit(BatchStream(batches, ["sand", "moss", "lime"]), epochs=1, progress=False)
    with pytest.raises(ArgumentError, match="5 outputs and the data 3 classes.*num_classes=3"):
        new = network(5)
        new.preprocessing = stored_preprocessing(net.core)
        ninc.Trainer(new).fit(BatchStream(batches, swapped.classes), epochs=1, progress=False)


def test_names_that_stand_twice_cannot_be_mapped():
    net = trained()
    net.classes = ["moss", "sand", "sand"]
    with pytest.raises(ArgumentError, match="'sand' is the name of several of the network's"):
        evaluate(net, colours(["moss", "rust", "sand"]))
    twice = Dataset(colours(["moss"]).images, [0] * 6, ["moss", "sand", "sand"])
    assert evaluate(net, twice).confusion.sum() == 6  # the same names: nothing is to be mapped
