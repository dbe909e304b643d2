"""Files that torch itself writes, and networks beside torch's own."""

import collections
import io

import numpy as np
import pytest

import ninc
from ninc import nn
from ninc.errors import ModelError

torch = pytest.importorskip("torch", reason="torch is not installed")

FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
DTYPES = [
    "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8",
    "uint16", "uint32", "uint64", "bool", "complex64", "complex128",
]  # fmt: skip


def written(value, zipped=True, **options):
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=zipped, **options)
    return file.getvalue()


def plain(tensor):
    tensor = tensor.detach()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def assert_same(found, state):
    names = [name for name, value in state.items() if isinstance(value, torch.Tensor)]
    assert list(found) == names
    for name in names:
        assert found[name].dtype == plain(state[name]).dtype, name
        np.testing.assert_array_equal(found[name], plain(state[name]), err_msg=name)


@FORMATS
@pytest.mark.parametrize("protocol", [1, 2, 3, 4, 5])
def test_every_dtype(zipped, protocol):
    names = [name for name in DTYPES if hasattr(torch, name)]
    state = {name: torch.arange(24).reshape(2, 3, 4).to(getattr(torch, name)) for name in names}
    found = ninc.load_torch(written(state, zipped, pickle_protocol=protocol))
    assert_same(found, state)


@FORMATS
def test_views_and_shared_storages(zipped):
    base = torch.arange(120.0)
    state = {
        "base": base,
        "transposed": base.reshape(10, 12).t(),
        "channels last": base.reshape(1, 4, 5, 6).to(memory_format=torch.channels_last),
        "permuted": base.reshape(4, 5, 6).permute(2, 0, 1),
        "sliced": base.reshape(10, 12)[2:7:2, 3::4],
        "expanded": base[:3].reshape(3, 1).expand(3, 50),
        "unfolded": base.unfold(0, 7, 2),
        "scalar": base[5],
        "empty": base[:0],
        "parameter": torch.nn.Parameter(base[7:9]),
        "requires grad": (base * 2).requires_grad_(),
    }
    found = ninc.load_torch(written(state, zipped))
    assert_same(found, state)
    assert np.shares_memory(found["base"], found["transposed"])


@FORMATS
def test_modules_and_checkpoints(zipped):
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.PReLU(8), torch.nn.Linear(8, 2)
    )
    optimizer = torch.optim.Adam(model.parameters())
    sum(parameter.sum() for parameter in model.parameters()).backward()
    optimizer.step()
    state = model.state_dict()
    checkpoint = {
        "epoch": 3,
        "model": state,
        "optimizer": optimizer.state_dict(),
        "scores": collections.defaultdict(list, a=[np.float64(0.5), np.arange(3)]),
        "best": torch.tensor(0.5),
        "sizes": torch.Size([2, 3]),
        "device": torch.device("cpu"),
        "rng": torch.get_rng_state(),
    }
    for value in (state, checkpoint):
        assert_same(ninc.load_torch(written(value, zipped)), state)
    parallel = torch.nn.DataParallel(model).state_dict()
    assert_same(ninc.load_torch(written({"state_dict": parallel}, zipped)), parallel)
    for whole in (model, {"model": model, "epoch": 3}):
        with pytest.raises(ModelError, match=r"holds a pickled model.*torch\.nn\.modules.*state_d"):
            ninc.load_torch(written(whole, zipped))


@FORMATS
def test_what_numpy_has_no_arrays_for(zipped):
    kinds = {
        "sparse": torch.eye(3).to_sparse(),
        "quantised": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
        "meta": torch.ones(3, device="meta"),
    }
    for name, value in kinds.items():
        with pytest.raises(ModelError, match=f"bytes: {name!r}: is what torch._utils._rebuild_"):
            ninc.load_torch(written({name: value}, zipped))
        # Beside the weights it does no harm.
        state = {"w": torch.ones(2)}
        assert_same(ninc.load_torch(written({"state_dict": state, name: value}, zipped)), state)
    if hasattr(torch, "float8_e4m3fn"):
        value = {"w": torch.ones(3).to(torch.float8_e4m3fn)}
        with pytest.raises(ModelError, match="bytes: 'w': is of float8_e4m3fn, which numpy has no"):
            ninc.load_torch(written(value, zipped))


@FORMATS
def test_views_that_torch_negates_or_conjugates_as_it_reads_them(zipped):
    numbers = torch.tensor([1 + 2j, 3 - 4j])
    kinds = {"a conjugated view": numbers.conj(), "a negated view": numbers.conj().imag}
    for what, value in kinds.items():
        with pytest.raises(ModelError, match=f"bytes: 'w': is {what}, which numpy has no array"):
            ninc.load_torch(written({"w": value}, zipped))
        dense = {"w": value.resolve_conj().resolve_neg()}
        assert_same(ninc.load_torch(written(dense, zipped)), dense)


def test_torchscript():
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.Sequential(torch.nn.BatchNorm2d(8), torch.nn.ReLU())
    )
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(model), file)
    found, state = ninc.load_torch(file.getvalue()), model.state_dict()
    assert found.keys() == state.keys()
    for name, array in found.items():
        np.testing.assert_array_equal(array, plain(state[name]))


def test_safetensors_of_torch():
    save = pytest.importorskip("safetensors.torch").save
    names = [name for name in DTYPES if name not in ("complex128", "complex64")]
    state = {name: torch.arange(24).reshape(2, 3, 4).to(getattr(torch, name)) for name in names}
    found = ninc.load_torch(save(state))
    assert_same({name: found[name] for name in names}, state)


# ---- Networks ------------------------------------------------------------------------------------


def both():
    """One network, of torch and of ninc."""
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1, bias=False),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU(),
        torch.nn.Conv2d(8, 6, 3, stride=2),
        torch.nn.BatchNorm2d(6),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(6, 4),
    )
    ours = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 6, 3, stride=2), nn.BatchNorm2d(6), nn.GlobalAvgPool2d(), nn.Linear(6, 4),
    )  # fmt: skip
    return theirs, ours


@FORMATS
def test_a_network_of_torchs_gives_the_same_here(zipped, rng):
    theirs, ours = both()
    x = rng.standard_normal((4, 3, 12, 12), np.float32)
    theirs.train()(torch.from_numpy(x))  # moves the running statistics
    state = ninc.load_torch(written(theirs.state_dict(), zipped))
    loaded = ours.load_state_dict(state, match="order")
    assert loaded.missing == loaded.unknown == loaded.other_shape == []
    assert loaded.passed_over == ["1.num_batches_tracked", "4.num_batches_tracked"]
    expected = theirs.eval()(torch.from_numpy(x)).detach().numpy()
    # Sums of some 70 products in float32, each of order 1.
    np.testing.assert_allclose(ours(x), expected, rtol=1e-4, atol=1e-5)


def test_tensors_are_taken_as_they_are_and_a_network_goes_back(rng):
    theirs, ours = both()
    ours.load_state_dict(theirs.state_dict(), match="order")
    other, _ = both()
    state = dict(other.state_dict())
    sources = ours.load_state_dict(state, match="order").sources
    arrays = ours.state_dict()
    back = {sources[name]: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    theirs.load_state_dict(back, strict=False)
    x = rng.standard_normal((2, 3, 9, 9), np.float32)
    expected = theirs.eval()(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(ours(x), expected, rtol=1e-4, atol=1e-5)
