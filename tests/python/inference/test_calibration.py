"""Temperature and calibration error: how they are measured, stored, and what reads them."""

import copy
import json
import pickle

import numpy as np
import pytest

import ninc
from ninc import nn
from ninc.data import Dataset
from ninc.functional import softmax
from ninc.inference.calibration import BINS, CalibrationGaps, fitted_temperature
from ninc.preprocess import Preprocessing
from support.c_library import CError, in_c
from support.small_pictures import random_bytes
from support.small_training import bars, remarks, small_network
from support.weights import assert_same_weights, copies


def scored(count=4000, classes=7, too_sure=2.5, seed=0):
    """Logits that are `too_sure` times those that the labels were drawn by."""
    rng = np.random.default_rng(seed)
    z = 2.0 * rng.standard_normal((count, classes))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    labels = (p.cumsum(axis=1) < rng.random((count, 1))).sum(axis=1)
    return (too_sure * z).astype(np.float32), labels


def network(softmax_at_the_end=False, classes=4):
    made = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, classes, 1), nn.GlobalAvgPool2d(),
        *([nn.Softmax()] if softmax_at_the_end else []), seed=2,
    )  # fmt: skip
    made.preprocessing = Preprocessing((9, 7), 3, (0.4, 0.5, 0.6), (0.05, 0.05, 0.05))
    made.classes = list("abcdefghij"[:classes])
    return made


def pictures(count=30):
    return random_bytes(count, 9, 7, 3, seed=3)


def labelled(count=400, classes=4):
    """Pictures whose labels the network above is sometimes right about."""
    images = pictures(count)
    scores = network(classes=classes)(
        Preprocessing.from_dict(network().preprocessing).apply(images)
    )
    random = np.random.default_rng(1).integers(0, classes, count)
    labels = np.where(np.arange(count) % 3 == 0, random, scores.argmax(axis=1))
    return Dataset(images, labels, network(classes=classes).classes)


# ---- The temperature that fits -------------------------------------------------------------------


def cross_entropy(logits, labels, temperature):
    z = logits.astype(np.float64) / temperature
    z -= z.max(axis=1, keepdims=True)
    return float((np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), labels]).mean())


@pytest.mark.parametrize("too_sure", [0.4, 1.0, 2.5, 20.0])
def test_the_temperature_that_scores_were_drawn_by_is_found(too_sure):
    logits, labels = scored(20_000, too_sure=too_sure)
    found = fitted_temperature(logits, labels)
    # Its deviation over 20,000 pictures is about 1 %.
    assert found == pytest.approx(too_sure, rel=0.04)
    least = cross_entropy(logits, labels, found)
    for other in (found * 0.999, found * 1.001):
        assert cross_entropy(logits, labels, other) > least
    assert fitted_temperature(logits * np.float32(2), labels) == pytest.approx(2 * found, rel=1e-5)
    assert found == float(f"{found:.6g}")


def test_torch_finds_the_same():
    torch = pytest.importorskip("torch")
    logits, labels = scored(500, too_sure=1.7)
    z, truth = torch.from_numpy(logits.astype(np.float64)), torch.from_numpy(labels)
    inverse = torch.ones(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [inverse], lr=0.5, max_iter=200, tolerance_grad=1e-12, tolerance_change=1e-15
    )

    def closure():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(z * inverse, truth)
        loss.backward()
        return loss

    optimizer.step(closure)
    assert fitted_temperature(logits, labels) == pytest.approx(1 / inverse.item(), rel=2e-6)


def test_what_no_temperature_fits_is_told():
    right = np.eye(3, dtype=np.float32)
    with pytest.raises(ninc.ArgumentError, match="all 3 pictures are right"):
        fitted_temperature(right, np.arange(3))
    with pytest.raises(ninc.ArgumentError, match="no better than chance"):
        fitted_temperature(-5 * right, np.arange(3))
    with pytest.raises(ninc.ArgumentError, match="not finite"):
        fitted_temperature(np.full((2, 3), np.inf, np.float32), np.arange(2))
    with pytest.raises(ninc.ArgumentError, match="no pictures"):
        fitted_temperature(right[:0], np.arange(0))


# ---- Expected calibration error ------------------------------------------------------------------


def error_by_the_formula(logits, labels, temperature):
    z = logits.astype(np.float64) / temperature
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    confidence, right = p.max(axis=1), z.argmax(axis=1) == labels
    error = 0.0
    for b in range(1, 16):
        inside = (confidence > (b - 1) / 15) & (confidence <= b / 15)
        if inside.any():
            gap = abs(right[inside].mean() - confidence[inside].mean())
            error += inside.sum() / len(labels) * gap
    return error


@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.5])
def test_the_error_is_the_papers(temperature):
    assert BINS == 15
    logits, labels = scored(700)
    gaps = CalibrationGaps(temperature)
    for part in (slice(0, 1), slice(1, 500), slice(500, 700)):
        gaps.add(logits[part], labels[part])
    assert gaps.value == pytest.approx(error_by_the_formula(logits, labels, temperature), rel=1e-9)


def test_the_temperature_lowers_it():
    logits, labels = scored(20_000)
    errors = []
    for temperature in (1.0, fitted_temperature(logits, labels)):
        gaps = CalibrationGaps(temperature)
        gaps.add(logits, labels)
        errors.append(gaps.value)
    assert errors[0] > 0.1 and errors[1] < 0.02


def test_errors_of_few_and_of_numbers_that_are_none():
    gaps = CalibrationGaps()
    assert np.isnan(gaps.value)
    gaps.add(np.array([[0.0, 0.0]], np.float32), np.array([1]))
    assert gaps.value == 0.5  # answers the first of two, with probability 1/2, and is wrong
    gaps.add(np.array([[np.nan, 0.0]], np.float32), np.array([0]))
    assert np.isnan(gaps.value)


# ---- What a network does with it -----------------------------------------------------------------


@pytest.mark.parametrize("softmax_at_the_end", [False, True])
@pytest.mark.parametrize("tta", [None, "flip"])
def test_probabilities_use_it_and_scores_do_not(softmax_at_the_end, tta):
    plain, made, images = network(), network(softmax_at_the_end), pictures()
    x = Preprocessing.from_dict(made.preprocessing).apply(images)
    output = made(x)
    before = made.predict(images, tta=tta)
    made.temperature = 2.5
    assert made.temperature == 2.5
    np.testing.assert_array_equal(made(x), output)
    z = plain(x)
    if tta:
        mirror = np.ascontiguousarray(images[:, :, ::-1])
        z = (z + plain(Preprocessing.from_dict(made.preprocessing).apply(mirror))) / 2
    got = made.predict(images, tta=tta)
    np.testing.assert_allclose(got, softmax(z / np.float32(2.5)), rtol=1e-4)
    assert (got.argmax(axis=1) == before.argmax(axis=1)).all() and got.max() < before.max()
    for _, row in zip(range(1), made.predict_each(images, 4, tta=tta)):
        np.testing.assert_allclose(row[1], got[0], rtol=1e-5)
    if not softmax_at_the_end:
        shown = ninc.explain(made, images[0])
        assert shown.probability == pytest.approx(float(made.predict(images[0]).max()), rel=1e-5)
    made.temperature = None
    np.testing.assert_array_equal(made.predict(images, tta=tta), before)


@pytest.mark.parametrize("softmax_at_the_end", [False, True])
def test_programs_in_c_get_the_same_probabilities(softmax_at_the_end, tmp_path):
    made, images = network(softmax_at_the_end), pictures()
    for temperature in (None, 1.7):
        made.temperature = temperature
        wanted = made.predict(images)
        with in_c(made, tmp_path) as model:
            classes, probabilities = model.classify(images, 4)
        assert (classes[:, 0] == wanted.argmax(axis=1)).all()
        got = np.empty_like(probabilities)
        np.put_along_axis(got, classes, probabilities, axis=1)
        if softmax_at_the_end:  # numpy's logarithm and the C library's may differ in a last bit
            np.testing.assert_allclose(got, wanted, rtol=1e-6)
        else:
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(
    "text", ["", "null", "0", "-1", "0.001", "1000", "NaN", "1e999", "true", '"2"', "[2]", "2" * 99]
)
def test_a_stored_text_that_is_no_temperature_is_told(text, tmp_path):
    made = network()
    made.core.change({"temperature": text})
    words = "stored temperature"
    for use in (lambda: made.temperature, lambda: made.predict(pictures(1))):
        with pytest.raises(ninc.ModelError, match=words):
            use()
    with in_c(made, tmp_path) as model, pytest.raises(CError, match=words):
        model.classify(pictures(1), 1)
    made.temperature = None
    made.predict(pictures(1))


def test_it_goes_with_the_network_and_not_to_other_weights(tmp_path):
    made = network()
    made.temperature = 1.25
    made.save(tmp_path / "half.safetensors", dtype="float16")
    for other in (
        ninc.load(tmp_path / "half.safetensors"), pickle.loads(pickle.dumps(made)),
        copy.deepcopy(made),
    ):  # fmt: skip
        assert other.temperature == 1.25
    assert made.new_head(3).temperature is None
    trained = small_network()
    trained.temperature = 3.0
    with remarks():
        ninc.Trainer(trained, ninc.SGD(0.01)).fit(bars(), epochs=1, progress=False)
    assert trained.temperature is None


def test_an_onnx_file_keeps_it(tmp_path):
    pytest.importorskip("onnx")
    made = network()
    made.temperature = 1.25
    made.export_onnx(tmp_path / "net.onnx")
    again = ninc.load_onnx(tmp_path / "net.onnx")
    assert again.temperature == 1.25
    np.testing.assert_allclose(again.predict(pictures()), made.predict(pictures()), rtol=1e-4)


def test_calibrate_fits_and_stores_it():
    made, data = network(), labelled()
    before = copies(made)
    scores = made(Preprocessing.from_dict(made.preprocessing).apply(data.images))
    found = made.calibrate(data, batch_size=33)
    assert found == made.temperature
    assert found == pytest.approx(fitted_temperature(scores, data.labels), rel=1e-4)
    assert all((before[name] == value).all() for name, value in made.state_dict().items())
    result, plain = made.evaluate(data), network().evaluate(data)
    assert result.temperature == found and plain.temperature is None
    assert result.loss == pytest.approx(plain.loss) and result.correct == plain.correct
    assert result.calibration_error == pytest.approx(
        error_by_the_formula(scores, data.labels, found), rel=1e-4
    )
    assert plain.calibration_error == pytest.approx(
        error_by_the_formula(scores, data.labels, 1.0), rel=1e-4
    )
    right = Dataset(data.images, scores.argmax(axis=1), data.classes)
    with pytest.raises(ninc.ArgumentError, match="are right"):
        made.calibrate(right)
    assert made.temperature == found


@pytest.mark.parametrize("value", [0, -1, 0.001, 1000, float("nan"), "2", [2]])
def test_what_is_no_temperature_is_refused(value):
    made = network()
    with pytest.raises(ninc.ArgumentError, match="temperature"):
        made.temperature = value
    assert made.temperature is None


def test_the_stored_text_is_a_json_number():
    made = network()
    made.temperature = np.float32(1.5)
    assert json.loads(made.core.metadata()["temperature"]) == 1.5
    assert_same_weights(made, network())
