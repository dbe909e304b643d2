"""Networks on a GPU: on the emulated driver of the C++ tests, each test in a process of its own."""

import os

import numpy as np
import pytest

import ninc
from support import ROOT
from support.processes import python
from support.small_training import random_npz

DRIVER = ROOT / "build" / "release" / "tests" / "cuda_emulator"

pytestmark = [
    pytest.mark.skipif(
        not ninc.build_info()["cuda"], reason="this build has no CUDA kernels: made without nvcc"
    ),
    pytest.mark.skipif(
        not (DRIVER / "libcuda.so.1").exists(),
        reason="the emulated driver has not been built: make test-cpp",
    ),
]

# A network with every kind of layer that a NIN has, its input, and the processor's answer.
NETWORK = """
import numpy as np
import ninc
from ninc import nn

def network():
    return nn.Sequential(
        nn.MlpConv(3, (12, 8), 3, padding=1, batch_norm=True),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.Dropout(0.4),
        nn.MlpConv(8, (8, 5), 3, padding=1, logits=True),
        nn.GlobalAvgPool2d(),
        seed=1,
    )

net = network()
rng = np.random.default_rng(0)
x = rng.standard_normal((6, 3, 8, 8), np.float32)
labels = np.arange(6) % 5
"""


def on_the_device(*words, **more):
    """`python WORDS` beside the emulated driver; it must end well and give back all it took."""
    path = os.pathsep.join(filter(None, [str(DRIVER), os.environ.get("LD_LIBRARY_PATH")]))
    result = python(*words, **{"LD_LIBRARY_PATH": path, "NINC_EMULATOR_LEAKS_FAIL": "1", **more})
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def run(script, **more):
    """Runs `script` after NETWORK."""
    return on_the_device("-c", NETWORK + script, **more)


def test_runs_and_comes_back():
    run("""
assert ninc.devices() == ["cpu", "cuda"]
want = net(x)
assert net.to("cuda") is net and net.device == "cuda"
assert "on cuda" in net.plan((6, 3, 8, 8)).describe()
for _ in range(3):
    assert np.abs(net(x) - want).max() <= 2e-5 * np.abs(want).max()
for precision, bound in (("strict", 2e-5), ("fast", 5e-3)):
    net.precision = precision
    assert np.abs(net(x) - want).max() <= bound * np.abs(want).max()
net.precision = "float32"
assert (net.to("cpu")(x) == want).all()
""")


def test_a_turing_card_computes_in_float32():
    run(
        """
want = net(x)
net.to("cuda")
assert "tf32" not in net.plan((6, 3, 8, 8)).describe()
for net.precision in ("float32", "strict", "fast"):
    assert np.abs(net(x) - want).max() <= 2e-5 * np.abs(want).max()
optimizer = ninc.SGD(0.05)
loss = float(ninc.Trainer(net, optimizer).step(x, labels))
assert abs(loss - ninc.Trainer(network(), optimizer).step(x, labels)) < 1e-5
""",
        NINC_EMULATOR_CAPABILITY="75",
    )


def test_a_driver_that_is_too_old_is_named_beside_the_one_needed():
    run(
        """
try:
    net.to("cuda")
    raise SystemExit("taken")
except ninc.DeviceError as error:
    text = str(error)
assert text.startswith("cuda: the driver is too old: it is for CUDA 11.8, and the kernels"), text
assert " need a driver for CUDA 1" in text and text.endswith(".0 or later"), text
""",
        NINC_EMULATOR_DRIVER="11080",
    )


def test_a_graph_that_grows_stays_there():
    run("""
graph = nn.Graph(seed=1)
value = graph.add(nn.Conv2d(3, 5, 3), graph.input())
graph.to("cuda")
graph.add(nn.GlobalAvgPool2d(), value)
assert graph.device == "cuda"
got = graph(x)
assert np.abs(got - graph.to("cpu")(x)).max() <= 2e-5 * np.abs(got).max()
""")


def test_copies_and_files_of_a_network_on_the_gpu_are_on_the_cpu(tmp_path):
    run(f"""
import copy, pickle
net.to("cuda")
trainer = ninc.Trainer(net, ninc.SGD(0.1))
trainer.step(x, labels)
net.save({str(tmp_path / "net")!r})
loaded = ninc.load({str(tmp_path / "net")!r})
for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net)), loaded):
    assert other.device == "cpu"
    for name, value in net.state_dict().items():
        assert (other.state_dict()[name] == value).all(), name
""")


def test_a_step_gives_a_loss_that_is_waited_for_when_looked_at():
    run("""
want = [ninc.Trainer(network(), ninc.SGD(0.05)).step(x, labels)]
assert isinstance(want[0], float)
net.to("cuda")
loss = ninc.Trainer(net, ninc.SGD(0.05)).step(x, labels)
assert not isinstance(loss, float)
assert abs(float(loss) - want[0]) < 1e-5
assert f"{loss:.3f}" == f"{float(loss):.3f}" and repr(loss) == repr(float(loss))
assert loss + 1 == 1 + loss == float(loss) + 1 and 2 * loss > loss and loss / 2 < loss
assert sum([loss, loss]) == 2 * float(loss) and np.isfinite(float(loss)) and loss == loss
""")


# Arrays as other libraries have them: in memory of their own, offered by one protocol or the other.
OTHERS = """
import ctypes
driver = ctypes.CDLL("libcuda.so.1")

class Memory:
    def __init__(self, array):
        self.pointer = ctypes.c_uint64()
        size = ctypes.c_size_t(array.nbytes)
        assert driver.cuMemAlloc_v2(ctypes.byref(self.pointer), size) == 0
        pinned = ctypes.c_void_p()
        assert driver.cuMemHostAlloc(ctypes.byref(pinned), size, 0) == 0
        ctypes.memmove(pinned, array.ctypes.data, array.nbytes)
        assert driver.cuMemcpyHtoDAsync_v2(self.pointer, pinned, size, stream) == 0
        assert driver.cuStreamSynchronize(stream) == 0
        assert driver.cuMemFreeHost(pinned) == 0
        self.__cuda_array_interface__ = {
            "version": 3, "typestr": array.dtype.str, "shape": array.shape,
            "strides": array.strides, "data": (self.pointer.value, False), "stream": stream.value,
        }

    def free(self):
        assert driver.cuMemFree_v2(self.pointer) == 0

class ByInterface:
    def __init__(self, array):
        self.__cuda_array_interface__ = array.__cuda_array_interface__

class ByDlpack:
    def __init__(self, array):
        self.array = array
    def __dlpack__(self, stream):
        return self.array.__dlpack__(stream=stream)
    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

def refused(error, text, array):
    try:
        net(array)
    except error as raised:
        assert text in str(raised), raised
    else:
        raise AssertionError("accepted")

net.to("cuda")
want = net(x)
context = ctypes.c_void_p()
assert driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) == 0
assert driver.cuCtxSetCurrent(context) == 0
stream = ctypes.c_void_p()
assert driver.cuStreamCreate(ctypes.byref(stream), 1) == 0
memory = Memory(x)
y = net(memory)
assert y.shape == (6, 5) and y.dtype == np.float32 and (y.numpy() == want).all()
# Ours goes on to others: as an image batch, through either protocol.
turned = Memory(np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2))
assert (net(turned).numpy() == want).all()
maps = nn.Sequential(nn.MlpConv(3, (4, 3), 3, padding=1), seed=2).to("cuda")
between = maps(memory)
assert between.shape == (6, 3, 8, 8)
expected = net(between.numpy())
assert (net(ByInterface(between)).numpy() == expected).all()
assert (net(ByDlpack(between)).numpy() == expected).all()
assert (net(between).numpy() == expected).all()
inner = [node.name for node in net.graph][1:4]
here = net.outputs(x, inner)
for name, value in net.outputs(memory, inner).items():
    assert (value.numpy() == here[name]).all()
doubles, picture = Memory(x.astype(np.float64)), Memory(x[0])
refused(ninc.errors.DTypeError, "network: x must be float32", doubles)
refused(ninc.ShapeError, "network: x must be N×C×H×W", picture)
net.to("cpu")
refused(ninc.DeviceError, "x is in a GPU's memory", memory)
for array in (memory, turned, doubles, picture):
    array.free()
assert driver.cuStreamDestroy_v2(stream) == 0
assert driver.cuDevicePrimaryCtxRelease_v2(0) == 0
"""


def test_arrays_of_other_libraries_are_read_where_they_are():
    run(OTHERS)


def test_fit_on_the_gpu_is_fit_on_the_cpu():
    run("""
from ninc.averages import EMA
images = rng.integers(0, 255, (40, 8, 8, 3), np.uint8)
truth = rng.integers(0, 5, 40)
rows = {}
for device in ("cpu", "cuda"):
    net = network().to(device)
    optimizer = ninc.SGD(0.05, momentum=0.9, clip_norm=1.0)
    trainer = ninc.Trainer(net, optimizer, average=EMA(0.9), seed=3)
    history = trainer.fit((images, truth), 0.25, epochs=2, batch_size=10, progress=False)
    rows[device] = [(row["loss"], row["val_loss"]) for row in history.rows]
np.testing.assert_allclose(rows["cuda"], rows["cpu"], rtol=1e-3)
""")


def test_predict_normalises_pictures_on_the_device():
    run("""
pictures = rng.integers(0, 255, (7, 8, 8, 3), np.uint8)
net.preprocessing = ninc.preprocess.Preprocessing.fit(pictures)
want = net.predict(pictures)
net.to("cuda")
for _ in range(3):
    np.testing.assert_allclose(net.predict(pictures, batch_size=4), want, atol=1e-5)
assert net.predict(pictures[:0]).shape == (0, 5)
""")


def test_memory_errors_say_what_was_asked_and_what_is_free():
    run(
        """
try:
    ninc.models.nin_cifar10().to("cuda")(np.zeros((4096, 3, 32, 32), np.float32))
    raise SystemExit("had the memory")
except ninc.DeviceError as error:
    assert "activations" in str(error) and "are needed" in str(error), error
assert net.to("cuda")(x).shape == (6, 5)
""",
        NINC_EMULATOR_MEMORY=str(256 << 20),
    )


def test_a_child_made_by_fork_is_told_and_the_processor_goes_on():
    run("""
import os
net.to("cuda")(x)
child = os.fork()
if child == 0:
    try:
        net(x)
        os._exit(1)
    except ninc.DeviceError as error:
        os._exit(0 if "fork" in str(error) and network()(x).shape == (6, 5) else 2)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
""")


def test_train_saves_a_file_that_the_cpu_loads(tmp_path):
    """The demo's network, a few steps from the command line."""
    data, path = random_npz(tmp_path / "data.npz", 12), tmp_path / "net.safetensors"
    options = ["--model", "nin-mnist", "--recipe", "fast", "--device", "cuda", "--epochs", 1]
    options += ["--batch-size", 3, "--validation", 0.25, "--seed", 1, "--json"]
    on_the_device("-m", "ninc", "train", data, "-o", path, *options)
    network = ninc.load(path)
    assert network.device == "cpu"
    assert np.isfinite(network(np.zeros((1, 1, 28, 28), np.float32))).all()


def test_the_benchmark_runs_without_torch(monkeypatch):
    monkeypatch.chdir(ROOT)
    options = ("--batches", 1, "--no-training", "--seconds", 0)
    printed = on_the_device("-m", "benchmarks.gpu", "--models", "nin-cifar10", *options)
    assert "ninc float32" in printed and "images/s" in printed


def test_a_new_head_is_trained_there_with_the_rest_frozen():
    run("""
net.to("cuda")
ninc.Trainer(net, ninc.SGD(0.1)).step(x, labels)
renewed = net.new_head(3)
assert (net.device, renewed.device) == ("cuda", "cpu")
state = {name: value.copy() for name, value in renewed.state_dict().items()}
for name, value in net.state_dict().items():
    assert name.startswith("cccp2") or (state[name] == value).all(), name
here, there = net.new_head(3), renewed.to("cuda")
for network in (here, there):
    trainer = ninc.Trainer(network, ninc.SGD(0.05, momentum=0.9, weight_decay=1e-3))
    trainer.fit((x, labels % 3), epochs=8, batch_size=6, progress=False, freeze=("*1", "conv2"))
for name, value in there.state_dict().items():
    assert np.abs(value - here.state_dict()[name]).max() < 1e-4, name
    assert name.startswith("cccp2") == (value != state[name]).any(), name
""")
