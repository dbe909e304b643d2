"""The same wheel on lesser processors, emulated: one without AVX, one with AVX2 and no AVX-512."""

import platform
import shutil
import subprocess
import sys

import numpy as np
import pytest

from ninc import functional as F

# Prints the target the emulated processor was given, then a convolution's sum over a known input.
PROGRAM = """
import numpy as np
import ninc
from ninc import functional as F
x = np.linspace(-1, 1, 2 * 8 * 9 * 9, dtype=np.float32).reshape(2, 8, 9, 9)
weight = np.linspace(1, -1, 16 * 8 * 3 * 3, dtype=np.float32).reshape(16, 8, 3, 3)
y = F.conv2d(x, weight, padding=1)
dx, dweight, dbias = F.conv2d_backward(y, x, weight, padding=1)
print(ninc.targets()[0])
for array in (y, dx, dweight):
    print(repr(float(np.abs(array.astype(np.float64)).sum())))
"""


def expected_sums():
    x = np.linspace(-1, 1, 2 * 8 * 9 * 9, dtype=np.float32).reshape(2, 8, 9, 9)
    weight = np.linspace(1, -1, 16 * 8 * 3 * 3, dtype=np.float32).reshape(16, 8, 3, 3)
    y = F.conv2d(x, weight, padding=1)
    dx, dweight, _ = F.conv2d_backward(y, x, weight, padding=1)
    return [float(np.abs(array.astype(np.float64)).sum()) for array in (y, dx, dweight)]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="emulates x86-64 processors")
@pytest.mark.parametrize("processor, target", [("Nehalem", "scalar"), ("Haswell", "avx2")])
def test_runs_on(processor, target):
    qemu = shutil.which("qemu-x86_64")
    if qemu is None:
        pytest.skip("qemu-x86_64 is not installed")
    result = subprocess.run(
        [qemu, "-cpu", processor, sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    best, *sums = result.stdout.split()
    assert best == target
    # Both sides add the same float32 terms in another order.
    np.testing.assert_allclose([float(value) for value in sums], expected_sums(), rtol=1e-5)
