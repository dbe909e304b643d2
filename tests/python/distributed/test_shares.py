"""Workers that make ready the pictures of their own shards only."""

import re

import numpy as np
import pytest

from ninc.augment import (
    AlternatingFlip,
    ColorJitter,
    Compose,
    Cutout,
    Flip,
    PadCrop,
    RandomResizedCrop,
    Rotation,
    Until,
)
from ninc.data import BatchStream, Dataset
from ninc.data.batches import training_batches
from ninc.data.source import ArraySource
from ninc.distributed.team import Team
from ninc.inference.evaluation import evaluate
from ninc.preprocess import Preprocessing
from support.distributed.thread_comm import together
from support.small_training import bars, small_network


def shuffled_within(batch, rng):
    """An augmentation of the user's own, which needs all pictures of a batch."""
    return batch[rng.permutation(len(batch))]


class Noisy(Flip):
    """One that is made of ninc's and draws in a way of its own."""

    def __call__(self, batch, rng):
        return batch + rng.standard_normal((len(batch), 1, 1, 1)).astype(batch.dtype)


IN_PARTS = [
    None, PadCrop(2), Flip(), AlternatingFlip(), Cutout(3), RandomResizedCrop((0.3, 1.0)),
    Rotation(40), ColorJitter(0.5, hue=0.1), Until(1, PadCrop(2)),
    Until(5, Compose(Flip(), Cutout(2))),
    Compose(PadCrop(1), Compose(Flip(), ColorJitter(0.3)), Cutout(2)),
]  # fmt: skip
WHOLE = [shuffled_within, Noisy(), Compose(Flip(), shuffled_within), Until(2, Noisy())]


def pictures(count=23):
    rng = np.random.default_rng(5)
    return rng.integers(0, 256, (count, 9, 7, 3), dtype=np.uint8), rng.integers(0, 3, count)


def batches(data, augment, share=None, epoch=1, kind="normalize"):
    fitted = Preprocessing.fit(pictures()[0], kind) if data_is_pictures(data) else None
    return list(training_batches(data, fitted, 8, augment, 3, epoch, share=share))


def data_is_pictures(data):
    return data.is_pictures if isinstance(data, Dataset) else data.first()[0].dtype == np.uint8


def kinds():
    x, y = pictures()
    floats = np.random.default_rng(6).standard_normal((23, 3, 9, 7), np.float32)
    yield Dataset(x, y)
    yield Dataset(floats, y)
    yield BatchStream([(x[i : i + 8], y[i : i + 8]) for i in (0, 8, 16)])


def name_of(augment):
    """Its repr without the places of functions in memory, which are others in every process."""
    return re.sub(r"<function (\S+) at \w+>", r"\1", repr(augment))


@pytest.mark.parametrize("augment", IN_PARTS + WHOLE, ids=name_of)
@pytest.mark.parametrize("kind", range(3), ids=["pictures", "floats", "stream"])
def test_shares_together_are_the_batch(kind, augment):
    data = list(kinds())[kind]
    if kind == 1 and "Color" in repr(augment):
        pytest.skip("colours are changed in pictures alone")
    whole = batches(data, augment)
    for cuts in ([0, 3, 8], [0, 0, 5, 5, 8]):  # some have no picture
        shares = [
            batches(data, augment, lambda n, a=a, b=b: slice(min(a, n), min(b, n)))
            for a, b in zip(cuts, cuts[1:])
        ]
        for (x, labels), *parts in zip(whole, *shares):
            assert np.concatenate([part for part, _ in parts]).tobytes() == x.tobytes()
            assert all(np.array_equal(own, labels) for _, own in parts)


@pytest.mark.parametrize("begin, end", [(0, 1), (3, 5), (4, 8)])
def test_shares_are_whitened_as_the_batch_is(begin, end):
    data, whole, own = Dataset(*pictures()), [], []
    for share, found in ((None, whole), (lambda n: slice(begin, min(end, n)), own)):
        found += [x for x, _ in batches(data, PadCrop(1), share, kind="gcn_zca")]
    for x, part in zip(whole, own):
        assert part.tobytes() == x[begin:end].tobytes()


@pytest.mark.parametrize("augment", IN_PARTS, ids=name_of)
def test_only_the_own_pictures_are_read(augment):
    x, y = pictures()
    read = []

    class Told(ArraySource):
        def read(self, indices, *others):
            read.extend(indices)
            return super().read(indices, *others)

    given = batches(Dataset(Told(x), y), augment, lambda n: slice(n // 2, n))
    assert len(read) == sum(len(own) for own, _ in given) == 12
    assert len(set(read)) == 12


@pytest.mark.parametrize("augment", WHOLE, ids=name_of)
def test_what_may_draw_for_the_batch_gets_all_of_it(augment):
    sizes = []

    def told(batch, rng):
        sizes.append(len(batch))
        return batch

    batches(Dataset(*pictures()), Compose(augment, told), lambda n: slice(0, 1))
    assert sizes == [8, 8, 7]


@pytest.mark.parametrize("count", [3, 50, 101])
@pytest.mark.parametrize("tta", [None, "flip"])
def test_an_evaluation_is_shared_out_batch_by_batch(count, tta):
    data, network = bars(count), small_network()
    network.preprocessing = Preprocessing.fit(data.images)
    alone = evaluate(network, data, 4, tta=tta)

    def shared(comm):
        read, logits = [], []

        class Told(ArraySource):
            def read(self, indices, *others):
                read.extend(indices)
                return super().read(indices, *others)

        own = Dataset(Told(data.images), data.labels, data.classes)
        each, workers = lambda given, _: logits.append(given), Team(comm)
        result = evaluate(network, own, 4, tta=tta, each=each, workers=workers)
        return result, read, np.concatenate(logits)

    results = together(3, shared)
    for result, _, logits in results:
        assert result.loss == alone.loss
        assert np.array_equal(result.confusion, alone.confusion)
        assert len(logits) == count
    assert sorted(place for _, read, _ in results for place in read) == list(range(count))
