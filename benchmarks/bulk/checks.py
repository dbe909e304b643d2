"""Whether every way of bulk inference gives the answers of `ninc predict`, whatever dies."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ninc.distributed import Predictor

Wanted = dict[str, list[float]]

_BATCH = 64
_PART = 512
_PAUSE = 0.05  # seconds between two looks at what a process has done


def all_of_them(
    model: str, folder: str, files: Sequence[str], wanted: Wanted, scratch: Path
) -> dict[str, Any]:
    """Name of a check -> whether it went well; prints each."""
    told: dict[str, Any] = {}

    def check(name: str, rows: Iterable[Any]) -> None:
        problem = difference(rows, wanted)
        told[name] = not problem
        print(f"{name}: {problem or 'the answers of ninc predict to the byte, each once'}")
        sys.stdout.flush()

    check("Ray Data, an actor killed", of_ray_data(model, folder))
    out = scratch / "answers"
    for name, stop in (("Ctrl-C", signal.SIGINT), ("kill -9", signal.SIGKILL)):
        done = stopped(model, folder, out, stop)
        print(f"ninc predict --bulk --ray, its driver stopped by {name}: {done} parts done")
    status = finished(model, folder, out)
    check("ninc predict --bulk --ray, gone on with, an actor killed", of_folder(out))
    told["exit status"] = status == 0
    check("Dask", of_dask(model, files))
    return told


def difference(rows: Iterable[tuple[str, Sequence[float]]], wanted: Wanted) -> str:
    """What is wrong with (path, probabilities); "" where they are what was wanted, each once."""
    found: dict[str, list[float]] = {}
    twice = 0
    for path, probabilities in rows:
        twice += path in found
        found[path] = sorted(map(float, probabilities), reverse=True)
    lost = len(wanted.keys() - found.keys())
    other = sum(found[path] != wanted.get(path) for path in found)
    return "" if not lost + twice + other else f"{lost} lost, {twice} twice, {other} other answers"


# ---- Ray -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def ray_begun() -> Iterator[Any]:
    """Ray with two processors, or one that runs on this machine already."""
    import ray
    import ray.data

    with contextlib.suppress(ConnectionError):
        ray.init("auto", log_to_driver=False, logging_level="ERROR")
    if not ray.is_initialized():
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        yield ray
    finally:
        ray.shutdown()


def by_actors(ray: Any, pictures: Any, kind: type, model: str, batch: int) -> Any:
    """The answers for a Ray data set of pictures by two actors of one processor each."""
    return pictures.map_batches(
        kind,
        fn_constructor_args=(model,),
        compute=ray.data.ActorPoolStrategy(size=2),
        num_cpus=1,
        batch_size=batch,
    )


def of_ray_data(model: str, folder: str) -> Iterator[tuple[str, Sequence[float]]]:
    """Answers of Ray Data; an actor is killed when the first are there."""
    with ray_begun() as ray:
        killed = False
        # The actors have both processors, so that reading must not ask for one.
        files = ray.data.read_binary_files(folder, include_paths=True, num_cpus=0)
        for row in by_actors(ray, files, Predictor, model, _BATCH).iter_rows():
            if not killed:
                killed = kill_an_actor()
            yield row["path"], row["probabilities"]
        if not killed:
            print("no actor was there to be killed")


def actors() -> list[int]:
    """The processes of Ray Data's actors on this machine."""
    found = []
    for place in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if place.name.isdigit() and b"ray::MapWorker" in (place / "cmdline").read_bytes():
                found.append(int(place.name))
    return found


def kill_an_actor() -> bool:
    for actor in actors():
        with contextlib.suppress(ProcessLookupError):
            os.kill(actor, signal.SIGKILL)
            return True
    return False


# ---- The command ---------------------------------------------------------------------------------


def command(model: str, folder: str, out: Path) -> list[str]:
    words = [sys.executable, "-m", "ninc", "predict", model, folder, "--bulk", str(out), "--ray"]
    return [*words, "--part-size", str(_PART), "--batch-size", str(_BATCH)]


def parts(out: Path) -> int:
    return len(list(out.glob("part-*")))


def at_part(process: subprocess.Popen, out: Path, count: int, then: Callable[[], Any]) -> None:
    """Calls `then` once so many parts are done; not where the process ends before."""
    while parts(out) < count:
        if process.poll() is not None:
            return
        time.sleep(_PAUSE)
    then()


def stopped(model: str, folder: str, out: Path, stop: int) -> int:
    """The parts that are done after the command was stopped in the middle of its work."""
    process = subprocess.Popen(command(model, folder, out))
    at_part(process, out, parts(out) + 2, lambda: process.send_signal(stop))
    process.wait()
    return parts(out)


def finished(model: str, folder: str, out: Path) -> int:
    """The exit status of the command that does the rest, with an actor killed meanwhile."""
    process = subprocess.Popen(command(model, folder, out))
    wait = threading.Thread(target=at_part, args=(process, out, parts(out) + 1, kill_an_actor))
    wait.start()
    status = process.wait()
    wait.join()
    return status


def of_folder(out: Path) -> Iterator[tuple[str, Sequence[float]]]:
    import pyarrow.parquet

    for file in sorted(out.glob("part-*")):
        for row in pyarrow.parquet.read_table(file).to_pylist():
            yield row["path"], row["probabilities"]


# ---- Dask ----------------------------------------------------------------------------------------


def of_dask(model: str, files: Sequence[str]) -> Iterator[tuple[str, Sequence[float]]]:
    from dask import bag
    from dask.distributed import Client, LocalCluster

    cluster = LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    )
    with cluster, Client(cluster):
        given = bag.from_sequence(files, partition_size=4 * _BATCH)
        for row in given.map_partitions(Predictor(model)).compute():
            yield row["path"], row["probabilities"]
