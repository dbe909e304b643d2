"""Training in C++ against the installed package: the example, and that C++ and Python agree."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import ninc
from ninc import averages, models, schedules
from support import ROOT

LIBRARY = Path(ninc._core.__file__).resolve().parent / "lib"
EPOCHS = 6
NETWORKS = ("nin-cifar10", "nin-cifar100", "nin-svhn", "nin-mnist", "nin-imagenet")


def run(*command):
    """The standard output of a command that must succeed."""
    result = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, f"{command}:\n{result.stdout}\n{result.stderr}"
    return result.stdout


def compiled(source, folder):
    """A program of one C++ file, linked with the library that the package carries."""
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("c++ is not installed")
    program = folder / source.stem
    run(
        compiler, "-std=c++20", "-O1", "-Wall", "-Wextra", "-Werror", source, "-o", program,
        f"-I{ninc.get_include()}", f"-L{LIBRARY}", "-lninc", f"-Wl,-rpath,{LIBRARY}",
    )  # fmt: skip
    return program


# ---- The example ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    return compiled(ROOT / "examples" / "train.cpp", tmp_path_factory.mktemp("train"))


@pytest.fixture(scope="module")
def trained(train):
    """(what the program wrote, the network it saved)."""
    path = train.with_suffix(".safetensors")
    return run(train, path, EPOCHS), ninc.load(path)


def test_the_example_learns(trained):
    losses = [float(loss) for loss in re.findall(r", loss ([\d.]+)", trained[0])[:EPOCHS]]
    assert len(losses) == EPOCHS
    assert losses[-1] < 0.7 * losses[0]
    # By chance one in four: the made-up pictures have four classes.
    assert float(re.search(r"accuracy ([\d.]+)", trained[0]).group(1)) > 0.8


def test_the_examples_rates_are_pythons(trained):
    factors = [float(factor) for factor in re.findall(r"rate factor (\S+),", trained[0])]
    last = 8 / 9  # of the nine batches that 144 pictures are
    assert factors == [schedules.Cosine()(epoch + last, EPOCHS) for epoch in range(EPOCHS)]


def test_python_reads_what_the_example_saved(trained):
    network = trained[1]
    assert network.core.graph_json() == models.nin_cifar10(4, batch_norm=True).core.graph_json()
    x = np.zeros((2, 3, 12, 12), np.float32)
    assert np.isfinite(network(x)).all() and network(x).shape == (2, 4)
    # The averages' statistics were estimated: as it began, each mean is 0 and each variance 1.
    assert (network.state_dict()["bn_conv1.running_mean"] != 0).any()


def test_the_example_reads_cifar10(train, tmp_path):
    rng = np.random.default_rng(0)
    records = rng.integers(0, 256, (20, 1 + 3 * 32 * 32), np.uint8)
    records[:, 0] = np.arange(20) % 10
    batch = tmp_path / "data_batch_1.bin"
    batch.write_bytes(records.tobytes())
    assert "epoch 1: " in run(train, tmp_path / "nin.safetensors", 1, batch)
    batch.write_bytes(records.tobytes()[:-1])
    result = subprocess.run([train, tmp_path / "no", "1", batch], capture_output=True, text=True)
    assert result.returncode == 1 and "no file of CIFAR-10's binary version" in result.stderr


# ---- The same numbers in both languages ----------------------------------------------------------

SOURCE = r"""
#include <ninc/networks.h>
#include <ninc/training.h>

#include <cstdio>
#include <string>

namespace schedule = ninc::schedule;

void Print(const char* name, const schedule::Schedule& factor) {
  std::printf("%s", name);
  for (int place = 0; place <= 40; ++place) std::printf(" %.17g", factor(place / 4.0, 10));
  std::puts("");
}

int main(int, char** arguments) {
  const std::string folder = arguments[1];
  for (const char* name : {NAMES}) {
    for (bool batch_norm : {false, true}) {
      const auto model = ninc::CreateNin(name, {.batch_norm = batch_norm, .seed = 9}).value();
      const std::string path = folder + "/" + name + (batch_norm ? "-bn" : "");
      if (!ninc::Save(*model, path).ok()) return 1;
    }
  }
  Print("constant", schedule::Constant());
  Print("step", schedule::Step{.milestones = {2.5, 6}, .gamma = 0.3});
  Print("relative", schedule::Step{.milestones = {0.3, 0.7}, .relative = true});
  Print("cosine", schedule::Cosine{.floor = 0.01});
  Print("linear", schedule::OneCycle());
  Print("one-cycle", schedule::OneCycle{.warmup = 0.3, .start = 0.2, .end = 0.05, .cosine = true});
  Print("warmup", schedule::Warmup{.epochs_up = 3, .then = schedule::Cosine()});
  schedule::Plateau plateau{.gamma = 0.3, .patience = 2, .min_delta = 0.1, .floor = 0.05};
  std::printf("plateau");
  for (double loss : {2.0, 1.5, 1.45, 1.41, 1.2, 1.2, 1.3, 1.4, 1.3, 1.0, 1.0, 1.0, 1.0, 1.0}) {
    plateau.Observe(loss);
    std::printf(" %.17g", plateau(0, 1));
  }
  std::printf("\nema");
  for (int count : {0, 1, 10, 1000, 100000}) std::printf(" %.17g", ninc::average::Ema()(0, count));
  std::printf("\nswa");
  for (double place : {0.0, 0.7, 0.75, 1.0}) std::printf(" %.17g", ninc::average::Swa()(place, 3));
  std::printf("\nrates");
  const ninc::Sgd sgd{.lr = 0.3,
                      .weight_decay = 0.001,
                      .groups = {{"*.bias", {}, 0.0}, {"c???1.*", 0.7}, {"*cccp1.bias", {}, 0.5}}};
  const auto model = ninc::CreateNin("nin-mnist").value();
  const auto settings = ninc::MakeStepSettings(*model, sgd, 0.9).value();
  for (const auto& [lr, decay] : settings.updates) std::printf(" %.17g %.17g", lr, decay);
  std::printf("\nadamw");
  const ninc::AdamW adamw{.groups = {{"*.bias", 0.3, 0.0}}};
  const auto steps = ninc::MakeStepSettings(*model, adamw, 0.7).value();
  for (const auto& [lr, decay] : steps.updates) std::printf(" %.17g %.17g", lr, decay);
  const auto rule = std::get<ninc::rule::Adam>(steps.rule);
  std::printf(" %.17g %.17g %.17g\n", rule.beta1, rule.beta2, rule.eps);
}
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """(the folder with the networks that C++ made, name -> numbers it wrote)."""
    folder = tmp_path_factory.mktemp("same")
    source = folder / "same.cpp"
    names = ", ".join(f'"{name}"' for name in NETWORKS)
    source.write_text(SOURCE.replace("NAMES", names))
    lines = run(compiled(source, folder), folder).splitlines()
    return folder, {line.split()[0]: [float(n) for n in line.split()[1:]] for line in lines}


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_networks_are_the_same_bits(told, name, batch_norm):
    here = models.create(name, batch_norm=batch_norm, seed=9)
    there = ninc.load(told[0] / (name + ("-bn" if batch_norm else "")))
    assert here.core.graph_json() == there.core.graph_json()
    ours, theirs = here.state_dict(), there.state_dict()
    assert list(ours) == list(theirs)
    assert [key for key in ours if ours[key].tobytes() != theirs[key].tobytes()] == []


@pytest.mark.parametrize(
    "name, schedule",
    [
        ("constant", schedules.Constant()),
        ("step", schedules.Step([2.5, 6], gamma=0.3)),
        ("relative", schedules.Step([0.3, 0.7], relative=True)),
        ("cosine", schedules.Cosine(floor=0.01)),
        ("linear", schedules.OneCycle()),
        ("one-cycle", schedules.OneCycle(0.3, 0.2, 0.05, "cosine")),
        ("warmup", schedules.Warmup(3, schedules.Cosine())),
    ],
)
def test_schedules_are_the_same(told, name, schedule):
    assert told[1][name] == [schedule(place / 4, 10) for place in range(41)]


def test_plateaus_are_the_same(told):
    plateau = schedules.Plateau(0.3, 2, 0.1, "val_loss", 0.05)
    factors = []
    for loss in (2.0, 1.5, 1.45, 1.41, 1.2, 1.2, 1.3, 1.4, 1.3, 1.0, 1.0, 1.0, 1.0, 1.0):
        plateau.observe(dict(val_loss=loss))
        factors.append(plateau(0, 1))
    assert told[1]["plateau"] == factors and len(set(factors)) == 4


def test_averages_are_the_same(told):
    ema, swa = averages.EMA(), averages.SWA()
    want = [np.float32(ema.rate(0, count)) for count in (0, 1, 10, 1000, 100_000)]
    assert told[1]["ema"] == want
    assert told[1]["swa"] == [np.float32(swa.rate(place, 3)) for place in (0.0, 0.7, 0.75, 1.0)]


def test_rates_are_the_same(told):
    names = list(models.nin_mnist().parameters())
    groups = [
        ("*.bias", dict(weight_decay=0.0)),
        ("c???1.*", dict(lr_mult=0.7)),
        ("*cccp1.bias", dict(weight_decay=0.5)),
    ]
    lr, decay = ninc.SGD(0.3, weight_decay=0.001, groups=groups).vectors(names)
    want = np.stack([lr * np.float32(0.9), decay], axis=1).ravel()
    assert told[1]["rates"] == want.tolist() and len(np.unique(want)) == 5


def test_adamw_is_the_same(told):
    names = list(models.nin_mnist().parameters())
    adamw = ninc.AdamW(groups=[("*.bias", dict(lr_mult=0.3, weight_decay=0.0))])
    lr, decay = adamw.vectors(names)
    want = np.stack([lr * np.float32(0.7), decay], axis=1).ravel()
    assert told[1]["adamw"] == [*want.tolist(), *adamw.betas, adamw.eps]
