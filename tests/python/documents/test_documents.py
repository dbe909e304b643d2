"""The documents: code blocks run, links lead somewhere, every public name has its entry.

How a page is run stands in support/documents.py. Its blocks find the files that they name: folders
of small pictures, and models. `ninc train` and `fit` are cut to one epoch; what they print is not
compared.
"""

import importlib.util
import inspect
import os
import re
import shutil
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

import ninc
from ninc.preprocess import Preprocessing
from support import ROOT
from support.formats import caffe_files
from support.formats.torch_files import saved
from support.public_names import MODULES
from support.small_pictures import save

pytest.importorskip("markdown_it", reason="markdown-it-py reads the documents")
pytest.importorskip("PIL", reason="the documents' programs read pictures")
from support import documents  # noqa: E402

# Blocks that no test runs, by the reason in the comment before them. A new one belongs here.
NOT_RUN = {
    "installs packages": 8,
    "installs packages and serves until it is stopped": 1,
    "needs FastAPI or Flask": 2,
    "asks a service that is running": 1,
    "needs a GPU": 1,
    "needs Ray, Dask or pyarrow": 5,
    "needs mpi4py and mpiexec": 5,
    "builds ninc from source": 2,
    "builds ninc as a part of another project, as make test-embedding does": 1,
}
TOOLS = {"c": "cc", "cpp": "c++", "cmake": "cmake"}
PAGES = {page.relative_to(ROOT).as_posix(): page for page in documents.pages()}
WITH_CODE = {
    name: page
    for name, page in PAGES.items()
    if any(block.language not in documents.SHOWN for block in documents.blocks(page))
}


# ---- What the pages take for granted -------------------------------------------------------------

TEN = "airplane automobile bird cat deer dog frog horse ship truck".split()
FOLDERS = {  # pictures of each class
    **{f"photos/{name}": 8 for name in ("frog", "horse", "ship")},
    **{f"more/{name}": 6 for name in ("cat", "truck")},
    **{f"pets/{name}": 8 for name in ("cat", "dog")},
    **{f"birds/{name}": 6 for name in ("jay", "robin")},
    **{f"cifar10/train/{name}": 3 for name in TEN},
    **{f"cifar10/test/{name}": 1 for name in TEN},
    "holiday": 4,
}
MODELS = {"nin.safetensors": TEN, "shapes.safetensors": ["circle", "square", "triangle"]}


def torch_state(rng):
    """The weights of the model in docs/torch.md, named as torch names them."""
    shapes = {"0.weight": (32, 3, 3, 3), "4.weight": (64, 32, 3, 3)}
    shapes |= {"9.weight": (3, 64), "9.bias": (3,)}
    for norm, channels in ((1, 32), (5, 64)):
        names = ("weight", "bias", "running_mean", "running_var")
        shapes |= {f"{norm}.{name}": (channels,) for name in names}
        shapes[f"{norm}.num_batches_tracked"] = ()
    state = {}
    for name in sorted(shapes, key=lambda name: int(name[0])):
        # Variances are positive, and so are all the others then.
        values = rng.uniform(0.05, 0.15, shapes[name]).astype(np.float32)
        state[f"module.{name}"] = values if shapes[name] else np.array(7)
    return state


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """A folder that each page begins with."""
    folder = tmp_path_factory.mktemp("documents")
    rng = np.random.default_rng(0)
    for number, (name, count) in enumerate(FOLDERS.items()):
        size = (32, 32, 3) if name.startswith("cifar10") else (40, 40 + 8 * (number % 2), 3)
        for index in range(count):
            pixels = rng.integers(0, 160, size, dtype=np.uint8)
            pixels[:, 3 * number % 32 :, number % 3] += 90
            save(folder / name / f"IMG_{index:04}.jpg", pixels)
    (folder / "holiday" / "notes.txt").write_text("Sun and rain.\n")
    whole = (folder / "holiday" / "IMG_0000.jpg").read_bytes()
    (folder / "holiday" / "IMG_0099.jpg").write_bytes(whole[: len(whole) // 2])
    shutil.copy(folder / "pets" / "cat" / "IMG_0000.jpg", folder / "cat.jpg")
    shutil.copy(folder / "pets" / "dog" / "IMG_0000.jpg", folder / "mine.png")
    (folder / "checkpoint.pth").write_bytes(saved({"epoch": 90, "state_dict": torch_state(rng)}))
    for name, classes in MODELS.items():
        network = ninc.models.nin_cifar10(len(classes), batch_norm=True)
        network.preprocessing = Preprocessing((32, 32), 3, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
        network.classes = classes
        network.save(folder / name)
    of_caffe = caffe_files.coloured_net(len(TEN))
    (folder / "nin.caffemodel").write_bytes(caffe_files.stored(of_caffe))
    (folder / "deploy.prototxt").write_text(caffe_files.written(of_caffe))
    if importlib.util.find_spec("onnx"):
        from support.formats import onnx_models

        (folder / "nin.onnx").write_bytes(onnx_models.small_net(len(TEN)))
    return folder


@pytest.fixture(scope="session")
def commands(tmp_path_factory):
    """A folder for the PATH: `ninc` and `python` are those that run the tests."""
    folder = tmp_path_factory.mktemp("commands")
    scripts = {
        "python": f'exec {sys.executable} "$@"',
        "ninc": 'if [ "$1" = train ]; then set -- "$@" --epochs 1; fi\n'
        f'exec {sys.executable} -m ninc "$@"',
    }
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def run_page(world, commands, tmp_path):
    """Runs a page in a folder of its own; returns the finished process."""

    def run(page):
        folder = shutil.copytree(world, tmp_path / "folder")
        searched = [os.environ.get("PYTHONPATH", ""), str(ROOT / "tests" / "python")]
        environment = {
            **os.environ,
            "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(filter(None, searched)),
            "MPLBACKEND": "agg",
        }
        return subprocess.run(
            [sys.executable, "-m", "support.documents", str(page), str(folder)],
            capture_output=True,
            text=True,
            timeout=300,
            env=environment,
        )

    return run


# ---- Code blocks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WITH_CODE)
def test_the_code_of_a_page_runs(run_page, name):
    languages = {block.language for block in documents.blocks(WITH_CODE[name]) if not block.not_run}
    missing = [TOOLS[each] for each in languages & TOOLS.keys() if not shutil.which(TOOLS[each])]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    done = run_page(WITH_CODE[name])
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_not_run_is_known():
    reasons = Counter()
    for page in PAGES.values():
        reasons.update(block.not_run for block in documents.blocks(page) if block.not_run)
    assert reasons == NOT_RUN


def test_every_block_says_what_it_is():
    languages = documents.RUN | documents.SHOWN
    wrong = [
        f"{block.page}:{block.line}: {block.language or 'no language'}"
        for page in PAGES.values()
        for block in documents.blocks(page)
        if block.language not in languages
    ]
    assert wrong == []


def test_a_file_that_a_page_has_written_is_used():
    for page in PAGES.values():
        found = documents.blocks(page)
        for number, block in enumerate(found):
            if block.file and block.language != "cmake":
                assert any(block.file in later.code for later in found[number + 1 :]), block


WRONG = {
    "python": "```python\nx = 1\nassert x == 2\n```\n",
    "an exception": "```python\nimport ninc\n\nninc.load('absent.safetensors')\n```\n",
    "a command": "```sh\nninc prediict cat.jpg\n```\n",
    "a command in the middle": "```console\n$ false\n$ true\n```\n",
    "an exit status": "<!-- exit status 1 -->\n```sh\ntrue\n```\n",
    "C": "```c\nint main(void) { return nothing; }\n```\n",
    "C++": "```cpp\n#include <ninc/absent.h>\n```\n",
    "a goal": "```sh\nmake nothing\n```\n",
    "a benchmark": "```sh\npython -m benchmarks.nothing\n```\n",
    "a language": "```perl\nprint 1;\n```\n",
    "no language": "    indented\n",
}


@pytest.mark.parametrize("what", WRONG)
def test_a_block_that_fails_is_told(run_page, tmp_path, what):
    page = tmp_path / "page.md"
    page.write_text(f"# A page\n\n```python\nprint('runs')\n```\n\n{WRONG[what]}")
    done = run_page(page)
    assert done.returncode == 1
    assert done.stdout == "runs\n"
    assert re.search(r"page\.md:\d+: this block failed", done.stderr)


def test_names_pass_from_block_to_block_and_files_too(run_page, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nx = 1\n```\n\n```python\n# other.py\nprint('other')\n```\n\n"
        "```console\n$ python other.py\nother\n$ echo 2 > two\n```\n\n"
        "```python\nassert x + int(open('two').read()) == 3\n```\n\n"
        "<!-- not run: no reason -->\n```sh\nfalse\n```\n"
    )
    done = run_page(page)
    assert (done.returncode, done.stdout) == (0, "other\n"), done.stderr


# ---- Links ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    assert documents.dead_links(PAGES[name]) == []


def test_dead_links_are_told(tmp_path):
    (tmp_path / "other.md").write_text("# The heading of `one`\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# A page\n\n[here](#a-page), [there](other.md), [one](other.md#the-heading-of-one),\n"
        "[far](https://example.org/a.html#b)\n\n[1](#nothing)\n\n[2](absent.md)\n\n"
        "[3](other.md#nothing)\n\n![4](absent.png)\n\n[5](http://example.org)\n\n[6](https:///x)\n"
    )
    lines = [line.split(":")[1] for line in documents.dead_links(page)]
    assert lines == ["6", "8", "10", "12", "14", "16"]


def test_the_page_for_pypi_has_no_link_into_the_repository():
    declared = re.search(r'^readme = "(.+?)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    targets = [target for _, target in documents.links(ROOT / declared[1])]
    assert [target for target in targets if not target.startswith("https://")] == []


# ---- The interface -------------------------------------------------------------------------------


def documented():
    """Names that the pages of docs/api have an entry for."""
    text = "\n".join(page.read_text() for page in sorted((ROOT / "docs" / "api").glob("*.md")))
    entry = re.compile(r"^\.\. auto(?:class|exception|function):: ([\w.]+)", re.MULTILINE)
    found = set(entry.findall(text))
    modules = re.findall(r"^\.\. automodule:: ([\w.]+)\n   :members:(.*)", text, re.MULTILINE)
    for module, names in modules:
        members = names.split(",") if names.strip() else MODULES[module.partition(".")[2]].__all__
        found |= {f"{module}.{name.strip()}" for name in members}
    return found


def test_every_public_name_has_an_entry():
    known, missing = documented(), []
    for short, module in MODULES.items():
        prefix = "ninc" if module is ninc else f"ninc.{short}"
        for name in module.__all__:
            value = getattr(module, name)
            if not (inspect.isclass(value) or inspect.isroutine(value)):
                continue
            if not {f"{prefix}.{name}", f"ninc.{name}"} & known:
                missing.append(f"{prefix}.{name}")
    assert missing == []


def test_every_header_has_a_row():
    page = (ROOT / "docs" / "api" / "c-and-cpp.md").read_text()
    headers = (ROOT / "cpp" / "include" / "ninc").glob("*.h")
    assert [header.name for header in headers if f"`ninc/{header.name}`" not in page] == []


def test_every_command_has_a_section():
    from ninc.cli import COMMANDS

    page = (ROOT / "docs" / "api" / "command-line.md").read_text()
    assert re.findall(r"^\.\. ninc-command:: (\w+)", page, re.MULTILINE) == list(COMMANDS)


# ---- Docstrings ----------------------------------------------------------------------------------


@pytest.fixture
def docstrings(monkeypatch):
    """The module that turns docstrings into what Sphinx reads."""
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "extensions"))
    return importlib.import_module("docstrings")


def test_docstrings_become_prose_lists_code_and_links(docstrings):
    text = """Makes *y* of x, as `conv2d` does, with ArgumentError.

    x, y: N×C, and
        more of it.

    Raises `ValueError`.

        print(x)
    """
    assert docstrings.converted(inspect.cleandoc(text), "ninc.functional.relu") == [
        "Makes \\*y\\* of x, as :py:obj:`conv2d <ninc.functional.conv2d>` does, with "
        ":py:obj:`ArgumentError <ninc.ArgumentError>`.",
        "",
        "``x``, ``y``",
        "    N×C, and more of it.",
        "",
        "Raises ``ValueError``.",
        "",
        ".. code-block:: python",
        "",
        "    print(x)",
        "",
    ]


def test_names_in_docstrings_are_sought_in_their_own_module_first(docstrings):
    for where, link in (
        ("ninc.Dataset", ":py:obj:`load <ninc.data.load>`"),
        ("ninc.Network", ":py:obj:`load <ninc.load>`"),
    ):
        assert docstrings.converted("What `load` gives.", where) == [f"What {link} gives.", ""]


def test_words_in_docstrings_are_shown_as_they_are(docstrings):
    text = "scale: s.\nother: -Dninc_DIR of CMake."
    assert docstrings.converted(text, "ninc.get_cmake_dir") == [
        *("``scale``", "    s\\.", "", "``other``", "    -Dninc\\_DIR of CMake.", "")
    ]


def test_settings_in_docstrings_stand_one_a_line(docstrings):
    """What is meant for a list and has a line that does not hang would be shown as prose."""
    wrong = []
    for target in sorted(set(docstrings.TARGETS.values())):
        value = ninc
        for part in target.split(".")[1:]:
            value = getattr(value, part)
        is_error = inspect.isclass(value) and issubclass(value, BaseException)
        has_parameters = callable(value) and not is_error
        parameters = inspect.signature(value).parameters if has_parameters else ()
        for block in docstrings.blocks(inspect.getdoc(value) or ""):
            lines = [line for line in block if not line.startswith(" ")]
            found = [docstrings.SETTING.fullmatch(line) for line in lines]
            if not all(found) and any(each and each[1] in parameters for each in found):
                wrong.append(f"{target}: {lines[0]}")
    assert wrong == []
