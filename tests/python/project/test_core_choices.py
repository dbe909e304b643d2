"""What is chosen for a convolution is chosen where it is compiled, and by nobody who runs it."""

import re

from support import ROOT

KERNELS = ROOT / "cpp" / "cpu"
# The choice itself, and the benchmark that times it.
CHOICE = {"conv2d_pass.h", "conv2d_choose.h", "conv2d_choose.cc", "benchmark.cc"}
COSTS = {"conv2d_direct_cost.h", "conv2d_direct_cost.cc", "winograd_cost.h", "winograd_cost.cc"}
CHOOSING = re.compile(r"\b(ChooseWinograd|ProductShape|WinogradCost|PlainCost|SplitCost)\(")
# What compiling calls: what else was weighed, and the plans of several passes.
CALLED = {
    "conv2d.cc": r"std::vector<Conv2dEstimate> EstimatesOf\(",
    "mlpconv_chain.cc": r"MlpConvPlan::MlpConvPlan\(",
    "pointwise_backward.cc": r"struct PointwisePlan {",
}
MAKING = re.compile(
    r"\bConv2dPass\b(?: \w+)?\(|\bemplace_back\(target, |\b(?:MlpConvPlan|PointwisePlan) \w+\("
)


def code(path):
    return re.sub(r"//.*", "", path.read_text())


def code_of_runs(path):
    """All but the functions that compile a step, and what only these call."""
    text = code(path)
    for head in (r"Compiled Compile\(", *filter(None, [CALLED.get(path.name)])):
        text, count = re.subn(rf"^{head}.*?^}}", "", text, flags=re.MULTILINE | re.DOTALL)
        assert count or head not in CALLED.values(), f"{path.name} has no {head}"
    return text


def sources():
    files = [*KERNELS.rglob("*.h"), *KERNELS.rglob("*.cc")]
    assert len(files) > 50
    return files


def test_nobody_chooses_but_who_compiles():
    for path in sources():
        found = CHOOSING.search(code(path))
        assert path.name in CHOICE | COSTS or not found, f"{path.name}: {found.group()}"


def test_passes_and_plans_are_made_by_compiling_alone():
    makers = 0
    for path in sources():
        found = MAKING.search(code_of_runs(path))
        assert path.name in CHOICE or not found, f"{path.name}: {found.group()}"
        makers += path.name not in CHOICE and MAKING.search(code(path)) is not None
    assert makers == 5  # conv2d.cc, and those of fused/: the pattern finds what it should


def test_kernels_do_not_ask_for_the_target_in_use():
    allowed = {"target.cc", "cpu_backend.cc", "benchmark.cc"}
    for path in sources():
        assert path.name in allowed or "ChosenTarget" not in code(path), path.name
