"""What C and C++ programs meet: headers, ninc.pc, and a library that keeps to itself.

Whole programs are built and run in test_packaging.py and, by `make test-embedding`, in
test_embedding.py.
"""

import re
import shutil
from pathlib import Path

import pytest

import ninc
from support import ROOT
from support.building import configure, require, run
from support.processes import python

CORE = Path(ninc._core.__file__).resolve()
LIBRARY = CORE.parent / "lib" / "libninc.so"
MINOR = ".".join(ninc.__version__.split(".")[:2])
VERSION = f"NINC_{MINOR}"  # of an installed library's symbols
SONAME = f"libninc.so.{MINOR}"
HEADERS = sorted((ROOT / "cpp" / "include" / "ninc").glob("*.h"))

# ---- Headers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
@pytest.mark.parametrize("header", HEADERS, ids=lambda header: header.name)
def test_header_stands_alone_without_a_warning(tmp_path, header, compiler):
    source = tmp_path / "alone.cc"
    source.write_text(f"#include <ninc/{header.name}>\n#include <ninc/{header.name}>\n")
    warnings = "-Wall -Wextra -Wconversion -Wpedantic -Werror".split()
    include = ROOT / "cpp" / "include"
    run(require(compiler), "-std=c++20", *warnings, "-fsyntax-only", "-I", include, source)


@pytest.mark.parametrize("standard", ["c89", "c99", "c17"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_c_header_is_c(tmp_path, compiler, standard):
    source = tmp_path / "alone.c"
    source.write_text("#include <ninc/ninc.h>\nint main(void) { return 0; }\n")
    warnings = "-pedantic -Wall -Wextra -Werror".split()
    include = ROOT / "cpp" / "include"
    run(require(compiler), f"-std={standard}", *warnings, "-fsyntax-only", "-I", include, source)


# ---- find_package(ninc) --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "alone, languages, components, is_found",
    [
        ("ON", "C", "", True),
        ("ON", "CXX", "", False),
        ("ON", "CXX", "COMPONENTS C", True),
        ("OFF", "CXX", "", True),
    ],
)
def test_a_library_with_its_own_cxx_runtime_is_refused_to_cxx(
    tmp_path, alone, languages, components, is_found
):
    package = tmp_path / "ninc"
    for folder in ("lib", "include"):
        shutil.copytree(CORE.parent / folder, package / folder)
    config = package / "lib" / "cmake" / "ninc" / "nincConfig.cmake"
    text, count = re.subn(r"NINC_C_ALONE \w+\)", f"NINC_C_ALONE {alone})", config.read_text())
    assert count == 1
    config.write_text(text)
    (tmp_path / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.21)\nproject(host LANGUAGES {languages})\n"
        f"find_package(ninc CONFIG REQUIRED {components})\n"
    )
    status, output = configure(tmp_path, tmp_path / "build", ninc_DIR=config.parent)
    assert (status == 0) == is_found, output
    assert is_found or "carries a C++ library of its own" in " ".join(output.split())


# ---- ninc.pc -------------------------------------------------------------------------------------


def variable(file, name):
    """A variable of a .pc file as pkg-config gives it."""
    path = {"PKG_CONFIG_PATH": file.parent}
    return run(require("pkg-config"), f"--variable={name}", "ninc", **path).strip()


def configured(build, **variables):
    """The ninc.pc of a build with these variables."""
    status, output = configure(ROOT, build, **variables)
    assert status == 0, output
    return build / "ninc.pc"


def test_pc_file_goes_with_its_tree(tmp_path):
    file = configured(
        tmp_path / "build",
        CMAKE_INSTALL_PREFIX="/opt/elsewhere",
        CMAKE_INSTALL_LIBDIR="lib/x86_64-linux-gnu",
        CMAKE_INSTALL_INCLUDEDIR="inc",
    )
    folder = tmp_path / "moved" / "lib" / "x86_64-linux-gnu"
    (folder / "pkgconfig").mkdir(parents=True)
    moved = file.rename(folder / "pkgconfig" / "ninc.pc")
    assert Path(variable(moved, "libdir")).resolve() == folder
    assert Path(variable(moved, "includedir")).resolve() == tmp_path / "moved" / "inc"


@pytest.mark.parametrize("absolute, other", [("LIBDIR", "INCLUDEDIR"), ("INCLUDEDIR", "LIBDIR")])
def test_pc_file_says_absolute_folders(tmp_path, absolute, other):
    # Nix and Guix lay ninc.pc in another tree than headers or library: nothing may follow from
    # where it lies.
    folders = {f"CMAKE_INSTALL_{absolute}": "/opt/one/folder", f"CMAKE_INSTALL_{other}": "rest"}
    file = configured(tmp_path, CMAKE_INSTALL_PREFIX="/opt/other", **folders)
    assert variable(file, absolute.lower()) == "/opt/one/folder"
    assert variable(file, other.lower()) == "/opt/other/rest"


def test_pc_file_tells_what_a_static_library_needs(tmp_path):
    file = configured(tmp_path, NINC_SHARED="OFF")
    path = {"PKG_CONFIG_PATH": file.parent}
    for how in ([], ["--static"]):  # there is no other library that --static would have to ask for
        libraries = run(require("pkg-config"), "--libs", *how, "ninc", **path).split()
        assert {"-lninc", "-lstdc++", "-pthread"} <= set(libraries)
    assert "-DNINC_STATIC" in run("pkg-config", "--cflags", "ninc", **path)


def test_pc_file_names_the_standard_for_cxx_programs_alone():
    file = LIBRARY.parent / "pkgconfig" / "ninc.pc"
    assert variable(file, "cxx_std") == "c++20"
    flags = run("pkg-config", "--cflags", "--libs", "ninc", PKG_CONFIG_PATH=file.parent)
    assert "-std" not in flags


def test_cxx_headers_say_which_standard_they_need(tmp_path):
    source = tmp_path / "old.cc"
    source.write_text("#include <ninc/model.h>\n")
    with pytest.raises(AssertionError, match="need C\\+\\+20"):
        run(require("g++"), "-std=c++17", "-fsyntax-only", "-I", ROOT / "cpp" / "include", source)


# ---- Symbols -------------------------------------------------------------------------------------


def symbols(binary, *options):
    """(name, version) of what a library defines for others, or with -u asks of them."""
    lines = run(require("nm"), "-D", *options, binary).splitlines()
    # "A" are the names of the versions themselves.
    names = [line.split()[-1].partition("@") for line in lines if line.split()[-2] != "A"]
    return [(name, version.lstrip("@")) for name, _, version in names]


def test_library_shows_its_interface_alone_and_says_whose_copy_it_is():
    shown = symbols(LIBRARY, "--defined-only")
    names = [name for name, _ in shown]
    assert "ninc_model_load" in names
    assert "_ZTIN4ninc7BackendE" in names  # its type, for a user's subclasses
    interface = re.compile(r"ninc_\w+|_ZNK?4ninc\w+|_ZT[VIS]N4ninc\w+")
    assert [name for name in names if not interface.fullmatch(name)] == []
    assert {version for _, version in shown} == {VERSION + "_WHEEL"}


def test_module_shows_python_one_function():
    assert [name for name, _ in symbols(CORE, "--defined-only")] == ["PyInit__core"]


def test_module_asks_for_its_own_copy():
    asked = [(name, version) for name, version in symbols(CORE, "-u") if "4ninc" in name]
    assert asked
    assert {version for _, version in asked} == {VERSION + "_WHEEL"}


@pytest.fixture(scope="module")
def other_copy(tmp_path_factory):
    """What an installed libninc is to the loader. Each of its symbols ends the process."""
    folder = tmp_path_factory.mktemp("other")
    names = [name for name, _ in symbols(LIBRARY, "--defined-only")]
    calls = "".join(f"void {name}(void) {{ abort(); }}\n" for name in names)
    (folder / "other.c").write_text(f"#include <stdlib.h>\n{calls}")
    (folder / "other.map").write_text(VERSION + " { global: *; };")
    library = folder / "libninc.so"
    options = f"-w -shared -fPIC -Wl,-soname,{SONAME},--version-script={folder}/other.map"
    run(require("gcc"), *options.split(), folder / "other.c", "-o", library)
    return library


# The network trains, is stored, and runs.
TRAINING = """
import ctypes, sys, numpy as np
order, other, file = sys.argv[1:]
if order == "before":
    ctypes.CDLL(other, ctypes.RTLD_GLOBAL)
import ninc
from ninc import nn
ninc.set_num_threads(3)
if order == "after":
    ctypes.CDLL(other, ctypes.RTLD_GLOBAL)
net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GlobalAvgPool2d())
x, y = np.zeros((8, 3, 8, 8), np.float32), np.arange(8) % 4
ninc.Trainer(net, ninc.SGD(0.1)).fit((x, y), epochs=1, batch_size=4)
net.save(file)
print(ninc.get_num_threads(), ninc.load(file)(x).shape)
"""


@pytest.mark.parametrize("order", ["before", "after", "preloaded", "on the path"])
def test_another_copy_in_the_process_is_not_called(tmp_path, other_copy, order):
    environment = {
        "preloaded": {"LD_PRELOAD": str(other_copy)},
        "on the path": {"LD_LIBRARY_PATH": str(other_copy.parent)},
    }.get(order, {})
    result = python("-c", TRAINING, order, other_copy, tmp_path / "net.safetensors", **environment)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split("\n")[-2] == "3 (8, 4)"
