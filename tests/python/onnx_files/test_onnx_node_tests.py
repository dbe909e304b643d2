"""ONNX's own tests of single nodes: answered right where docs/onnx.md says so, else refused.

To write the document's list anew: NINC_WRITE_ONNX_LIST=1 pytest this_file.
"""

import os
import warnings
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the package onnx has the tests")
import ninc  # noqa: E402
from ninc.formats.onnx_files.files import OnnxFile  # noqa: E402
from ninc.formats.onnx_files.reader import network_in  # noqa: E402
from support import ROOT  # noqa: E402

PAGE = Path(ROOT) / "docs" / "onnx.md"
BEGIN, END = "<!-- node tests: made by test_onnx_node_tests.py -->\n", "<!-- end -->\n"

# The version of the package whose tests the document lists; others have others.
LISTED_OF = "1.23"


@pytest.fixture(scope="module")
def cases():
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the arithmetic that makes the expected numbers
        return collect_testcases(None)


def as_array(value):
    """The numbers of a case's input or output, some of which are stored as tensors."""
    if isinstance(value, onnx.TensorProto):
        value = onnx.numpy_helper.to_array(value)
    return None if isinstance(value, (list, dict, str)) or value is None else np.asarray(value)


def outcome(case):
    """ "right", "refused"; or what is wrong."""
    names = [one.name for one in case.model.graph.input]
    inputs, outputs = case.data_sets[0]
    arrays = [as_array(one) for one in inputs]
    bound = {
        name: one for name, one in zip(names[1:], arrays[1:]) if one is not None and name != ""
    }
    try:
        network = network_in(OnnxFile(case.model, case.name, None, 100_000), bound)
    except ninc.ModelError as error:
        assert str(error).startswith(case.name)
        return "refused"
    x = arrays[0].astype(np.float32)
    found = network.outputs(x.reshape(*x.shape, *[1] * (4 - x.ndim))).values()
    assert len(found) == len(outputs)
    results = [compared(case, y, as_array(one)) for y, one in zip(found, outputs)]
    return next((result for result in results if result != "right"), "right")


def compared(case, y, stored):
    expected = stored.astype(np.float32)
    if y.size != expected.size:
        return f"gives {y.shape} instead of {expected.shape}"
    y = y.reshape(expected.shape)
    # The cases have tolerances; numbers next to 0 are as exact as the largest.
    largest = np.abs(expected[np.isfinite(expected)]).max(initial=1.0)
    room = case.atol + 1e-5 * largest
    if stored.dtype.itemsize == 2:  # which ninc does not round to
        room += 2.0**-8 * largest
    if np.allclose(y, expected, rtol=case.rtol, atol=room, equal_nan=True):
        return "right"
    return f"is off by {np.abs(y - expected).max()}"


def test_every_node_is_answered_right_or_refused(cases):
    found = {case.name: outcome(case) for case in cases if case.data_sets}
    wrong = {name: how for name, how in found.items() if how not in ("right", "refused")}
    assert wrong == {}
    right = sorted(name for name, how in found.items() if how == "right")
    if os.environ.get("NINC_WRITE_ONNX_LIST"):
        _write(right, len(found))
    if onnx.__version__.startswith(LISTED_OF):
        assert _listed() == right


def _write(names, count):
    text = PAGE.read_text()
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    words = f"{len(names)} of the {count:,} of onnx {onnx.__version__}:\n\n"
    listed = ",\n".join(f"`{name}`" for name in names)
    PAGE.write_text(f"{text[:begin]}\n{words}{listed}.\n\n{text[end:]}")


def _listed():
    text = PAGE.read_text()
    part = text[text.index(BEGIN) : text.index(END)]
    return sorted(word for word in part.split("`") if word.startswith("test_"))
