"""tools/same_bits.py: that it sees a bit, and that what names a build is none."""

import sys

import numpy as np
import pytest

from support import ROOT


@pytest.fixture
def tools(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import same_bits
    import same_bits_runs

    yield same_bits, same_bits_runs
    for name in ("same_bits", "same_bits_runs"):
        sys.modules.pop(name)


def test_one_bit_is_a_difference(tools):
    same_bits, _ = tools
    old = {"a": np.ones(3, np.float32), "b": np.zeros(2, np.float32)}
    assert same_bits.differences(old, {name: value.copy() for name, value in old.items()}) == []
    one = np.nextafter(np.float32(1), np.float32(2))
    found = same_bits.differences(old, {**old, "a": np.array([1, one, 1], np.float32)})
    assert found == ["a: 1 numbers, by 1.19e-07 at most"]
    assert len(same_bits.differences(old, {**old, "b": -old["b"]})) == 1  # -0 is not 0
    assert same_bits.differences(old, {"a": old["a"]}) == ["b: only one of them has it"]
    assert same_bits.differences(old, {**old, "b": old["a"]}) == ["b: shapes (2,) and (3,)"]


def test_only_what_names_the_build_is_left_out_of_ptx(tools):
    same_bits, _ = tools
    here = b"// here\nmov.u32 %r1, _ZN43_GLOBAL__N__b6822377_10_mlpconv_cu_fd5122ad7dynamicE;\n"
    there = here.replace(b"// here", b"// there").replace(b"b6822377", b"1c006773")
    assert same_bits.without_build(here) == same_bits.without_build(there)
    assert same_bits.ptx_differences({"k": here}, {"k": here}) == []
    changed = same_bits.without_build(here.replace(b"%r1", b"%r2"))
    assert same_bits.ptx_differences({"k": same_bits.without_build(here)}, {"k": changed}) == [
        "PTX of k"
    ]
    assert same_bits.ptx_differences({"k": here}, {}) == ["PTX of k"]


def test_a_run_gives_outputs_losses_and_weights_and_the_same_again(tools, tmp_path, monkeypatch):
    _, runs = tools
    monkeypatch.setattr(runs, "NETWORKS", {"nin_mnist": ((28, 28), 1)})
    monkeypatch.setattr(runs, "BATCHES", (1, 3))
    found = []
    for name in ("a.npz", "b.npz"):
        runs.run(tmp_path / name, 2, "cpu", False)
        with np.load(tmp_path / name) as arrays:
            found.append(dict(arrays))
    assert {name: value.tobytes() for name, value in found[0].items()} == {
        name: value.tobytes() for name, value in found[1].items()
    }
    assert found[0]["nin_mnist, batch 3"].shape == (3, 10)
    assert found[0]["nin_mnist with batch norm, losses of 2 steps"].shape == (2,)
    assert any("running_var after 2 steps" in name for name in found[0])
