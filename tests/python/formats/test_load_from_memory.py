"""Models that come in bytes, or from what can be read like a file."""

import gzip
import io
import mmap
import os
import socket
import sys
import threading
import zipfile

import numpy as np
import pytest

import ninc
from ninc import nn
from ninc.errors import ArgumentError, ModelError, OutOfMemoryError
from support.processes import python
from support.small_pictures import CLASSES, noise, picture_network
from support.small_training import fit_in
from support.weights import assert_same_weights


@pytest.fixture
def content(tmp_path):
    picture_network().save(tmp_path / "m.safetensors")
    return (tmp_path / "m.safetensors").read_bytes()


def in_a_zip(content, folder):
    with zipfile.ZipFile(folder / "models.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside/m.safetensors", content)
    return zipfile.ZipFile(folder / "models.zip").open("inside/m.safetensors")


def gzipped(content, folder):
    with gzip.open(folder / "m.gz", "wb") as file:
        file.write(content)
    return gzip.open(folder / "m.gz")


def plain_file(content, folder):
    (folder / "m").write_bytes(content)
    return open(folder / "m", "rb")


def unbuffered(content, folder):
    (folder / "m").write_bytes(content)
    return open(folder / "m", "rb", buffering=0)


def mapped(content, folder):
    with plain_file(content, folder) as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def sent(content, folder):
    here, there = socket.socketpair()

    def send():
        with there:
            there.sendall(content)

    threading.Thread(target=send).start()
    return here.makefile("rb")


def piped(content, folder):
    reading, writing = os.pipe()

    def write():
        with open(writing, "wb") as file:
            file.write(content)

    threading.Thread(target=write).start()
    return open(reading, "rb")


class ByteByByte:
    """Gives less than it is asked for, as a network does, and in no bytes object."""

    def __init__(self, content, folder):
        self._left = memoryview(content)

    def read(self, size):
        block, self._left = self._left[: min(size, 700)], self._left[min(size, 700) :]
        return bytearray(block)


SOURCES = [
    lambda content, _: content,
    lambda content, _: bytearray(content),
    lambda content, _: memoryview(content),
    lambda content, _: memoryview(bytes(2 * len(content)))[::2].tobytes() and np.repeat(
        np.frombuffer(content, np.uint8), 2
    ).data[::2],
    lambda content, _: io.BytesIO(content),
    lambda content, _: io.BufferedReader(io.BytesIO(content)),
    in_a_zip, gzipped, plain_file, unbuffered, mapped, sent, piped, ByteByByte,
]  # fmt: skip


@pytest.mark.parametrize("make", SOURCES)
def test_all_give_the_same_network(make, content, tmp_path):
    wanted = ninc.load(tmp_path / "m.safetensors")
    network = ninc.load(make(content, tmp_path))
    assert_same_weights(network, wanted)
    assert network.classes == CLASSES and network.preprocessing == wanted.preprocessing
    np.testing.assert_array_equal(network.predict(noise()), wanted.predict(noise()))


def test_a_file_is_read_from_where_it_stands_and_stays_open(content):
    file = io.BytesIO(b"before" + content)
    file.seek(6)
    ninc.load(file)
    assert not file.closed and file.tell() == 6 + len(content)


def test_the_memory_stays_its_owners(content):
    given = bytearray(content)
    network = ninc.load(given)
    before = {name: array.copy() for name, array in network.state_dict().items()}
    given[:] = bytes(len(given))
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_checkpoint_is_a_network_there_too(tmp_path):
    fit_in(tmp_path)
    for name in ("last", "best"):
        file = tmp_path / f"{name}.safetensors"
        network = ninc.load(file.read_bytes())
        assert_same_weights(network, ninc.load(file))
        assert "training" not in network.core.metadata() and network.core.extras() == {}


def test_a_graph_larger_than_one_block(tmp_path):
    network = nn.Sequential(nn.Linear(1000, 700), nn.Linear(700, 3), seed=2)  # 2.8 MB
    network.save(tmp_path / "m")
    with open(tmp_path / "m", "rb") as file:
        assert_same_weights(ninc.load(file), network)


# ---- What is none --------------------------------------------------------------------------------


def test_a_file_open_for_text(content, tmp_path):
    (tmp_path / "m").write_bytes(content)
    for make in (lambda: open(tmp_path / "m", encoding="latin1"), lambda: io.StringIO("")):
        with make() as file, pytest.raises(ArgumentError, match="open it for bytes"):
            ninc.load(file)
    with open(tmp_path / "m", encoding="latin1") as file:
        with pytest.raises(ArgumentError, match=f"{tmp_path}/m was opened as text"):
            ninc.load(file)


def test_what_read_raises_is_passed_on():
    class Broken(io.RawIOBase):
        def read(self, size=-1):
            raise ConnectionResetError("the other side has gone")

    with pytest.raises(ConnectionResetError, match="the other side has gone"):
        ninc.load(Broken())
    closed = io.BytesIO(b"")
    closed.close()
    with pytest.raises(ValueError, match="closed file"):
        ninc.load(closed)


@pytest.mark.parametrize("given, words", [(None, "got None; it does not wait"), (3, "got 3")])
def test_what_read_gives_must_be_bytes(given, words):
    class Odd:
        def read(self, size):
            return given

    with pytest.raises(ArgumentError, match=rf"load: read\(\) of file object must give .*{words}"):
        ninc.load(Odd())


@pytest.mark.parametrize("cut", [0, 7, 100, -1])
def test_damaged_bytes(content, cut):
    for source in (content[:cut], io.BytesIO(content[:cut])):
        with pytest.raises(ModelError, match="bytes|file object"):
            ninc.load(source)


def test_the_name_is_told(tmp_path):
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/\xe9.safetensors")
    for name in (str(tmp_path / "broken.safetensors"), odd):
        with open(name, "wb") as file:
            file.write(b"no model")
        with open(name, "rb") as file, pytest.raises(ModelError) as told:
            ninc.load(file)
        assert os.path.dirname(name) in str(told.value)
    file = io.BytesIO(b"no model")
    for name in (3, None, "\ud800"):
        file.name = name
        with pytest.raises(ModelError):
            ninc.load(file)
        file.seek(0)


def test_bytes_that_are_a_files_name(content, tmp_path):
    name = os.fsencode(tmp_path / "m.safetensors")
    with pytest.raises(ModelError, match=r"the name of a file, which load takes as a str"):
        ninc.load(name)
    with pytest.raises(ModelError) as told:
        ninc.load(name + b"x")
    assert "fsdecode" not in str(told.value)


@pytest.mark.parametrize("value", [None, 3, [b"x"], io.BytesIO, np.zeros(3)])
def test_what_is_neither_path_nor_bytes_nor_file(value):
    with pytest.raises(ArgumentError, match="load: path must be a file name, the bytes of a file"):
        ninc.load(value)


# ---- Memory --------------------------------------------------------------------------------------


class Endless(io.RawIOBase):
    name = "endless stream"
    given = 0

    def read(self, size=-1):
        self.given += size
        return bytes(size)


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@linux
def test_an_endless_stream_ends_where_memory_does(monkeypatch):
    limit = 400 << 20
    monkeypatch.setenv("NINC_MEMORY_LIMIT", str(limit))
    stream = Endless()
    with pytest.raises(OutOfMemoryError, match="load: endless stream: .* are needed, and .* free"):
        ninc.load(stream)
    assert 0 < stream.given < limit


@linux
def test_bytes_for_which_there_is_no_room_twice(monkeypatch):
    given = bytearray(64 << 20)
    monkeypatch.setenv("NINC_MEMORY_LIMIT", str(80 << 20))
    with pytest.raises(OutOfMemoryError, match="load: bytes: 67.1 MB more are needed"):
        ninc.load(given)


PIPE = """
import os, threading, ninc
reading, writing = os.pipe()
def write():
    with open(writing, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 20))
        except BrokenPipeError:
            pass
threading.Thread(target=write, daemon=True).start()
try:
    {load}
except ninc.errors.OutOfMemoryError as error:
    print(error)
with open("/proc/self/status") as file:
    print(*(line.split()[1] for line in file if line.startswith("VmHWM")))
"""


@linux
@pytest.mark.parametrize(
    "load, name",
    [("ninc.load(open(reading, 'rb'))", "file object"), ("ninc.load(f'/dev/fd/{reading}')", "fd/")],
)
def test_an_endless_pipe_ends_where_memory_does(load, name):
    limit = 600 << 20
    done = python("-c", PIPE.format(load=load), NINC_MEMORY_LIMIT=str(limit))
    words, peak = done.stdout.splitlines()
    assert name in words and "are needed, and" in words
    assert 100 << 20 < int(peak) << 10 < limit


def test_a_file_opened_to_be_written_is_told_so(tmp_path):
    with open(tmp_path / "m", "wb") as file:
        with pytest.raises(ArgumentError, match="m was not opened to be read"):
            ninc.load(file)
