"""Augmentations that draw for each picture by itself: what they compute, and on what it depends."""

import colorsys

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
)
from ninc.data import BatchStream, Dataset
from ninc.data.batches import training_batches
from ninc.data.draws import BatchGenerator, PictureDraws, splitmix64
from ninc.errors import ArgumentError, DTypeError, ShapeError
from ninc.preprocess import Preprocessing

ALL = [
    AlternatingFlip(), Cutout(3), RandomResizedCrop((0.3, 1.0)), Rotation(40),
    ColorJitter(1, 1, 1, 0.5), ColorJitter(0.5), ColorJitter(hue=0.1),
]  # fmt: skip


def pixels(count=12, height=9, width=7, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, height, width, channels), dtype=np.uint8)


def floats(count=12, height=9, width=7):
    return np.random.default_rng(1).standard_normal((count, 3, height, width), np.float32)


def drawn(places, epoch=0, seed=0, batch=1):
    return BatchGenerator(seed, epoch, batch, np.asarray(places))


def batch_for(step, count=12):
    return pixels(count) if getattr(step, "on_pixels", False) else floats(count)


# ---- What chance depends on ----------------------------------------------------------------------


def test_the_numbers_are_splitmix64():
    """The first numbers of the stream of seed 1234567, as its authors' C program prints them."""
    got = splitmix64(np.array([1234567], np.uint64), np.arange(3, dtype=np.uint64))
    assert got.tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_a_pictures_numbers_are_even_and_its_own():
    draws = PictureDraws(7, 3, np.arange(20_000))
    got = np.concatenate([draws.uniform(2), draws.uniform(1), draws.of_run(1)], axis=1)
    assert got.min() >= 0.0 and got.max() < 1.0
    # A mean of 20,000 numbers has a deviation of 0.289 / sqrt(20,000) = 0.002; six of them.
    assert np.abs(got.mean(axis=0) - 0.5).max() < 0.0123
    # A correlation of independent numbers has one of 1 / sqrt(20,000) = 0.007; six of them.
    assert np.abs(np.corrcoef(got.T) - np.eye(4)).max() < 0.043
    assert np.abs(np.corrcoef(got[:-1, 0], got[1:, 0])[0, 1]) < 0.043
    other = PictureDraws(7, 4, np.arange(20_000))
    assert not np.isin(other.uniform(1), got[:, 0]).any()
    np.testing.assert_array_equal(other.of_run(1), got[:, 3:])


@pytest.mark.parametrize("step", [*ALL, *(Compose(s, s) for s in ALL[1:])], ids=repr)
def test_a_picture_is_changed_alike_in_batches_of_any_size(step):
    batch = batch_for(step if not isinstance(step, Compose) else step.steps[0])
    whole = step(batch, drawn(range(12)))
    order = np.random.default_rng(0).permutation(12)
    parts = [order[:5], order[5:6], order[6:]]
    for number, part in enumerate(parts, 4):
        got = step(batch[part], drawn(part, batch=number))
        assert got.tobytes() == whole[part].tobytes()
    assert not np.array_equal(step(batch, drawn(range(12), epoch=1)), whole)
    assert not np.array_equal(step(batch, drawn(range(12), seed=1)), whole)
    assert not np.array_equal(step(batch, drawn(range(12, 24))), whole)


@pytest.mark.parametrize("step", ALL, ids=repr)
def test_the_batch_itself_is_left_alone_and_may_be_empty(step):
    batch = batch_for(step)
    before = batch.copy()
    got = step(batch, drawn(range(12)))
    assert got.dtype == batch.dtype and got.shape == batch.shape
    np.testing.assert_array_equal(batch, before)
    assert step(batch[:0], drawn([])).shape == (0, *batch.shape[1:])


@pytest.mark.parametrize("step", ALL, ids=repr)
def test_any_generator_will_do(step):
    batch = batch_for(step)
    first = step(batch, np.random.default_rng(3))
    np.testing.assert_array_equal(first, step(batch, np.random.default_rng(3)))
    assert not np.array_equal(first, step(batch, np.random.default_rng(4)))


def test_a_step_that_loses_pictures_is_told():
    lossy = Compose(lambda batch, rng: batch[:3], Cutout(2))
    with pytest.raises(ShapeError, match="Cutout: the batch has 3 pictures, but it began with 12"):
        lossy(floats(), drawn(range(12)))


EVERYTHING = Compose(
    PadCrop(1), Compose(RandomResizedCrop((0.5, 1.0)), AlternatingFlip()), Rotation(20),
    ColorJitter(0.4, 0.4, 0.4, 0.1), Cutout(2),
)  # fmt: skip
KEYED = Compose(*EVERYTHING.steps[1:])  # all but PadCrop, which draws for a batch
PREPROCESSING = Preprocessing((9, 7), 3, (0.4, 0.5, 0.6), (0.2, 0.25, 0.3))


def epoch(data, augment, batch_size=8, first=0, number=2):
    given = training_batches(data, PREPROCESSING, batch_size, augment, 5, number, first)
    return [(x.copy(), y) for x, y in given]


def numbered(count=20):
    """Labels are the pictures' numbers, so that they are known again after a shuffle."""
    return Dataset(pixels(count), np.arange(count), [str(n) for n in range(count)])


@pytest.mark.parametrize("stream", [False, True])
def test_an_epoch_begun_in_the_middle_is_the_rest_of_the_whole(stream):
    data = numbered()
    if stream:
        parts = [slice(0, 3), slice(3, 11), slice(11, 20)]
        data = BatchStream([(data.images[p], data.labels[p]) for p in parts], data.classes)
    whole = epoch(data, EVERYTHING)
    assert len(whole) == 3
    for first in range(3):
        rest = epoch(data, EVERYTHING, first=first)
        assert [x.tobytes() for x, _ in rest] == [x.tobytes() for x, _ in whole[first:]]


def test_an_epoch_has_the_same_pictures_in_batches_of_another_size():
    def by_number(batch_size):
        batches = epoch(numbered(), KEYED, batch_size)
        return {int(n): x.tobytes() for xs, ys in batches for x, n in zip(xs, ys)}

    assert by_number(8) == by_number(20) == by_number(3)


def test_pixels_are_changed_before_they_are_normalised():
    seen = []

    def noted(batch, rng):
        seen.append((batch.dtype, batch.shape))
        return batch

    class OnPixels:
        on_pixels = True
        __call__ = staticmethod(noted)

    epoch(numbered(4), Compose(noted, Flip(), Compose(OnPixels())), batch_size=4)
    assert seen == [(np.uint8, (4, 9, 7, 3)), (np.float32, (4, 3, 9, 7))]
    got = epoch(numbered(4), ColorJitter(0.9), batch_size=4)
    rng = drawn(got[0][1], seed=5, epoch=2)
    wanted = PREPROCESSING.apply(ColorJitter(0.9)(numbered(4).images[got[0][1]], rng))
    np.testing.assert_array_equal(got[0][0], wanted)


def test_pictures_are_whitened_between_pixels_and_the_rest():
    data = numbered(20)
    whitening = Preprocessing.fit(data.images, "gcn_zca")
    augment = Compose(Cutout(3), Rotation(30))
    (x, order), *_ = training_batches(data, whitening, 20, augment, 5, 2)
    rng = drawn(order, seed=5, epoch=2)
    turned = Rotation(30)(data.images[order], rng)
    wanted = Cutout(3)(whitening.apply(turned), rng)
    np.testing.assert_array_equal(x, wanted)


def test_arrays_keep_their_order_of_steps():
    data = Dataset(floats(6), np.arange(6) % 2, ["a", "b"])
    augment = Compose(Cutout(3), Rotation(30), Flip(1.0))
    (x, y), *_ = training_batches(data, None, 6, augment, 5, 2)
    chosen = np.random.default_rng([5, 2, 0]).permutation(6)
    wanted = augment(data.images[chosen], drawn(chosen, epoch=2, seed=5))
    np.testing.assert_array_equal(x, wanted)


# ---- Flips and squares ---------------------------------------------------------------------------


def test_alternating_flip_shows_both_sides_in_two_epochs():
    batch, step, places = floats(400, 3, 4), AlternatingFlip(), range(400)
    first, second, third = (step(batch, drawn(places, epoch)) for epoch in (0, 1, 2))
    np.testing.assert_array_equal(second, first[..., ::-1])
    np.testing.assert_array_equal(third, first)
    as_is = (first == batch).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(first[~as_is], batch[~as_is][..., ::-1])
    # Binomial(400, 1/2): six deviations are 60.
    assert 140 < as_is.sum() < 260


@pytest.mark.parametrize("size", [1, 2, 5, 30])
def test_cutout_clears_one_square(size):
    batch = np.ones((300, 2, 9, 7), np.float32)
    got = Cutout(size)(batch, drawn(range(300)))
    corners = set()
    for picture in got:
        assert np.array_equal(picture[0], picture[1]) and set(np.unique(picture)) <= {0.0, 1.0}
        rows, columns = np.nonzero(picture[0] == 0)
        (top, bottom), (left, right) = ((a.min(), a.max() + 1) for a in (rows, columns))
        assert len(rows) == (bottom - top) * (right - left)
        assert bottom - top <= size and right - left <= size
        # Less than the square is seen only where it lies partly beside the picture.
        assert bottom - top == size or top == 0 or bottom == 9
        assert right - left == size or left == 0 or right == 7
        corners.add((top, left, bottom, right))
    assert size == 30 or len(corners) > 30


# ---- Cuts made larger ----------------------------------------------------------------------------


def test_windows_have_the_asked_sizes_and_proportions():
    step = RandomResizedCrop((0.2, 0.6), (0.5, 2.0))
    boxes = np.array(step._boxes(PictureDraws(0, 0, np.arange(3000)), 60, 90))
    top, left, height, width = boxes.T
    assert (top >= 0).all() and (left >= 0).all()
    assert (top + height <= 60).all() and (left + width <= 90).all()
    # Sides are rounded to whole pixels, which moves areas and proportions a little.
    area, ratio = height * width / 5400, width / height
    assert 0.19 < area.min() < 0.22 and 0.58 < area.max() < 0.62
    assert 0.48 < ratio.min() < 0.55 and 1.85 < ratio.max() < 2.1
    assert (top == 0).any() and (top + height == 60).any() and len(set(left.tolist())) > 40


def test_the_largest_centred_window_is_taken_where_none_fits():
    wide = RandomResizedCrop((1.0, 1.0), (3.0, 4.0))
    boxes = wide._boxes(PictureDraws(0, 0, np.arange(3)), 60, 60)
    assert boxes == [[20, 0, 20, 60]] * 3
    tall = RandomResizedCrop((1.0, 1.0), (0.25, 0.5))
    assert tall._boxes(PictureDraws(0, 0, np.arange(2)), 60, 60) == [[0, 15, 60, 30]] * 2


def test_a_window_of_all_changes_nothing():
    step = RandomResizedCrop((1.0, 1.0), (1.0, 1.0))
    for batch in (pixels(height=8, width=8), floats(height=8, width=8)):
        np.testing.assert_array_equal(step(batch, drawn(range(12))), batch)


def test_resized_crops_are_torchs():
    torch = pytest.importorskip("torch")
    step = RandomResizedCrop((0.1, 0.8))
    u, f = pixels(20, 24, 17), floats(20, 24, 17)
    boxes = step._boxes(PictureDraws(0, 0, np.arange(20)), 24, 17)
    got_u, got_f = step(u, drawn(range(20))), step(f, drawn(range(20)))
    for n, (top, left, height, width) in enumerate(boxes):
        window = slice(top, top + height), slice(left, left + width)
        for got, source in (
            (got_f[n], f[n]),
            (got_u[n].transpose(2, 0, 1), u[n].transpose(2, 0, 1)),
        ):
            cut = torch.from_numpy(source[(slice(None), *window)].astype(np.float32))
            wanted = torch.nn.functional.interpolate(
                cut[None], (24, 17), mode="bilinear", align_corners=False
            )[0].numpy()
            # Pixels are rounded to whole numbers; floats differ by the order of the two sums.
            room = 0.501 if got.dtype == np.uint8 else 1e-5
            assert np.abs(got - wanted).max() <= room


# ---- Turns ---------------------------------------------------------------------------------------


def test_a_quarter_turn_is_numpys():
    from ninc.training.augmenting.resampling import _turned

    square = pixels(1, 9, 9)[0]
    got = _turned(square, np.pi / 2, (0, 0, 0))
    np.testing.assert_array_equal(got, np.rot90(square))
    np.testing.assert_array_equal(_turned(square, 0.0, (0, 0, 0)), square)


def test_turns_are_torchs():
    torch = pytest.importorskip("torch")
    batch = floats(10, 11, 15)
    places = PictureDraws(0, 0, np.arange(10))
    angles = (2 * places.uniform(1)[:, 0] - 1) * np.pi
    got = Rotation(180)(batch, drawn(range(10)))
    for picture, angle, result in zip(batch, angles, got):
        # torch counts both axes from -1 to 1, which for other heights than widths is a scale.
        c, s, h, w = np.cos(angle), np.sin(angle), 11, 15
        theta = torch.tensor([[[c, -s * h / w, 0], [s * w / h, c, 0]]], dtype=torch.float64)
        grid = torch.nn.functional.affine_grid(theta, (1, 3, h, w), align_corners=False)
        wanted = torch.nn.functional.grid_sample(
            torch.from_numpy(picture.astype(np.float64))[None], grid, align_corners=False
        )[0].numpy()
        # Places are float32: errors of 1e-6 pixels, times differences of up to 8 between pixels.
        np.testing.assert_allclose(result, wanted, atol=2e-5)


@pytest.mark.parametrize("channels, ground", [(3, (250, 20, 130)), (1, 101)])
def test_the_ground_comes_in_beside_the_picture(channels, ground):
    batch = np.full((40, 20, 20, channels), 60, np.uint8)
    got = Rotation(90, ground=(250, 20, 130))(batch, drawn(range(40)))
    assert (got[:, 8:12, 8:12] == 60).all()
    assert (got[:, 0, 0] == ground).all(axis=-1).mean() > 0.8
    lowest, highest = np.minimum(60, ground), np.maximum(60, ground)
    assert ((got >= lowest) & (got <= highest)).all()


# ---- Colours -------------------------------------------------------------------------------------


def factors_of(step, count):
    drawn_numbers = PictureDraws(0, 0, np.arange(count)).uniform(5)
    spread = np.array([step.brightness, step.contrast, step.saturation])
    low = np.maximum(0, 1 - spread)
    return low + drawn_numbers[:, :3] * (1 + spread - low), (2 * drawn_numbers[:, 3] - 1) * step.hue


@pytest.mark.parametrize("name, column", [("Brightness", 0), ("Contrast", 1), ("Color", 2)])
def test_one_change_is_pillows(name, column):
    pytest.importorskip("PIL")
    from PIL import Image, ImageEnhance

    amounts = [0.0] * 3
    amounts[column] = 0.8
    step, batch = ColorJitter(*amounts), pixels(10, 16, 12)
    factors, _ = factors_of(step, 10)
    assert factors[:, column].max() - factors[:, column].min() > 0.8
    got = step(batch, drawn(range(10)))
    for picture, factor, result in zip(batch, factors[:, column], got):
        wanted = getattr(ImageEnhance, name)(Image.fromarray(picture)).enhance(factor)
        # Pillow rounds greys and means before it mixes, and its result down: two levels at most.
        assert np.abs(np.asarray(wanted).astype(int) - result.astype(int)).max() <= 2


def test_hue_is_colorsyss():
    batch, step = pixels(10, 5, 4), ColorJitter(hue=0.5)
    batch[0, 0] = 77  # greys stay greys
    _, turns = factors_of(step, 10)
    got = step(batch, drawn(range(10)))
    for picture, turn, result in zip(batch, turns, got):
        for (r, g, b), pixel in zip(picture.reshape(-1, 3) / 255.0, result.reshape(-1, 3)):
            h, s, v = colorsys.rgb_to_hsv(r, g, b)
            wanted = 255 * np.array(colorsys.hsv_to_rgb((h + turn) % 1.0, s, v))
            assert np.abs(wanted - pixel).max() <= 0.501  # rounded to whole numbers


def test_changes_come_in_every_order():
    """Brightness first cuts what is too bright, contrast first does not."""
    batch = np.repeat(pixels(1, 6, 6), 200, axis=0)
    step = ColorJitter(0.9, 0.9, 0.9)
    numbers = PictureDraws(0, 0, np.arange(200)).uniform(5)
    assert len(set((numbers[:, 4] * 24).astype(int))) == 24
    got = step(batch, drawn(range(200)))
    assert len({picture.tobytes() for picture in got}) == 200


def test_grey_pictures_have_brightness_and_contrast():
    grey = pixels(6, channels=1)
    full, two = ColorJitter(0.5, 0.5, 0.5, 0.5), ColorJitter(0.5, 0.5)
    np.testing.assert_array_equal(full(grey, drawn(range(6))), two(grey, drawn(range(6))))
    assert not np.array_equal(two(grey, drawn(range(6))), grey)


# ---- Settings ------------------------------------------------------------------------------------


def test_settings_are_told_and_checked():
    for step in [*ALL, EVERYTHING]:
        assert repr(eval(repr(step))) == repr(step)
    for wrong, words in (
        (lambda: RandomResizedCrop((0.5, 1.5)), "scale must not exceed 1"),
        (lambda: RandomResizedCrop((0.9, 0.5)), "scale must not fall"),
        (lambda: RandomResizedCrop(ratio=(0.0, 1.0)), "ratio must be a number above 0"),
        (lambda: Rotation(181), "at most 180"),
        (lambda: Rotation(10, (0, 0, 256)), "ground must be at most 255"),
        (lambda: ColorJitter(-0.1), "brightness must be a number of 0 or more"),
        (lambda: ColorJitter(hue=0.6), "hue must be at most 0.5"),
        (lambda: Cutout(0), "size must be at least 1"),
    ):
        with pytest.raises(ArgumentError, match=words):
            wrong()
    with pytest.raises(DTypeError, match="ColorJitter: needs N×H×W×C uint8 pictures"):
        ColorJitter(0.5)(floats(), drawn(range(12)))
    with pytest.raises(ShapeError, match="1 or 3 channels, got 7"):
        ColorJitter(0.5)(pixels().transpose(0, 1, 3, 2), drawn(range(12)))
