"""Arrays of other libraries: taken where they lie, and refused in words that help."""

import numpy as np
import pytest

from ninc._base.arrays import as_numpy, made, on_gpu, plain
from ninc.errors import ArgumentError, DTypeError
from support.foreign_arrays import ByArray, ByDLPack, OfUnknownType, Unreadable, masked

X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)

needs_dlpack = pytest.mark.skipif(not hasattr(np, "from_dlpack"), reason="numpy before 1.23")


@pytest.mark.parametrize("view", [X, X[:, ::2], X.T])
@pytest.mark.parametrize("kind", [pytest.param(ByDLPack, marks=needs_dlpack), ByArray])
def test_no_copy_is_made(kind, view):
    taken = as_numpy("f: x", kind(view))
    assert type(taken) is np.ndarray and np.shares_memory(taken, view)
    np.testing.assert_array_equal(taken, view)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, np.int64, bool, np.float16])
@pytest.mark.parametrize("kind", [ByDLPack, ByArray])
def test_types_stay_as_they_are(kind, dtype):
    if kind is ByDLPack and dtype is bool and np.lib.NumpyVersion(np.__version__) < "1.25.0":
        pytest.skip("DLPack had no bool then")
    assert as_numpy("f: x", kind(np.ones(3, dtype))).dtype == dtype


def test_the_librarys_own_words_are_told():
    with pytest.raises(
        DTypeError, match=r"f: x: this Unreadable of their.float32 cannot be read"
    ) as told:
        as_numpy("f: x", Unreadable(X))
    assert "(use tensor.detach() first)" in str(told.value)
    with pytest.raises(DTypeError, match=r"OfUnknownType of bfloat16 cannot be read"):
        as_numpy("f: x", OfUnknownType(3))


@pytest.mark.parametrize(
    "device, words", [(2, "on a GPU"), (13, "on a GPU"), (8, r"on another device \(8\)")]
)
def test_other_devices(device, words):
    array = ByDLPack(X, device)
    assert on_gpu(array) == (device != 8)
    with pytest.raises(DTypeError, match=f"f: x: this ByDLPack is {words}; copy it to the CPU"):
        as_numpy("f: x", array)


@needs_dlpack
@pytest.mark.parametrize("device", [1, 3, 11])
def test_memory_pinned_for_a_gpu_is_the_processors(device):
    np.testing.assert_array_equal(as_numpy("f: x", ByDLPack(X, device)), X)


def test_an_array_of_the_older_protocol_on_a_gpu():
    class OnGpu:
        __cuda_array_interface__ = {}

        def __array__(self):
            raise AssertionError("nobody may ask")

    assert on_gpu(OnGpu())
    with pytest.raises(DTypeError, match="this OnGpu is on a GPU"):
        as_numpy("f: x", OnGpu())


@pytest.mark.parametrize(
    "value",
    [[1.0], (1.0,), 3, np.float32(3), "x", None, b"abc", memoryview(b"a"), np.ndarray, ByArray],
)
def test_what_is_no_array_stays_refused(value):
    with pytest.raises(DTypeError, match="f: x: expected a numpy array of float32, got"):
        as_numpy("f: x", value, "float32")


@pytest.mark.parametrize("take", [as_numpy, plain, made])
def test_masked_values(take):
    for count in (1, 5):
        words = f"f: x: has {count} masked value{'s' * (count > 1)}; fill them: x.filled"
        for value in (masked(X, count), ByArray(masked(X, count))):
            with pytest.raises(DTypeError, match=words):
                take("f: x", value)
    taken = take("f: x", masked(X, 0))
    assert type(taken) is np.ndarray and np.shares_memory(taken, X)


@pytest.mark.parametrize("kind", [list, tuple])
def test_masked_values_in_lists(kind):
    values = kind(masked(np.arange(4), 1))  # holds numpy's `masked` itself
    nested = [[[1, 2], kind([3, np.ma.masked])], [[1, 2], kind([3, 4])]]
    for value in (values, kind([np.arange(4), masked(np.arange(4), 2)]), nested, kind(nested)):
        for take in (plain, made):
            with pytest.raises(DTypeError, match="masked value"):
                take("f: x", value)
    assert made("f: x", kind(masked(np.arange(4), 0))).tolist() == [0, 1, 2, 3]
    assert made("f: x", kind([[1, 2], [3, 4]])).tolist() == [[1, 2], [3, 4]]


def test_a_list_that_holds_itself():
    values = [1]
    values.append(values)
    with pytest.raises(DTypeError, match="f: x cannot be made an array"):
        made("f: x", values)


def test_a_numpy_without_dlpack(monkeypatch):
    monkeypatch.delattr(np, "from_dlpack", raising=False)
    with pytest.raises(DTypeError, match=r"this ByDLPack offers DLPack alone, .* 1\.23 on"):
        as_numpy("f: x", ByDLPack(X))

    class ByBoth(ByDLPack, ByArray):
        pass

    assert np.shares_memory(as_numpy("f: x", ByBoth(X)), X)


def test_torch():
    torch = pytest.importorskip("torch")
    tensor = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    taken = as_numpy("f: x", tensor.T)
    taken[0, 1] = 99
    assert tensor[1, 0] == 99
    needing = tensor.clone().requires_grad_()
    with pytest.raises(DTypeError, match="f: x: this Tensor of torch.float32 .*requires grad"):
        as_numpy("f: x", needing)
    with pytest.raises(DTypeError, match="torch.bfloat16"):
        as_numpy("f: x", tensor.bfloat16())
    with pytest.raises(DTypeError, match="f: x: this Tensor"):
        as_numpy("f: x", torch.zeros(3, device="meta"))
    with pytest.raises(DTypeError, match="f: x: this Tensor"):
        as_numpy("f: x", tensor.to_sparse())
    assert not on_gpu(tensor) and not on_gpu(torch.Tensor)


def test_masked_class_names():
    from ninc.data import Dataset

    names = masked(np.array(["cat", "dog"]), 1)
    with pytest.raises((ArgumentError, DTypeError), match="Dataset: classes: has 1 masked value"):
        Dataset(np.zeros((2, 4, 4), np.uint8), [0, 1], names)
