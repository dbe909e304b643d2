"""What type checkers know of ninc: mypy tells wrong uses, and stubtest a stub unlike the module.

`make types` shows the other half: that what is right passes, in README, documents and examples.
"""

import re
import shutil
from pathlib import Path

import pytest

import ninc
from support import ROOT
from support.processes import python

pytest.importorskip("mypy", reason="mypy is not installed: make types")

BEGINNING = """
import numpy as np
import numpy.typing as npt
from typing_extensions import assert_type

import ninc
from ninc import functional as F, nn

x = np.zeros((2, 3, 32, 32), np.float32)
net = ninc.models.nin_cifar10()
data = ninc.data.load("cifar10")
"""

# Programs that are wrong in one place, and words of what mypy says of it.
WRONG = {
    "a number for an array": ("net(3)", '"__call__" of "Network"'),
    "float64": ("net(np.zeros((2, 3, 32, 32)))", "float64"),
    "float64 for weights": ("F.conv2d(x, np.zeros((4, 3, 1, 1)))", "float64"),
    "float64 images": ("ninc.Dataset(np.zeros((2, 3, 4, 4)), [0, 1])", 'Argument 1 to "Dataset"'),
    "a word for a rate": ('ninc.SGD("x")', 'Argument 1 to "SGD"'),
    "no such keyword": ("ninc.Trainer(net).fit(data, epoch=3)", '"epoch" for "fit"'),
    "positions for keywords": ("F.conv2d(x, x, None, 2)", "Too many positional arguments"),
    "a number for a picture": ("net.predict(3)", 'Argument 1 to "predict"'),
    "labels for classes": ("net.classes = [1]", '"int"; expected "str"'),
    "a misspelt name": ("ninc.Trainor(net)", 'Module has no attribute "Trainor"'),
    "a misspelt module": ("ninc.schedule.Cosine()", 'Module has no attribute "schedule"'),
    "no layer": ("nn.Sequential(nn.ReLU)", 'Argument 1 to "Sequential"'),
    "what may be None": ("net.classes[0]", "not indexable"),
    "a result's other type": ("text: str = net.predict('cat.png')", '"str")'),
    "a setting of another type": ("ninc.set_num_threads('2')", '"set_num_threads"'),
}

RIGHT = """
Floats = npt.NDArray[np.float32]
assert_type(net, nn.Sequential)
assert_type(net(x[::2] / 255.0), Floats)
assert_type(net.predict(["cat.png", b"...", np.zeros((32, 32, 3), np.uint8)]), Floats)
assert_type(net.predict(data), Floats)
assert_type(net.class_maps(x), Floats)
assert_type(net.state_dict(), dict[str, Floats])
assert_type(ninc.load(b"..."), ninc.Network)
assert_type(net.load_state_dict(ninc.load_torch("net.pth"), match="order"), ninc.LoadedWeights)
assert_type(data, ninc.Dataset)
assert_type(data.labels, npt.NDArray[np.int64])
assert_type(data.split(0.1), tuple[ninc.Dataset, ninc.Dataset])
assert_type(ninc.Dataset(x, ["a", "b"]).classes, list[str])
assert_type(F.conv2d(x, x, stride=2, padding="same"), Floats)
assert_type(F.conv2d_backward(x, x, x), tuple[Floats, Floats, Floats])
assert_type(F.softmax_cross_entropy(x[0, 0], [1, 2]), tuple[float, Floats])
assert_type(ninc.explain(net, "cat.png", label="cat").heat, Floats)
assert_type(ninc.devices(), list[str])


def noise(batch: Floats, rng: np.random.Generator) -> Floats:
    return batch + rng.standard_normal(batch.shape, np.float32)


def half(epoch: float, epochs: int) -> float:
    return 0.5


groups = [("*.bias", {"weight_decay": 0.0})]
trainer = ninc.Trainer(net, ninc.SGD(0.1, groups=groups), schedule=half, augment=noise)
loss = trainer.step(x, np.array([1, 2]))
assert_type(float(loss), float)
assert_type(0.0 + loss * 2, float)
history = trainer.fit((x, [1, 2]), validation=data, epochs=3)
assert_type(history, ninc.History)
assert_type(history["loss"], list[float])
assert_type(trainer.evaluate(data).accuracy, float)
assert_type(net.evaluate((x, [1, 2])).accuracy, float)
for path, probabilities in net.predict_each("holiday"):
    assert_type(probabilities, Floats)
"""


PACKAGE = Path(ninc.__file__).parent


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What mypy says of the programs, by their names."""
    # A copy is found wherever the package lies; mypy takes no path of installed packages.
    package = tmp_path_factory.mktemp("package")
    only_sources = shutil.ignore_patterns("*.so", "lib", "include", "__pycache__")
    shutil.copytree(PACKAGE, package / "ninc", ignore=only_sources)
    folder = tmp_path_factory.mktemp("programs")
    programs = {name: BEGINNING + line + "\n" for name, (line, _) in WRONG.items()}
    programs["right"] = BEGINNING + RIGHT
    for name, program in programs.items():
        (folder / f"{name.replace(' ', '_')}.py").write_text(program)
    files = sorted(folder.glob("*.py"))
    cache = folder / "cache"
    options = ["--strict", "--follow-imports=silent", "--hide-error-context"]
    done = python("-m", "mypy", *options, "--cache-dir", cache, *files, MYPYPATH=str(package))
    assert done.returncode == 1, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if ": error: " in line]
    said = {name: [] for name in programs}
    for line in lines:
        said[Path(line.partition(":")[0]).stem.replace("_", " ")].append(line)
    return said


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_use_is_told(told, name):
    line, words = WRONG[name]
    where = (BEGINNING + line).count("\n") + 1
    assert len(told[name]) == 1, told[name]
    assert f".py:{where}: error: " in told[name][0]
    assert words in told[name][0]


def test_a_right_use_is_not_told_and_results_have_exact_types(told):
    assert told["right"] == []


def test_programs_have_the_documents_lines_at_their_numbers(tmp_path):
    done = python(ROOT / "tools" / "typed_programs.py", tmp_path)
    assert done.returncode == 0, done.stderr
    document = (ROOT / "docs" / "threads.md").read_text().splitlines()
    program = (tmp_path / "threads.py").read_text().splitlines()
    assert len(program) == len(document)
    code = [(line, there) for line, there in zip(program, document) if line]
    assert len(code) > 10
    assert all(line == there for line, there in code)
    # Blocks of other languages, text, and blocks of a file of their own are left out.
    assert not any(line.startswith(("#", "python pool.py")) for line, _ in code)
    assert (tmp_path / "threads_pool.py").read_text().lstrip().startswith("# pool.py\n")


# ---- The stub beside the module ------------------------------------------------------------------

# What the stub says, what another one says in its place, and words of what stubtest says of that.
OTHERWISE = {
    "a method is missing": (
        "    def before_softmax(self) -> str | None: ...\n",
        "",
        "ninc._core.Model.before_softmax is not present in stub",
    ),
    "a function is missing": (
        "def targets() -> list[str]: ...\n",
        "",
        "ninc._core.targets is not present in stub",
    ),
    "a function that is not there": (
        "def target() -> str: ...\n",
        "def target() -> str: ...\ndef best_target() -> str: ...\n",
        "ninc._core.best_target is not present at runtime",
    ),
    "an argument of another name": (
        "def set_target(name: str)",
        "def set_target(target: str)",
        'set_target is inconsistent, stub parameter "target" differs from runtime parameter "name"',
    ),
    "an argument is missing": (
        "def estimate_statistics(self, x: FloatsLike, momentum: float)",
        "def estimate_statistics(self, x: FloatsLike)",
        'Trainer.estimate_statistics is inconsistent, stub does not have parameter "momentum"',
    ),
    "a default is missing": (
        "def run(self, x: FloatsLike, output: str | None = None)",
        "def run(self, x: FloatsLike, output: str | None)",
        'Model.run is inconsistent, runtime parameter "output" has a default value',
    ),
    "another default": (
        'method: str = "auto"',
        'method: str = "direct"',
        'time_conv2d is inconsistent, runtime parameter "method" has a default value',
    ),
    "a property as a method": (
        "    @property\n    def version(self) -> int: ...\n",
        "    def version(self) -> int: ...\n",
        "Model.version is not a function",
    ),
    "a result of another type": (
        "def free_memory() -> int | None",
        "def free_memory() -> int",
        "ninc._core.free_memory: return is {'int'} in the stub",
    ),
    "an argument of another type": (
        "def set_num_threads(threads: int)",
        "def set_num_threads(threads: str)",
        "ninc._core.set_num_threads: threads is {'str'} in the stub and {'int'} at runtime",
    ),
    "a property of another type": (
        "def device(self) -> str",
        "def device(self) -> int",
        "ninc._core.Model.device: return is {'int'} in the stub and {'str'} at runtime",
    ),
}


def stubtest(folder, stub):
    """(status, words) of `make types`'s first line with this stub."""
    package = folder / "ninc"
    (package / "_base").mkdir(parents=True)
    for place in (package, package / "_base"):
        (place / "__init__.pyi").touch()
    shutil.copy(PACKAGE / "_base" / "array_types.py", package / "_base")
    (package / "_core.pyi").write_text(stub)
    done = python(ROOT / "tools" / "core_stub.py", folder)
    return done.returncode, done.stdout + done.stderr


def test_the_stub_is_the_modules(tmp_path):
    status, said = stubtest(tmp_path, (PACKAGE / "_core.pyi").read_text())
    assert status == 0, said


@pytest.fixture(scope="module")
def said_of_another_stub(tmp_path_factory):
    """What stubtest says of a stub that is wrong in all of these ways."""
    stub = (PACKAGE / "_core.pyi").read_text()
    for right, wrong, _ in OTHERWISE.values():
        assert stub.count(right) == 1, right
        stub = stub.replace(right, wrong)
    status, said = stubtest(tmp_path_factory.mktemp("other"), stub)
    assert status == 1, said
    return said


@pytest.mark.parametrize("how", OTHERWISE)
def test_a_stub_unlike_the_module_is_told(said_of_another_stub, how):
    assert OTHERWISE[how][2] in said_of_another_stub


def test_nothing_else_is_told_of_it(said_of_another_stub):
    lines = re.findall(r"^ninc\._core\..*", said_of_another_stub, re.MULTILINE)
    assert len(lines) == len(OTHERWISE), said_of_another_stub
