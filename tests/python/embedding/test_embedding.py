"""Whole builds of what others embed: a shared library that is installed, and a static one that a
merging host builds within its own tree and installs with itself.

Each builds every kernel, so they are for `make test-embedding`, which keeps the builds in build/.
"""

import os
import sys

import numpy as np
import pytest

import ninc
from ninc import nn
from ninc.preprocess import Preprocessing
from support import ROOT
from support.building import configure, require, run
from support.processes import python

pytestmark = pytest.mark.skipif(
    "NINC_TEST_EMBEDDING" not in os.environ, reason="whole builds: make test-embedding"
)

# As far below the repository as the wheel's build, whose objects ccache then takes.
BUILDS = {name: ROOT / "build" / f"embedding-{name}" for name in ("shared", "static")}

HOST = f"""
cmake_minimum_required(VERSION 3.21)
project(host LANGUAGES C CXX)
set(CMAKE_UNITY_BUILD ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
add_subdirectory({ROOT} ninc)
file(WRITE ${{CMAKE_BINARY_DIR}}/plugin.cc [=[
#include <ninc/ninc.h>
extern "C" __attribute__((visibility("default"))) const char* plugin() {{ return ninc_version(); }}
]=])
add_library(plugin SHARED ${{CMAKE_BINARY_DIR}}/plugin.cc)
target_link_libraries(plugin PRIVATE ninc::ninc)
"""

# A program's own subclass of an exported class, and the library's seen through its base.
SUBCLASS = """
#include <ninc/model.h>

#include <cstdio>

struct Own : ninc::PendingStep {
  ninc::Result<ninc::StepResult> Wait() override { return ninc::StepResult{.loss = 2.0f}; }
};

int main(int, char** words) {
  const auto model = ninc::Load(words[1]).value();
  const auto trainer = ninc::Trainer::Create(model, 0.0f).value();
  const ninc::Shape shape{1, 8, 8, 3};
  const std::vector<float> x(192, 1.0f);
  const ninc::StridedView view{x.data(), {192, 64, 8, 1}};
  const int64_t label = 0;
  const ninc::StepSettings settings{.updates = std::vector<ninc::ParameterUpdate>(2)};
  const std::shared_ptr<ninc::PendingStep> theirs =
      trainer->Launch(shape, view, &label, settings).value();
  const std::shared_ptr<ninc::PendingStep> own = std::make_shared<Own>();
  const bool told = dynamic_cast<Own*>(own.get()) != nullptr &&
                    dynamic_cast<Own*>(theirs.get()) == nullptr;
  std::printf("%s %g %d\\n", told ? "told apart" : "mixed up", own->Wait()->loss,
              theirs->Wait().ok());
}
"""


def installed(name, source, **variables):
    """Where the library is installed, built from `source`."""
    build, prefix = BUILDS[name], BUILDS[name] / "installed"
    variables = {"CMAKE_BUILD_TYPE": "Release", "CMAKE_INSTALL_PREFIX": prefix, **variables}
    status, output = configure(source, build, **variables)
    assert status == 0, output
    run("cmake", "--build", build, "--parallel", os.cpu_count())
    run("cmake", "--install", build)
    return prefix


@pytest.fixture(scope="module")
def shared():
    return installed("shared", ROOT, CMAKE_INSTALL_LIBDIR="lib")


@pytest.fixture(scope="module")
def static():
    host = BUILDS["static"] / "host"
    host.mkdir(parents=True, exist_ok=True)
    if not (host / "CMakeLists.txt").exists() or (host / "CMakeLists.txt").read_text() != HOST:
        (host / "CMakeLists.txt").write_text(HOST)
    return installed("static", host, CMAKE_INSTALL_LIBDIR="lib", NINC_INSTALL="ON")


@pytest.fixture(params=["shared", "static"])
def prefix(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "net.safetensors"
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GlobalAvgPool2d())
    network.preprocessing = Preprocessing((8, 8), 3, (0.5,) * 3, (0.25,) * 3)
    network.save(path)
    return path


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("picture") / "grey.ppm"
    path.write_bytes(b"P6 8 8 255\n" + bytes(np.full(8 * 8 * 3, 100, np.uint8)))
    return path


def test_examples_by_find_package(tmp_path, prefix, model, picture):
    status, output = configure(ROOT / "examples", tmp_path, CMAKE_PREFIX_PATH=prefix)
    assert status == 0, output
    run("cmake", "--build", tmp_path)
    assert "class" in run(tmp_path / "predict", model, picture)
    assert "class" in run(tmp_path / "classify", model, picture)


def test_examples_by_pkg_config(tmp_path, prefix, model, picture):
    path = {"PKG_CONFIG_PATH": prefix / "lib" / "pkgconfig"}
    flags = run(require("pkg-config"), "--cflags", "--libs", "--static", "ninc", **path).split()
    flags.append(f"-Wl,-rpath,{prefix}/lib")
    run("gcc", ROOT / "examples" / "predict.c", "-o", tmp_path / "predict", *flags)
    run(
        "g++", "-std=c++20", ROOT / "examples" / "classify.cpp", "-o", tmp_path / "classify", *flags
    )
    assert "class" in run(tmp_path / "predict", model, picture)
    assert "class" in run(tmp_path / "classify", model, picture)


def test_project_in_c_alone(tmp_path, prefix, model, picture):
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.21)\nproject(user LANGUAGES C)\n"
        "find_package(ninc REQUIRED)\n"
        f"add_executable(predict {ROOT}/examples/predict.c)\n"
        "target_link_libraries(predict PRIVATE ninc::ninc)\n"
    )
    status, output = configure(tmp_path, tmp_path / "build", CMAKE_PREFIX_PATH=prefix)
    assert status == 0, output
    run("cmake", "--build", tmp_path / "build")
    assert "class" in run(tmp_path / "build" / "predict", model, picture)


@pytest.mark.parametrize("position", ["-fPIE -pie", "-fno-PIE -no-pie"])
def test_subclass_of_an_exported_class(tmp_path, prefix, model, position):
    (tmp_path / "user.cc").write_text(SUBCLASS)
    path = {"PKG_CONFIG_PATH": prefix / "lib" / "pkgconfig"}
    flags = run(require("pkg-config"), "--cflags", "--libs", "ninc", **path).split()
    flags += [f"-Wl,-rpath,{prefix}/lib", *position.split()]
    run("g++", "-std=c++20", tmp_path / "user.cc", "-o", tmp_path / "user", *flags)
    assert run(tmp_path / "user", model) == "told apart 2 1\n"


def test_library_that_holds_a_static_ninc_does_not_show_it(static):
    shown = run(require("nm"), "-D", "--defined-only", BUILDS["static"] / "libplugin.so")
    assert "plugin" in shown
    assert "ninc" not in shown


TWO_COPIES = """
import ctypes, sys
order, other = sys.argv[1:]
if order == "other first":
    other = ctypes.CDLL(other, ctypes.RTLD_GLOBAL)
import ninc
if order == "ninc first":
    ninc.set_num_threads(2)
    other = ctypes.CDLL(other, ctypes.RTLD_GLOBAL)
ninc.set_num_threads(3)
assert other.ninc_set_num_threads(5) == 0
assert ninc.get_num_threads() == 3
ninc.set_num_threads(4)
assert other._ZN4ninc13GetNumThreadsEv() == 5  # ninc::GetNumThreads()
"""


@pytest.mark.parametrize("order", ["other first", "ninc first"])
def test_two_copies_have_their_own_threads(shared, order):
    result = python("-c", TWO_COPIES, order, (shared / "lib" / "libninc.so").resolve())
    assert result.returncode == 0, result.stderr


EMBEDDING = """
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <ninc/ninc.h>

int main(int argc, char** argv) {
  ninc_set_num_threads(5);
  Py_Initialize();
  int failed = PyRun_SimpleString(
      "import ninc; ninc.set_num_threads(3); assert ninc.get_num_threads() == 3");
  return failed || ninc_set_num_threads(6) != NINC_OK || argc != 1 || argv == NULL ||
         PyRun_SimpleString("assert ninc.get_num_threads() == 3");
}
"""


def test_program_with_an_installed_copy_runs_python(tmp_path, shared):
    config = require(f"python{sys.version_info.major}.{sys.version_info.minor}-config")
    (tmp_path / "program.c").write_text(EMBEDDING)
    path = {"PKG_CONFIG_PATH": shared / "lib" / "pkgconfig"}
    flags = run(require("pkg-config"), "--cflags", "--libs", "ninc", **path).split()
    flags += run(config, "--cflags", "--ldflags", "--embed").split()
    flags += [f"-Wl,-rpath,{shared}/lib"]
    run("gcc", tmp_path / "program.c", "-o", tmp_path / "program", *flags)
    folders = [os.path.dirname(os.path.dirname(ninc.__file__)), *filter(None, sys.path)]
    run(tmp_path / "program", PYTHONPATH=os.pathsep.join(folders))
