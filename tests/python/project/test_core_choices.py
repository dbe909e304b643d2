"""What is chosen for a convolution is chosen where it is compiled, and by nobody who runs it."""

import re

import pytest

from support import ROOT

KERNELS = ROOT / "cpp" / "cpu"
# The choice itself, and the benchmark that times it.
CHOICE = {"conv2d_pass.h", "conv2d_choose.h", "conv2d_choose.cc", "benchmark.cc"}
COSTS = {"conv2d_direct_cost.h", "conv2d_direct_cost.cc", "winograd_cost.h", "winograd_cost.cc"}
CHOOSING = re.compile(
    r"\b(ChooseWinograd|ProductShape|ConvCandidates|WinogradCost|DirectCost|PlainCost|SplitCost)\("
)
# A pass with its choice, by name or as an argument, and the plans of several; a constructor's
# declaration is none.
MAKING = re.compile(
    r"\b(?:Conv2dPass|MlpConvPlan|PointwisePlan)\b(?: \w+)?[({](?!Target )"
    r"|[({][\w.]*target, [^(){}]*\bPass::k\w+[)}]"
)
COMPILE = r"Compiled Compile\([^{;]*"
# What only compiling calls: what else was weighed, and the plans' constructors.
CALLED = {
    "conv2d.cc": r"std::vector<Conv2dEstimate> EstimatesOf\([^{;]*",
    "mlpconv_chain.cc": r"MlpConvPlan::MlpConvPlan\([^{;]*",
    "pointwise_backward.cc": r"struct PointwisePlan ",
}


def code(path):
    return re.sub(r"//.*", "", path.read_text())


def code_of_runs(text, called=None):
    """All but the functions that compile a step, and what only these call; but of the former the
    lambdas, which run."""
    heads = [COMPILE, *([called] if called else [])]
    for head in heads:
        body = re.compile(rf"^{head}{{.*?^}}", re.MULTILINE | re.DOTALL)
        assert head == COMPILE or body.search(text), f"nothing is called {head}"
        text = body.sub(lambda found: "\n".join(runs_within(found.group())), text)
    return text


def runs_within(compile_):
    """The bodies of its lambdas of a run, which end at their own indentation."""
    lambdas = re.compile(r"^( *)[^\n]*\(const Run& run\)[^\n]*{$.*?^\1}", re.MULTILINE | re.DOTALL)
    return [found.group() for found in lambdas.finditer(compile_)]


def sources():
    files = [*KERNELS.rglob("*.h"), *KERNELS.rglob("*.cc")]
    assert len(files) > 50
    return [path for path in files if path.name not in CHOICE]


def test_nobody_chooses_but_who_compiles():
    for path in sources():
        if path.name in COSTS:
            continue
        found = CHOOSING.search(code_of_runs(code(path), CALLED.get(path.name)))
        assert not found, f"{path.name}: {found.group()}"


def test_passes_and_plans_are_made_by_compiling_alone():
    makers = set()
    for path in sources():
        found = MAKING.search(code_of_runs(code(path), CALLED.get(path.name)))
        assert not found, f"{path.name}: {found.group()}"
        if MAKING.search(code(path)):
            makers.add(path.name)
    assert makers >= {*CALLED, "mlpconv.cc", "norm_conv2d.cc"}


@pytest.mark.parametrize(
    "line",
    [
        "const Conv2dPass again(target, step.problem, Pass::kForward);",
        "const Conv2dPass again{target, step.problem, Pass::kForward};",
        "Conv2dForward({target, p, Pass::kForward}, x);",
        "passes.emplace_back(plan.target, p, Pass::kBackwardData);",
        "RunChain(MlpConvPlan(target, p), x);",
        "const auto candidates = ConvCandidates(target, p, pass);",
    ],
)
@pytest.mark.parametrize(
    "place",
    [
        "void RunBlocks(int x) {{\n  {line}\n}}\n",
        "Compiled Compile(const step::A& a, const B& b);\nvoid Run(int x) {{\n  {line}\n}}\n",
        "Compiled Compile(const step::A& a,\n                 const B& b) {{\n"
        "  return Kernel([a](const Run& run) {{\n    {line}\n  }});\n}}\n",
    ],
)
def test_a_choice_in_a_run_is_found(line, place):
    text = code_of_runs(place.format(line=line))
    assert MAKING.search(text) or CHOOSING.search(text)


def test_a_choice_of_compiling_is_not():
    text = code_of_runs(
        "Compiled Compile(const step::A& a, const B& b) {\n"
        "  const Conv2dPass conv(target, a.problem, Pass::kForward);\n"
        "  return Kernel([conv](const Run& run) {\n    Run(conv);\n  });\n}\n"
    )
    assert "Run(conv)" in text
    assert not MAKING.search(text)


# On a GPU: what chooses, and what follows from it.
GPU_CHOOSING = re.compile(
    r"\b(FindChainKernel|ChooseWarpTiles|SplitPixels|MakeGather|MakeProduct|PackingOf|ShapeOf)\("
    r"|\b(Conv2dPass|Schedule)\b(?: \w+)?[({]"
)
# Lambdas and functions that run: they are given a run, or the stream of one.
GPU_RUNS = re.compile(
    r"^( *)(?! *(?:Compiled|Chain|Product|PartialSums) )"
    r"[^\n;]*\([^;{}]*(?:const Run& run|Stream& stream\b)[^;{}]*\)[^;{}]*{$.*?^\1}",
    re.MULTILINE | re.DOTALL,
)


def test_runs_on_a_gpu_do_not_choose():
    files = [*(ROOT / "cuda").rglob("*.h"), *(ROOT / "cuda").rglob("*.cc")]
    runs = 0
    for path in files:
        for run in GPU_RUNS.finditer(code(path)):
            runs += 1
            found = GPU_CHOOSING.search(run.group())
            assert not found, f"{path.name}: {found.group()} in {run.group()[:200]}"
    assert runs > 30


def test_a_choice_in_a_run_on_a_gpu_is_found():
    text = (
        "Outputs OutputsOf(const step::MlpConv& step, const Run& run) {\n"
        "  return FindChainKernel(step.problem);\n}\n"
    )
    (run,) = GPU_RUNS.finditer(text)
    assert GPU_CHOOSING.search(run.group())


def test_kernels_do_not_ask_for_the_target_in_use():
    allowed = {"target.cc", "cpu_backend.cc", "benchmark.cc"}
    for path in sources():
        assert path.name in allowed or "ChosenTarget" not in code(path), path.name
