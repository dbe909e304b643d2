"""What is shipped: the wheel's content and size, its dependencies, and what a C++ user finds in it.

The wheel is the newest in dist/ (`make wheel`) or the one NINC_WHEEL names.
"""

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import ninc
from support import ROOT

CORE = Path(ninc._core.__file__).resolve()
LIBRARY = CORE.parent / "lib" / "libninc.so"
PKGCONFIG = LIBRARY.parent / "pkgconfig"


def run(*command, **kwargs):
    """The standard output of a command that must succeed."""
    result = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=300, **kwargs
    )
    assert result.returncode == 0, f"{command}:\n{result.stdout}\n{result.stderr}"
    return result.stdout


def require(tool):
    found = shutil.which(tool)
    if found is None:
        pytest.skip(f"{tool} is not installed")
    return found


# ---- The wheel -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel():
    built = sorted((ROOT / "dist").glob("ninc-*.whl"), key=os.path.getmtime)
    path = os.environ.get("NINC_WHEEL") or (built and built[-1])
    if not path:
        pytest.skip("no wheel in dist/: make wheel")
    return Path(path)


@pytest.fixture(scope="module")
def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


# An operation costs some 20 kB of kernels; what costs more than a few of them should be seen. The
# packaged network takes 2.5 MB at most.
def test_wheel_is_small(wheel):
    assert wheel.stat().st_size <= 6_000_000


def test_wheel_has_the_packaged_networks(wheel):
    folder = ROOT / "python" / "ninc" / "packaged"
    sources = {path.name: path for path in folder.glob("*.*") if path.suffix != ".py"}
    assert set(sources) == {"cifar10.json", "cifar10.safetensors"}
    with zipfile.ZipFile(wheel) as archive:
        for name, source in sources.items():
            assert archive.read(f"ninc/packaged/{name}") == source.read_bytes()


# The environment has the wheel, numpy and Pillow, and nothing else; the process has no network.
PREDICT_OFFLINE = """
import socket, sys
def refused(*words, **named):
    raise OSError("the network was asked")
socket.socket = socket.create_connection = socket.getaddrinfo = refused
from PIL import Image
Image.radial_gradient("L").convert("RGB").save("picture.png")
from ninc.cli import main
sys.exit(main(["predict", "picture.png"]))
"""


def test_predict_answers_right_after_the_install(wheel, tmp_path):
    pytest.importorskip("PIL.Image")
    home = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", home)
    (site,) = home.glob("lib/python*/site-packages")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "install")
    if subprocess.run([*pip[:3], "--version"], capture_output=True).returncode != 0:
        pytest.skip("pip is not installed")
    run(*pip, "--no-index", "--no-deps", "--target", site, wheel)
    for name in ("numpy", "PIL"):
        package = Path(importlib.util.find_spec(name).origin).parent
        (site / name).symlink_to(package)
        # Shared libraries of a wheel lie beside its package.
        for libraries in package.parent.glob("*.libs"):
            if not (site / libraries.name).exists():
                (site / libraries.name).symlink_to(libraries)
    environment = {"PATH": os.defpath, "HOME": str(tmp_path)}
    done = subprocess.run(
        [home / "bin" / "python", "-I", "-c", PREDICT_OFFLINE],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("ninc: the packaged network cifar10: airplane, automobile, ")
    assert len(done.stderr.splitlines()) == 1
    classes = ninc.pretrained().classes
    assert re.fullmatch(r"picture.png: (\w+ [\d.]+%(, )?){5}\n", done.stdout), done.stdout
    assert set(re.findall(r"(\w+) [\d.]+%", done.stdout)) <= set(classes)


def test_wheel_has_each_library_once(names):
    shared = sorted(name for name in names if ".so" in Path(name).name)
    assert len(shared) == 2, shared
    assert shared[0].startswith("ninc/_core.")
    assert shared[1] == "ninc/lib/libninc.so"


def test_wheel_has_every_public_header_and_no_other(names):
    shipped = {name for name in names if name.endswith(".h")}
    public = (ROOT / "cpp" / "include" / "ninc").glob("*.h")
    assert shipped == {f"ninc/include/ninc/{header.name}" for header in public}


def test_wheel_has_every_python_module(names):
    endings = (".py", ".pyi", "py.typed")
    shipped = {name for name in names if name.endswith(endings)}
    sources = [path for path in (ROOT / "python").rglob("*") if path.name.endswith(endings)]
    assert {"ninc/_core.pyi", "ninc/py.typed"} <= shipped
    assert shipped == {source.relative_to(ROOT / "python").as_posix() for source in sources}


def test_wheel_has_no_sources_tests_or_leftovers(names):
    unwanted = re.compile(r"(\.(cc|cu|o|a|pyc)$)|(^|/)(tests?|benchmarks|build|__pycache__)/")
    assert [name for name in names if unwanted.search(name)] == []


def test_wheel_carries_licence_and_notices(names):
    files = {Path(name).name for name in names if ".dist-info/" in name}
    assert {"LICENSE", "THIRD_PARTY_NOTICES.md"} <= files


# ---- What is installed ---------------------------------------------------------------------------


def test_numpy_is_the_only_dependency():
    required = importlib.metadata.requires("ninc")
    always = [entry for entry in required if "extra ==" not in entry]
    assert [re.match(r"[\w-]+", entry).group() for entry in always] == ["numpy"]


def test_one_version_everywhere():
    declared = re.search(r"project\(ninc VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text())
    pc = (PKGCONFIG / "ninc.pc").read_text()
    versions = {
        "CMakeLists.txt": declared.group(1),
        "metadata": importlib.metadata.version("ninc"),
        "ninc.__version__": ninc.__version__,
        "ninc.pc": re.search(r"Version: (.*)", pc).group(1),
    }
    assert len(set(versions.values())) == 1, versions


def test_import_loads_nothing_heavy():
    # Time is not asserted, its causes are: the modules that would cost it.
    added = run(
        sys.executable,
        "-c",
        "import sys, numpy; before = set(sys.modules); import ninc; "
        "print(*sorted(set(sys.modules) - before))",
    ).split()
    heavy = {"PIL", "matplotlib", "tqdm", "argparse", "json", "concurrent", "multiprocessing"}
    assert heavy.isdisjoint(name.split(".")[0] for name in added)
    assert len([name for name in added if not name.startswith("ninc")]) <= 10, added


@pytest.mark.parametrize("binary", [CORE, LIBRARY], ids=["_core", "libninc"])
def test_binaries_need_nothing_but_the_runtime(binary):
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", run(require("readelf"), "-d", binary))
    runtime = re.compile(r"(libstdc\+\+|libgcc_s|libc|libm|libpthread|ld-linux[\w-]*)\.so\.\d+")
    others = [name for name in needed if not runtime.fullmatch(name)]
    assert others == (["libninc.so"] if binary == CORE else [])


def test_the_library_hides_its_inside():
    symbols = run(require("nm"), "-D", "-C", "--defined-only", LIBRARY)
    assert "ninc::Load(" in symbols
    assert "ninc_model_load" in symbols
    assert "ninc::cpu::" not in symbols


# ---- What a C or C++ user finds ------------------------------------------------------------------


def test_headers_and_cmake_files_are_where_python_says():
    assert (Path(ninc.get_include()) / "ninc" / "ninc.h").is_file()
    assert (Path(ninc.get_cmake_dir()) / "nincConfig.cmake").is_file()


def test_pkg_config_finds_the_wheel(tmp_path):
    environment = {**os.environ, "PKG_CONFIG_PATH": str(PKGCONFIG)}
    flags = run(require("pkg-config"), "--cflags", "--libs", "ninc", env=environment).split()
    source = tmp_path / "consumer.c"
    source.write_text(
        "#include <ninc/ninc.h>\n"
        'int main(void) { ninc_model* model = 0; return ninc_model_load("absent", &model) == 0; }\n'
    )
    program = tmp_path / "consumer"
    run(require("cc"), source, "-o", program, *flags, f"-Wl,-rpath,{LIBRARY.parent}")
    run(program)  # loads, runs, and refuses the file that is not there
