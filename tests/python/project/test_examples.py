"""The examples in C and C++: built against the installed package, run, and beside `predict`."""

import re
import shutil
import subprocess

import numpy as np
import pytest

import ninc
from benchmarks import first_picture
from ninc import models, nn
from ninc.preprocess import Preprocessing
from support import ROOT
from support.small_pictures import random_bytes

CLASSES = ["cat", "犬いぬ", "ship", "Käse", "plum", "pear"]
PROGRAMS = ("predict", "classify")


def run(*command):
    """The finished process of a program, whose status may be any."""
    words = [str(part) for part in command]
    return subprocess.run(words, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """The folder with both programs, made as examples/CMakeLists.txt says."""
    cmake = shutil.which("cmake")
    if cmake is None:
        pytest.skip("cmake is not installed")
    folder = tmp_path_factory.mktemp("examples")
    for words in (
        ("-S", ROOT / "examples", "-B", folder, f"-Dninc_DIR={ninc.get_cmake_dir()}"),
        ("--build", folder),
    ):
        done = run(cmake, *words)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


def sequential():
    return nn.Sequential(nn.MlpConv(3, (8, 6), 3, padding=1), nn.GlobalAvgPool2d(), seed=3)


def graph():
    """Two branches of the input, joined and averaged; its last layer is Linear."""
    network = nn.Graph(seed=4)
    x = network.input("x")
    left = network.add(nn.Conv2d(3, 4, 1), x)
    right = network.add(nn.ReLU(), network.add(nn.BatchNorm2d(3), x))
    joined = network.add(nn.Concat(), left, right)
    pooled = network.add(nn.Flatten(), network.add(nn.GlobalAvgPool2d(), joined))
    network.add(nn.Linear(7, 6), pooled)
    return network


NETWORKS = {
    "sequential": (sequential, 3, (20, 24)),
    "graph": (graph, 3, (9, 7)),
    "nin-cifar10": (lambda: models.nin_cifar10(num_classes=6, seed=1), 3, (32, 32)),
    "nin-mnist": (lambda: models.nin_mnist(num_classes=6, seed=2), 1, (28, 28)),
}


@pytest.fixture(params=NETWORKS)
def network(request):
    make, channels, size = NETWORKS[request.param]
    made = make()
    made.preprocessing = Preprocessing(size, channels, (0.4,) * channels, (0.1,) * channels)
    made.classes = CLASSES
    return made


def write_pnm(path, pixels):
    """A binary PPM of H×W×3, PGM of H×W×1."""
    height, width, channels = pixels.shape
    kind = {3: "P6", 1: "P5"}[channels]
    path.write_bytes(f"{kind}\n{width} {height}\n255\n".encode() + pixels.tobytes())
    return path


def printed(done):
    """[(probability, class, name)] of a program's lines."""
    assert done.returncode == 0, done.stderr
    lines = re.findall(r"^(0\.\d+|1\.0+)  class (\d+)  (.+)$", done.stdout, re.MULTILINE)
    assert len(lines) == len(done.stdout.splitlines()), done.stdout
    return [(float(probability), int(index), name) for probability, index, name in lines]


@pytest.mark.parametrize("program", PROGRAMS)
def test_classes_and_probabilities_are_those_of_predict(programs, network, program, tmp_path):
    network.save(tmp_path / "n.safetensors")
    for channels in (3, 1) if program == "predict" else (3,):
        pixels = random_bytes(37, 50, channels, seed=7)
        picture = write_pnm(tmp_path / "picture.pnm", pixels)
        expected = network.predict(pixels)[0]
        order = np.argsort(-expected, kind="stable")[:5]
        found = printed(run(programs / program, tmp_path / "n.safetensors", picture))
        assert [index for _, index, _ in found] == order.tolist()
        assert [name for _, _, name in found] == [CLASSES[index] for index in order]
        # Six digits are printed.
        assert [p for p, _, _ in found] == pytest.approx(expected[order].tolist(), abs=6e-7)


def made_up_pictures():
    """Noise, even grey, and a dark shape on a bright ground, of several sizes."""
    shape = np.full((48, 64, 3), (90, 160, 220), np.uint8)
    shape[20:40, 10:50] = (60, 50, 40)
    return [random_bytes(32, 32, 3, seed=1), np.full((20, 33, 3), 128, np.uint8), shape]


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_packaged_network_says_the_same_in_c(programs, program, tmp_path):
    """The file that `get_pretrained_path` names, as it lies in the package."""
    packaged = ninc.pretrained()
    for pixels in made_up_pictures():
        picture = write_pnm(tmp_path / "picture.ppm", pixels)
        expected = packaged.predict(pixels)[0]
        order = np.argsort(-expected, kind="stable")[:5]
        found = printed(run(programs / program, ninc.get_pretrained_path(), picture))
        assert [name for _, _, name in found] == [packaged.classes[index] for index in order]
        assert [p for p, _, _ in found] == pytest.approx(expected[order].tolist(), abs=6e-7)


@pytest.mark.parametrize("program", PROGRAMS)
def test_comments_in_a_picture(programs, network, program, tmp_path):
    """GIMP writes one after the kind; the format allows them before each number."""
    network.save(tmp_path / "n.safetensors")
    picture = write_pnm(tmp_path / "picture.ppm", random_bytes(37, 50, 3, seed=7))
    pixels = picture.read_bytes().partition(b"\n255\n")[2]
    expected = printed(run(programs / program, tmp_path / "n.safetensors", picture))
    for head in (
        b"P6\n# Created by GIMP\n50 37\n255\n",
        b"P6 # 1\n#\n # 7 7\n50\t#\n37\n# 255\n\n255\n",
    ):
        picture.write_bytes(head + pixels)
        assert printed(run(programs / program, tmp_path / "n.safetensors", picture)) == expected
    for head in (b"P6\n# 50 37 255", b"P6\n50 # 37\n255\n", b"P6\nx 50 37\n255\n"):
        picture.write_bytes(head + pixels)
        done = run(programs / program, tmp_path / "n.safetensors", picture)
        assert done.returncode == 1 and "picture.ppm is no binary" in done.stderr


def test_numbers_go_straight_into_every_network(programs, network, tmp_path):
    """Also where no preprocessing says how many channels there are."""
    channels, (height, width) = network.preprocessing["channels"], network.preprocessing["size"]
    network.preprocessing = None
    network.save(tmp_path / "n.safetensors")
    done = run(programs / "predict", tmp_path / "n.safetensors", height, width)
    count = channels * height * width
    x = np.float32(2) * np.arange(count, dtype=np.float32) / np.float32(count) - np.float32(1)
    scores = network(x.reshape(1, channels, height, width))[0]
    best, of, value = re.fullmatch(r"output (\d+) of (\d+): (\S+)\n", done.stdout).groups()
    assert (int(best), int(of)) == (scores.argmax(), len(scores))
    assert float(value) == pytest.approx(scores.max(), rel=1e-5)


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_is_wrong_is_told(programs, program, tmp_path):
    network = sequential()
    network.save(tmp_path / "n.safetensors")
    picture = write_pnm(tmp_path / "picture.ppm", random_bytes(3, 4, 3))
    cut = tmp_path / "cut.ppm"
    cut.write_bytes(picture.read_bytes()[:-1])
    for words, status, told in (
        ((), 2, "usage"),
        ((tmp_path / "absent", picture), 1, "No such file or directory"),
        ((tmp_path / "n.safetensors", tmp_path / "absent"), 1, "cannot open"),
        ((picture, picture), 1, "not a safetensors file"),
        ((tmp_path / "n.safetensors", cut), 1, "cut.ppm is no binary"),
        ((tmp_path / "n.safetensors", picture), 1, "has no preprocessing for pictures stored"),
    ):
        done = run(programs / program, *words)
        assert (done.returncode, done.stdout) == (status, ""), done
        assert told in done.stderr


@pytest.mark.parametrize("standard", ["c89", "c99", "c11"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_c_example_is_plain_c(compiler, standard, tmp_path):
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    flags = [f"-std={standard}", "-pedantic", "-Wall", "-Wextra", "-Werror"]
    where = ["-I", ninc.get_include(), "-c", ROOT / "examples" / "predict.c"]
    done = run(compiler, *flags, *where, "-o", tmp_path / "predict.o")
    assert done.returncode == 0, done.stderr


# ---- benchmarks/first_picture.py -----------------------------------------------------------------


def test_starts_are_timed(capsys, tmp_path):
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    first_picture.main(["--starts", "3", "--json", str(tmp_path / "figures.json")])
    out = capsys.readouterr().out
    assert re.search(r"predict  median +\d+\.\d ms   worst +\d+\.\d ms   of 3 starts", out)
    assert re.search(r"nothing  median", out)
    assert '"predict"' in (tmp_path / "figures.json").read_text()


def test_the_goal_is_the_medians():
    seconds = {"predict": [0.01, 0.04, 0.9], "nothing": [0.001]}
    assert first_picture.lines(seconds)[0].split()[2] == "40.0"
    assert first_picture.lines(seconds)[-1].endswith(" reached")
    seconds["predict"] = [0.01, 0.06, 0.07]
    assert first_picture.lines(seconds)[-1].endswith("not reached")


def test_a_program_that_does_not_compile_is_told(tmp_path, monkeypatch):
    source = tmp_path / "wrong.c"
    source.write_text("nonsense\n")
    if shutil.which("cc") is not None:
        with pytest.raises(RuntimeError, match=r"wrong\.c does not compile"):
            first_picture.compiled(source, tmp_path / "wrong")
    monkeypatch.setenv("CC", str(tmp_path / "absent"))
    with pytest.raises(RuntimeError, match="no C compiler"):
        first_picture.compiled(source, tmp_path / "wrong")
