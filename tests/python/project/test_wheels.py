"""tools/wheels: which wheels there are, and how one is packed."""

import importlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import ninc
from support import ROOT

TOOLS = ROOT / "tools" / "wheels"
PROJECT = (ROOT / "pyproject.toml").read_text()


@pytest.fixture(scope="module")
def wheels():
    """By name its modules, which are on no path but their own."""
    names = ("platforms", "compilers", "roots", "interpreters", "builder", "trial")
    sys.path.insert(0, str(TOOLS))
    try:
        yield {name: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(str(TOOLS))
        for name in names:
            sys.modules.pop(name, None)


def test_the_oldest_python_has_a_wheel(wheels):
    oldest = re.search(r'requires-python = ">=([0-9.]+)"', PROJECT).group(1)
    assert wheels["platforms"].PYTHONS[0].version == oldest


def test_names_of_a_python(wheels):
    python = wheels["platforms"].Python("cp313", "trixie")
    assert python.version == "3.13"
    assert python.suffix("aarch64-linux-gnu") == ".cpython-313-aarch64-linux-gnu.so"
    free = wheels["platforms"].Python("cp314t", None)
    assert free.version == "3.14"
    assert free.suffix("x86_64-linux-gnu") == ".cpython-314t-x86_64-linux-gnu.so"


def test_headers_without_the_lock_say_so(wheels, tmp_path):
    config = tmp_path / "python3.13" / "pyconfig.h"
    config.parent.mkdir()
    config.write_text("/* #undef Py_DEBUG */\n/* #undef Py_GIL_DISABLED */\n")
    wheels["roots"]._take_lock_away(tmp_path)
    assert config.read_text() == "/* #undef Py_DEBUG */\n#define Py_GIL_DISABLED 1\n"
    with pytest.raises(SystemExit, match="no pyconfig.h in .* says"):
        wheels["roots"]._take_lock_away(tmp_path)


def test_each_platform_names_pythons_that_there_are(wheels):
    for platform in wheels["platforms"].PLATFORMS:
        assert [python.tag for python in platform.python_list] == list(platform.pythons)


def test_a_release_of_debian_may_be_too_old_for_a_wheel(wheels):
    new, old = wheels["platforms"].named(["x86_64", "x86_64-old"])
    assert not new.runs_in("bullseye") and new.runs_in("bookworm")
    assert old.runs_in("bullseye") and old.runs_in("trixie")


def test_platforms_are_found_by_name(wheels):
    platforms = wheels["platforms"]
    assert platforms.named([]) == list(platforms.PLATFORMS)
    assert [one.tag for one in platforms.named(["aarch64"])] == ["manylinux_2_34_aarch64"]
    with pytest.raises(SystemExit, match="no platform is called 'arm'; there are x86_64, aarch64"):
        platforms.named(["arm"])


def test_a_wrong_platform_is_told():
    done = subprocess.run(
        [sys.executable, TOOLS, "build", "arm"], capture_output=True, text=True, env={"PATH": ""}
    )
    assert done.returncode == 1 and "no platform is called 'arm'" in done.stderr


@pytest.fixture
def packed(wheels, tmp_path, monkeypatch):
    """Packs this environment's ninc as a wheel of a platform; its path."""
    builder, platforms = wheels["builder"], wheels["platforms"]
    pytest.importorskip("wheel")
    package = Path(ninc.__file__).parent
    (module,) = package.glob("_core.*.so")
    python = platforms.Python(f"cp{sys.version_info[0]}{sys.version_info[1]}", None)
    platform = platforms.Platform("here", "manylinux_2_34_x86_64", "amd64", "none", (python.tag,))
    monkeypatch.setattr(platforms, "WORK", tmp_path)
    monkeypatch.setattr(builder, "DIST", tmp_path / "dist")
    built = tmp_path / "here" / "build" / "python" / python.tag
    built.mkdir(parents=True)
    (built / f"_core{python.suffix('none')}").write_bytes(module.read_bytes())
    stage = tmp_path / "here" / "stage" / "lib"
    stage.mkdir(parents=True)
    (stage / "libninc.so").write_bytes((package / "lib" / "libninc.so").read_bytes())
    dist_info = tmp_path / f"ninc-{ninc.__version__}.dist-info"
    dist_info.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: ninc\nVersion: {ninc.__version__}\n"
    (dist_info / "METADATA").write_text(metadata)
    return lambda: builder._pack(platform, python, dist_info, Path(sys.executable))


def test_a_wheel_says_what_it_is_and_is_the_same_each_time(packed):
    wheel = packed()
    first = wheel.read_bytes()
    tag = wheel.stem.partition("-")[2].partition("-")[2]
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (about,) = (name for name in names if name.endswith(".dist-info/WHEEL"))
        text = archive.read(about).decode()
        record = archive.read(about.replace("WHEEL", "RECORD")).decode()
    assert f"Tag: {tag}\n" in text and "Root-Is-Purelib: false" in text
    assert "ninc/__init__.py" in names and "ninc/lib/libninc.so" in names
    assert not [name for name in names if "__pycache__" in name]
    assert {line.rpartition(",")[0].rpartition(",")[0] for line in record.splitlines()} >= {
        name for name in names if not name.endswith("RECORD")
    }
    assert packed().read_bytes() == first
