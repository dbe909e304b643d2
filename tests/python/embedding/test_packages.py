"""The .deb and the tarball of `make packages`: what is in them, and programs built from both.

By `make test-embedding`, which builds them, or with NINC_PACKAGES, a folder that has them.
"""

import os
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest

from ninc import nn
from ninc.preprocess import Preprocessing
from support import ROOT
from support.building import configure, require, run

pytestmark = pytest.mark.skipif(
    not {"NINC_TEST_EMBEDDING", "NINC_PACKAGES"} & set(os.environ),
    reason="whole builds: make test-embedding",
)

EXAMPLES = ROOT / "examples"
VERSION = re.search(r"project\(ninc VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
MINOR = VERSION.rpartition(".")[0]
KINDS = ("deb", "tar.gz")


@pytest.fixture(scope="module")
def packages():
    """Kind -> file."""
    folder = Path(os.environ.get("NINC_PACKAGES", ROOT / "dist"))
    if "NINC_PACKAGES" not in os.environ:
        run(ROOT / "tools" / "packages.sh")
    found = [
        *folder.glob(f"libninc-dev_{VERSION}_*.deb"),
        *folder.glob(f"ninc-{VERSION}-*-*.tar.gz"),
    ]
    return {kind: path for kind in KINDS for path in found if path.name.endswith(kind)}


@pytest.fixture(scope="module", params=KINDS)
def package(request, packages):
    if request.param == "deb":
        require("dpkg-deb")
    assert request.param in packages, "it was not built"
    return packages[request.param]


@pytest.fixture(scope="module")
def prefix(package, tmp_path_factory):
    """Where it lies unpacked: no folder that it was configured for."""
    folder = tmp_path_factory.mktemp("some where")
    if package.suffix == ".deb":
        run("dpkg-deb", "-x", package, folder)
        return folder / "usr"
    run("tar", "-xzf", package, "-C", folder)
    (top,) = folder.iterdir()
    assert top.name == package.name[: -len(".tar.gz")]
    return top


@pytest.fixture(scope="module")
def library(prefix):
    (found,) = prefix.glob("lib/**/libninc.so")
    return found


# ---- What is in them -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def members(package, tmp_path_factory):
    """The entries of the archive, their names as below the prefix."""
    archive = package
    if package.suffix == ".deb":
        archive = tmp_path_factory.mktemp("deb") / "data.tar"
        run("sh", "-c", f"dpkg-deb --fsys-tarfile '{package}' > '{archive}'")
    with tarfile.open(archive) as tar:
        entries = tar.getmembers()
    top = "./usr/" if package.suffix == ".deb" else package.name[: -len(".tar.gz")] + "/"
    outside = [entry.name for entry in entries if not f"{entry.name}/".startswith(top)]
    assert set(outside) <= {".", "./"}
    return {entry.name[len(top) :]: entry for entry in entries if len(entry.name) >= len(top)}


def test_it_has_the_library_and_what_finds_it(members):
    names = [name for name, entry in members.items() if not entry.isdir()]
    headers = {f"include/ninc/{path.name}" for path in (ROOT / "cpp/include/ninc").glob("*.h")}
    assert {name for name in names if name.startswith("include/")} == headers
    rest = [re.sub(r"^lib/[\w-]+-linux-gnu/", "lib/", name) for name in names]
    rest = {name for name in rest if not name.startswith("include/")}
    document = {name for name in rest if name.startswith("share/doc/")}
    assert {Path(name).name for name in document} == {"LICENSE", "copyright"}
    cmake = {f"lib/cmake/ninc/ninc{part}.cmake" for part in ("Config", "ConfigVersion", "Targets")}
    libraries = {f"lib/libninc.so{end}" for end in ("", f".{MINOR}", f".{VERSION}")}
    others = cmake | libraries | {"lib/cmake/ninc/nincTargets-release.cmake"}
    assert rest - document == others | {"lib/pkgconfig/ninc.pc"}


def test_entries_are_the_systems_and_nobody_may_write_them(members):
    for name, entry in members.items():
        assert (entry.uname, entry.gname) == ("root", "root"), name
        if not entry.issym():
            assert entry.mode == (0o755 if entry.isdir() else 0o644), f"{name}: {entry.mode:o}"


def test_licences_of_what_is_compiled_in_are_told(prefix):
    (text,) = (path.read_text() for path in prefix.glob("share/doc/*/copyright"))
    assert "Apache License, Version 2.0" in text
    assert "Highway" in text and "nlohmann-json" in text


def test_library_is_stripped_and_has_no_path_of_the_builder(library):
    assert " .symtab" not in run(require("readelf"), "-S", "-W", library)
    assert "PATH)" not in run("readelf", "-d", library)  # neither RPATH nor RUNPATH
    assert str(ROOT).encode() not in library.read_bytes()


def test_files_that_find_it_have_no_path_of_the_builder(prefix):
    for pattern in ("*.cmake", "*.pc"):
        files = list(prefix.rglob(pattern))
        assert files
        for path in files:
            assert str(ROOT) not in path.read_text(), path


def test_deb_says_what_it_is(packages, tmp_path):
    deb = packages.get("deb")
    if deb is None:
        pytest.skip("no .deb was built")
    run(require("dpkg-deb"), "-e", deb, tmp_path)
    control = (tmp_path / "control").read_text()
    fields = dict(re.findall(r"^(\S+): (.*)$", control, re.MULTILINE))
    expected = {"Package": "libninc-dev", "Version": VERSION, "Section": "libdevel"}
    assert expected.items() <= fields.items()
    assert fields["Priority"] == "optional"
    assert fields["Maintainer"]
    assert {"libc6", "libstdc++6"} <= {name.split()[0] for name in fields["Depends"].split(", ")}
    for line in control.splitlines():
        assert len(line) <= 80
    # What makes the loader know the library, without a script that is run as root.
    assert (tmp_path / "triggers").read_text().split() == ["activate-noawait", "ldconfig"]
    assert not (tmp_path / "postinst").exists()
    assert (tmp_path / "shlibs").read_text().startswith(f"libninc {MINOR} libninc-dev ")
    sums = (tmp_path / "md5sums").read_text().split()[1::2]
    assert sums and all(name.startswith("usr/") for name in sums)


# ---- Programs built from them --------------------------------------------------------------------


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("picture") / "grey.ppm"
    path.write_bytes(b"P6 8 8 255\n" + bytes(np.full(8 * 8 * 3, 100, np.uint8)))
    return path


@pytest.fixture(scope="module")
def programs(prefix, tmp_path_factory):
    """The folder of the examples, built by CMake."""
    folder = tmp_path_factory.mktemp("examples")
    status, output = configure(EXAMPLES, folder, CMAKE_PREFIX_PATH=prefix)
    assert status == 0, output
    assert f"ninc_DIR:PATH={prefix}" in (folder / "CMakeCache.txt").read_text()
    run("cmake", "--build", folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "net.safetensors"
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GlobalAvgPool2d())
    network.preprocessing = Preprocessing((8, 8), 3, (0.5,) * 3, (0.25,) * 3)
    network.save(path)
    return path


def test_examples_by_cmake(tmp_path, programs, model, picture):
    run(programs / "train", tmp_path / "trained.safetensors", 1)
    assert (tmp_path / "trained.safetensors").stat().st_size > 0
    for program in ("predict", "classify"):
        assert "class" in run(programs / program, model, picture)


def test_examples_by_pkg_config(tmp_path, library, model, picture):
    environment = {"PKG_CONFIG_PATH": library.parent / "pkgconfig"}
    flags = run(require("pkg-config"), "--cflags", "--libs", "ninc", **environment)
    # The shell takes apart what pkg-config has put in quotes.
    for compiler, source in (("gcc", "predict.c"), ("g++ -std=c++20", "classify.cpp")):
        program = tmp_path / source.partition(".")[0]
        run("sh", "-c", f"{compiler} '{EXAMPLES / source}' -o '{program}' {flags.strip()}")
        found = run(program, model, picture, LD_LIBRARY_PATH=library.parent)
        assert "class" in found
