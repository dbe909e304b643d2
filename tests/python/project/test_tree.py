"""The tree of python/ninc: imports go round in no circle, nobody reaches into others' objects.

No room of Python code is large, here or beside the package.
"""

import ast
import importlib
import pickle
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import ninc
from ninc._old_paths import MOVED
from support import ROOT
from support.processes import python

PACKAGE = Path(ninc.__file__).parent
FILES = sorted(path for path in PACKAGE.rglob("*.py"))
MOST_FILES = 20  # in one room; a room of more is two things
BUILT = {".pyc", ".so"}  # files that no one writes

# Names with an underscore that Python's own modules have no other way to.
PYTHONS_OWN = {
    "sys._getframe",
    "os._exit",
    "pickle._Unpickler",
    "lock._is_owned",
    "lock._at_fork_reinit",
}


def module_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in FILES}


def imported(name):
    """The modules that one names anywhere: at the top, in functions, for its annotations alone.

    With each module come the packages that Python imports on the way to it, but for those that the
    module itself lies in.
    """
    package = name if MODULES[name].name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    for module in list(found):
        while "." in module:
            module = module.rpartition(".")[0]
            found.add(module)
    return {module for module in found & MODULES.keys() if not f"{name}.".startswith(f"{module}.")}


def test_imports_go_round_in_no_circle():
    # The package's own face is left out: it imports what users ask it for, and when they do.
    graph = {name: imported(name) - {"ninc"} for name in MODULES if name != "ninc"}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_nobody_reaches_for_the_underscored_names_of_another_object():
    found = []
    for path in FILES:
        tree = ast.parse(path.read_text())
        # A file's own classes and functions are one thing; so is what it says of `self` anywhere.
        own = {node.name for node in ast.walk(tree) if hasattr(node, "name")}
        reached = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
        own |= {node.attr for node in reached if ast.unparse(node.value) in ("self", "cls")}
        for node in reached:
            if node.attr[:1] == "_" and node.attr[:2] != "__" and node.attr not in own:
                found.append(f"{path.relative_to(PACKAGE)}:{node.lineno}: {ast.unparse(node)}")
    assert [line for line in found if line.partition(": ")[2] not in PYTHONS_OWN] == []


def test_rooms_are_small():
    tops = [ROOT / top for top in ("python", "tests/python", "benchmarks", "tools", "examples")]
    files = [path for top in tops for path in top.rglob("*") if path.is_file()]
    rooms = Counter(path.parent for path in files if path.suffix not in BUILT)
    assert len(rooms) > 20
    assert {str(room): count for room, count in rooms.items() if count > MOST_FILES} == {}


@pytest.mark.parametrize("old", MOVED)
def test_an_old_path_leads_to_the_same_module(old):
    module = importlib.import_module(MOVED[old])
    assert importlib.import_module(old) is module
    assert module.__spec__.name == module.__name__ == MOVED[old]


@pytest.mark.parametrize(
    "code",
    [
        "import ninc.schedules",
        "import ninc.optim; ninc.optim.SGD(0.1)",
        "from ninc.trainer import Trainer; import ninc; assert ninc.Trainer is Trainer",
        "from ninc import evaluate; evaluate.evaluate",
        "import ninc; ninc.Trainer; ninc.history.History()",
        "from ninc.data.cifar_binary import can_read",
    ],
)
def test_an_old_path_is_enough_by_itself(code):
    done = python("-c", code)
    assert done.returncode == 0, done.stderr


def test_a_pickle_of_old_finds_its_class():
    step = ninc.schedules.Step([2], gamma=0.5)
    made = pickle.dumps(step, 0).replace(b"ninc.training.schedules", b"ninc.schedules")
    again = pickle.loads(made)
    assert type(again) is type(step) and vars(again) == vars(step)


def test_what_was_never_there_is_told_as_ever():
    with pytest.raises(ModuleNotFoundError, match="No module named 'ninc.nothing'"):
        importlib.import_module("ninc.nothing")
    with pytest.raises(AttributeError, match="module 'ninc' has no attribute 'nothing'"):
        ninc.nothing  # noqa: B018
