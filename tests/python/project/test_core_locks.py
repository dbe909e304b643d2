"""Every lock of the core is known to base/threads/mutex.cc; Python's is given away in one place."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import ninc
from support import ROOT

# What a fork may leave locked in the child, in places where nobody readies it.
FOREIGN = re.compile(
    r"std::(?:recursive_|timed_|shared_)*mutex|std::once_flag|std::call_once|condition_variable"
    r"|pthread_(?:mutex|rwlock|once|cond)|pthread_atfork"
)


def code(path):
    return re.sub(r"//.*", "", path.read_text())


def sources(*folders):
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.[hc]*"))


def test_locks_are_those_that_a_fork_leaves_free():
    found = {path.name for path in sources("cpp", "cuda") if FOREIGN.search(code(path))}
    assert found == {"mutex.h", "mutex.cc", "platform_posix.cc"}  # the last for mutex.cc's AtFork
    callers = {path.name for path in sources("cpp", "cuda") if "platform::AtFork" in code(path)}
    assert callers == {"mutex.cc"}


def test_no_local_static_has_a_guard():
    """A guard is the compiler's lock: a fork while another thread holds it leaves it held."""
    if shutil.which("nm") is None:
        pytest.skip("nm is not installed")
    libraries = list(Path(ninc.__file__).parent.glob("lib/libninc.so*"))
    assert libraries
    for library in libraries:
        wanted = subprocess.run(
            ["nm", "-D", "--undefined-only", library], capture_output=True, text=True, check=True
        ).stdout
        assert "pthread_create" in wanted  # the list is one of names
        assert "__cxa_guard_acquire" not in wanted


def test_the_global_lock_is_given_away_in_one_place():
    taking = re.compile(r"gil_scoped_|PyEval_(?:Save|Restore)Thread|PyGILState_")
    found = {path.name for path in sources("cpp/bindings") if taking.search(code(path))}
    assert found == {"without_gil.cc", "take_lock_back.cc"}
