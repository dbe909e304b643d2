"""What an operation's file in cpp/ops must say: without its shape rule, how many channels it takes
and gives, or a gradient the core does not compile."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
COMPILER = shutil.which("c++")
OPERATION = ROOT / "cpp" / "ops" / "global_max_pool2d.h"

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler here")

SHAPE_RULE = re.compile(r"  static Result<Shape> OutputShape\(.*?\n  }\n", re.DOTALL)
CHANNELS = re.compile(r"  static Channels Gives\(.*?\n  }\n", re.DOTALL)
TAKEN = re.compile(" TakesAnyChannels,")
CLASSES = re.compile(", KeepsClasses")
PLACES = re.compile(r"  static constexpr Places kPlaces = .*;\n")
STEM = re.compile(r', \.stem = "gmp"')
GRADIENT = re.compile(r"template <>\nstruct Gradient<step::GlobalMaxPool2d> {.*?\n};\n", re.DOTALL)
NO_GRADIENT = re.compile(
    r"template <>\nstruct Gradient<step::GlobalMaxPool2dBackward> : NoGradient {};\n"
)


def compile_with(text, source, tmp_path):
    """The compiler's complaints about a file of the core that includes `text` as the operation."""
    changed = tmp_path / "ops" / OPERATION.name
    changed.parent.mkdir()
    changed.write_text(text)
    folders = [tmp_path, ROOT / "cpp", ROOT / "cpp" / "include", ROOT]
    command = [COMPILER, "-std=c++20", "-fsyntax-only", *(f"-I{folder}" for folder in folders)]
    done = subprocess.run([*command, ROOT / "cpp" / source], capture_output=True, text=True)
    assert (done.returncode == 0) == (done.stderr == ""), done.stderr
    return done.stderr


@pytest.mark.parametrize(
    "source", ["graph/graph.cc", "graph/channels.cc", "graph/facts.cc", "compile/autodiff.cc"]
)
def test_the_core_compiles_as_it_is(source, tmp_path):
    assert compile_with(OPERATION.read_text(), source, tmp_path) == ""


@pytest.mark.parametrize(
    "left_out, source, missing",
    [
        (SHAPE_RULE, "graph/graph.cc", "OutputShape"),
        (TAKEN, "graph/channels.cc", "Takes"),
        (CHANNELS, "graph/channels.cc", "Gives"),
        (CLASSES, "graph/facts.cc", "ClassesPass"),
        (PLACES, "graph/facts.cc", "kPlaces"),
        (STEM, "graph/facts.cc", "static assertion failed"),
        (GRADIENT, "compile/autodiff.cc", "Gradient<ninc::step::GlobalMaxPool2d>"),
        (NO_GRADIENT, "compile/autodiff.cc", "Gradient<ninc::step::GlobalMaxPool2dBackward>"),
    ],
    ids=[
        "shape rule",
        "channels taken",
        "channels given",
        "classes",
        "places",
        "stem",
        "gradient",
        "the gradient's own",
    ],
)
def test_what_is_left_out_does_not_compile(left_out, source, missing, tmp_path):
    text, count = left_out.subn("", OPERATION.read_text())
    assert count == 1
    assert missing in compile_with(text, source, tmp_path)
