"""The tree of cpp/ and cuda/: includes go round in no circle, and rooms know those below them."""

import re
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MOST_FILES = 20  # in one room; a room of more is two things
INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)

# Which rooms a room may include from, those within it and the public headers aside.
KNOWS = {
    "cpp/include": set(),
    "cpp/base": set(),
    "cpp/ops": {"cpp/base"},
    "cpp/graph": {"cpp/base", "cpp/ops"},
    "cpp/compile": {"cpp/base", "cpp/ops", "cpp/graph"},
    "cpp/cpu": {"cpp/base", "cpp/compile"},
    "cpp/reference": {"cpp/base"},
    "cuda": {"cpp/base", "cpp/compile"},
    # Its device.cc is where the names of devices lead to backends.
    "cpp/run": {"cpp/base", "cpp/graph", "cpp/compile", "cuda"},
    "cpp/train": {"cpp/base", "cpp/ops", "cpp/graph", "cpp/compile", "cpp/run"},
    "cpp/io": {"cpp/base", "cpp/graph", "cpp/run"},
    "cpp/preprocess": {"cpp/base", "cpp/compile", "cpp/run", "cpp/io"},
    "cpp/bindings": {"cpp/base", "cpp/graph", "cpp/run", "cpp/train", "cpp/io"},
}


def sources(*rooms):
    files = [path for room in rooms or ("cpp", "cuda") for path in (ROOT / room).rglob("*.*")]
    files = {
        path.relative_to(ROOT) for path in files if path.suffix in (".h", ".cc", ".cu", ".cuh")
    }
    assert len(files) > 100
    return files


def includes():
    """file -> the files of the core that it includes."""
    files = sources()
    found = defaultdict(set)
    for path in files:
        for name in INCLUDE.findall((ROOT / path).read_text()):
            for base in ("cpp/include", "cpp", ""):
                if Path(base, name) in files:
                    found[path].add(Path(base, name))
    return found


def find_circle(graph):
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return " includes ".join(str(node) for node in reversed(error.args[1]))
    return ""


def top_room(path):
    return "cuda" if path.parts[0] == "cuda" else "/".join(path.parts[:2])


def test_files_include_each_other_in_no_circle():
    assert find_circle(includes()) == ""


def test_rooms_include_each_other_in_no_circle():
    rooms = defaultdict(set)
    for path, included in includes().items():
        rooms[path.parent] |= {other.parent for other in included} - {path.parent}
    assert find_circle(rooms) == ""


def test_a_circle_is_found():
    assert find_circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})


@pytest.mark.parametrize("room", KNOWS)
def test_a_room_knows_those_below_it_alone(room):
    known = KNOWS[room] | {room, "cpp/include"}
    for path, included in includes().items():
        if top_room(path) == room:
            assert [str(other) for other in included if top_room(other) not in known] == [], path


def test_every_room_has_its_place():
    assert {top_room(path) for path in sources()} == KNOWS.keys()


def test_rooms_are_small():
    counts = defaultdict(int)
    for path in sources("cpp", "cuda", "tests"):
        counts[path.parent] += 1
    assert {str(room): count for room, count in counts.items() if count > MOST_FILES} == {}


# Headers that Windows does not have, or whose functions it has under other names.
POSIX = re.compile(
    r"#include <((?:sys|linux|mach)/\w+|unistd|fcntl|pthread|sched|signal|dlfcn)\.h>"
)


def test_the_operating_system_is_asked_in_one_place():
    found = {path.name for path in sources() if POSIX.search((ROOT / path).read_text())}
    platform = {"platform.h", "platform_posix.cc", "platform_windows.cc"}
    # Under Linux alone, which each of them says; the last is left out elsewhere.
    assert found - platform == {
        "processors.cc", "processor.cc", "without_gil.cc", "take_lock_back.cc", "driver.cc",
    }  # fmt: skip
