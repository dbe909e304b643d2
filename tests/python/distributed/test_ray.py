"""`Predictor` in Ray Data, and `ninc predict --bulk --ray`, each with an actor that is killed.

They begin a Ray of their own, or use one that runs on this machine.
"""

import logging
import os
import signal

import numpy as np
import pytest

import ninc
from ninc.distributed import Predictor, ray_parts
from support.command_line import ninc_command
from support.small_pictures import CLASSES, network_and_photos, picture_network

ray = pytest.importorskip("ray")
pytest.importorskip("ray.data", reason="Ray Data needs pandas and pyarrow")
pytest.importorskip("PIL.Image")

COUNT = 30


@pytest.fixture(scope="module", autouse=True)
def begun():
    # A cluster of its own: the address of one that has died may lie about, and Ray waits for it.
    ray.init(
        address="local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with a network and pictures in folders, of which one is damaged."""
    folder = network_and_photos(tmp_path_factory.mktemp("world"), COUNT, "ab")
    (folder / "photos" / "b" / "07.png").write_bytes(b"junk")
    return folder


def dying_once(kind, marker):
    """A class like another, whose first call in any process is the last one there."""

    class DiesOnce(kind):
        def __call__(self, batch):
            try:
                os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return super().__call__(batch)
            os.kill(os.getpid(), signal.SIGKILL)

    return DiesOnce


def test_pictures_of_ray_data(world, tmp_path):
    class Telling(dying_once(Predictor, str(tmp_path / "died"))):
        def __call__(self, batch):
            found = super().__call__(batch)
            return {**found, "threads": [ninc.get_num_threads()] * len(found["error"])}

    # Reading takes no CPU here, or it would wait for ever where the actor has all there are.
    pictures = ray.data.read_binary_files(str(world / "photos"), include_paths=True, num_cpus=0)
    answers = pictures.map_batches(
        Telling,
        fn_constructor_args=(str(world / "net.safetensors"),),
        compute=ray.data.ActorPoolStrategy(size=1),
        num_cpus=2,
        batch_size=8,
    )
    rows = sorted(answers.take_all(), key=lambda row: row["path"])
    assert (tmp_path / "died").exists()
    files = sorted(str(path) for path in (world / "photos").rglob("*.png"))
    assert [row["path"] for row in rows] == files and len(files) == COUNT
    [bad] = [row for row in rows if row["error"]]
    assert bad["error"] == f"{world}/photos/b/07.png: not a picture, or a damaged one"
    good = [row for row in rows if not row["error"]]
    wanted = picture_network().predict([row["path"] for row in good])
    np.testing.assert_array_equal([row["probabilities"] for row in good], wanted)
    assert [row["class"] for row in good] == [CLASSES[best] for best in wanted.argmax(axis=1)]
    assert {row["threads"] for row in rows} == {2}  # the actor's CPUs


def test_parts_by_actors_are_those_of_one_process(world, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(world)
    files = []
    for by_ray in ((), ("--ray",)):
        if by_ray:
            dying = dying_once(ray_parts.PartActor, str(tmp_path / "died"))
            monkeypatch.setattr(ray_parts, "PartActor", dying)
        out = tmp_path / f"out{len(by_ray)}"
        options = ("--bulk", out, "--part-size", 8, "--batch-size", 4, *by_ray)
        assert ninc_command("predict", "net.safetensors", "photos", *options) == 1
        # Before it may stand what Ray of the test before still has to say of that one's actor.
        said = capsys.readouterr().out.splitlines()[-1]
        assert said == f"wrote {out}: 29 pictures in 4 parts"
        files.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert (tmp_path / "died").exists()
    assert files[0] == files[1]
