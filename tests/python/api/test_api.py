"""The names users type, how they are imported, and what controls the process."""

import numpy as np
import pytest

import ninc
from ninc import functional as F
from ninc import nn
from support.processes import python


@pytest.mark.parametrize("module", [ninc, nn, F, ninc.models, ninc.schedules, ninc.augment])
def test_every_public_name_is_there_and_told_about(module):
    names = getattr(module, "__all__", [n for n in vars(module) if not n.startswith("_")])
    for name in names:
        value = getattr(module, name)
        assert name in dir(module)
        if callable(value) and getattr(value, "__module__", "").startswith("ninc"):
            assert value.__doc__, name


def test_an_unknown_name_is_told():
    with pytest.raises(AttributeError, match="nin_cifar10"):
        ninc.nin_cifar10  # noqa: B018
    with pytest.raises(ImportError):
        from ninc import nothing  # noqa: F401


def test_importing_ninc_loads_none_of_its_parts():
    code = "import sys, ninc; print(*[m for m in sys.modules if m.startswith('ninc')])"
    done = python("-c", code)
    assert set(done.stdout.split()) == {"ninc", "ninc._old_paths"}


def test_type_checkers_see_what_is_imported_late():
    """The names under TYPE_CHECKING are the names of the tables."""
    import ast
    import inspect

    tree = ast.parse(inspect.getsource(ninc))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    told = {alias.name for node in block.body for alias in node.names}
    assert told == set(ninc._NAMES) | (ninc._MODULES - {"_core"})
    assert told <= set(ninc.__all__)


def test_errors_are_of_pythons_kinds_too():
    kinds = {
        ninc.ShapeError: ValueError,
        ninc.DTypeError: TypeError,
        ninc.ArgumentError: ValueError,
        ninc.FileError: OSError,
        ninc.OutOfMemoryError: MemoryError,
        ninc.ModelError: Exception,
        ninc.DeviceError: Exception,
    }
    for kind, builtin in kinds.items():
        assert issubclass(kind, ninc.Error) and issubclass(kind, builtin)
    assert issubclass(ninc.DTypeError, ninc.ShapeError)


def test_out_of_memory_is_told():
    network = nn.Sequential(nn.Conv2d(1, 4096, 1))
    huge = np.broadcast_to(np.float32(0), (1, 1, 2**20, 2**20))  # 4 TiB in, 16 PiB out
    with pytest.raises((MemoryError, ninc.ShapeError)):
        network(huge)


# ---- Control -------------------------------------------------------------------------------------


def test_threads(threads):
    for count in (1, 3):
        threads(count)
        assert ninc.get_num_threads() == count


def test_targets(rng):
    chosen = ninc.target()
    assert chosen in ninc.targets() and ninc.targets()[-1] == "scalar"
    x = rng.standard_normal((2, 7, 9, 8), np.float32)
    weight = rng.standard_normal((19, 7, 3, 3), np.float32)
    expected = F.conv2d(x, weight)
    network = nn.Sequential(nn.Conv2d(7, 19, 3))  # packed for one target, run on another
    y = network(x)
    try:
        for name in ninc.targets():
            ninc.set_target(name)
            assert ninc.target() == name
            np.testing.assert_allclose(F.conv2d(x, weight), expected, rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose(network(x), y, rtol=1e-4, atol=1e-4)
    finally:
        ninc.set_target(chosen)


def test_the_environment_chooses():
    code = "import ninc; print(ninc.target(), ninc.get_num_threads())"
    done = python("-c", code, NINC_TARGET="scalar", NINC_NUM_THREADS="3")
    assert done.stdout.split() == ["scalar", "3"]


CONVOLVE = """
import ninc, numpy
from ninc import functional
x = numpy.ones((2, 64, 16, 16), numpy.float32)
y = functional.conv2d(x, numpy.ones((64, 64, 1, 1), numpy.float32))
assert (abs(y - 64) < 1e-3).all()
print(ninc.target())
"""


@pytest.mark.parametrize("target", ninc.targets())
def test_each_target_runs_when_it_is_asked_for_first(target):
    """Some registers need the operating system's leave, which no other target has asked for."""
    done = python("-c", CONVOLVE, NINC_TARGET=target)
    assert (done.returncode, done.stdout.split()) == (0, [target]), done.stderr
    chosen_late = f"import ninc; ninc.set_target({target!r})" + CONVOLVE
    done = python("-c", chosen_late, NINC_TARGET="scalar")
    assert (done.returncode, done.stdout.split()) == (0, [target]), done.stderr


@pytest.mark.parametrize("name, value", [
    ("NINC_TARGET", "sse"), ("NINC_NUM_THREADS", "0"), ("NINC_NUM_THREADS", "many"),
])  # fmt: skip
def test_a_wrong_environment_is_told(name, value):
    done = python("-c", "import ninc; ninc.targets()", **{name: value})
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and name in last and value in last
    assert last.startswith(("ninc.errors.ArgumentError", "ImportError"))


def test_what_this_build_is():
    assert ninc.devices() == ["cpu"]
    info = ninc.build_info()
    assert info["version"] == ninc.__version__ and info["compiler"]
