"""Trainer and History: it learns, repeats itself, and stops when the loss does."""

import json
import math

import numpy as np
import pytest

import ninc
from ninc import nn
from ninc._base.progress import Counter, LiveLine, TrainingProgress, time_text
from ninc.augment import Compose, Flip, PadCrop
from ninc.averages import EMA
from ninc.data import Dataset
from ninc.errors import ArgumentError, DTypeError, ShapeError
from ninc.inference.evaluation import Evaluation, cross_entropy_sum, evaluate
from ninc.schedules import OneCycle
from ninc.training.record.history import History
from support.small_training import as_floats, bars, small_network
from support.weights import assert_same_weights, copies, same_bits


def fit(epochs=6, seed=0, **options):
    network = small_network()
    trainer = ninc.Trainer(
        network,
        ninc.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=1e-4),
        schedule=OneCycle(),
        augment=Compose(PadCrop(1), Flip()),
        label_smoothing=0.1,
        seed=seed,
    )
    history = trainer.fit(
        bars(), bars(seed=1), epochs=epochs, batch_size=16, progress=False, **options
    )
    return network, trainer, history


def test_it_learns_and_remembers_how_to_look():
    network, trainer, history = fit(epochs=10)
    assert history["val_accuracy"][-1] >= 0.9
    assert history["loss"][-1] < history["loss"][0]
    assert history["epoch"] == list(range(1, 11))
    assert set(history.rows[0]) == {
        "epoch", "lr", "momentum", "weight_decay", "loss", "accuracy", "seconds",
        "images_per_second", "waited", "val_loss", "val_accuracy",
    }  # fmt: skip
    assert network.classes == ["lying", "upright"]
    assert network.preprocessing["size"] == [8, 8]
    result = trainer.evaluate(bars(seed=1))
    assert result.accuracy == history["val_accuracy"][-1]
    assert result.loss == pytest.approx(history["val_loss"][-1])


def test_the_same_seed_gives_the_same_bits_on_any_threads(threads):
    networks = []
    for count in (1, 2, 3):
        threads(count)
        networks.append(fit(epochs=2)[0])
    for other in networks[1:]:
        assert_same_weights(other, networks[0])
    differs = fit(epochs=2, seed=1)[0]
    assert same_bits(differs, networks[0]) != set(differs.state_dict())


def test_the_saved_network_answers_as_the_trainer_did(tmp_path):
    network, trainer, _ = fit(epochs=2)
    network.save(tmp_path / "net.safetensors")
    loaded = ninc.load(tmp_path / "net.safetensors")
    test = bars(seed=1)
    mine, theirs = trainer.evaluate(test), evaluate(loaded, test)
    np.testing.assert_array_equal(mine.confusion, theirs.confusion)
    assert mine.loss == theirs.loss
    answers = loaded.predict(list(test.images)).argmax(axis=1)
    assert (answers == test.labels).mean() == mine.accuracy


def test_step_lowers_the_loss_of_its_batch():
    network = small_network()
    trainer = ninc.Trainer(network, ninc.SGD(0.05, momentum=0.9))
    x, labels = as_floats(bars(32))
    losses = [trainer.step(x, labels) for _ in range(30)]
    assert losses[0] == pytest.approx(math.log(2), abs=0.7)
    assert losses[-1] < 0.5 * losses[0]


def test_float_arrays_are_taken_as_they_are():
    network = small_network()
    history = ninc.Trainer(network).fit(as_floats(bars()), epochs=1, progress=False)
    assert network.preprocessing is None and "val_loss" not in history.rows[0]


def test_an_interrupt_keeps_the_finished_epochs():
    trainer = ninc.Trainer(small_network())

    def interrupt(epoch, epochs):
        if epoch >= 2:
            raise KeyboardInterrupt
        return 1.0

    trainer.schedule = interrupt
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(bars(), epochs=5, batch_size=32, progress=False)
    assert trainer.history["epoch"] == [1, 2]
    assert trainer.lr_factor == 1.0


@pytest.mark.parametrize(
    "x, labels, error",
    [
        (np.zeros((4, 3, 8, 8), np.float32), [0, 1, 0, 1], ShapeError),
        (np.zeros((4, 1, 8, 8), np.float64), [0, 1, 0, 1], DTypeError),
        (np.zeros((4, 1, 8, 8), np.float32), [0, 1, 0], ShapeError),
        (np.zeros((0, 1, 8, 8), np.float32), np.zeros(0, int), ShapeError),
        (np.zeros((4, 1, 8, 8), np.float32), [0, 1, 0, 2], ArgumentError),
        (np.zeros((4, 1, 8, 8), np.float32), [0, 1, 0, -1], ArgumentError),
        (np.zeros((4, 1, 8, 8), np.float32), [0.0, 1.0, 0.0, 1.0], DTypeError),
    ],
)
def test_bad_batches_change_nothing(x, labels, error):
    network = small_network()
    before = copies(network)
    trainer = ninc.Trainer(network)
    with pytest.raises(error):
        trainer.step(x, labels)
    assert_same_weights(network, before)


def test_the_layout_of_x_is_told_where_x_alone_is_wrong():
    """A map of 64 channels and one pixel was once told to be pictures of one channel."""
    network = nn.Sequential(nn.Conv2d(64, 2, 1), nn.GlobalAvgPool2d())
    x, labels = np.zeros((8, 64, 1, 1), np.float32), np.zeros(8, int)
    with pytest.raises(ShapeError, match="^step: labels: .* 8 images, got 7$"):
        ninc.Trainer(network).step(x, labels[:7])
    other = ninc.Trainer(nn.Sequential(nn.Conv2d(4, 2, 1), nn.GlobalAvgPool2d()))
    with pytest.raises(ShapeError) as told:
        other.step(x, labels)  # turned, it would have one channel
    assert "expected 4 input channels, got 64" in str(told.value)
    assert "transpose" not in str(told.value)
    last = np.zeros((8, 5, 6, 3), np.float32)
    trainer = ninc.Trainer(nn.Sequential(nn.Conv2d(3, 2, 1), nn.GlobalAvgPool2d()))
    with pytest.raises(ShapeError, match=r"conv1 .*; x of shape .* x.transpose\(0, 3, 1, 2\)"):
        trainer.step(last, labels)
    with pytest.raises(ShapeError, match="^step: labels: .* got 7$"):
        trainer.step(last.transpose(0, 3, 1, 2), labels[:7])


def test_settings_are_checked():
    network = small_network()
    with pytest.raises(ArgumentError, match="label_smoothing"):
        ninc.Trainer(network, label_smoothing=1.0)
    with pytest.raises(ArgumentError, match="seed"):
        ninc.Trainer(network, seed=-1)
    trainer = ninc.Trainer(network)
    with pytest.raises(ArgumentError, match="epochs"):
        trainer.fit(bars(), epochs=0)
    with pytest.raises(ArgumentError, match="training set is empty"):
        trainer.fit(bars().subset(np.arange(0)))
    three = Dataset(bars().images, np.arange(96) % 3)
    with pytest.raises(
        ArgumentError, match="2 outputs and the data 3 classes: make it with num_classes=3"
    ):
        trainer.fit(three, progress=False)
    with pytest.raises(ArgumentError, match="no preprocessing"):
        trainer.evaluate(bars())


def test_averages_cannot_be_changed_while_they_are_kept():
    trainer = ninc.Trainer(small_network(), average=EMA(0.9, norm_batches=2))

    def augment(batch, rng):
        trainer.average = None
        return batch

    trainer.augment = augment
    with pytest.raises(ArgumentError, match="average cannot be changed while fit is under way"):
        trainer.fit(bars(), bars(32, 1), epochs=1, batch_size=16, progress=False)
    trainer.average = trainer.augment = None  # afterwards they may
    assert len(trainer.fit(bars(), epochs=1, batch_size=16, progress=False)) == 1


def test_evaluation_counts():
    result = Evaluation(0.5, np.array([[3, 1, 0], [2, 4, 0], [0, 0, 0]]), ["a", "b", "c"])
    assert (result.count, result.correct, result.accuracy) == (10, 7, 0.7)
    np.testing.assert_allclose(result.recall, [0.75, 4 / 6, np.nan])
    np.testing.assert_allclose(result.precision, [0.6, 0.8, np.nan])


@pytest.mark.parametrize("linear", [False, True])
def test_a_softmax_at_the_end_is_not_taken_twice_by_the_loss(linear):
    """The held-out loss of such a network once could not fall below that of a half-sure guess."""
    behind = [nn.Flatten(), nn.Linear(6, 2)] if linear else []
    layers = [nn.Conv2d(1, 6 if linear else 2, 5), nn.GlobalAvgPool2d(), *behind]
    plain, ended = nn.Sequential(*layers, seed=2), nn.Sequential(*layers, nn.Softmax(), seed=2)
    rows = []
    for network in (plain, ended):
        trainer = ninc.Trainer(network, ninc.SGD(0.1, momentum=0.9))
        history = trainer.fit(bars(), bars(40, 1), epochs=6, batch_size=16, progress=False)
        rows.append([(row["loss"], row["val_loss"], row["val_accuracy"]) for row in history])
    np.testing.assert_allclose(rows[1], rows[0], rtol=1e-6)
    found = trainer.evaluate(bars(40, 1))
    sure = ended.predict(bars(40, 1))[np.arange(40), bars(40, 1).labels]
    assert found.loss == pytest.approx(-np.log(sure).mean(), rel=1e-4)


def test_cross_entropy_survives_large_logits():
    logits = np.array([[1000.0, 0.0], [0.0, 0.0]], np.float32)
    assert cross_entropy_sum(logits, np.array([1, 0])) == pytest.approx(1000 + math.log(2))


def test_history_is_saved_line_by_line_and_plotted(tmp_path):
    rows = [dict(epoch=1, loss=2.0, accuracy=0.1), dict(epoch=2, loss=1.0, accuracy=0.5)]
    history = History(rows)
    history.save(tmp_path / "history.jsonl")
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == rows
    pytest.importorskip("matplotlib")
    history.plot(tmp_path / "history.png")
    assert (tmp_path / "history.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(ArgumentError, match="no finished epoch"):
        History().plot(tmp_path / "none.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["history.jsonl", "history.png"]


class Terminal:
    """A stream that remembers what a person would have seen on it."""

    def __init__(self, terminal):
        self.terminal, self.text = terminal, ""

    def isatty(self):
        return self.terminal

    def write(self, text):
        self.text += text

    def flush(self):
        pass


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_shows_one_live_line_only_on_a_terminal(terminal):
    stream = Terminal(terminal)
    shown = TrainingProgress(epochs=2, steps=10, stream=stream)
    shown.step(0, 0, 2.25, 0.5, 50.0)
    row = dict(epoch=1, loss=1.5, accuracy=0.5, seconds=61.0, images_per_second=1234.0)
    shown.epoch(row)
    assert ("epoch 1/2  step 1/10  loss 2.2500  accuracy 50.0%" in stream.text) == terminal
    assert ("\r" in stream.text) == terminal
    assert "epoch 1/2  loss 1.5000  accuracy 50.00%  1,234 images/s  1:01\n" in stream.text


def test_progress_can_be_silenced():
    stream = Terminal(True)
    shown = TrainingProgress(1, 1, stream=stream, shown=False)
    shown.step(0, 0, 1.0, 1.0, 1.0)
    shown.epoch(dict(epoch=1, loss=1.5, accuracy=0.5, seconds=61.0, images_per_second=1.0))
    assert stream.text == ""


def test_live_line_overwrites_what_it_said(monkeypatch):
    monkeypatch.setenv("COLUMNS", "10")
    stream = Terminal(True)
    line = LiveLine(stream)
    line.show("a line too long")
    line.show("short")
    line.clear()
    assert stream.text == "\ra line to\rshort    \r     \r"


def test_counter_and_time():
    stream = Terminal(True)
    counter = Counter("reading", 2000, stream)
    counter.advance(1000)
    counter.close()
    assert "reading 1,000 / 2,000, 0:00 left" in stream.text
    assert [time_text(s) for s in (7, 760, 11100, -1)] == ["0:07", "12:40", "3:05:00", "0:00"]
