"""Writes data sets in every format `ninc.data.load` reads, as their publishers lay them out."""

import gzip
import pickle
import struct

import numpy as np

from ninc.data import Dataset

from .small_pictures import random_bytes, save


def pictures(count=40, shape=(32, 32, 3), classes=10, seed=0):
    """Random pictures; picture n is of class n % classes, so that each class has its share."""
    images = random_bytes(count, *shape, seed=seed)
    return Dataset(images, np.arange(count) % classes, [f"kind {c}" for c in range(classes)])


def planes(images):
    """N×3072: each picture as C×H×W."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(len(images), -1)


def _shares(data):
    """Five batches as CIFAR-10 has them."""
    return [data.subset(part) for part in np.array_split(np.arange(len(data)), 5)]


def cifar10_binary(root, train, test=None):
    def write(name, data):
        rows = np.concatenate([data.labels[:, None].astype(np.uint8), planes(data.images)], axis=1)
        (root / name).write_bytes(rows.tobytes())

    for number, share in enumerate(_shares(train), start=1):
        write(f"data_batch_{number}.bin", share)
    if test is not None:
        write("test_batch.bin", test)
    (root / "batches.meta.txt").write_text("\n".join(train.classes) + "\n\n")


def cifar100_binary(root, train, test=None):
    for name, data in (("train.bin", train), ("test.bin", test)):
        if data is not None:
            fine = data.labels[:, None].astype(np.uint8)
            rows = np.concatenate([fine // 5, fine, planes(data.images)], axis=1)
            (root / name).write_bytes(rows.tobytes())
    (root / "fine_label_names.txt").write_text("\n".join(train.classes) + "\n")


def python2_pickle(found):
    """A dict as Python 2 and the numpy of its day pickled it: protocol 2, str that is bytes."""
    out = [b"\x80\x02}("]

    def short(text):
        return b"U" + bytes([len(text)]) + text

    def put(value):
        if isinstance(value, bytes):
            out.append(short(value))
        elif isinstance(value, list):
            out.append(b"](")
            for item in value:
                put(item)
            out.append(b"e")
        elif isinstance(value, int):
            out.append(b"J" + struct.pack("<i", value))
        else:
            pixels = value.tobytes()
            shape = b"".join(b"J" + struct.pack("<i", size) for size in value.shape)
            out.append(
                b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\0\x85" + short(b"b")
                + b"tR(K\x01(" + shape + b"tcnumpy\ndtype\n(" + short(b"u1")
                + b"K\0K\x01tR(K\x03" + short(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
                + b"\x89T" + struct.pack("<i", len(pixels)) + pixels + b"tb"
            )  # fmt: skip

    for key, value in found.items():
        put(key)
        put(value)
    return b"".join(out) + b"u."


def cifar10_pickle(root, train, test=None, protocol=2):
    """protocol: "python 2", or the one Python 3 writes."""

    def write(name, found):
        if protocol == "python 2":
            content = python2_pickle({key.encode(): value for key, value in found.items()})
        else:
            content = pickle.dumps(found, protocol)
        (root / name).write_bytes(content)

    def batch(data):
        return {"data": planes(data.images), "labels": data.labels.tolist()}

    for number, share in enumerate(_shares(train), start=1):
        write(f"data_batch_{number}", batch(share))
    if test is not None:
        write("test_batch", batch(test))
    names = [name.encode() if protocol == "python 2" else name for name in train.classes]
    write("batches.meta", {"label_names": names, "num_cases_per_batch": 10})


def cifar100_pickle(root, train, test=None):
    for name, data in (("train", train), ("test", test)):
        if data is not None:
            fine = data.labels.tolist()
            coarse = [label // 5 for label in fine]
            found = {"data": planes(data.images), "fine_labels": fine, "coarse_labels": coarse}
            (root / name).write_bytes(pickle.dumps(found, 2))
    (root / "meta").write_bytes(pickle.dumps({"fine_label_names": train.classes}, 2))


def idx_bytes(array, kind=0x08):
    header = struct.pack(f">HBB{array.ndim}I", 0, kind, array.ndim, *array.shape)
    return header + array.tobytes()


def idx(root, train, test=None, zipped=False, joint="-"):
    """Grey pictures as N×H×W, colour ones as N×H×W×3."""
    for part, data in (("train", train), ("t10k", test)):
        if data is None:
            continue
        images = data.images[..., 0] if data.images.shape[3] == 1 else data.images
        for name, array in (
            (f"{part}-images{joint}idx{images.ndim}-ubyte", images),
            (f"{part}-labels{joint}idx1-ubyte", data.labels.astype(np.uint8)),
        ):
            content = idx_bytes(array)
            if zipped:
                (root / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (root / name).write_bytes(content)


def npz(root, train, test=None, zipped=False):
    arrays = dict(x=train.images, y=train.labels, classes=np.array(train.classes))
    if test is not None:
        arrays.update(x_test=test.images, y_test=test.labels)
    (np.savez_compressed if zipped else np.savez)(root / "data.npz", **arrays)


def folder(root, train, test=None):
    """PNG, which loses nothing; files sort in the order of the pictures."""
    for part, data in (("train", train), ("test", test)):
        if data is None:
            continue
        for number, (pixels, label) in enumerate(zip(data.images, data.labels)):
            pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels
            save(root / part / data.classes[label] / f"{number:05d}.png", pixels)


# name -> (writer, shape of its pictures, number of classes)
ALL = {
    "cifar10-binary": (cifar10_binary, (32, 32, 3), 10),
    "cifar100-binary": (cifar100_binary, (32, 32, 3), 100),
    "cifar10-pickle": (cifar10_pickle, (32, 32, 3), 10),
    "cifar10-python2": (
        lambda root, train, test=None: cifar10_pickle(root, train, test, "python 2"),
        (32, 32, 3), 10,
    ),
    "cifar10-pickle5": (
        lambda root, train, test=None: cifar10_pickle(root, train, test, 5), (32, 32, 3), 10,
    ),
    "cifar100-pickle": (cifar100_pickle, (32, 32, 3), 100),
    "idx": (idx, (28, 28, 1), 10),
    "idx-gz": (lambda root, train, test=None: idx(root, train, test, True, "."), (28, 28, 1), 10),
    "idx-colour": (idx, (32, 32, 3), 10),
    "npz": (npz, (28, 28, 1), 10),
    "npz-zipped": (lambda root, train, test=None: npz(root, train, test, True), (32, 32, 3), 10),
    "folder": (folder, (32, 32, 3), 10),
}  # fmt: skip
