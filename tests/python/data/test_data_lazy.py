"""Data read as it goes, damaged pictures left out, memory limits and fingerprints."""

import hashlib
import importlib
import os
import shutil
import struct

import numpy as np
import pytest

import ninc
from ninc import nn
from ninc._base.memory import available_memory, size_text
from ninc.augment import Compose, Flip, PadCrop
from ninc.data import Dataset, PictureFiles, load
from ninc.data.batches import batches_in_order, training_batches
from ninc.data.source import ArraySource, Source
from ninc.errors import ArgumentError, FileError, OutOfMemoryError, ShapeError
from ninc.preprocess import Preprocessing
from support import data_files
from support.command_line import ninc_command
from support.processes import resident
from support.small_pictures import random_bytes

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def pets(tmp_path):
    """60 pictures to train with, 20 to test with, of 4 classes, as a folder of PNG files."""
    root = tmp_path / "pets"
    shape = (12, 12, 3)
    data_files.folder(
        root, data_files.pictures(60, shape, 4), data_files.pictures(20, shape, 4, seed=1)
    )
    return root


def spoil(*files):
    for file in files:
        file.write_bytes(file.read_bytes()[:60])


def all_batches(data, epoch=1):
    preprocessing = Preprocessing((12, 12), 3, (0.5,) * 3, (0.25,) * 3)
    augment = Compose(PadCrop(2), Flip())
    batches = training_batches(data, preprocessing, 8, augment, seed=3, epoch=epoch)
    return [(x.tobytes(), y.tobytes()) for x, y in batches]


@pytest.mark.parametrize("cache", [None, 0, 10 * 12 * 12 * 3])
def test_batches_are_those_of_data_in_memory(pets, cache):
    whole, lazy = load(pets, in_memory=True), load(pets, in_memory=False, cache=cache)
    assert isinstance(whole.images, np.ndarray) and not isinstance(lazy.images, np.ndarray)
    for epoch in (0, 1):
        assert all_batches(lazy, epoch) == all_batches(whole, epoch)
    in_order = [[x.tobytes() for x, _ in batches_in_order(data, None, 7)] for data in (whole, lazy)]
    assert in_order[0] == in_order[1]
    assert Preprocessing.fit(lazy.images) == Preprocessing.fit(whole.images)
    np.testing.assert_array_equal(np.asarray(lazy.images), whole.images)


def test_training_on_data_read_as_it_goes_gives_the_same_weights(pets):
    def weights(in_memory):
        network = nn.Sequential(nn.MlpConv(3, (8, 4), 3, padding=1), nn.GlobalAvgPool2d(), seed=1)
        trainer = ninc.Trainer(network, augment=PadCrop(1), seed=2)
        train, test = (load(pets, split, in_memory=in_memory) for split in ("train", "test"))
        trainer.fit(train, test, epochs=2, batch_size=16, progress=False)
        return b"".join(value.tobytes() for value in network.state_dict().values())

    assert weights(True) == weights(False)


def test_splits_and_subsets_stay_unread(pets, monkeypatch):
    data = load(pets, in_memory=False)
    monkeypatch.setattr(PictureFiles, "decode", None)
    rest, out = data.split(0.25, seed=1)
    renamed = out.with_classes([*reversed(out.classes), "other"])
    assert len(rest) + len(out) == 60 and not isinstance(out.images, np.ndarray)
    monkeypatch.undo()
    whole_out = load(pets, in_memory=True).split(0.25, seed=1)[1]
    np.testing.assert_array_equal(out.images[:], whole_out.images)
    np.testing.assert_array_equal(renamed.images[2:4], whole_out.images[2:4])


def test_what_is_kept_is_decoded_once(pets, monkeypatch):
    seen = []
    decode = PictureFiles.decode
    monkeypatch.setattr(
        PictureFiles, "decode", lambda self, index: seen.append(index) or decode(self, index)
    )
    room = 20 * 12 * 12 * 3
    for cache, wanted in ((None, 60), (room, 60 + 40), (0, 120)):
        seen.clear()
        images = load(pets, in_memory=False, cache=cache, threads=3).images
        for _ in range(2):
            images[np.random.default_rng(0).permutation(60)]
        assert len(seen) == wanted


def test_fit_looks_at_blocks():
    class Counted(Source):
        """100,000 pictures of one pixel, and the largest block that was asked for."""

        largest = 0

        def read(self, indices, advance=None, failed=None):
            self.largest = max(self.largest, len(indices))
            return (indices % 2).astype(np.uint8).reshape(-1, 1, 1, 1)

    source = Counted((100_000, 1, 1, 1))
    fitted = Preprocessing.fit(source)
    assert source.largest <= 1024
    assert fitted.mean == (0.5 / 255,)


class TestIndexing:
    source = ArraySource(np.arange(24, dtype=np.uint8).reshape(6, 2, 2, 1))

    @pytest.mark.parametrize(
        "chosen",
        [0, -1, np.int64(2), slice(None), slice(4, 1, -2), [1, -2, 1], np.zeros(0, int), [],
         np.array([True, False, False, True, True, False])],
    )  # fmt: skip
    def test_is_numpys(self, chosen):
        for source in (self.source, self.source.take(np.arange(6))):
            wanted = self.source._array[
                np.asarray(chosen, int) if isinstance(chosen, list) else chosen
            ]
            np.testing.assert_array_equal(source[chosen], wanted)

    @pytest.mark.parametrize("chosen", [6, -7, [0, 6], [[0]], [0.5], np.ones(5, bool), "a"])
    def test_of_what_is_not_there(self, chosen):
        with pytest.raises(IndexError):
            self.source[chosen]


def test_a_memory_mapped_array_stays_in_its_file(tmp_path):
    pixels = random_bytes(30, 4, 4, 3)
    np.save(tmp_path / "x.npy", pixels)
    data = Dataset(np.load(tmp_path / "x.npy", mmap_mode="r"), np.arange(30) % 3)
    rest, _ = data.split(0.5)
    assert isinstance(rest.images, Source)
    in_memory = Dataset(pixels, np.arange(30) % 3)
    np.testing.assert_array_equal(rest.images[:], in_memory.split(0.5)[0].images)
    assert data.fingerprint() == in_memory.fingerprint()


def test_a_damaged_picture_is_told_when_its_turn_comes(pets):
    bad = sorted((pets / "train" / "kind 2").iterdir())[3]
    spoil(bad)
    data = load(pets, in_memory=False)
    with pytest.raises(FileError, match=bad.name):
        all_batches(data)
    with pytest.raises(FileError, match=bad.name):
        load(pets, in_memory=True)


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("size", [None, (10, 10)])
def test_damaged_pictures_are_left_out(pets, in_memory, size):
    bad = [sorted((pets / "train" / name).iterdir())[at] for name, at in
           (("kind 0", 0), ("kind 2", 5), ("kind 2", 7))]  # fmt: skip
    whole = load(pets, size=size)
    places = [0, 35, 37]
    spoil(*bad)
    data = load(pets, size=size, on_error="skip", in_memory=in_memory)
    assert data.skipped == [str(file) for file in bad]
    np.testing.assert_array_equal(data.images[:], np.delete(whole.images, places, axis=0))
    np.testing.assert_array_equal(data.labels, np.delete(whole.labels, places))
    both = load(pets, "all", size=size, on_error="skip", in_memory=in_memory)
    assert both.skipped == data.skipped and len(both) == 77
    assert load(pets, "test", on_error="skip").skipped == []


def test_damaged_pictures_do_not_change_what_is_held_out(pets):
    shutil.rmtree(pets / "test")
    before = load(pets, "test", held_out=0.5)
    spoil(sorted((pets / "train" / "kind 1").iterdir())[0])
    parts = [load(pets, split, held_out=0.5, on_error="skip") for split in ("train", "test")]
    assert sum(map(len, parts)) == 59
    assert {p.tobytes() for p in parts[1].images} <= {p.tobytes() for p in before.images}


@pytest.mark.parametrize("in_memory", [True, False])
def test_nothing_left_of_a_class(pets, in_memory):
    spoil(*(pets / "train" / "kind 1").iterdir())
    with pytest.raises(FileError, match="none of the 15 pictures of class 'kind 1' can be read"):
        load(pets, on_error="skip", in_memory=in_memory)
    spoil(*(pets / "train").glob("*/*"))
    with pytest.raises(FileError, match="kind 3"):  # the last one tried for a size
        load(pets, on_error="skip", in_memory=in_memory)
    with pytest.raises(FileError, match="class 'kind 0'"):
        load(pets, on_error="skip", in_memory=in_memory, size=(8, 8))


def test_damaged_pictures_on_the_command_line(pets, tmp_path, capsys):
    bad = sorted((pets / "train" / "kind 2").iterdir())[3]
    spoil(bad)
    out = tmp_path / "net.safetensors"
    command = ["train", pets, "-o", out, "--model", "nin-mnist", "--epochs", 1]
    command += ["--batch-size", 16, "--limit", 5]
    for options in ([], ["--stream"]):
        assert ninc_command(*command, *options) == 1
        assert f"{bad}" in capsys.readouterr().err
        assert ninc_command(*command, *options, "--on-corrupt", "skip") == 0
        captured = capsys.readouterr()
        assert f"ninc: left out 1 damaged picture: {bad}" in captured.err
        assert "19 pictures of 4 classes" in captured.err


def test_sizes_that_differ_are_told_when_their_turn_comes(pets):
    odd = pets / "train" / "kind 1" / "odd.png"
    shutil.copy(next((pets / "train" / "kind 0").iterdir()), odd)
    with Image.open(odd) as image:
        image.resize((5, 6)).save(odd)
    with pytest.raises(ShapeError, match=r"odd\.png: 6×5 pixels.*12×12"):
        load(pets, in_memory=False, on_error="raise").images[:]
    assert load(pets, size=(12, 12), in_memory=False).images[:].shape == (61, 12, 12, 3)


def test_memory_decides(pets, monkeypatch):
    module = importlib.import_module("ninc.data.load")  # the name itself is the function
    nbytes = 60 * 12 * 12 * 3
    for free, in_memory in ((2 * nbytes, True), (2 * nbytes - 2, False)):
        monkeypatch.setattr(module, "available_memory", lambda free=free: free)
        assert isinstance(load(pets).images, np.ndarray) == in_memory
    monkeypatch.setattr(module, "available_memory", lambda: nbytes - 1)
    with pytest.raises(OutOfMemoryError, match=r"pets: the images take 25\.9 kB .*--stream"):
        load(pets, in_memory=True)


def test_data_twice_as_large_as_memory(tmp_path):
    """Holes in a file take no disk, so that a small machine can have it."""
    if not os.path.exists("/proc/self/statm"):
        pytest.skip("no /proc to read this process's memory from")
    count = 2 * available_memory() // 1_000_000
    images, labels = (tmp_path / f"train-{n}-ubyte" for n in ("images-idx3", "labels-idx1"))
    images.write_bytes(struct.pack(">4I", 0x803, count, 1000, 1000))
    labels.write_bytes(struct.pack(">2I", 0x801, count))
    try:
        os.truncate(images, 16 + count * 1_000_000)
    except OSError:
        pytest.skip("no files of this size here")
    os.truncate(labels, 8 + count)
    last = np.full((1000, 1000), 7, np.uint8)
    with open(images, "r+b") as file:
        file.seek(16 + (count - 1) * 1_000_000)
        file.write(last.tobytes())

    before = resident()
    data = load(tmp_path, "all")
    assert data.images.nbytes == count * 1_000_000
    np.testing.assert_array_equal(data.images[-1][..., 0], last)
    batches = training_batches(data, None, 16, None, 0, 0)
    for _ in range(10):
        assert next(batches)[0].shape == (16, 1000, 1000, 1)
    batches.close()
    # Five batches of 16 MB and labels: far from the 160 MB that were read.
    assert resident() - before < 120e6 + 64 * count
    small = load(tmp_path, "test", size=(8, 8), limit=20)
    assert isinstance(small.images, np.ndarray) and small.images.shape == (20, 8, 8, 1)


def test_what_must_be_unpacked_needs_room(tmp_path, monkeypatch):
    for name, file in (("idx-gz", "train-images.idx3-ubyte.gz"), ("npz-zipped", "data.npz")):
        root = tmp_path / name
        root.mkdir()
        writer, shape, classes = data_files.ALL[name]
        writer(root, data_files.pictures(60, shape, classes))
        data = load(root, in_memory=False)
        with monkeypatch.context() as patched:
            patched.setattr("ninc._base.memory.available_memory", lambda: 40_000)
            with pytest.raises(OutOfMemoryError, match=f"{file}: unpacked it takes .* 40 kB"):
                data.images[:2]
        assert len(data.images[:2]) == 2


def test_available_memory_is_the_cores(monkeypatch):
    assert available_memory() > 0
    monkeypatch.setenv("NINC_MEMORY_LIMIT", "1")
    assert available_memory() == 0
    monkeypatch.setattr("ninc._core.free_memory", lambda: None)  # where the system does not say
    assert available_memory() >= 1 << 20
    assert [size_text(n) for n in (1.5e9, 3.2e8, 999)] == ["1.5 GB", "320 MB", "0.999 kB"]


def test_fingerprint_is_the_datas_own(pets, tmp_path):
    data = load(pets)
    same = [load(pets), load(pets, in_memory=False), load(pets, in_memory=False, cache=0)]
    shutil.copytree(pets, tmp_path / "elsewhere")
    same.append(load(tmp_path / "elsewhere"))
    assert {other.fingerprint() for other in same} == {data.fingerprint()}
    assert len(data.fingerprint()) == 32 and int(data.fingerprint(), 16)
    lazy, whole = (load(pets, in_memory=m).split(0.3, seed=2) for m in (False, True))
    assert [part.fingerprint() for part in lazy] == [part.fingerprint() for part in whole]

    others = [
        load(pets, "test"), load(pets, size=(10, 10)), load(pets, channels=1),
        load(pets, limit=3), data.with_classes([*data.classes, "other"]),
    ]  # fmt: skip
    digests = [data.fingerprint(), *(other.fingerprint() for other in others)]
    file = sorted((pets / "train" / "kind 1").iterdir())[0]
    file.write_bytes(file.read_bytes() + b"more")
    digests.append(load(pets).fingerprint())
    content = bytearray(file.read_bytes())
    content[-1] ^= 1  # the very same size
    file.write_bytes(content)
    digests.append(load(pets).fingerprint())
    file.rename(file.with_name("00002.png"))
    digests.append(load(pets).fingerprint())
    file.with_name("00002.png").unlink()
    digests.append(load(pets).fingerprint())
    assert len(set(digests)) == len(digests) == 10
    # What is in memory is what it was.
    assert data.fingerprint() == digests[0]


def test_fingerprint_of_arrays():
    images = data_files.pictures(20).images
    labels = np.arange(20) % 2
    data = Dataset(images, labels)
    # Written down, so that another machine and another version must agree.
    digest = hashlib.blake2b(digest_size=16)
    digest.update(b"((20, 32, 32, 3), ['0', '1'])")
    digest.update(labels.astype("<i8").tobytes() + images.tobytes())
    assert data.fingerprint() == digest.hexdigest()
    assert Dataset(images.copy(order="F"), labels.astype(np.uint8)).fingerprint() == (
        data.fingerprint()
    )
    changed = images.copy()
    changed[7, 3, 3, 1] ^= 1
    assert Dataset(changed, labels).fingerprint() != data.fingerprint()
    assert Dataset(images, labels[::-1]).fingerprint() != data.fingerprint()


def test_fingerprint_of_large_data_looks_at_a_sample(monkeypatch):
    monkeypatch.setattr("ninc.data.source._LARGEST_DIGEST", 5 * 3072)
    data = data_files.pictures(20)
    changed = [Dataset(data.images.copy(), data.labels, data.classes) for _ in range(2)]
    changed[0].images[4] ^= 1  # one of every fourth
    changed[1].images[5] ^= 1
    got = [other.fingerprint() == data.fingerprint() for other in changed]
    assert got == [False, True]


def test_options(pets):
    for options, words in (
        (dict(on_error="ignore"), "on_error"), (dict(cache=-1), "cache"), (dict(size=(3,)), "size"),
        (dict(size=(0, 4)), "size"), (dict(seed=-1), "seed"),
    ):  # fmt: skip
        with pytest.raises(ArgumentError, match=words):
            load(pets, **options)
