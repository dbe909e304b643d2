"""Python and `ninc` in processes of their own, and how much memory this one holds."""

import gc
import os
import signal
import subprocess
import sys


def python(*words, **environment):
    """`python WORDS` with these variables, run to its end: its returncode, stdout and stderr."""
    return subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=600,
    )


def _hear_signals():
    """A test run in the background ignores Ctrl-C, under nohup SIGHUP; children inherit that."""
    for name in ("SIGINT", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)


def command(*args, **options):
    """`ninc ARGS` in a process of its own, which the caller waits for or kills."""
    return subprocess.Popen(
        [sys.executable, "-m", "ninc", *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
        preexec_fn=options.pop("before", _hear_signals),
        **options,
    )


def finished(process):
    """(exit status, stdout, stderr) of a process that ends by itself."""
    out, err = process.communicate(timeout=600)
    return process.returncode, out, err


def resident():
    """Bytes of memory that this process holds; without /proc there is a FileNotFoundError."""
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
