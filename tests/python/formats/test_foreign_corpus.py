"""What the fuzzer of the readers was fed and is kept: each input is read again, or refused.

An input that a reader once failed on stands in tests/fuzz/corpus under a name that says what it is.
"""

import importlib.util
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[2] / "fuzz"


def _fuzzer():
    spec = importlib.util.spec_from_file_location("foreign_fuzzer", FUZZ / "foreign_fuzzer.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


fuzzer = _fuzzer()
INPUTS = [
    (reader, path)
    for reader in fuzzer.READERS
    for path in sorted((fuzzer.CORPUS / reader).iterdir())
]


@pytest.mark.parametrize(
    ("reader", "path"), INPUTS, ids=[f"{reader}-{path.name}" for reader, path in INPUTS]
)
def test_every_kept_input_is_read_or_refused(reader, path):
    if reader == "onnx":
        pytest.importorskip("onnx", reason="the package onnx reads ONNX files")
    fuzzer.read_one(reader, path.read_bytes())


def test_the_first_inputs_are_files_that_are_read():
    """A corpus of files that are all refused at their first byte would try little."""
    for reader in fuzzer.READERS:
        if reader == "onnx":
            pytest.importorskip("onnx", reason="the package onnx reads ONNX files")
        fuzzer.READERS[reader]((fuzzer.CORPUS / reader / "small_net").read_bytes())
