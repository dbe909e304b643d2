"""Files of torch.save, made by hand: what they hold comes as arrays, without torch."""

import io
import os
import zipfile

import numpy as np
import pytest

import ninc
from ninc.errors import ArgumentError, FileError, ModelError
from support import ROOT
from support.formats.torch_files import (
    Call,
    Global,
    Persistent,
    Raw,
    Storages,
    legacy_file,
    ordered,
    pickled,
    saved,
    storage,
    tensor,
    zip_file,
)

FORMATS = pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
DTYPES = "f8 f4 f2 i8 i4 i2 i1 u1 b1 c8 c16".split()


def some(dtype, *shape):
    return (np.arange(np.prod(shape)).reshape(shape) % 5 - 2).astype(dtype)


def write(legacy, value, storages):
    return (legacy_file if legacy else zip_file)(value, storages.kept)


def assert_same(found, expected):
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype, name
        np.testing.assert_array_equal(found[name], array, err_msg=name)


# ---- Tensors -------------------------------------------------------------------------------------


@FORMATS
def test_every_dtype_and_shape(legacy):
    state = {f"{kind}.weight": some(kind, 2, 3, 4) for kind in DTYPES}
    state |= {"a scalar": np.array(7), "empty": some("f4", 0), "half empty": some("f4", 3, 0, 2)}
    assert_same(ninc.load_torch(saved(state, legacy)), state)


@FORMATS
def test_bfloat16_becomes_float32(legacy):
    values = np.array([1.0, -2.5, 3e38, np.inf, 0.0], np.float32)
    upper = (values.view(np.uint32) >> 16).astype(np.uint16)
    storages = Storages(legacy)
    state = {"w": tensor(storages.add(upper, "BFloat16Storage"), 1, (2, 2), (2, 1))}
    found = ninc.load_torch(write(legacy, state, storages))["w"]
    assert found.dtype == np.float32
    expected = (upper.astype(np.uint32) << 16).view(np.float32)[1:].reshape(2, 2)
    np.testing.assert_array_equal(found, expected)


def test_dtypes_without_a_storage_of_their_own():
    storages, state, expected = Storages(), {}, {}
    for name in ("uint16", "uint32", "uint64"):
        expected[name] = np.arange(6, dtype=name)[2:].reshape(2, 2)
        raw = storages.add(np.arange(6, dtype=name).view(np.uint8), "UntypedStorage")
        arguments = (raw, 2, (2, 2), (2, 1), False, ordered(), Global("torch", name))
        state[name] = Call(Global("torch._utils", "_rebuild_tensor_v3"), arguments)
    assert_same(ninc.load_torch(write(False, state, storages)), expected)


def test_a_bool_is_one_whatever_byte_was_written():
    kept = {"0": (3, b"\x00\x01\x07")}
    state = {"mask": tensor(storage("BoolStorage", "0", 3), 0, (3,), (1,))}
    found = ninc.load_torch(zip_file(state, kept))["mask"]
    assert found.tolist() == [False, True, True] and found.view(np.uint8).max() == 1


@FORMATS
def test_views(legacy):
    storages, numbers = Storages(legacy), some("f4", 24)
    one = storages.add(numbers)
    views = {
        "transposed": (0, (6, 4), (1, 6)),
        "later": (5, (3, 2), (2, 1)),
        "channels last": (0, (1, 2, 3, 4), (24, 1, 8, 2)),
        "every second": (1, (4,), (2,)),
        "overlapping": (0, (5, 4), (3, 1)),
        "expanded": (2, (3, 5), (1, 0)),
        "one": (23, (1, 1), (99, 7)),
        "nothing": (0, (0, 4), (4, 1)),
    }
    state = {name: tensor(one, *view) for name, view in views.items()}
    expected = {
        name: np.lib.stride_tricks.as_strided(numbers[offset:], shape, [4 * s for s in strides])
        for name, (offset, shape, strides) in views.items()
    }
    found = ninc.load_torch(write(legacy, state, storages))
    assert_same(found, expected)
    assert found["later"].flags.c_contiguous and found["later"].flags.writeable


@FORMATS
def test_tensors_of_one_storage_share_memory(legacy):
    storages = Storages(legacy)
    one = storages.add(some("f4", 6))
    state = {"tied.a": tensor(one, 0, (2, 3), (3, 1)), "tied.b": tensor(one, 0, (6,), (1,))}
    found = ninc.load_torch(write(legacy, state, storages))
    found["tied.a"][1, 2] = 7
    assert found["tied.b"][5] == 7


def test_another_order_of_bytes():
    state = {kind: some(kind, 3, 2) for kind in DTYPES}
    storages = Storages(order=">")
    tensors = storages.of(state)
    assert_same(ninc.load_torch(zip_file(tensors, storages.kept, byteorder="big")), state)
    with pytest.raises(ModelError, match="bytes: has the byte order b'middle'; 'little' or 'big'"):
        ninc.load_torch(zip_file(tensors, storages.kept, byteorder="middle"))
    with pytest.raises(ModelError, match="another byte order"):
        ninc.load_torch(legacy_file({}, little=False))


def test_functions_that_older_and_newer_torch_name():
    storages = Storages(legacy=True)
    arrays = {name: some("f4", 2, 2) + index for index, name in enumerate("abcd")}
    plain = {name: storages.tensor(array) for name, array in arrays.items()}
    plain["a"] = tensor(storages.add(arrays["a"]), 0, (2, 2), (2, 1), "_rebuild_tensor")
    plain["b"] = Call(Global("torch._utils", "_rebuild_parameter"), (plain["b"], True, ordered()))
    size = Call(Global("torch", "Size"), ([2, 2],))
    plain["c"].arguments = (*plain["c"].arguments[:2], size, *plain["c"].arguments[3:])
    inner, rebuild = plain["d"], Global("torch._tensor", "_rebuild_from_type_v2")
    plain["d"] = Call(rebuild, (inner.function, Global("torch", "Own"), inner.arguments, {}))
    used = {pid.arguments[0].pid[2] for pid in (plain["c"], inner, plain["a"])} | {"1"}
    kept = {key: value for key, value in storages.kept.items() if key in used}
    assert_same(ninc.load_torch(legacy_file(plain, kept)), arrays)


@pytest.mark.parametrize(
    "metadata, words",
    [
        ({"neg": True}, "'w': is a negated view, which numpy has no array for; a dense copy is"),
        ({"conj": True}, "is a conjugated view"),
        ({"conj": True, "neg": True}, "is a conjugated view"),
        ({"more": 3}, "is a tensor with marks that are not known"),
        ([1], "is a tensor with marks that are not known"),
        ({}, None),
        (None, None),
    ],
)
def test_marks_that_change_the_numbers(metadata, words):
    storages = Storages()
    plain = storages.tensor(some("f4", 2, 2))
    second = (*plain.arguments, metadata)
    raw = storages.add(some("f4", 4).view(np.uint8), "UntypedStorage")
    third = (raw, 0, (2, 2), (2, 1), False, ordered(), Global("torch", "float32"), metadata)
    for name, arguments in ("_rebuild_tensor_v2", second), ("_rebuild_tensor_v3", third):
        state = {"w": Call(Global("torch._utils", name), arguments)}
        content = zip_file(state, storages.kept)
        if words is None:
            assert_same(ninc.load_torch(content), {"w": some("f4", 2, 2)})
        else:
            with pytest.raises(ModelError, match=words):
                ninc.load_torch(content)


def test_a_part_of_a_storage_as_old_files_name_it():
    numbers = some("f4", 12)
    part = Persistent(("storage", Global("torch", "FloatStorage"), "0", "cpu", 12, ("1", 4, 6)))
    state = {"w": tensor(part, 1, (5,), (1,))}
    found = ninc.load_torch(legacy_file(state, {"0": (12, numbers.tobytes())}))
    np.testing.assert_array_equal(found["w"], numbers[5:10])


# ---- Which mapping -------------------------------------------------------------------------------

STATE = {"conv.weight": some("f4", 2, 3), "conv.bias": some("f4", 2)}
OTHER = {"conv.weight": some("f4", 4, 3), "scale": some("f4", 4)}
MOMENTA = {"state": {0: {"momentum_buffer": some("f4", 2, 3)}}, "param_groups": [{"lr": 0.1}]}


@FORMATS
@pytest.mark.parametrize(
    "checkpoint",
    [
        STATE,
        {"state_dict": STATE, "epoch": 3, "best_prec1": 91.5},
        {"model": STATE, "optimizer": MOMENTA, "args": Call(Global("argparse", "Namespace"))},
        {"net": STATE, "acc": some("f8")},
        {"state_dict": STATE, "state_dict_ema": OTHER},
        {"optimizer_G": {"state": {"w": OTHER}}, "generator": STATE},
        {"epoch": 3, "networks": {"first": {"weights": STATE}}},
        [STATE, {"epoch": 3}],
    ],
    ids=str,
)
def test_the_mapping_with_tensors_is_found(checkpoint, legacy):
    storages = Storages(legacy)
    value = storages.of(checkpoint)
    assert_same(ninc.load_torch(write(legacy, value, storages)), STATE)


def test_of_several_the_user_chooses():
    both = {"generator": STATE, "more": {"a.b": OTHER}, "discriminator.v2": OTHER}
    content = saved(both)
    with pytest.raises(
        ModelError,
        match=r"bytes: holds 3 mappings with tensors: 'generator', 'more.a.b', 'discriminator.v2'; "
        r"load_torch\(path, entry=...\)",
    ):
        ninc.load_torch(content)
    assert_same(ninc.load_torch(content, "generator"), STATE)
    assert_same(ninc.load_torch(content, entry="more.a.b"), OTHER)
    assert_same(ninc.load_torch(content, entry="discriminator.v2"), OTHER)
    for entry, words in [
        ("genarator", "has no entry 'genarator'; here are 'generator', 'more', 'discriminator.v2'"),
        ("generator.conv", "has no entry 'generator.conv'; there are no mappings here"),
        ("more", "its entry 'more' is a mapping with a.b, and no mapping with tensors"),
    ]:
        with pytest.raises(ModelError, match=words):
            ninc.load_torch(content, entry)
    with pytest.raises(ArgumentError, match="load_torch: entry must be a name or None, got 3"):
        ninc.load_torch(content, 3)


def test_an_entry_whose_names_have_dots():
    content = saved({"a": {"b.c": STATE}, "a.b": {"d": OTHER}, "model": STATE})
    assert_same(ninc.load_torch(content, "a.b.c"), STATE)  # the longer name, a.b, leads nowhere
    assert_same(ninc.load_torch(content, "a.b.d"), OTHER)
    for entry in ("model.", "a.b.", "a.b.d."):
        with pytest.raises(ModelError, match=f"has no entry '{entry}'"):
            ninc.load_torch(content, entry)


def test_two_usual_names_are_ambiguous():
    with pytest.raises(ModelError, match="3 mappings with tensors: 'model', 'net', 'ema';"):
        ninc.load_torch(saved({"model": STATE, "net": OTHER, "ema": STATE}))


def test_what_is_no_tensor_is_left_out():
    state = {**STATE, "_extra_state": None, "epoch": 3, "names": ["a"], 7: some("f4", 1)}
    assert_same(ninc.load_torch(saved(state)), STATE)


def test_classes_that_are_not_known_are_never_called(tmp_path):
    target = tmp_path / "touched"
    attack = Call(Global("os", "system"), (f"touch {target}",))
    checkpoint = {
        "state_dict": STATE,
        "args": Call(Global("argparse", "Namespace"), (), {"lr": 0.1}),
        "attack": attack,
        "built": Call(Global("builtins", "eval"), ("1/0",), {"__class__": attack}),
        "path": Call(Global("pathlib", "PosixPath"), ("/", "etc")),
        "device": Call(Global("torch", "device"), ("cuda",)),
        "dtype": Global("torch", "float32"),
        attack.function: 3,
    }
    assert_same(ninc.load_torch(saved(checkpoint)), STATE)
    assert not target.exists()


def test_a_class_that_is_a_mapping_is_looked_into():
    storages = Storages()
    items = b"(" + b"".join(
        opcode for name, array in STATE.items()
        for opcode in (pickled(name)[2:-1], pickled(storages.tensor(array))[2:-1])
    ) + b"u"  # fmt: skip
    made = Raw(pickled(Global("addict", "Dict"))[2:-1] + b")\x81" + items)
    assert_same(ninc.load_torch(zip_file({"model": made}, storages.kept)), STATE)


def test_keys_of_every_kind_are_no_names():
    keys = [3, 2.5, None, True, b"x", (1, (2, 3)), 1 << 200, Global("torch", "float32")]
    pairs = b"".join(pickled(key)[2:-1] + b"N" for key in keys)
    storages = Storages()
    tensors = storages.of(STATE)
    value = Raw(pickled(tensors)[2:-1] + b"(" + pairs + b"u")
    assert_same(ninc.load_torch(zip_file(value, storages.kept)), STATE)


# ---- TorchScript ---------------------------------------------------------------------------------


def module(name, **attributes):
    return Call(Global(f"__torch__.{name}", "Net"), (), attributes)


def script(value, storages):
    return zip_file(value, storages.kept, constants__pkl=pickled(()), **{"code/a.py": "..."})


def test_torchscript_is_read_by_its_attributes():
    storages = Storages()
    conv = module("conv", training=False, weight=storages.tensor(STATE["conv.weight"]))
    block = module("block", conv=conv, scale=storages.tensor(OTHER["scale"]))
    content = script(module("net", stem=conv, block=block, classes=["a"]), storages)
    expected = {"stem.weight": STATE["conv.weight"], "block.scale": OTHER["scale"]}
    expected["block.conv.weight"] = STATE["conv.weight"]
    assert_same(ninc.load_torch(content), expected)


def test_torchscript_without_parameters():
    with pytest.raises(ModelError, match="TorchScript archive without parameters .*torch.jit.load"):
        ninc.load_torch(script(module("net", training=True), Storages()))


# ---- Where it comes from -------------------------------------------------------------------------


@FORMATS
def test_a_path_bytes_and_file_objects(legacy, tmp_path):
    content = saved(STATE, legacy)
    path = tmp_path / "checkpoint.pth"
    path.write_bytes(content)
    sources = [path, str(path), content, bytearray(content), memoryview(content)]
    for source in [*sources, io.BytesIO(content), open(path, "rb", buffering=0)]:
        assert_same(ninc.load_torch(source), STATE)
    file = io.BytesIO(b"before" + content)
    file.seek(6)
    assert_same(ninc.load_torch(file), STATE)
    assert not file.closed
    with zipfile.ZipFile(tmp_path / "z.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("c.pt", content)
    with zipfile.ZipFile(tmp_path / "z.zip") as archive, archive.open("c.pt") as member:
        assert_same(ninc.load_torch(member), STATE)


def test_a_pipe(tmp_path):
    reading, writing = os.pipe()
    with open(writing, "wb") as file:
        file.write(saved(STATE))
    assert_same(ninc.load_torch(f"/dev/fd/{reading}"), STATE)
    os.close(reading)


def test_it_is_named_where_readers_of_files_are():
    for text in (ninc.__doc__, (ROOT / "SECURITY.md").read_text()):
        assert "`ninc.load_torch`" in text and "`ninc.load_caffe`" in text


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(FileError, match=r"absent.pt: cannot read \(no such file") as told:
        ninc.load_torch(tmp_path / "absent.pt")
    assert isinstance(told.value, FileNotFoundError)
    with pytest.raises(IsADirectoryError, match="cannot read"):
        ninc.load_torch(tmp_path)
    for value in (None, 3, [b"x"], io.BytesIO):
        with pytest.raises(ArgumentError, match="load_torch: path must be a file name, the bytes"):
            ninc.load_torch(value)
    with pytest.raises(ArgumentError, match="load_torch: file object was opened as text"):
        ninc.load_torch(io.StringIO("x"))


@pytest.mark.parametrize("prefix", ["archive/", "resnet20/", "a name with spaces/", ""])
def test_an_archive_is_named_as_its_file_was(prefix):
    storages = Storages()
    assert_same(ninc.load_torch(zip_file(storages.of(STATE), storages.kept, prefix)), STATE)


@pytest.mark.parametrize("protocol", [1, 2, 3, 4, 5])
def test_every_protocol_of_pickle(protocol):
    """What Python's own pickler writes; the tensors come from the persistent id alone."""
    import pickle

    class Writer(pickle.Pickler):
        def persistent_id(self, value):
            return ("storage", "kind", "0", "cpu", 3) if isinstance(value, Stored) else None

    class Stored:
        pass

    value = {"deep": [1, -2, 70000, 1 << 40, 2.5, None, True, "é", b"b", {1, 2}, (1, 2, 3, 4)]}
    value |= {"again": value["deep"], "set": frozenset((1, 2)), "bytes": bytearray(b"abc")}
    file = io.BytesIO()
    Writer(file, protocol).dump(value)
    with pytest.raises(ModelError, match="holds a mapping with deep, again, set, bytes, and no st"):
        ninc.load_torch(zip_file(file.getvalue()))
    Writer(file := io.BytesIO(), protocol).dump(Stored())
    with pytest.raises(ModelError, match="names a storage without a type"):
        ninc.load_torch(zip_file(file.getvalue()))
