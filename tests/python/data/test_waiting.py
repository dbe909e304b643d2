"""Waiting for batches that somebody else makes: signals end it, even where they never come."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import ninc
from ninc._base.interrupt import Interrupted, Interrupts
from ninc.data.batches import ahead
from support import ROOT
from support.small_training import bars, small_network

_BLOCKING = """
import signal, sys, threading
import numpy as np
import ninc

sys.path.insert(0, sys.argv[2])
from support.small_training import bars, small_network

signal.signal(signal.SIGINT, signal.default_int_handler)
data = bars(48)

def batches():
    for start in (0, 16):
        yield data.images[start : start + 16], data.labels[start : start + 16]
    print("blocked", flush=True)
    threading.Event().wait()

network = small_network()
network.preprocessing = ninc.preprocess.Preprocessing.fit(data.images)
stream = ninc.data.BatchStream(batches, data.classes)
try:
    ninc.Trainer(network).fit(stream, epochs=1, progress=False, checkpoint_dir=sys.argv[1])
except KeyboardInterrupt as stop:
    print(f"{type(stop).__name__}: {stop}", flush=True)
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_a_run_whose_batches_never_come(tmp_path, name):
    run = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-c", _BLOCKING, str(run), str(ROOT / "tests" / "python")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "blocked\n"
    time.sleep(2)  # into the waiting: the two batches are a matter of milliseconds
    process.send_signal(getattr(signal, name))
    out, _ = process.communicate(timeout=600)
    assert process.returncode == 0
    assert out.startswith(f"Interrupted: interrupted ({name}) after epoch 1, step 2")
    ninc.load(run / "last.safetensors")


def interrupt_soon():
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()


def test_an_interrupt_while_waiting_does_not_wait_for_the_thread(own_handler):
    for_ever = threading.Event()

    def items():
        yield 1
        for_ever.wait()

    got = ahead(items())
    assert next(got) == 1
    interrupt_soon()
    with pytest.raises(KeyboardInterrupt):
        next(got)
    for_ever.set()


def test_an_interrupt_while_closing_does_not_wait_either(own_handler):
    for_ever = threading.Event()

    def items():
        yield 1
        for_ever.wait()

    for check in (None, "interrupts"):
        with Interrupts(lambda _: None) if check else threading.Lock() as interrupts:
            got = ahead(items(), interrupts.check if check else None)
            assert next(got) == 1
            interrupt_soon()
            with pytest.raises(Interrupted if check else KeyboardInterrupt):
                got.close()
    for_ever.set()


def test_closing_waits_for_the_item_under_way():
    begun, done = threading.Event(), threading.Event()

    def items():
        yield 1
        begun.set()
        time.sleep(0.3)
        done.set()
        yield 2

    got = ahead(items())
    assert next(got) == 1
    assert begun.wait(600)
    got.close()  # who made the items may go on with what they come from
    assert done.is_set()


def test_where_there_is_no_sighup(monkeypatch):
    monkeypatch.delattr(signal, "SIGHUP")
    trainer = ninc.Trainer(small_network())
    trainer.fit(bars(32), epochs=1, batch_size=16, progress=False)
    assert len(trainer.history) == 1
