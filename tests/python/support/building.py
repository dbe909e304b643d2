"""Compilers, CMake and what looks into libraries, for tests of what others build with ninc."""

import os
import shutil
import subprocess

import pytest


def require(tool):
    """Where the program is; the test is skipped where it is not."""
    found = shutil.which(tool)
    if found is None:
        pytest.skip(f"{tool} is not installed")
    return found


def run(*command, **environment):
    """The standard output of a command that must succeed."""
    result = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=3600,
        env={**os.environ, **{name: str(value) for name, value in environment.items()}},
    )
    assert result.returncode == 0, f"{command}:\n{result.stdout}\n{result.stderr}"
    return result.stdout


def configure(source, build, **variables):
    """CMake's first half alone: its exit status and all that it said."""
    values = {"NINC_CUDA": "OFF", **variables}
    result = subprocess.run(
        [require("cmake"), "-S", str(source), "-B", str(build)]
        + [f"-D{name}={value}" for name, value in values.items()],
        capture_output=True,
        text=True,
        timeout=300,
    )
    return result.returncode, result.stdout + result.stderr
