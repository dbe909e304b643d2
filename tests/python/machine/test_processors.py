"""The same wheel on lesser processors, emulated: one without AVX, one with AVX2 and no AVX-512."""

import os
import platform
import shutil
import subprocess
import sys

import numpy as np
import pytest

import ninc

# Writes the best target of the processor it runs on and the results of some operations to a file.
PROGRAM = """
import sys
import numpy as np
import ninc
from ninc import functional as F
rng = np.random.default_rng(0)
x = rng.standard_normal((2, 8, 9, 9), dtype=np.float32)
weight = rng.standard_normal((17, 8, 3, 3), dtype=np.float32)
y = F.conv2d(x, weight, padding=1)
dy = rng.standard_normal(y.shape, dtype=np.float32)
dx, dweight, dbias = F.conv2d_backward(dy, x, weight, padding=1)
pooled = F.max_pool2d(F.relu(y), 3, stride=2, ceil_mode=True)
np.savez(sys.argv[1], target=ninc.targets()[0],
         y=y, dx=dx, dweight=dweight, dbias=dbias, pooled=pooled)
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="names flags of x86-64 processors")
@pytest.mark.skipif(not os.path.exists("/proc/cpuinfo"), reason="asks Linux for them")
def test_targets_are_what_the_processor_has():
    """The core asks the processor, and the system has asked it, too."""
    with open("/proc/cpuinfo") as file:
        flags = set(file.read().split())
    for target, flag in (("avx2", "avx2"), ("avx512", "avx512vl"), ("amx", "amx_bf16")):
        assert (target in ninc.targets()) == (flag in flags), target


def results(path, *emulator):
    # A caller may hold numpy's BLAS to this processor's kernels, which the emulated one lacks.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    result = subprocess.run(
        [*emulator, sys.executable, "-c", PROGRAM, str(path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return dict(np.load(path))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="emulates x86-64 processors")
@pytest.mark.parametrize("processor, target", [("Nehalem", "scalar"), ("Haswell", "avx2")])
def test_runs_on(processor, target, tmp_path):
    qemu = shutil.which("qemu-x86_64")
    if qemu is None:
        pytest.skip("qemu-x86_64 is not installed")
    here = results(tmp_path / "here.npz")
    there = results(tmp_path / "there.npz", qemu, "-cpu", processor)
    assert here.pop("target") == ninc.targets()[0]
    assert there.pop("target") == target
    for name, expected in here.items():
        # What float32 promises (docs/numerics.md); targets choose between direct and Winograd.
        tolerance = 2e-5 * np.abs(expected).max()
        np.testing.assert_allclose(there[name], expected, rtol=0, atol=tolerance, err_msg=name)
