"""ninc inside another CMake project: a library for it, and nothing of its settings changed.

Projects are configured and not built, but for what `make test-embedding` does.
"""

import json
import re

import pytest

from support import ROOT
from support.building import configure

# A project made as its author likes it, with an nlohmann-json and a Highway of its own. It writes
# down which of CMake's variables are others behind add_subdirectory(), and the targets it got.
HOST = """
cmake_minimum_required(VERSION 3.21)
project(host LANGUAGES C CXX)
add_compile_options(-Wall -Werror)

include(FetchContent)
FetchContent_Declare(json SOURCE_DIR ${CMAKE_SOURCE_DIR}/json)
FetchContent_Declare(highway SOURCE_DIR ${CMAKE_SOURCE_DIR}/highway)
FetchContent_MakeAvailable(json highway)

get_cmake_property(names VARIABLES)
foreach(name IN LISTS names)
  set("before_${name}" "${${name}}")
endforeach()
add_subdirectory(NINC_SOURCE ninc)
get_cmake_property(names VARIABLES)
set(changed)
foreach(name IN LISTS names)
  if(name MATCHES "^(CMAKE_[A-Z_]+|BUILD_[A-Z_]+|SKBUILD.*)$" AND
     NOT "${${name}}" STREQUAL "${before_${name}}")
    string(APPEND changed "${name}\\n")
  endif()
endforeach()
file(WRITE ${CMAKE_BINARY_DIR}/changed.txt "${changed}")
get_property(targets DIRECTORY NINC_SOURCE PROPERTY BUILDSYSTEM_TARGETS)
file(WRITE ${CMAKE_BINARY_DIR}/targets.txt "${targets}")

add_library(_core STATIC user.cc)   # the name that scikit-build-core's own example has
target_link_libraries(_core PRIVATE ninc::ninc)
add_library(plain STATIC plain.cc)
"""

JSON = """
project(nlohmann_json CXX)
add_library(nlohmann_json INTERFACE)
add_library(nlohmann_json::nlohmann_json ALIAS nlohmann_json)
target_include_directories(nlohmann_json INTERFACE ${CMAKE_CURRENT_SOURCE_DIR})
"""
HIGHWAY = """
project(hwy CXX)
add_library(hwy STATIC hwy/targets.cc)
target_include_directories(hwy PUBLIC $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}>)
"""
HIGHWAY_VERSION = "".join(f"#define HWY_{part} 1\n" for part in ("MAJOR", "MINOR", "PATCH"))


class Host:
    """A configured host project."""

    def __init__(self, folder, **variables):
        files = {
            "CMakeLists.txt": HOST.replace("NINC_SOURCE", str(ROOT)),
            "json/CMakeLists.txt": JSON,
            "highway/CMakeLists.txt": HIGHWAY,
            "highway/hwy/highway.h": HIGHWAY_VERSION,
            "highway/hwy/base.h": "",
            "highway/hwy/targets.cc": "",
            "user.cc": "",
            "plain.cc": "",
        }
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        self.folder, self.build = folder, folder / "build"
        status, output = configure(folder, self.build, **variables)
        assert status == 0, output

    def lines(self, name):
        return (self.build / name).read_text().replace(";", "\n").split()

    def commands(self):
        """Source file -> how it is compiled."""
        entries = json.loads((self.build / "compile_commands.json").read_text())
        return {entry["file"]: entry["command"].split() for entry in entries}

    def command(self, file):
        """How this file is compiled: of the core, or of the target of one of the host's files."""
        if (ROOT / "cpp" / file).exists():
            return self.commands()[str(ROOT / "cpp" / file)]
        (command,) = [words for words in self.commands().values() if f"/{file}.dir/" in str(words)]
        return command

    def installed(self):
        return (self.build / "ninc" / "cmake_install.cmake").read_text()


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """Nothing set but what a host's builder, here scikit-build-core, and a hasty user would set."""
    return Host(
        tmp_path_factory.mktemp("host"),
        SKBUILD="2",
        CMAKE_UNITY_BUILD="ON",
        CMAKE_EXPORT_COMPILE_COMMANDS="ON",
    )


@pytest.fixture(scope="module")
def installing(tmp_path_factory):
    """A host that wants all its libraries shared, and ninc installed with it."""
    return Host(
        tmp_path_factory.mktemp("installing"),
        NINC_INSTALL="ON",
        BUILD_SHARED_LIBS="ON",
        CMAKE_BUILD_TYPE="Debug",
        CMAKE_EXPORT_COMPILE_COMMANDS="ON",
    )


def test_host_keeps_its_settings(host):
    # FindThreads tells the cache what it found, project() the version of the last project.
    harmless = re.compile("CMAKE_HAVE_(LIBC_)?PTHREAD.*|CMAKE_PROJECT_VERSION.*")
    assert [name for name in host.lines("changed.txt") if not harmless.fullmatch(name)] == []


def test_host_compiles_its_own_files_as_before(host):
    plain = host.command("plain")
    assert [word for word in plain if word.startswith(("-std", "-f", "-O", "-D", "-I"))] == []
    assert "ccache" not in plain[0]
    user = host.command("_core")
    assert any(word.endswith("++20") for word in user)
    assert f"-I{ROOT}/cpp/include" in user
    assert [word for word in user if word.startswith(("-f", "-O"))] == []


def test_targets_have_names_of_their_own(host):
    assert "ninc" in host.lines("targets.txt")
    assert [name for name in host.lines("targets.txt") if not name.startswith("ninc")] == []


def test_a_hosts_wheel_is_not_ours(host):
    assert "ninc_python" not in host.lines("targets.txt")
    assert "file(INSTALL" not in host.installed()


def test_nothing_is_written_beside_our_folder(host):
    beside = [path.name for path in host.build.iterdir() if "ninc" in path.name.lower()]
    assert beside == ["ninc"]


def test_host_that_has_json_and_highway_is_asked_for_them(host):
    command = host.command("io/model_file.cc")
    assert f"-I{host.folder}/json" in command
    assert f"{host.folder}/highway" in command


def test_no_file_is_merged_with_another(host):
    assert host.command("cpu/conv2d/conv2d.cc")
    merged = [file for file in host.commands() if "/Unity/" in file]
    assert merged  # the host's own
    assert [file for file in merged if "/ninc" in file] == []


def test_kernels_are_optimised_where_the_host_asks_for_nothing(host, installing):
    assert "-O3" in host.command("cpu/tile/tile.cc")
    assert "-O3" not in installing.command("cpu/tile/tile.cc")  # whoever debugs has said so


def test_warnings_that_are_errors_to_the_host_are_none_in_our_files(host):
    words = host.command("cpu/tile/tile.cc")
    assert words.index("-Werror") < words.index("-Wno-error")


def test_library_is_static_unless_the_host_wants_shared_ones(host, installing):
    assert "-DNINC_STATIC" in host.command("cpu/tile/tile.cc")
    assert "-DNINC_STATIC" in host.command("_core")
    assert "-DNINC_STATIC" not in installing.command("cpu/tile/tile.cc")
    assert "libninc.so" in installing.installed()


def test_host_can_install_ninc_with_itself(installing):
    for name in ("nincConfig.cmake", "ninc.pc", "cpp/include/ninc"):
        assert name in installing.installed()
    assert "_core" not in installing.installed()


# ---- What is missing -----------------------------------------------------------------------------


def test_missing_headers_are_named_together_and_at_once(tmp_path):
    status, output = configure(
        ROOT,
        tmp_path,
        NINC_FETCH="OFF",
        NINC_HWY_INCLUDE_DIR=tmp_path / "nowhere",
        CMAKE_DISABLE_FIND_PACKAGE_nlohmann_json="ON",
    )
    assert status != 0
    assert output.count("CMake Error") == 1
    for word in ("libhwy-dev", "NINC_HWY_INCLUDE_DIR", "nlohmann-json3-dev"):
        assert word in output
    assert "NINC_FETCH is OFF" in output


@pytest.mark.parametrize("missing", ["highway", "json"])
def test_no_network_is_one_message(tmp_path, monkeypatch, missing):
    # A proxy at a port where nobody listens is a network that is not there.
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    absent = {
        "highway": {"NINC_HWY_INCLUDE_DIR": tmp_path / "nowhere"},
        "json": {"CMAKE_DISABLE_FIND_PACKAGE_nlohmann_json": "ON"},
    }[missing]
    status, output = configure(ROOT, tmp_path / "build", **absent)
    assert status != 0
    assert output.count("CMake Error") == 1
    assert {"highway": "libhwy-dev", "json": "nlohmann-json3-dev"}[missing] in output
    assert "They were not downloaded" in output
    assert "Cloning" not in output and "fatal:" not in output


def test_copies_of_the_headers_are_taken_where_they_lie(tmp_path):
    (tmp_path / "highway" / "hwy").mkdir(parents=True)
    (tmp_path / "highway" / "hwy" / "highway.h").write_text(HIGHWAY_VERSION)
    (tmp_path / "highway" / "hwy" / "base.h").write_text("")
    (tmp_path / "json" / "single_include" / "nlohmann").mkdir(parents=True)
    (tmp_path / "json" / "single_include" / "nlohmann" / "json.hpp").write_text("")
    status, output = configure(
        ROOT,
        tmp_path / "build",
        NINC_FETCH="OFF",
        NINC_HWY_INCLUDE_DIR=tmp_path / "highway",
        FETCHCONTENT_SOURCE_DIR_NINC_JSON=tmp_path / "json",
    )
    assert status == 0, output
    commands = (tmp_path / "build" / "compile_commands.json").read_text()
    assert f"-isystem {tmp_path}/highway" in commands
    assert f"-isystem {tmp_path}/json/single_include" in commands
