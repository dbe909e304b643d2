"""`tta="flip"`: the mean of the scores of pictures and their mirror images; and top-5 accuracy."""

import json

import numpy as np
import pytest

import ninc
from ninc import cli, nn
from ninc.data import Dataset
from ninc.functional import softmax
from ninc.inference.evaluation import Evaluation, among_likeliest
from ninc.preprocess import Preprocessing
from support.small_training import remarks


def network(classes=3, softmax_at_the_end=False, seed=2):
    made = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, classes, 1), nn.GlobalAvgPool2d(),
        *([nn.Softmax()] if softmax_at_the_end else []), seed=seed,
    )  # fmt: skip
    made.preprocessing = Preprocessing((9, 7), 3, (0.4, 0.5, 0.6), (0.05, 0.05, 0.05))
    made.classes = [f"class{n}" for n in range(classes)]
    return made


def pictures(count=20):
    """Noise that is brighter to the right, so that mirror images are other pictures."""
    noise = np.random.default_rng(5).integers(0, 256, (count, 9, 7, 3))
    return (noise * np.linspace(0, 1, 7)[:, None]).astype(np.uint8)


def both_looks(made, images):
    """The scores of the pictures, and those of their mirror images."""
    preprocessing = Preprocessing.from_dict(made.preprocessing)
    return made(preprocessing.apply(images)), made(preprocessing.apply(images[:, :, ::-1]))


def test_scores_are_averaged_before_the_softmax():
    made, images = network(), pictures()
    one, other = both_looks(made, images)
    assert np.abs(softmax(one) - softmax(other)).max() > 0.05  # two looks tell different things
    wanted = softmax((one + other) / 2)
    got = made.predict(images, tta="flip")
    np.testing.assert_allclose(got, wanted, rtol=1e-5)
    assert np.abs(got - (softmax(one) + softmax(other)) / 2).max() > 1e-3
    np.testing.assert_allclose(made.predict(images), softmax(one), rtol=1e-5)
    rows = [row for _, row in made.predict_each(images, 7, tta="flip")]
    np.testing.assert_allclose(rows, wanted, rtol=1e-5)
    np.testing.assert_allclose(made.predict(images[:, :, ::-1], tta="flip"), wanted, rtol=1e-5)
    assert made.predict(images[:0], tta="flip").shape == (0, 3)


def test_a_network_that_ends_in_a_softmax_answers_likewise():
    plain, made = network(), network(softmax_at_the_end=True)
    made.load_state_dict(plain.state_dict())
    images = pictures()
    for tta in (None, "flip"):
        np.testing.assert_allclose(
            made.predict(images, tta=tta), plain.predict(images, tta=tta), rtol=1e-4
        )


def test_evaluation_looks_twice_too():
    made, images = network(), pictures()
    one, other = both_looks(made, images)
    labels = np.arange(20) % 3
    data = Dataset(images, labels, made.classes)
    z = (one + other).astype(np.float64) / 2
    loss = np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(20), labels])
    for batch_size in (128, 7):
        result = made.evaluate(data, batch_size, tta="flip")
        assert result.loss == pytest.approx(loss, rel=1e-5)
        assert result.correct == (z.argmax(axis=1) == labels).sum() and result.count == 20
    assert made.evaluate(data).loss != pytest.approx(loss, rel=1e-3)
    floats = Preprocessing.from_dict(made.preprocessing).apply(images)
    made.preprocessing = None
    arrays = Dataset(floats, labels, made.classes)
    assert made.evaluate(arrays, tta="flip").loss == pytest.approx(loss, rel=1e-5)


def test_what_is_no_averaging_is_told():
    made = network()
    for call in (made.predict, made.predict_each):
        with pytest.raises(ninc.ArgumentError, match="tta must be 'flip' or None, got 'crop'"):
            call(pictures(), tta="crop")
    with pytest.raises(ninc.ArgumentError, match="evaluate: tta must be 'flip' or None, got True"):
        made.evaluate(Dataset(pictures(3), [0, 1, 2], made.classes), tta=True)


# ---- Top-5 ---------------------------------------------------------------------------------------


def test_the_likeliest_are_counted_as_the_answer_is():
    logits = np.array(
        [[5, 4, 3, 2, 1, 0], [0, 0, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6], [1, np.nan, 0, 0, 0, 0]],
        np.float32,
    )
    for label in range(6):
        got = among_likeliest(logits, np.full(4, label), 5).tolist()
        assert got == [label < 5, label < 5, label > 0, False]
        first = among_likeliest(logits[:3], np.full(3, label), 1)
        assert first.tolist() == (logits[:3].argmax(axis=1) == label).tolist()


def test_top5_is_told_for_more_than_five_classes():
    images, labels = pictures(60), np.arange(60) % 8
    made = network(8)
    scores = made(Preprocessing.from_dict(made.preprocessing).apply(images))
    wanted = [label in np.argsort(-row)[:5] for row, label in zip(scores, labels)]
    result = made.evaluate(Dataset(images, labels, made.classes), batch_size=16)
    assert result.top5_correct == sum(wanted) and 0 < sum(wanted) < 60
    assert result.top5_accuracy == sum(wanted) / 60 >= result.accuracy
    five = network(5).evaluate(Dataset(images, np.arange(60) % 5, network(5).classes))
    assert five.top5_correct is None and five.top5_accuracy is None
    assert Evaluation(0.5, np.eye(2, dtype=int), ["a", "b"]).top5_accuracy is None


def test_the_history_has_it():
    images, labels = pictures(24), np.arange(24) % 6
    for classes in (6, 5):
        made = network(classes)
        data = Dataset(images, labels % classes, made.classes)
        trainer = ninc.Trainer(made, ninc.SGD(0.01))
        with remarks():
            held_out = data.subset(range(12))
            history = trainer.fit(data, held_out, epochs=2, batch_size=8, progress=False)
        assert ("val_top5_accuracy" in history.rows[0]) == (classes == 6)
        if classes == 6:
            last = made.evaluate(data.subset(range(12)))
            assert history["val_top5_accuracy"][-1] == last.top5_accuracy


# ---- The command line ----------------------------------------------------------------------------


def test_the_command_line_looks_twice(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made, images = network(8), pictures(40)
    made.save("net.safetensors")
    np.savez("data.npz", x=images, y=np.arange(40) % 8)
    data = Dataset(images, np.arange(40) % 8, made.classes)

    def printed(*args):
        assert cli.main([*args]) == 0
        return capsys.readouterr().out

    for tta, options in ((None, []), ("flip", ["--tta", "flip"])):
        wanted = made.evaluate(data, tta=tta)
        run = ["eval", "net.safetensors", "data.npz", "--split", "all", *options]
        told = json.loads(printed(*run, "--json"))
        assert told["tta"] == tta and told["loss"] == pytest.approx(wanted.loss, rel=1e-6)
        assert told["top5_accuracy"] == wanted.top5_accuracy
        assert f"top-5 accuracy {wanted.top5_accuracy:.2%}" in printed(*run)

    Image = pytest.importorskip("PIL.Image")
    Image.fromarray(images[0]).save("0.png")
    told = json.loads(printed("predict", "net.safetensors", "0.png", "--json", "--tta", "flip"))
    (row,) = made.predict(images[0], tta="flip")
    assert told["predictions"][0]["probability"] == pytest.approx(float(row.max()), rel=1e-5)
    few = network(3)
    few.save("few.safetensors")
    np.savez("few.npz", x=images, y=np.arange(40) % 3)
    run = ("eval", "few.safetensors", "few.npz", "--split", "all")
    assert "top5_accuracy" not in json.loads(printed(*run, "--json"))
    assert "top-5" not in printed(*run)
