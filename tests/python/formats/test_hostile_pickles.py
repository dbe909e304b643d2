"""What strangers may write into a pickle of torch's: an error in one sentence, or harmless.

No name is imported or called, nothing takes more memory than the file's size explains, and no file
ends the process.
"""

import struct
import sys
import tracemalloc

import numpy as np
import pytest

import ninc
from ninc.errors import OutOfMemoryError
from support.formats.torch_files import (
    Call,
    Global,
    Persistent,
    legacy_file,
    pickled,
    refused,
    saved,
    storage,
    tensor,
    zip_file,
)

# ---- Pickles -------------------------------------------------------------------------------------

DEEP = 100_000
NAMED = b"(X\x01\x00\x00\x00a"  # a mark and the text "a"

PICKLES = {
    "nothing": (b"", "cut off"),
    "no stop": (b"\x80\x02N", "cut off"),
    "an empty stack": (b"\x80\x02.", "damaged"),
    "a pop of nothing": (b"\x80\x020.", "damaged"),
    "a tuple of nothing": (b"\x80\x02\x87.", "damaged"),
    "an object of nothing": (b"\x80\x02(o.", "damaged"),
    "no mark": (b"\x80\x02t.", "damaged"),
    "an unknown place of the memo": (b"\x80\x02j\xff\xff\xff\xff.", "damaged"),
    "the highest place of the memo": (b"\x80\x02Nr\xff\xff\xff\xff.", "holds None"),
    "no text": (b"\x80\x02X\x01\x00\x00\x00\xff.", "damaged"),
    "a line without an end": (b"\x80\x02c" + b"x" * 5000, "without an end"),
    "a long of 2 GiB": (b"\x80\x02\x8b\xff\xff\xff\x7f.", "announces 2,147,483,647 bytes"),
    "a long of less than nothing": (b"\x80\x02\x8b\xff\xff\xff\xff.", "announces -1 bytes"),
    "a text of 4 GiB": (b"\x80\x02X\xff\xff\xff\xff.", "announces 4,294,967,295 bytes"),
    "a text without a bound": (b"\x80\x04\x8d" + b"\xff" * 8, "announces 18,446,744,073"),
    "bytes without a bound": (b"\x80\x04\x8e" + b"\x7f" * 8, "announces"),
    "a bytearray without a bound": (b"\x80\x05\x96" + b"\x0f" * 8, "announces"),
    "an old text of 2 GiB": (b"\x80\x02T\xff\xff\xff\x7f.", "announces"),
    "a number of many digits": (b"\x80\x02L" + b"9" * 4000 + b"L\n.", "endless digits"),
    "a number of a million digits": (b"\x80\x02L" + b"9" * 1_000_000 + b"L\n.", "without an end"),
    "a number that is none": (b"\x80\x02I1_0\n.", "an integer that is none"),
    "a text in decimal": (b"\x80\x02S'x'\n.", "the opcode b'S'"),
    "an extension": (b"\x80\x02\x82\x01.", "the opcode b'.x82'"),
    "a buffer from outside": (b"\x80\x05\x97.", "the opcode b'.x97'"),
    "a persistent id in words": (b"\x80\x02Px\n.", "the opcode b'P'"),
    "a call of an old kind": (b"\x80\x02(ios\nsystem\n.", "the opcode b'i'"),
    "a name that is a number": (b"\x80\x04K\x01K\x02\x93.", "by what is no text"),
    "an append to None": (b"\x80\x02NNa.", "appends to a value of type NoneType"),
    "items of a list": (b"\x80\x02]NNs.", "sets items of a value of type list"),
    "half an item": (b"\x80\x02}(Nu.", "sets items"),
    "tuples in tuples": (b"\x80\x02)" + b"\x85" * DEEP + b".", "holds a tuple of 1"),
    "tuples in tuples for a key": (b"\x80\x02})" + b"\x85" * DEEP + b"Ns.", "without names"),
    "tuples that double for a key": (b"\x80\x02})" + b"2\x86" * 200 + b"Ns.", "without names"),
    "lists in lists": (b"\x80\x02" + b"](" * DEEP + b"e" * DEEP + b".", "holds a list of 1"),
    "dicts in dicts": (
        b"\x80\x02" + b"}X\x01\x00\x00\x00a" * DEEP + b"N" + b"s" * DEEP + b".", "a mapping with a"
    ),
    "calls in calls": (
        b"\x80\x02" + b"cos\nx\n" * DEEP + b")R" + b"\x85R" * (DEEP - 1) + b".", "object of os.x"
    ),
    "states in states": (b"\x80\x02cos\nx\n)R2" + b"b2" * DEEP + b".", "an object of os.x"),
    "a dict in itself": (b"\x80\x02}q\x00" + NAMED + b"h\x00u.", "holds a mapping with a"),
    "a list in itself": (b"\x80\x02]q\x00(h\x00e.", "holds a list of 1"),
    "dicts that double": (
        b"\x80\x02}" + b"".join(
            b"q\x00}" + NAMED + b"h\x00X\x01\x00\x00\x00bh\x00u" for _ in range(100)
        ) + b".", "a mapping with a, b",
    ),
    "a long dict in many dicts": (
        b"\x80\x02}(" + b"".join(b"J" + struct.pack("<i", i) + b"N" for i in range(20_000))
        + b"uq\x00}(" + b"".join(b"X\x02\x00\x00\x00" + b"%02dh\x00" % i for i in range(99))
        + b"u.", "more than 1,000,000 entries",
    ),
    "too many opcodes": (b"\x80\x02N" + b"N0" * 1_000_001 + b".", "more than 2,000,000 opcodes"),
    "an OrderedDict of numbers": (pickled(Call(Global("collections", "OrderedDict"), ([1],))), "no "
        "pairs"),
    "an OrderedDict of two": (pickled(Call(Global("collections", "OrderedDict"), (1, 2))),
        "calls collections.OrderedDict with a wrong number of arguments"),
    "a list of pairs again and again": (b"\x80\x02]q\x00(" + b"))\x86" * 20_000 + b"e0"
        b"ccollections\nOrderedDict\nq\x01" + b"h\x01h\x00\x85R" * 500 + b".",
        "the same long arguments again"),
    "a list of sizes again and again": (b"\x80\x02](" + b"K\x01" * 200_000 + b"eq\x000"
        b"ctorch\nSize\nq\x01" + b"h\x01h\x00\x85R" * 1000 + b".", "the same long arguments again"),
    "pairs of a subclass again and again": (b"\x80\x02]q\x00(" + b"))\x86" * 20_000 + b"e0"
        b"ctorch._tensor\n_rebuild_from_type_v2\nq\x01(ccollections\nOrderedDict\nNh\x00\x85tq\x02"
        + b"h\x01h\x02R" * 500 + b".", "the same long arguments again"),
    "a tensor of endless sizes": (b"\x80\x02](" + b"K\x01" * 100_000 + b"eq\x000ctorch._utils\n"
        b"_rebuild_tensor_v2\n(NK\x00h\x00h\x00N}tR.", "a tensor of 100,000 dimensions"),
    "a class of an endless name": (b"\x80\x04X" + struct.pack("<I", 200_000) + b"x" * 200_000
        + b"X\x01\x00\x00\x00a\x93" + b")R.", "names a class by an endless text"),
    "objects of one long name": (b"\x80\x02c" + b"x" * 4000 + b"\ny\nq\x00" + b"h\x00)R" * 50_000
        + b".", "an object of x{200} and no|an object of x{200},"),
    "tensors of one long name": (b"\x80\x02ctorch._utils\n_rebuild_" + b"x" * 4000 + b"\nq\x00"
        + b"h\x00)R" * 50_000 + b".", "holds a tensor, and no state dict"),
    "arguments that are none": (b"\x80\x02ctorch._utils\n_rebuild_tensor\nNR.", "an object of"),
}  # fmt: skip


@pytest.mark.parametrize("name", PICKLES)
def test_pickles(name):
    content, words = PICKLES[name]
    refused(zip_file(content), words)


def test_a_dict_of_numbers_with_one_hash():
    """All multiples of 2^61 - 1 hash to 0: a dict of them would compare each with all others."""
    keys = (number * ((1 << 61) - 1) for number in range(8, 40_008))
    items = b"".join(b"\x8a\x0b" + key.to_bytes(11, "little") + b"N" for key in keys)
    refused(zip_file(b"\x80\x02}(" + items + b"u."), "a mapping without names")


def test_nothing_is_imported_or_called(tmp_path):
    target = tmp_path / "touched"
    names = [("os", "system"), ("builtins", "eval"), ("antigravity", "x")]
    for function in (Global(*name) for name in names):
        for value in (
            Call(function, (f"touch {target}",)),
            Call(Call(Global("builtins", "getattr"), (function, "__call__")), ("1/0",)),
            {"state_dict": Call(function, (f"open({str(target)!r}, 'w')",), {"__setstate__": 1})},
        ):
            for make in (zip_file, legacy_file):
                refused(make(value), "and no state dict|no mapping")
    assert not target.exists() and "antigravity" not in sys.modules


# ---- Tensors and storages ------------------------------------------------------------------------

FLOATS = storage("FloatStorage", "0", 6)
KEPT = {"0": (6, bytes(24))}

TENSORS = {
    "behind its storage": (tensor(FLOATS, 1, (2, 3), (3, 1)), "reach beyond its storage of 6"),
    "an offset without a bound": (tensor(FLOATS, 1 << 60, (1,), (1,)), "reach beyond"),
    "a stride without a bound": (tensor(FLOATS, 0, (2,), (1 << 61,)), "reach beyond"),
    "a negative offset": (tensor(FLOATS, -1, (2,), (1,)), "numbers of 0 or more"),
    "a negative stride": (tensor(FLOATS, 5, (2,), (-1,)), "numbers of 0 or more"),
    "a negative size": (tensor(FLOATS, 0, (-2, -3), (3, 1)), "numbers of 0 or more"),
    "half a size": (tensor(FLOATS, 0, (1.5,), (1,)), "numbers of 0 or more"),
    "a bool for a size": (tensor(FLOATS, 0, (True,), (1,)), "numbers of 0 or more"),
    "sizes in words": (tensor(FLOATS, 0, "23", "31"), "numbers of 0 or more"),
    "a size of 70 bits": (tensor(FLOATS, 0, (1 << 70,), (0,)), "numbers of 0 or more"),
    "fewer strides": (tensor(FLOATS, 0, (2, 3), (1,)), "as many of each"),
    "no storage": (tensor(None, 0, (2,), (1,)), "lacks a storage"),
    "endlessly repeated": (tensor(FLOATS, 0, (1 << 40,), (0,)), "repeats a storage of 6 elements"),
    "more than memory": (tensor(FLOATS, 0, (1 << 31, 1 << 31), (0, 0)), "which no memory holds"),
    "none, of more than memory": (tensor(FLOATS, 0, (0, 1 << 61), (1, 1)), "which no memory holds"),
    "33 dimensions": (tensor(FLOATS, 0, (1,) * 33, (1,) * 33), "33 dimensions"),
    "a storage that is missing": (tensor(storage("FloatStorage", "7", 6), 0, (6,), (1,)),
        "storage '7' is missing"),
    "a storage that is too short": (tensor(storage("FloatStorage", "0", 7), 0, (7,), (1,)),
        "has 24 bytes, and 7 elements of a FloatStorage are 28"),
    "a storage without a bound": (tensor(storage("FloatStorage", "0", 1 << 61), 0, (6,), (1,)),
        "has 24 bytes"),
    "an unknown storage": (tensor(storage("EvilStorage", "0", 6), 0, (6,), (1,)), "a EvilStorage"),
    "another dtype": (Call(Global("torch._utils", "_rebuild_tensor_v3"),
        (FLOATS, 0, (6,), (1,), False, None, Global("torch", "int64"))), "torch does not write"),
    "a dtype that is none": (Call(Global("torch._utils", "_rebuild_tensor_v3"),
        (FLOATS, 0, (6,), (1,), False, None, "float32")), "a dtype without a name"),
    "too few arguments": (Call(Global("torch._utils", "_rebuild_tensor_v2"), (FLOATS,)),
        "calls torch._utils._rebuild_tensor_v2 with a wrong number of arguments"),
    "a subclass of a subclass": (Call(Global("torch._tensor", "_rebuild_from_type_v2"),
        (Global("torch._tensor", "_rebuild_from_type_v2"), None, ())), "a subclass of a subclass"),
    "a storage without a key": (Persistent(("storage", Global("torch", "FloatStorage"), None, "cpu",
        6)), "without a type, a key or a number"),
    "a part beyond its storage": (Persistent(("storage", Global("torch", "FloatStorage"), "0",
        "cpu", 6, ("1", 3, 4))), r"elements 3..7 of storage '0', which has 6"),
    "something else from outside": (Persistent(("model", 3)), "no storage"),
    "nothing from outside": (Persistent(()), "no storage"),
    "one storage of two kinds": ([FLOATS, storage("LongStorage", "0", 3)],
        "is a FloatStorage of 6 elements in one place and a LongStorage of 3 in another"),
}  # fmt: skip


@pytest.mark.parametrize("name", TENSORS)
def test_tensors(name):
    value, words = TENSORS[name]
    message = refused(zip_file({"w": value}, KEPT), words)
    assert "'w': " in message or "pickle" in message or "storage '0'" in message


def test_many_views_of_one_storage_take_no_memory():
    one = storage("FloatStorage", "0", 1 << 18)
    state = {f"w{index}": tensor(one, 0, (1 << 18,), (1,)) for index in range(1000)}
    content = zip_file(state, {"0": (1 << 18, bytes(1 << 20))})
    tracemalloc.start()
    assert sum(array.nbytes for array in ninc.load_torch(content).values()) > 1 << 29
    assert tracemalloc.get_traced_memory()[1] < 32 << 20
    tracemalloc.stop()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("legacy", [False, True])
def test_memory_is_asked_for_before_it_is_taken(monkeypatch, tmp_path, legacy):
    path = tmp_path / "large.pt"
    path.write_bytes(saved({"w": np.zeros(16 << 20, np.float32)}, legacy))
    monkeypatch.setenv("NINC_MEMORY_LIMIT", str(16 << 20))
    with pytest.raises(OutOfMemoryError, match="large.pt: 67.1 MB more are needed"):
        ninc.load_torch(path)
