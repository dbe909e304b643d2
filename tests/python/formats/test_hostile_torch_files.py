"""Damaged archives and older files of torch's, and files that are none: an error in one sentence.

What the pickles in them may hold stands in test_hostile_pickles.py.
"""

import io
import random
import struct
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest

import ninc
from ninc.errors import ModelError, OutOfMemoryError
from support.formats.torch_files import (
    Call,
    Global,
    Raw,
    legacy_file,
    pickled,
    refused,
    saved,
    storage,
    tensor,
    zip_file,
)

STATE = {"conv.weight": np.ones((2, 3), np.float32), "conv.bias": np.zeros(2, np.float32)}
# ---- Archives ------------------------------------------------------------------------------------


def changed(content, *changes):
    """The bytes with others at some places, counted from the end where negative."""
    content = bytearray(content)
    for at, form, value in changes:
        struct.pack_into(form, content, at if at >= 0 else len(content) + at, value)
    return bytes(content)


def directory(content, name):
    """Where an entry's row of the directory begins."""
    return content.rindex(b"PK\x01\x02", 0, content.rindex(name.encode()))


WHOLE = saved(STATE)
PICKLE, FIRST, SECOND = (directory(WHOLE, f"archive/data{end}") for end in (".pkl", "/0", "/1"))
HEADER_OF_FIRST = struct.unpack_from("<I", WHOLE, FIRST + 42)[0]
ARCHIVES = {
    "an overlap": (changed(WHOLE, (SECOND + 42, "<I", HEADER_OF_FIRST)), "another name in the dir|"
        "overlaps"),
    "sizes that reach into the next": (
        changed(WHOLE, (FIRST + 20, "<I", 200), (FIRST + 24, "<I", 200)), "overlaps"),
    "sizes without a bound": (
        changed(WHOLE, (FIRST + 20, "<I", 1 << 31), (FIRST + 24, "<I", 1 << 31)), "overlaps"),
    "a compressed entry": (changed(WHOLE, (FIRST + 10, "<H", 8)), "compressed or encrypted"),
    "an encrypted entry": (changed(WHOLE, (PICKLE + 8, "<H", 1)), "compressed or encrypted"),
    "an entry at no header": (changed(WHOLE, (SECOND + 42, "<I", HEADER_OF_FIRST + 5)), "does not "
        "begin where|overlaps"),
    "an entry behind the end": (changed(WHOLE, (FIRST + 42, "<I", 1 << 31)), "cut off or damaged"),
    "another checksum": (changed(WHOLE, (FIRST + 16, "<I", 7)), "do not fit their checksum"),
    "a directory behind the end": (changed(WHOLE, (-6, "<I", 1 << 30)), "cut off or damaged"),
    "a directory that is none": (changed(WHOLE, (-6, "<I", 4)), "damaged directory"),
    "more entries than there are": (changed(WHOLE, (-12, "<H", 999)), "damaged directory"),
    "compressed throughout": (zip_file({}, compression=zipfile.ZIP_DEFLATED), "compressed"),
    "no data.pkl": (zip_file({}, prefix="archive/more/"), "without a data.pkl"),
    "no directory": (WHOLE[:-30], "cut off"),
    "nothing but a beginning": (b"PK\x03\x04", "cut off"),
}  # fmt: skip


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives(name):
    content, words = ARCHIVES[name]
    refused(content, words)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_with_a_name_twice_or_two_pickles():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", pickled({}))
        archive.writestr("a/data.pkl", pickled([]))
    refused(file.getvalue(), "has 'a/data.pkl' twice")
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", pickled({}))
        archive.writestr("b/data.pkl", pickled([]))
    refused(file.getvalue(), "holds 2 files data.pkl")
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("weights/net.pth", saved(STATE))
    refused(file.getvalue(), "a zip archive around 'weights/net.pth', which has to be unpacked")


def test_an_archive_of_64_bit_sizes():
    """Such as archives of more than 4 GiB have; here for a small one."""
    row = WHOLE[FIRST:]
    name_size = struct.unpack_from("<H", row, 28)[0]
    size, header = struct.unpack_from("<I", row, 24)[0], struct.unpack_from("<I", row, 42)[0]
    extra = struct.pack("<HHQQQ", 1, 24, size, size, header)
    wide = changed(row[:46], (20, "<I", 2**32 - 1), (24, "<I", 2**32 - 1), (30, "<H", len(extra)),
                   (42, "<I", 2**32 - 1))  # fmt: skip
    begin = struct.unpack_from("<I", WHOLE, len(WHOLE) - 6)[0]
    rows = WHOLE[begin:FIRST] + wide + row[46 : 46 + name_size] + extra + row[46 + name_size : -22]
    count = struct.unpack_from("<H", WHOLE, len(WHOLE) - 12)[0]
    end64 = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(rows), begin)
    at = begin + len(rows)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, at, 1)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 65535, 65535, 2**32 - 1, 2**32 - 1, 0)
    content = WHOLE[:begin] + rows + end64 + locator + end
    np.testing.assert_array_equal(ninc.load_torch(content)["conv.weight"], STATE["conv.weight"])
    refused(changed(content, (at + 32, "<Q", 1 << 60)), "is a zip archive of 1,152,921,504")
    refused(changed(content, (at + 48, "<Q", 1 << 62)), "cut off or damaged")
    refused(changed(content, (at, "<I", 0)), "damaged directory")


def with_entry(name, size, content=b""):
    """An archive in which an entry has so many bytes, zeros after the first ones."""
    return zip_file(pickled({}), None, **{name: content + bytes(size - len(content))})


def test_parts_that_are_too_long(monkeypatch, tmp_path):
    refused(with_entry("byteorder", 17, b"little"), "'archive/byteorder' has 17 bytes; at most 16")
    long = zip_file(bytes((64 << 20) + 1))
    with pytest.raises(ModelError, match="'archive/data.pkl' has 67,108,865 bytes; at most 67,108"):
        ninc.load_torch(long)
    path = tmp_path / "sparse.pt"
    with open(path, "wb") as file:  # an older file with a bytes object of 3 GB, which are not there
        file.write(b"\x80\x02\x8e" + struct.pack("<Q", 3 << 30))
        file.truncate(4 << 30)
    tracemalloc.start()
    with pytest.raises(ModelError, match="the pickle has more than 67,108,864 bytes"):
        ninc.load_torch(path)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_for_a_pickle_or_a_directory_is_asked_for(monkeypatch, tmp_path):
    path = tmp_path / "large.pt"
    monkeypatch.setenv("NINC_MEMORY_LIMIT", str(16 << 20))
    path.write_bytes(zip_file(bytes(32 << 20)))
    with pytest.raises(OutOfMemoryError, match="large.pt: 33.6 MB more are needed"):
        ninc.load_torch(path)
    with open(path, "wb") as file:
        file.write(b"PK\x03\x04")
        file.seek(2 << 30)
        file.write(struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, (2 << 30) - 4, 4, 0))
    with pytest.raises(OutOfMemoryError, match="large.pt: 2.15 GB more are needed"):
        ninc.load_torch(path)


# ---- TorchScript ---------------------------------------------------------------------------------


def script(modules):
    """Modules in one, each as the opcodes of its attributes."""
    net = b"c__torch__\nN\nq\x00"
    made = [b"X\x05\x00\x00\x00%05dh\x00)R%bb" % item for item in enumerate(modules)]
    value = b"\x80\x02" + net + b")R}(" + b"".join(made) + b"ub."
    return zip_file(value, constants__pkl=pickled(()))


def test_attributes_of_many_modules_at_once():
    names = b"".join(b"X\x04\x00\x00\x00%04dN" % index for index in range(1000))
    shared = b"}(" + names + b"uq\x01"
    refused(script([shared] + [b"h\x01"] * 1000), "two TorchScript modules that share their attr")
    long = b"X" + struct.pack("<I", 200_000) + b"x" * 200_000 + b"q\x01"
    several = [b"}" + long + b"Ns"] + [b"}h\x01Ns"] * 1000
    refused(script(several), "modules in modules without an end")


# ---- The older format ----------------------------------------------------------------------------

VALUE = {"w": tensor(storage("FloatStorage", "0", 6, view=True), 0, (6,), (1,))}
LEGACY = {
    "another pickle": (pickled({"w": 3}), "is a pickle that torch.save did not write"),
    "another number": (legacy_file({}, magic=3), "torch.save did not write"),
    "another version": (legacy_file({}, version=1002), "another version"),
    "no machine": (pickled(0x1950A86A20F9469CFC6C) + pickled(1001) + pickled(3), "byte order"),
    "no keys": (legacy_file({})[: -len(pickled([]))] + pickled({}), "no list of storages"),
    "keys that are none": (legacy_file({})[: -len(pickled([]))] + pickled([None]), "no list of"),
    "a negative number": (legacy_file(VALUE, {"0": (-6, b"")}), "has -6 elements of storage '0'"),
    "another number of elements": (legacy_file(VALUE, {"0": (7, bytes(28))}), "names 6"),
    "fewer bytes": (legacy_file(VALUE, {"0": (6, bytes(23))}), "cut off or damaged"),
    "a storage without a tensor": (legacy_file(VALUE, {"1": (6, bytes(24))}), "no tensor names"),
    "a storage that is missing": (legacy_file(VALUE), "storage '0' is missing"),
    "a storage twice": (legacy_file(VALUE)[: -len(pickled([]))] + pickled(["0", "0"])
        + 2 * (struct.pack("<q", 6) + bytes(24)), "or twice"),
    "more than memory": (legacy_file(
        {"w": tensor(storage("FloatStorage", "0", 1 << 58, view=True), 0, (6,), (1,))},
        {"0": (1 << 58, b"")}), "cut off or damaged"),
}  # fmt: skip


@pytest.mark.parametrize("name", LEGACY)
def test_older_files(name):
    content, words = LEGACY[name]
    refused(content, words)


# ---- Damage at any place -------------------------------------------------------------------------


@pytest.mark.parametrize("legacy", [False, True])
def test_a_file_cut_off_anywhere_is_told(legacy):
    whole = saved({"state_dict": STATE, "epoch": 3}, legacy)
    for length in range(len(whole)):
        with pytest.raises(ModelError):
            ninc.load_torch(whole[:length])


@pytest.mark.parametrize("legacy", [False, True])
def test_a_file_with_any_byte_changed_is_read_or_told(legacy):
    whole, rng = saved({"state_dict": STATE, "epoch": 3}, legacy), random.Random(0)
    for at in range(len(whole)):
        for value in (whole[at] ^ 1 << rng.randrange(8), rng.randrange(256), 0xFF):
            damaged = bytearray(whole)
            damaged[at] = value
            try:
                ninc.load_torch(damaged)
            except ModelError as error:
                assert len(str(error)) < 1500


# ---- What is no such file ------------------------------------------------------------------------

OTHERS = {
    "nothing": (b"", "is empty"),
    "a page": (b"<!DOCTYPE html><html>", "a page of the web"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid", "a pointer of Git LFS"),
    "gzip": (b"\x1f\x8b\x08\x00", "compressed with gzip"),
    "HDF5": (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    "a text": (b"hello", "begins with b'hello', as no file of PyTorch's does"),
    "a tar": (bytes(257) + b"ustar" + bytes(300), "a tar archive, as PyTorch 0.1 wrote"),
    "an unpickled module": (legacy_file(Call(Global("net", "Net"), (), {"_modules": {}})),
        r"holds a pickled model, of the class net.Net, .* torch.save\(model.state_dict"),
    "a model in a checkpoint": (zip_file({"model": Raw(b"cnet\nNet\n)\x81}X\x08\x00\x00\x00"
        b"_modules}sb"), "epoch": 3}), "holds a pickled model under 'model', of the class net.Net"),
    "one tensor": (saved(STATE["conv.bias"]), "holds a tensor, and no state dict"),
    "tensors without names": (saved([3, STATE["conv.bias"]]), "a list of 2,"),
    "a number": (zip_file(3), "holds 3, and no state dict"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_other_files(name):
    content, words = OTHERS[name]
    refused(content, words)
