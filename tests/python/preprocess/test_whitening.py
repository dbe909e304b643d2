"""The paper's preprocessing: against its formula in float64, and stored with the network."""

import copy
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

import ninc
from ninc import nn
from ninc.errors import ArgumentError, ModelError, ShapeError
from ninc.explanation import explain
from ninc.formats.metadata import stored_preprocessing
from ninc.inference.evaluation import evaluate
from ninc.preprocess import WHITENING_ARRAYS, Framing, Preprocessing, Whitening


def pictures(count, height=6, width=5, channels=3, seed=0):
    """N×H×W×C uint8 whose neighbours are alike, as a photograph's are."""
    rng = np.random.default_rng(seed)
    walk = rng.normal(0, 12, (count, height, width, channels)).cumsum(1).cumsum(2).cumsum(3)
    return np.clip(np.rint(walk + rng.uniform(60, 190, (count, 1, 1, 1))), 0, 255).astype(np.uint8)


def contrast(images):
    """55 (x - mean) / ||x - mean||, N×D float64."""
    x = images.transpose(0, 3, 1, 2).reshape(len(images), -1).astype(np.float64)
    x -= x.mean(axis=1, keepdims=True)
    return 55 * x / np.linalg.norm(x, axis=1, keepdims=True)


def whitened(train, images):
    """The formula in float64: N×C×H×W."""
    g = contrast(train)
    mean = g.mean(axis=0)
    roots, vectors = np.linalg.eigh((g - mean).T @ (g - mean) / len(g) + 0.1 * np.eye(g.shape[1]))
    matrix = vectors @ np.diag(1 / np.sqrt(roots)) @ vectors.T
    n, h, w, c = images.shape
    return ((contrast(images) - mean) @ matrix).reshape(n, c, h, w)


@pytest.mark.parametrize("shape", [(6, 5, 3), (9, 8, 1)])
def test_matches_the_formula_in_float64(shape):
    train, test = pictures(2500, *shape), pictures(1100, *shape, seed=1)  # more than one block each
    fitted = Preprocessing.fit(train, "gcn_zca")
    assert fitted.kind == "gcn_zca" and fitted.size == shape[:2]
    for images in (train, test):
        got = fitted.apply(images)
        assert got.dtype == np.float32 and got.flags.c_contiguous
        np.testing.assert_allclose(got, whitened(train, images), rtol=0, atol=1e-3)


_APPLIED = """
import sys
import numpy as np
from ninc.preprocess import Whitening
rng = np.random.default_rng(0)
matrix = rng.standard_normal((192, 192), np.float32)
whitening = Whitening(rng.standard_normal(192, np.float32), matrix + matrix.T)
x = whitening.apply(rng.integers(0, 256, (300, 8, 8, 3), dtype=np.uint8))
sys.stdout.buffer.write(x.tobytes())
"""


def test_applied_bits_do_not_depend_on_numpys_blas():
    """OpenBLAS, where numpy has that, is told another processor and another number of threads."""
    got = []
    # Old ones, whose instructions every x86-64 has.
    for told in ({}, {"OPENBLAS_CORETYPE": "Nehalem"}, {"OPENBLAS_CORETYPE": "Prescott"}):
        threads = str(1 + len(got))
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads, "NINC_NUM_THREADS": threads}
        environment.update(told)
        command = [sys.executable, "-c", _APPLIED]
        done = subprocess.run(command, env=environment, capture_output=True, check=True)
        got.append(np.frombuffer(done.stdout, np.float32))
    assert got[0].size == 300 * 192 and np.isfinite(got[0]).all()
    for other in got[1:]:
        np.testing.assert_array_equal(other, got[0])


def test_a_flat_picture_is_nothing_but_the_mean():
    fitted = Preprocessing.fit(pictures(60), "gcn_zca")
    flat = np.full((2, 6, 5, 3), 77, np.uint8)
    flat[1] = 255
    x = fitted.apply(flat)
    np.testing.assert_array_equal(x[0], x[1])
    expected = -fitted.whitening.matrix.astype(np.float64) @ fitted.whitening.mean
    # Sums of 90 products below 10 in float32.
    np.testing.assert_allclose(x[0].ravel(), expected, atol=1e-4)


def test_the_fitted_matrix_is_symmetric_and_kept_from_the_first_moment(tmp_path, monkeypatch):
    images = pictures(32, 8, 8, 1)
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.GlobalAvgPool2d())
    trainer = ninc.Trainer(network, ninc.SGD(1e-4))

    def stopped(self):
        raise KeyboardInterrupt

    options = dict(batch_size=8, epochs=1, progress=False, checkpoint_dir=tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("ninc.training.loop._epoch", stopped)
        with pytest.raises(KeyboardInterrupt):
            trainer.fit((images, np.arange(32) % 2), preprocessing="gcn_zca", **options)
    stored = ninc.load(tmp_path / "last.safetensors").core.extras()["preprocessing.matrix"]
    np.testing.assert_array_equal(stored, stored.T)
    again = nn.Sequential(nn.Conv2d(1, 2, 3), nn.GlobalAvgPool2d())
    monkeypatch.setattr("ninc.preprocess.Whitening.fit", stopped)  # not fitted anew
    resumed = ninc.Trainer(again, ninc.SGD(1e-4))
    data = (images, np.arange(32) % 2)
    resumed.fit(data, preprocessing="gcn_zca", resume=True, **options)
    np.testing.assert_array_equal(again.core.extras()["preprocessing.matrix"], stored)


def test_whitens():
    train = pictures(4000)
    x = Preprocessing.fit(train, "gcn_zca").apply(train).reshape(4000, -1).astype(np.float64)
    roots = np.linalg.eigvalsh(np.cov(x.T, bias=True))
    # An eigenvalue l becomes l / (l + 0.1): at most 1, and near it for all that were large.
    assert roots.max() <= 1.0 + 1e-4 and np.median(roots) > 0.9
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-4)


def test_flat_pictures_stay_finite():
    train = pictures(50)
    train[::7] = 77
    fitted = Preprocessing.fit(train, "gcn_zca")
    flat = fitted.apply(train[:1])
    assert np.isfinite(flat).all()
    # A flat picture is the zero vector: what comes out is that of any other flat one.
    np.testing.assert_array_equal(flat, fitted.apply(np.zeros_like(train[:1])))


def test_views_blocks_and_no_pictures():
    train = pictures(1500)
    fitted = Preprocessing.fit(train, "gcn_zca")
    backwards = train[::-1, :, ::-1]
    np.testing.assert_array_equal(fitted.apply(backwards), fitted.apply(backwards.copy()))
    assert fitted.apply(train[:0]).shape == (0, 3, 6, 5)
    # A product over another number of rows may add in another order.
    np.testing.assert_allclose(
        fitted.apply(train)[1023:1026], fitted.apply(train[1023:1026]), atol=1e-4
    )


def test_fits_pictures_that_stay_in_a_file(tmp_path):
    np.save(tmp_path / "train.npy", pictures(1100))
    mapped = np.load(tmp_path / "train.npy", mmap_mode="r")
    for kind in ("normalize", "gcn_zca"):
        assert Preprocessing.fit(mapped, kind) == Preprocessing.fit(np.array(mapped), kind)


def test_progress_is_shown_on_a_terminal(monkeypatch):
    shown = []
    monkeypatch.setattr("ninc._base.progress.LiveLine.due", lambda self: True)
    monkeypatch.setattr("ninc._base.progress.LiveLine.show", lambda self, text: shown.append(text))
    Preprocessing.fit(pictures(1100), "gcn_zca", progress=True)
    assert shown[0].startswith("whitening: pictures 1,024 / 1,100")
    assert shown[-1].startswith("whitening: eigenvectors of 90 values")


@pytest.fixture
def network():
    made = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.GlobalAvgPool2d())
    made.preprocessing = Preprocessing.fit(pictures(200, 8, 8), "gcn_zca")
    return made


def test_files_and_copies_keep_it(network, tmp_path):
    network.save(tmp_path / "n")
    images = pictures(5, 8, 8, seed=3)
    wanted = network.predict(images)
    for same in (
        ninc.load(tmp_path / "n"),
        pickle.loads(pickle.dumps(network)),
        copy.deepcopy(network),
    ):
        assert same.preprocessing == network.preprocessing
        assert same.preprocessing["kind"] == "gcn_zca"
        np.testing.assert_array_equal(same.predict(images), wanted)
    ninc.load(tmp_path / "n").save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "n").read_bytes()


def test_predict_eval_and_explain_apply_it(network):
    pytest.importorskip("PIL")
    train, images = pictures(200, 8, 8), pictures(7, 8, 8, seed=3)
    logits = network(whitened(train, images).astype(np.float32))
    odds = np.exp(logits.astype(np.float64))
    odds /= odds.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(network.predict(images), odds, atol=1e-3)
    labels = logits.argmax(axis=1)
    assert evaluate(network, ninc.data.Dataset(images, labels, list("0123"))).accuracy == 1.0
    shown = explain(network, images[0], label=2)
    np.testing.assert_allclose(shown.probability, odds[0, 2], atol=1e-3)


def test_other_sizes(network):
    pytest.importorskip("PIL")
    larger = pictures(1, 16, 24)[0]
    # Brought to the whitening's size like any picture.
    assert network.predict(larger).shape == (1, 4)
    with pytest.raises(ShapeError, match="fitted to pictures of 8×8, got 16×24"):
        stored_preprocessing(network.core).apply(larger[None])
    with pytest.raises(ArgumentError, match=r"have size \(16, 24\), but the network's are 8×8"):
        evaluate(network, (larger[None], np.zeros(1, np.int64)))


def test_training_uses_what_is_stored(network):
    images, labels = pictures(16, 8, 8, seed=5), np.arange(16) % 4
    before = network.preprocessing
    matrix = network.core.extras()["preprocessing.matrix"]
    trainer = ninc.Trainer(network, ninc.SGD(0.01))
    trainer.fit((images, labels), epochs=1, batch_size=8, progress=False)
    assert network.preprocessing == before
    np.testing.assert_array_equal(network.core.extras()["preprocessing.matrix"], matrix)


def test_another_preprocessing_takes_its_place(network):
    settings = network.preprocessing
    network.preprocessing = settings  # the arrays stay
    assert set(network.core.extras()) == set(WHITENING_ARRAYS)
    network.preprocessing = Preprocessing.fit(pictures(20, 8, 8))
    assert network.core.extras() == {}
    with pytest.raises(ArgumentError, match="'gcn_zca' needs the array 'preprocessing.mean'"):
        network.preprocessing = settings
    assert network.preprocessing["mean"] != settings["mean"]
    network.preprocessing = None
    assert network.preprocessing is None


def test_a_file_that_lost_its_matrix(network):
    network.core.change(extras={"preprocessing.matrix": None})
    with pytest.raises(ModelError, match="stored preprocessing: .* 'preprocessing.matrix'"):
        network.predict(pictures(1, 8, 8))


def test_dict_round_trip():
    fitted = Preprocessing.fit(pictures(50), "gcn_zca", framing=Framing((6, 5), 3, 7))
    settings, arrays = fitted.to_dict(), fitted.arrays()
    assert Preprocessing.from_dict(settings, arrays) == fitted
    assert hash(Preprocessing.from_dict(settings, arrays)) == hash(fitted)
    for change in (
        dict(kind="pca"),
        dict(kind="normalize", contrast=None, mean=[1]),
        dict(size=None),
        dict(size=[6, 6]),
        dict(mean=[0.5, 0, 0]),
        dict(scale=255.0),
        dict(contrast=-1),
        dict(contrast="much"),
        dict(epsilon=float("nan")),
    ):
        with pytest.raises(ArgumentError, match="preprocessing|whitening"):
            Preprocessing.from_dict({**settings, **change}, arrays)
    wrong = {**arrays, "preprocessing.matrix": np.zeros((90, 89), np.float32)}
    with pytest.raises(ArgumentError, match=r"as many rows and columns, got shape \(90, 89\)"):
        Preprocessing.from_dict(settings, wrong)
    with pytest.raises(ArgumentError, match="mean must be float32 of 1 dimensions"):
        Whitening(np.zeros((2, 2), np.float32), np.zeros((2, 2), np.float32))


def test_what_cannot_be_fitted():
    with pytest.raises(ArgumentError, match="kind must be 'normalize' or 'gcn_zca', got 'pca'"):
        Preprocessing.fit(pictures(3), "pca")
    for kind in ("normalize", "gcn_zca"):
        with pytest.raises(ShapeError, match="needs N×H×W×C uint8"):
            Preprocessing.fit(pictures(3)[:0], kind)
        with pytest.raises(ShapeError, match="1 or 3 channels, got 2"):
            Preprocessing.fit(pictures(3)[..., :2], kind)
    with pytest.raises(ShapeError, match="at most 12288 values .* got 12675"):
        Preprocessing.fit(np.zeros((1, 65, 65, 3), np.uint8), "gcn_zca")
