"""How many threads a process takes: from the program, the environment, its affinity mask."""

import json
import os
import sys

import pytest

from ninc import nn
from support.c_library import LIBRARY
from support.processes import python

SHOW = "import ninc, json; print(json.dumps(ninc.get_num_threads()))"
PROCESSORS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
pinned = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs affinity masks")


def shown(program=SHOW, **environment):
    clean = {"NINC_NUM_THREADS": "", "OMP_NUM_THREADS": "", **environment}
    ended = python("-c", program, **clean)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_by_itself_the_processors_of_the_mask():
    assert 1 <= shown() <= PROCESSORS


@pytest.mark.parametrize("text", ["1", " 1", "1,4", "1 "])
def test_what_the_ecosystem_limits_inner_threads_with(text):
    assert shown(OMP_NUM_THREADS=text) == 1


@pytest.mark.parametrize("text", ["", "0", "-1", "many", "1x", "99999999999999999999", "64"])
def test_which_is_a_limit_and_no_demand(text):
    """More than there are would only stand in each other's way; nonsense is others' business."""
    assert shown(OMP_NUM_THREADS=text) == shown()


def test_our_own_variable_goes_first():
    assert shown(NINC_NUM_THREADS="3", OMP_NUM_THREADS="1") == 3


def test_the_program_goes_first_of_all():
    program = "import ninc; ninc.set_num_threads(4)\n" + SHOW
    assert shown(program, NINC_NUM_THREADS="3", OMP_NUM_THREADS="1") == 4


@pytest.mark.parametrize("text", ["0", "-2", "two", "1.5", "1 2"])
def test_our_own_variable_must_be_a_number(text):
    ended = python("-c", SHOW, NINC_NUM_THREADS=text)
    assert ended.returncode == 1
    assert "NINC_NUM_THREADS" in ended.stderr and text in ended.stderr


PINNED = """
import os, json, ninc, numpy as np
from ninc import nn
net = nn.Sequential(nn.MlpConv(3, (24, 24), 3), nn.GlobalAvgPool2d())
x = np.ones((4, 3, 32, 32), np.float32)
def threads():
    net(x)
    return ninc.get_num_threads()
"""


@pinned
@pytest.mark.skipif(PROCESSORS < 2, reason="needs two processors")
def test_a_mask_narrowed_and_widened_while_the_process_runs():
    program = PINNED + (
        "mask = os.sched_getaffinity(0); counts = [threads()]\n"
        "os.sched_setaffinity(0, {min(mask)}); counts.append(threads())\n"
        "os.sched_setaffinity(0, mask); counts.append(threads())\n"
        "print(json.dumps(counts))"
    )
    first, narrow, wide = shown(program)
    assert narrow == 1 and wide == first


@pinned
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_mask_narrowed_after_fork():
    program = PINNED + (
        "threads(); out, into = os.pipe()\n"
        "if os.fork() == 0:\n"
        "    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "    os.write(into, str(threads()).encode()); os._exit(0)\n"
        "os.wait(); print(json.dumps([int(os.read(out, 9)), threads()]))"
    )
    child, parent = shown(program)
    assert child == 1 and parent == shown()


@pinned
@pytest.mark.skipif(PROCESSORS < 2 or sys.platform != "linux", reason="needs two processors")
def test_workers_follow_the_mask():
    """Threads that were made before the mask changed run where it says, too."""
    program = PINNED + (
        "threads(); mask = sorted(os.sched_getaffinity(0))[:2]\n"
        "os.sched_setaffinity(0, mask)\n"
        "for _ in range(50): threads()\n"
        "masks = [os.sched_getaffinity(int(t)) for t in os.listdir('/proc/self/task')\n"
        "         if open(f'/proc/self/task/{t}/comm').read().strip() == 'ninc']\n"
        "print(json.dumps([mask, [sorted(m) for m in masks]]))"
    )
    mask, masks = shown(program)
    assert masks and all(one == mask for one in masks)


IN_C = """
import ctypes, sys
lib = ctypes.CDLL(sys.argv[1])
lib.ninc_last_error.restype = ctypes.c_char_p
handle = ctypes.c_void_p()
status = lib.ninc_model_load(sys.argv[2].encode(), ctypes.byref(handle))
print(status, lib.ninc_last_error().decode())
"""


@pytest.mark.parametrize("variable, value", [("NINC_NUM_THREADS", "many"), ("NINC_TARGET", "mmx")])
def test_a_wrong_environment_is_an_error_in_c_too(variable, value, tmp_path):
    nn.Sequential(nn.Conv2d(1, 1, 1)).save(tmp_path / "net.safetensors")
    words = ("-c", IN_C, LIBRARY, tmp_path / "net.safetensors")
    assert python(*words).stdout.startswith("0 ")
    told = python(*words, **{variable: value}).stdout
    assert told.startswith("2 ") and variable in told and value in told  # NINC_INVALID_ARGUMENT
