"""Data sets that several threads read, and that are changed while they are read."""

import hashlib
import sys
import threading

import numpy as np
import pytest
from PIL import Image

from ninc.data import BatchStream, stream
from ninc.data.pictures import DecodedSource, PictureFiles
from ninc.preprocess import Framing
from ninc.training.optim import SGD, Rates, optimizer


class Numbers(DecodedSource):
    """Each picture's pixels are all its number."""

    def __init__(self, count):
        super().__init__((count, 8, 8, 1), threads=1)
        self.decoded = []

    def decode(self, index):
        self.decoded.append(int(index))
        return np.full(self.shape[1:], index, np.uint8)


class ThenDo:
    """A lock; after it was let go of for the n-th time, `work` is done once."""

    def __init__(self, lock, number, work):
        self.lock, self.left, self.work = lock, number, work

    def __enter__(self):
        self.lock.acquire()

    def __exit__(self, *_):
        self.lock.release()
        self.left -= 1
        if self.left == 0:
            self.work()


@pytest.mark.parametrize("limit", [0, 1 << 20])
@pytest.mark.parametrize("place", range(1, 6))
def test_room_made_anew_while_pictures_are_read(place, limit):
    """`keep` comes after each time that reading lets go of the lock."""
    source = Numbers(4)
    source.keep(1 << 20)
    assert source[[3]].max() == 3
    source._lock = ThenDo(source._lock, place, lambda: source.keep(limit))
    for chosen in ([0, 3], [1], [2], [3, 1, 0, 2]):
        assert source[chosen][:, 0, 0, 0].tolist() == chosen


def test_pictures_are_kept_once_each():
    source = Numbers(4)
    source.keep(1 << 20)
    for _ in range(2):
        source[:]
    assert source.decoded == [0, 1, 2, 3]
    source.keep(2 * 64)
    for _ in range(2):
        source[:]
    assert source.decoded[4:] == [0, 1, 2, 3, 2, 3]


def test_many_threads_read_one_source():
    source = Numbers(200)
    source.keep(150 * 64)
    wrong = []
    start = threading.Barrier(8)

    def read(seed):
        rng = np.random.default_rng(seed)
        start.wait()
        for turn in range(30):
            chosen = rng.permutation(200)[:50]
            if seed == 0 and turn % 10 == 5:
                source.keep((100 + turn) * 64)
            if not (source[chosen] == chosen[:, None, None, None]).all():
                wrong.append((seed, turn))

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def fingerprint(source):
    digest = hashlib.blake2b()
    source.identify(digest, np.arange(len(source)))
    return digest.hexdigest()


class Slow:
    """An array that takes its values only after `meanwhile()`."""

    def __init__(self, values, meanwhile):
        self.values, self.meanwhile = values, meanwhile

    def __getitem__(self, index):
        return self.values[index]

    def __setitem__(self, index, value):
        self.meanwhile()
        self.values[index] = value


@pytest.mark.parametrize("slow", ["_sizes", "_marks"])
def test_a_fingerprint_taken_while_a_file_is_noted(tmp_path, slow):
    """Another thread decodes the file meanwhile, and has noted half of what tells it."""
    file = tmp_path / "picture.png"
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(file)
    expected = fingerprint(PictureFiles([file], Framing((8, 8), 1)))
    source = PictureFiles([file], Framing((8, 8), 1))
    found, threads = [], []

    def take():
        if not threads:
            thread = threading.Thread(target=lambda: found.append(fingerprint(source)), daemon=True)
            threads.append(thread)
            thread.start()
            thread.join(0.3)

    setattr(source, slow, Slow(getattr(source, slow), take))
    source[:]
    threads[0].join(60)
    assert found == [expected]


def with_other_at(line, module, work, other):
    """(What `work()` gives, [what `other()` gives]); the latter comes at its n-th line in `module`.

    That is what a second thread would see and bring about, were it to come at this place.
    """
    lines, others = [], []

    def trace(frame, event, arg):
        if frame.f_code.co_filename != module.__file__:
            return None
        if event == "line":
            lines.append(frame.f_lineno)
            if len(lines) == line:
                others.append(other())
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return work(), others
    finally:
        sys.settrace(before)


def at_each_line(module, make, work, other):
    """What work(made) and other(made) give, with `other` at one line of `work` after another."""
    line = 1
    while True:
        made = make()
        done, others = with_other_at(
            line, module, lambda made=made: work(made), lambda made=made: other(made)
        )
        if not others:
            assert line > 5
            return
        yield done, others[0]
        line += 1


def batches():
    x = np.zeros((1, 3, 4, 4), np.float32)
    return [(x, np.array([number])) for number in range(3)]


def numbers(epoch):
    return [int(labels[0]) for _, labels in epoch]


@pytest.mark.parametrize("opened", [False, True])
def test_two_threads_begin_an_epoch_of_one_stream(opened):
    def make():
        made = BatchStream(batches())
        if opened:
            made.first()
        return made

    def whole(made):
        return numbers(made.epoch())

    def look(made):
        return made.input_shape

    for pair in at_each_line(stream, make, whole, whole):
        assert pair == ([0, 1, 2], [0, 1, 2])
    for pair in at_each_line(stream, make, look, whole):
        assert pair == ((3, 4, 4), [0, 1, 2])
    for pair in at_each_line(stream, make, whole, look):
        assert pair == ([0, 1, 2], (3, 4, 4))


def test_rates_asked_for_while_others_are_computed():
    """A thread sets the optimizer while another steps: neither is left with the other's rates."""
    slow, quick = SGD(0.1), SGD(0.5)

    def slow_twice(rates):
        return [rates.of(slow)[0][0], rates.of(slow)[0][0]]

    def quickly(rates):
        return rates.of(quick)[0][0]

    for pair in at_each_line(optimizer, lambda: Rates(["a"]), slow_twice, quickly):
        assert pair == ([np.float32(0.1)] * 2, np.float32(0.5))
