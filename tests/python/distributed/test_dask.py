"""`Predictor` under Dask: bags, delayed calls and frames on a worker of its own process."""

import numpy as np
import pytest

import ninc
from ninc.distributed import Predictor
from support.small_pictures import noise, picture_network, save

dask = pytest.importorskip("dask")
# The room of these tests is called as Dask's package is, and would be found in its place.
pytest.importorskip("distributed.client", reason="Dask's workers are in the package distributed")
distributed = pytest.importorskip("dask.distributed")
pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def client():
    cluster = distributed.LocalCluster(
        n_workers=1, threads_per_worker=3, processes=True, dashboard_address=None
    )
    with cluster, distributed.Client(cluster) as made:
        yield made


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """(model, files, what `predict` says of them)."""
    folder = tmp_path_factory.mktemp("world")
    picture_network().save(folder / "net.safetensors")
    files = [str(save(folder / f"{seed}.png", noise(seed=seed))) for seed in range(10)]
    return folder / "net.safetensors", files, picture_network().predict(files)


def threads_of(predict):
    predict([])
    return ninc.get_num_threads()


def test_bags_and_delayed_calls(client, world):
    from dask import bag

    model, files, wanted = world
    predict = Predictor(model)
    rows = bag.from_sequence(files, npartitions=3).map_partitions(predict).compute()
    assert [row["path"] for row in rows] == files
    np.testing.assert_array_equal([row["probabilities"] for row in rows], wanted)
    first, second = dask.compute(*(dask.delayed(predict)(part) for part in (files[:4], files[4:])))
    np.testing.assert_array_equal([row["probabilities"] for row in first + second], wanted)


def test_a_worker_takes_the_threads_that_it_was_given(client, world):
    assert client.submit(threads_of, Predictor(world[0])).result() == 3
    assert client.submit(threads_of, Predictor(world[0], threads=2)).result() == 2


def test_frames(client, world):
    pandas = pytest.importorskip("pandas")
    frames = pytest.importorskip("dask.dataframe")
    model, files, wanted = world
    given = frames.from_pandas(pandas.DataFrame({"path": [*files, "gone.png"]}), npartitions=2)
    found = given.map_partitions(Predictor(model)).compute()
    assert found["path"].tolist() == [*files, "gone.png"]
    np.testing.assert_array_equal(np.stack(found["probabilities"])[:10], wanted)
    assert found["error"].tolist() == [""] * 10 + ["gone.png: no such file"]
