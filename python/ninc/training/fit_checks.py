"""Checks before the first step what `Trainer.fit` refuses and what it remarks on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._base.arguments import one_of, quoted, share_between
from ..data import BatchStream, Dataset
from ..data.batches import batch_bounds
from ..errors import ArgumentError, ShapeError, remark
from ..preprocess import KINDS, Preprocessing
from ..preprocess.statistics import SMALLEST_STD
from .monitor import MONITOR, MONITORS, watched

if TYPE_CHECKING:
    from .optim import Optimizer

# A channel whose deviation is below two grey levels out of 255 shows next to nothing.
_FLAT = 2.0 / 255.0
# Batch norm's statistics over fewer pictures than this are mostly noise.
_SMALLEST_ADVISED = 8
# How many images are compared at a time, once the first few are equal.
_LARGEST_BLOCK = 1024


# ---- Classes -------------------------------------------------------------------------------------


def check_two_classes(train: Dataset) -> None:
    """Raises ArgumentError for training data without images, or with images of one class only."""
    if not len(train):
        raise ArgumentError("fit: the training set is empty")
    first = int(train.labels[0])
    if (train.labels == first).all():
        raise ArgumentError(
            f"fit: all training pictures ({len(train):,}) are of one class, "
            f"{train.classes[first]!r}: a classifier needs at least two"
        )


def check_outputs(outputs: int) -> None:
    """Raises ArgumentError for a network that can give only one answer."""
    if outputs < 2:
        raise ArgumentError(
            "fit: the network has one output, whose probability is always 1; a classifier needs "
            "an output for each class, two for yes and no"
        )


def split(train: Dataset, share: float, seed: int) -> tuple[Dataset, Dataset]:
    """Returns (rest, held out), both with images; remarks on classes too small to be divided."""
    share = share_between("fit", "validation as a share", share)
    counts = np.bincount(train.labels, minlength=len(train.classes))
    single = [name for name, count in zip(train.classes, counts) if count == 1]
    rest, held_out = train.split(share, seed)
    if not len(held_out):
        raise ArgumentError(
            f"fit: validation={share!r} holds nothing out, as each class has one picture alone; "
            "give validation data, or none"
        )
    if single:
        remark(
            f"fit: of {len(single)} of {np.count_nonzero(counts)} classes ({quoted(single)}) there "
            "is one picture, which is trained on: validation says nothing of them"
        )
    return rest, held_out


def remark_on_validation(train: Dataset | BatchStream, validation: Dataset) -> None:
    """Remarks where validation data say nothing about some classes, or nothing at all."""
    if not isinstance(train, Dataset):
        return
    if validation.images is train.images:
        remark(
            "fit: the validation data are the training data, and do not tell how the network does "
            "on other pictures; validation=0.1 holds a tenth out"
        )
        return
    if train.classes != validation.classes:
        return
    trained = np.unique(train.labels)
    missing = np.setdiff1d(trained, validation.labels)
    if len(missing):
        names = [train.classes[label] for label in missing]
        remark(
            f"fit: the validation data have no picture of {len(names)} of {len(trained)} classes "
            f"({quoted(names)}) and say nothing of them"
        )


# ---- Batches -------------------------------------------------------------------------------------


def check_batches(model: _core.Model, train: Dataset, batch_size: int) -> int:
    """The batch size, lowered with a remark to the number of images where that is smaller.

    Raises ShapeError where some batches would be of one picture and the network cannot be trained
    on these.
    """
    count = len(train)
    if batch_size > count:
        smaller = max(_SMALLEST_ADVISED, count // 4)
        advice = f"; a batch size of {smaller} makes {-(-count // smaller)}"
        remark(
            f"fit: batch size {batch_size} is larger than the {count} training pictures: an epoch "
            f"is one step of them all{advice if smaller < count else ''}"
        )
        batch_size = count
    bounds = batch_bounds(count, batch_size)
    if bounds[-1] - bounds[-2] == 1:
        try:
            model.plan_info((1, *train.input_shape), True)
        except ShapeError as error:
            raise ShapeError(
                f"fit: of {count} pictures and a batch size of {batch_size} come batches of one "
                f"picture: {error}; take a larger batch size"
            ) from error
    return batch_size


def check_passes(model: _core.Model, average: Any, train: BatchStream, epochs: int) -> None:
    """Raises ArgumentError where batches that come only once will be needed twice."""
    if not train.one_epoch_only:
        return
    reason = f"{epochs} epochs need" if epochs > 1 else ""
    statistics = any(not trained for _, _, trained in model.specs())
    if not reason and average is not None and statistics:
        reason = f"batch norm's statistics for {average!r} need"
    if reason:
        raise ArgumentError(
            f"fit: {reason} the batches more than once, but an iterator gives them once; give "
            "a list, an object with __iter__, or a BatchStream of a function that returns a "
            "new iterator"
        )


# ---- Pictures ------------------------------------------------------------------------------------


def check_preprocessing(train: Dataset | BatchStream, kind: str) -> None:
    """Raises ArgumentError for a kind of preprocessing that is unknown or not for such data."""
    one_of("fit", "preprocessing", kind, KINDS)
    if kind != KINDS[0] and not train.is_pictures:
        raise ArgumentError(
            f"fit: preprocessing {kind!r} is for uint8 pictures; float32 arrays are taken as "
            "they are"
        )


def remark_on_pictures(train: Dataset, fitted: Preprocessing | None) -> None:
    """Remarks where there is next to nothing to see in the pictures or in one of their channels.

    fitted: the preprocessing where it was fitted to these pictures, else None.
    """
    if _all_equal(train.images):
        remark(
            f"fit: all {len(train):,} training pictures are equal, pixel by pixel: there is "
            "nothing to tell classes by; look at how they were read"
        )
        return
    if fitted is None or fitted.whitening is not None:
        return
    if max(fitted.std) <= _FLAT:
        mean, deviation = 255.0 * np.mean(fitted.mean), 255.0 * max(fitted.std)
        kind = "black" if mean < 1.0 else "white" if mean > 254.0 else "of one value"
        remark(
            f"fit: the training pictures are all but {kind}: their pixels have mean {mean:.3g} and "
            f"deviation {deviation:.2g}, out of 0..255; look at how they were read (values of 0..1 "
            "have to be multiplied by 255 before they become uint8)"
        )
        return
    flat = [channel for channel, std in enumerate(fitted.std) if std <= SMALLEST_STD]
    if flat:
        names = ["red", "green", "blue"]
        remark(
            f"fit: the training pictures' channels differ in {fitted.channels - len(flat)} alone: "
            + ", ".join(f"{names[c]} is {255.0 * fitted.mean[c]:.3g} in all pixels" for c in flat)
            + "; look at how they were read"
        )


def _all_equal(images: Any) -> bool:
    """Tells whether all N images are the same; mostly a look at the second one is enough."""
    first = np.asarray(images[:1])
    begin, size = 1, 1
    while begin < len(images):
        if not (np.asarray(images[begin : begin + size]) == first).all():
            return False
        begin, size = begin + size, min(2 * size, _LARGEST_BLOCK)
    return True


# ---- The rest ------------------------------------------------------------------------------------


def check_watched(
    validation: Dataset | None, patience: int | None, min_delta: float, monitor: str, schedule: Any
) -> None:
    """Raises ArgumentError where something watches a column that the history will not have."""
    one_of("fit", "monitor", monitor, MONITORS)
    if not monitor.startswith("val_"):
        raise ArgumentError(f"fit: monitor must be val_accuracy or val_loss, got {monitor!r}")
    if not min_delta >= 0.0:
        raise ArgumentError(f"fit: min_delta must be 0 or more, got {min_delta}")
    if validation is not None:
        return
    if patience is not None:
        raise ArgumentError("fit: patience needs validation data to watch")
    if min_delta or monitor != MONITOR:
        raise ArgumentError("fit: monitor and min_delta need validation data to watch")
    column = watched(schedule)
    if column is not None:
        raise ArgumentError(f"fit: {schedule!r} needs validation data to watch {column}")


def remark_on_settings(optimizer: Optimizer, patience: int | None, epochs: int) -> None:
    """Remarks on settings that have no effect."""
    if optimizer.lr == 0.0:
        remark("fit: the optimiser's learning rate is 0: no weight will change")
    if patience is not None and patience >= epochs:
        remark(
            f"fit: patience {patience} cannot end a run of {epochs} epochs early; the run ends "
            "with its best weights all the same"
        )
