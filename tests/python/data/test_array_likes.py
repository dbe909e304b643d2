"""Images in what is only indexed like an array: HDF5 data sets, zarr arrays, anybody's own."""

import numpy as np
import pytest

import ninc
from ninc.data import Dataset
from ninc.data.source import ArraySource, Source
from support.small_training import as_floats, bars, small_network
from support.weights import assert_same_weights


class Rising:
    """What HDF5 can do and no more: slices, and numbers that rise, none of them twice."""

    def __init__(self, array):
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype

    def __len__(self):
        return len(self._array)

    def __getitem__(self, chosen):
        if isinstance(chosen, slice):
            assert (chosen.step or 1) > 0
        else:
            chosen = np.asarray(chosen)
            assert chosen.ndim == 1 and (np.diff(chosen) > 0).all()
            assert len(chosen), "HDF5 takes no empty list"
        return self._array[chosen]


def hdf5(array, folder):
    h5py = pytest.importorskip("h5py")
    file = h5py.File(folder / "x.h5", "w")
    return file.create_dataset("x", data=array)


def zarr(array, folder):
    made = pytest.importorskip("zarr").create_array(
        folder / "x.zarr", shape=array.shape, dtype=array.dtype, chunks=(8, *array.shape[1:])
    )
    made[:] = array
    return made


def memory_map(array, folder):
    np.save(folder / "x.npy", array)
    return np.load(folder / "x.npy", mmap_mode="r")


KINDS = [lambda array, _: Rising(array), memory_map, hdf5, zarr]


@pytest.mark.parametrize("make", KINDS)
def test_indexing_is_numpys(make, tmp_path):
    array = np.arange(40, dtype=np.uint8).reshape(10, 2, 2, 1)
    images = Dataset(make(array, tmp_path), np.zeros(10, int)).images
    source = images if isinstance(images, Source) else ArraySource(images)
    for chosen in (0, -1, slice(None), slice(8, 1, -3), slice(3, 3), [7, 2, 2, -1, 0], [], [4]):
        wanted = array[np.asarray(chosen, int) if isinstance(chosen, list) else chosen]
        np.testing.assert_array_equal(source[chosen], wanted)
    np.testing.assert_array_equal(source.read_all(), array)


@pytest.mark.parametrize("floats", [False, True])
@pytest.mark.parametrize("make", KINDS)
def test_training_on_them_gives_the_weights_of_arrays(make, floats, tmp_path):
    data = bars(48)
    x = as_floats(data)[0] if floats else data.images
    got = []
    for images in (x, make(x, tmp_path)):
        network = small_network()
        held = Dataset(images, data.labels, data.classes)
        trainer = ninc.Trainer(network, seed=2)
        history = trainer.fit(held, 0.25, epochs=2, batch_size=8, progress=False)
        got.append((network, history["val_loss"], held.fingerprint()))
    assert_same_weights(got[0][0], got[1][0])
    assert got[0][1:] == got[1][1:]
