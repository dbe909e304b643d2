"""Calls that nearly everyone writes once, and what messages say of them; where remarks point."""

import pathlib
import warnings

import numpy as np
import pytest

import ninc
from ninc import nn
from ninc.errors import ArgumentError
from support.small_training import bars, remarks, small_network

X, Y = bars(16).images, bars(16).labels


@pytest.fixture
def trainer():
    return ninc.Trainer(small_network(), ninc.SGD(0.01))


# ---- Data ----------------------------------------------------------------------------------------


def test_images_and_labels_as_two_arguments(trainer):
    with pytest.raises(ArgumentError, match=r"got ndarray; did you mean fit\(\(x, y\)\)\?$"):
        trainer.fit(X, Y)
    with pytest.raises(ArgumentError, match=r"validation .*got ndarray; did you mean \(x, y\)\?$"):
        trainer.fit((X, Y), X)
    with pytest.raises(ArgumentError, match=r"^data must be .*; did you mean \(x, y\)\?$"):
        ninc.data.as_dataset(X)
    for evaluate in (trainer.evaluate, trainer.network.evaluate):
        with pytest.raises(ArgumentError, match=r"did you mean evaluate\(\(x, y\)\)\?$"):
            evaluate(X, Y)
    assert len(trainer.fit((X, Y), epochs=1, batch_size=8, progress=False)) == 1


class Foreign:
    """An array of another library, which can be iterated as one of torch's can."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __array__(self, dtype=None, copy=None):
        return self.array

    def __iter__(self):
        return iter(self.array)

    def __len__(self):
        return len(self.array)


def test_arrays_of_another_library_are_no_batches(trainer):
    with pytest.raises(ArgumentError, match=r"got Foreign; did you mean fit\(\(x, y\)\)\?$"):
        trainer.fit(Foreign(X), Foreign(Y))


@pytest.mark.parametrize("given", ["pictures", pathlib.Path("pictures")])
def test_a_folders_name_in_the_place_of_data(trainer, given):
    words = r"; ninc.data.load\('pictures'\) makes a Dataset of what is there$"
    for call in (trainer.fit, trainer.evaluate, trainer.network.evaluate):
        with pytest.raises(ArgumentError, match=words):
            call(given)
    with pytest.raises(ArgumentError, match=f"fit: validation must be .*{words}"):
        trainer.fit((X, Y), given)


def test_labels_that_were_renumbered_say_that_they_stay(trainer):
    with remarks() as told:
        data = ninc.Dataset(X, Y + 5)
    assert told == [
        "Dataset: the labels 5, 6 became 2 classes of these names, whose own labels are 0 to 1; a "
        "network trained on them stores the names"
    ]
    trainer.fit(data, epochs=1, batch_size=8, progress=False)
    assert trainer.network.classes == ["5", "6"]


# ---- Where a remark points -----------------------------------------------------------------------


def places(call):
    """The file of each remark."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        call()
    return {str(one.message): one.filename for one in told if one.category is ninc.Remark}


def test_remarks_point_at_the_line_that_called(trainer, tmp_path):
    flat = ninc.Dataset(np.full((16, 8, 8, 1), 7, np.uint8), Y)
    grey = nn.Sequential(nn.Conv2d(1, 2, 1), nn.GlobalAvgPool2d())
    grey.preprocessing = ninc.preprocess.Preprocessing((8, 8), 1, (0.5,), (0.25,))
    found = {}
    for call in (
        lambda: trainer.fit(flat, epochs=2, batch_size=32, progress=False),
        lambda: ninc.Trainer(small_network(), ninc.SGD(0.01)).fit(
            flat, 0.5, epochs=1, checkpoint_dir=tmp_path / "run", progress=False
        ),
        lambda: ninc.Dataset(X, Y + 5),
        lambda: grey.predict(np.zeros((3, 8, 8), np.uint8)),
        lambda: list(grey.predict_each(["gone.png"], on_error="skip")),
        lambda: grey.load_state_dict({}, strict=False),
    ):
        found.update(places(call))
    assert any("are equal, pixel by pixel" in words for words in found) and len(found) >= 6
    assert {words: file for words, file in found.items() if file != __file__} == {}
