"""Feeds the readers of other people's files by atheris, which is libFuzzer for Python.

    python tests/fuzz/foreign_fuzzer.py READER [libFuzzer's options] FOLDER...

READER: a name of `READERS`. FOLDER: inputs to begin with; new ones are written to the first.

A reader may refuse a file with one of ninc's errors, in bounded memory and time. All else is a
finding, as is a network that is read and then cannot be described, saved and exported.
"""

from __future__ import annotations

import io
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

CORPUS = Path(__file__).parent / "corpus"


def read_torch(data: bytes) -> None:
    """The whole file: an archive, an older pickle or safetensors."""
    import ninc

    for array in ninc.load_torch(data).values():
        np.sum(array.astype(np.float64, copy=False))


def read_pickle(data: bytes) -> None:
    """The pickle in an archive that is whole, so that changes come as far as its opcodes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/data/0", bytes(64))
        archive.writestr("archive/data/1", bytes(range(64)))
        archive.writestr("archive/version", "3\n")
    read_torch(file.getvalue())


def read_caffe(data: bytes) -> None:
    """A caffemodel without its prototxt."""
    _read_caffe(data, None)


def read_prototxt(data: bytes) -> None:
    """A prototxt beside the weights of a small network."""
    _read_caffe((CORPUS / "caffe" / "small_net").read_bytes(), data)


def _read_caffe(model: bytes, text: bytes | None) -> None:
    import ninc

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "net.caffemodel").write_bytes(model)
        if text is not None:
            (folder / "net.prototxt").write_bytes(text)
        prototxt = None if text is None else folder / "net.prototxt"
        _look_at(ninc.load_caffe(folder / "net.caffemodel", prototxt))


def read_onnx(data: bytes) -> None:
    import ninc

    _look_at(ninc.load_onnx(data))


def _look_at(network: object) -> None:
    """What any user does next."""
    import ninc

    assert isinstance(network, ninc.Network)
    assert len(repr(network.graph)) > 0
    with tempfile.TemporaryDirectory() as name:
        network.save(Path(name) / "net.safetensors")
        ninc.load(Path(name) / "net.safetensors")
    for change in (lambda: network.new_head(3), lambda: network.export_onnx(io.BytesIO())):
        try:
            change()
        except ninc.ModelError:  # not every network has a head, or a counterpart in ONNX
            pass


READERS: dict[str, Callable[[bytes], None]] = {
    "torch": read_torch,
    "pickle": read_pickle,
    "caffe": read_caffe,
    "prototxt": read_prototxt,
    "onnx": read_onnx,
}


def read_one(reader: str, data: bytes) -> None:
    """Reads a file that may be anything; errors of ninc's own are what it should give."""
    import ninc

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ninc.Remark)
        try:
            READERS[reader](data)
        except ninc.Error:
            pass


def main() -> None:
    import atheris

    with atheris.instrument_imports(include=["ninc"]):
        import ninc.formats.caffe.reader
        import ninc.formats.onnx_files.reader
        import ninc.formats.torch_files.read  # noqa: F401
    reader, *options = sys.argv[1:]
    atheris.Setup([sys.argv[0], *options], lambda data: read_one(reader, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
