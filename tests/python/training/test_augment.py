"""Augmentations: what they may do to a picture, and that they repeat."""

import numpy as np
import pytest

from ninc.augment import Compose, Flip, PadCrop
from ninc.data.batches import generator
from ninc.errors import ArgumentError


def pictures(count=40, channels=3, height=7, width=5):
    return np.random.default_rng(0).standard_normal((count, channels, height, width), np.float32)


def test_pad_crop_cuts_windows_of_the_padded_picture():
    batch = pictures()
    got = PadCrop(2)(batch, np.random.default_rng(1))
    padded = np.pad(batch, ((0, 0), (0, 0), (2, 2), (2, 2)))
    seen = set()
    for n in range(len(batch)):
        fits = [
            (dy, dx)
            for dy in range(5)
            for dx in range(5)
            if np.array_equal(got[n], padded[n, :, dy : dy + 7, dx : dx + 5])
        ]
        assert fits, f"picture {n} is no window of its padded self"
        seen.update(fits)
    assert len(seen) > 10  # 40 draws out of 25 places


def test_flip_mirrors_about_half():
    batch = pictures(count=400)
    got = Flip()(batch, np.random.default_rng(2))
    mirrored = [np.array_equal(y, x[..., ::-1]) for x, y in zip(batch, got)]
    same = [np.array_equal(y, x) for x, y in zip(batch, got)]
    assert all(a != b for a, b in zip(mirrored, same))
    # Binomial(400, 1/2): six deviations are 60.
    assert 140 < sum(mirrored) < 260


@pytest.mark.parametrize("p, mirrored", [(0.0, False), (1.0, True)])
def test_flip_of_none_and_all(p, mirrored):
    batch = pictures(count=5)
    wanted = batch[..., ::-1] if mirrored else batch
    np.testing.assert_array_equal(Flip(p)(batch, np.random.default_rng(0)), wanted)


def test_the_same_key_draws_the_same_pictures():
    augment = Compose(PadCrop(4), Flip())
    batch = pictures()
    first = augment(batch, generator(seed=5, epoch=2, stream=9))
    np.testing.assert_array_equal(first, augment(batch, generator(seed=5, epoch=2, stream=9)))
    for other in ((6, 2, 9), (5, 3, 9), (5, 2, 10)):
        assert not np.array_equal(first, augment(batch, generator(*other)))


def test_the_batch_itself_is_left_alone():
    batch = pictures()
    before = batch.copy()
    Compose(PadCrop(1), Flip())(batch, np.random.default_rng(0))
    np.testing.assert_array_equal(batch, before)


def test_no_pictures():
    assert Compose(PadCrop(1), Flip())(pictures(count=0), np.random.default_rng(0)).shape[0] == 0


def test_settings_are_checked():
    with pytest.raises(ArgumentError, match="PadCrop"):
        PadCrop(0)
    with pytest.raises(ArgumentError, match="Flip"):
        Flip(1.5)
