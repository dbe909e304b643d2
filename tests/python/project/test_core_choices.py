"""What is chosen for a convolution is chosen where it is compiled, and by nobody who runs it."""

import re

import pytest

from support import ROOT

KERNELS = ROOT / "cpp" / "cpu"
# Who may choose: the choice itself, what a plan says of it, compiling, and the benchmark.
COMPILING = {
    "conv2d_pass.h",  # declares what compiling makes
    "conv2d_choose.h",
    "conv2d_choose.cc",
    "compile_conv2d.cc",
    "benchmark.cc",
}
# Plans of several passes are made of them, and only by compiling.
PLANS = {
    "MlpConvPlan": "mlpconv_chain",
    "PointwisePlan": "pointwise_backward",
}
CHOOSING = re.compile(r"\b(ChooseWinograd|ProductShape|WinogradCost|PlainCost|SplitCost)\(")
CHOOSING_FILES = {"conv2d_direct_cost.h", "conv2d_direct_cost.cc", "winograd_cost.h"}


def code(path):
    return re.sub(r"//.*", "", path.read_text())


def sources():
    files = [*KERNELS.rglob("*.h"), *KERNELS.rglob("*.cc")]
    assert len(files) > 50
    return files


def test_nobody_chooses_but_who_compiles():
    allowed = COMPILING | CHOOSING_FILES | {"winograd_cost.cc"}
    for path in sources():
        found = CHOOSING.search(code(path))
        assert path.name in allowed or found is None, f"{path.name}: {found and found.group()}"


def test_a_pass_is_made_by_compiling_alone():
    made = re.compile(r"\bConv2dPass\b(?: \w+)?\(|\bemplace_back\(target, ")
    allowed = COMPILING | {"conv2d.cc"} | {f"{file}.cc" for file in PLANS.values()}
    for path in sources():
        found = made.search(code(path))
        assert path.name in allowed or found is None, f"{path.name}: {found and found.group()}"


@pytest.mark.parametrize("plan, file", PLANS.items())
def test_a_plan_is_made_by_compiling_alone(plan, file):
    made = re.compile(rf"\b{plan} \w+\(")
    for path in sources():
        # A layer's worth is asked for while steps are fused.
        allowed = path.name in COMPILING or path.name == f"{file}.cc"
        assert allowed or made.search(code(path)) is None, path.name


def test_kernels_do_not_ask_for_the_target_in_use():
    allowed = {"target.cc", "cpu_backend.cc", "benchmark.cc"}
    for path in sources():
        assert path.name in allowed or "ChosenTarget" not in code(path), path.name
