"""The example of a web service: its answers, its weights that change, and the benchmark with it."""

import asyncio
import contextlib
import importlib.util
import io
import json
import os
import sys
import threading
import time

import numpy as np
import pytest

import ninc
from benchmarks import serving
from benchmarks.service import apps
from benchmarks.service.client import Results
from benchmarks.service.engine import Engine, Settings, alike
from ninc import nn
from ninc.preprocess import Preprocessing

service = apps.service
SIDE = 9


def network(seed):
    made = nn.Sequential(nn.MlpConv(3, (16, 6), 3, padding=1), nn.GlobalAvgPool2d(), seed=seed)
    made.preprocessing = Preprocessing((SIDE, SIDE), 3, (0.5,) * 3, (0.25,) * 3)
    made.classes = ["cat", "犬", "ship", "plum", "pear", "sheep"]
    return made


@pytest.fixture
def model(tmp_path, threads):
    """The path of a model file. `threads` brings back the number that a Service changes."""
    network(0).save(tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"


@pytest.fixture
def picture(rng):
    return rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)


def expected(net, picture, count=3):
    probabilities = net.predict(picture)[0]
    best = np.argsort(-probabilities)[:count]
    return {
        "classes": [{"name": net.classes[i], "probability": float(probabilities[i])} for i in best]
    }


@contextlib.asynccontextmanager
async def started(application):
    """The application between its server's start and end, as a server tells it of both."""
    told, said = asyncio.Queue(), asyncio.Queue()
    running = asyncio.ensure_future(application({"type": "lifespan"}, told.get, said.put))
    for event in ("startup", "shutdown"):
        await told.put({"type": f"lifespan.{event}"})
        assert (await said.get())["type"] == f"lifespan.{event}.complete"
        if event == "startup":
            yield
    await running


async def ask(application, *parts, method="POST", path="/", kind="application/octet-stream"):
    """(status, content) of the answer to a request whose body comes in these parts."""
    messages = [
        {"type": "http.request", "body": part, "more_body": number < len(parts)}
        for number, part in enumerate(parts, 1)
    ]
    sent = []

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", kind.encode())]
    scope = {"type": "http", "method": method, "path": path, "headers": headers}
    await application(scope, receive, send)
    start, content = sent
    assert dict(start["headers"])[b"content-length"] == b"%d" % len(content["body"])
    return start["status"], json.loads(content["body"])


def answers(application, *requests):
    """What a service that is started for it says to each of (parts, settings)."""

    async def all_of_them():
        async with started(application):
            return [await ask(application, *parts, **settings) for parts, settings in requests]

    return asyncio.run(all_of_them())


# ---- The service ---------------------------------------------------------------------------------


def test_pixels_and_files_have_the_classes_of_predict(model, picture):
    image = pytest.importorskip("PIL.Image")
    file = io.BytesIO()
    image.fromarray(picture).save(file, "png")
    pixels = picture.tobytes()
    found = answers(
        service.Service(model),
        ((pixels,), {}),
        ((pixels[:100], pixels[100:]), {}),
        ((file.getvalue(),), {"kind": "image/png"}),
    )
    assert found == [(200, expected(network(0), picture))] * 3


def test_what_is_no_picture_is_told(model, picture, monkeypatch):
    monkeypatch.setattr(service, "LONGEST_BODY", 1000)
    found = answers(
        service.Service(model),
        ((b"abc",), {}),
        ((b"abc",), {"kind": "image/png"}),
        ((b"a" * 600, b"b" * 600), {}),
        ((b"",), {"path": "/other"}),
        ((b"",), {"method": "GET", "path": "/health"}),
        ((picture.tobytes(),), {}),
        ((b"--x",), {"kind": "Multipart/form-data; boundary=x"}),
    )
    assert [status for status, _ in found] == [400, 400, 413, 404, 200, 200, 415]
    assert "--data-binary" in found[6][1]["error"]
    assert found[0][1] == {"error": "9×9×3 bytes are needed, got 3"}
    assert found[4][1] == {"process": os.getpid(), "renewals": 0}


@pytest.mark.parametrize("path, words", [(None, "set SERVICE_MODEL"), ("absent", "absent")])
def test_a_wrong_path_of_the_model_is_a_sentence(path, words, monkeypatch, threads):
    monkeypatch.delenv("SERVICE_MODEL", raising=False)
    if path is not None:
        monkeypatch.setenv("SERVICE_MODEL", path)
    with pytest.raises(SystemExit, match=words):
        service.app()


def test_four_threads_beside_weights_that_change(model, rng, tmp_path):
    """Each answer is that of one version; and both are seen, without a restart."""
    nets = [network(seed) for seed in range(2)]
    pictures = rng.integers(0, 256, (20, SIDE, SIDE, 3), np.uint8)
    right = [[expected(net, one) for net in nets] for one in pictures]
    for number, net in enumerate(nets):
        net.save(tmp_path / f"{number}.safetensors")
    application = service.Service(model, look_every=0.001)
    stop = threading.Event()

    def change():
        number = 0
        while not stop.is_set():
            number += 1
            os.link(tmp_path / f"{number % 2}.safetensors", tmp_path / "new")
            os.replace(tmp_path / "new", model)
            time.sleep(0.003)

    async def all_of_them():
        seen, asked = set(), 0
        async with started(application):
            # Rounds of sixteen at once, so that requests wait for the four threads.
            while asked < 400 or len(seen) < 2:
                picked = [(asked + i) % len(pictures) for i in range(16)]
                found = await asyncio.gather(
                    *(ask(application, pictures[one].tobytes()) for one in picked)
                )
                for one, (status, content) in zip(picked, found):
                    assert status == 200
                    seen.add(right[one].index(content))
                asked += len(picked)

    changing = threading.Thread(target=change)
    changing.start()
    try:
        asyncio.run(asyncio.wait_for(all_of_them(), 60))
    finally:
        stop.set()
        changing.join()
    assert application.renewals > 0


def test_a_bad_file_changes_nothing(model, picture, caplog):
    no_network, other = model.with_name("no network"), model.with_name("other")
    no_network.write_bytes(b"no network")
    nn.Sequential(nn.Conv2d(3, 6, 1), nn.GlobalAvgPool2d()).save(other)
    application = service.Service(model, look_every=0.001)

    async def beside_bad_files():
        async with started(application):
            for bad in (no_network, other):
                # Counted before: the service may tell of the file as soon as it is in place. A
                # file put in place whole is told of once.
                told = len(caplog.records)
                os.replace(bad, model)
                while len(caplog.records) == told:
                    await asyncio.sleep(0.001)
            return await ask(application, picture.tobytes())

    found = asyncio.run(asyncio.wait_for(beside_bad_files(), 60))
    assert found == (200, expected(network(0), picture))
    assert application.renewals == 0
    assert "net.safetensors was not taken over: " in caplog.text


def test_a_request_that_waits_too_long_is_told_and_never_computed(model, monkeypatch):
    monkeypatch.setattr(service, "THREADS", 1)
    monkeypatch.setattr(service, "TIMEOUT", 0.05)
    go_on, computed = threading.Event(), []

    class Slow:
        classes = ["cat"]
        preprocessing = {"size": [SIDE, SIDE], "channels": 3}

        def predict(self, picture):
            computed.append(picture)
            go_on.wait()
            return np.ones((1, 1), np.float32)

    application = service.Service(model, load=lambda path: Slow())
    pixels = bytes(SIDE * SIDE * 3)

    async def two_at_once():
        async with started(application):
            found = await asyncio.gather(*(ask(application, pixels) for _ in range(2)))
            go_on.set()
            return found

    found = asyncio.run(two_at_once())
    assert found == [(503, {"error": "too many requests at the moment"})] * 2
    assert len(computed) <= 1  # of a busy machine perhaps not even the first in time


def test_processors_are_left_to_requests(model):
    service.Service(model)
    assert ninc.get_num_threads() == 1


# ---- The benchmark -------------------------------------------------------------------------------


@pytest.mark.parametrize("tolerance", [0.0, 1e-4])
def test_answers_of_neither_version_are_errors(tolerance, picture, tmp_path, threads):
    versions = [tmp_path / f"{number}.safetensors" for number in range(2)]
    for seed, path in enumerate(versions):
        network(seed).save(path)
    make = apps.own_service
    made = Engine("ninc", "", versions, [picture], make, Settings(), tolerance=tolerance)
    first, second = (answers[0] for answers in made.expected)
    rounded = json.loads(json.dumps(second))
    rounded["classes"][0]["probability"] += 1e-5
    mixed = json.loads(json.dumps(first))
    mixed["classes"][0]["probability"] += 0.01
    results = Results()
    for status, content in ((200, first), (200, second), (200, rounded), (200, mixed), (500, {})):
        results.counts[made._check(0, status, json.dumps(content).encode())] += 1
    assert results.counts == {
        "first weights": 1,
        "second weights": 2 if tolerance else 1,
        "wrong answer": 1 if tolerance else 2,
        "status 500": 1,
    }
    assert not alike(first, second) and not alike(first, mixed)


def test_onnx_runtime_answers_as_ninc_does(tmp_path, threads):
    pytest.importorskip("onnxruntime")
    onnx_model = pytest.importorskip("benchmarks.peers.onnx_model", exc_type=ImportError)
    net = network(0)
    net.save(tmp_path / "net.safetensors")
    onnx_model.save(net, (1, 3, SIDE, SIDE), tmp_path / "net.onnx")
    apps.save_settings(net, tmp_path / "net.onnx")
    pixels = np.random.default_rng(0).integers(0, 256, SIDE * SIDE * 3, np.uint8).tobytes()
    status, own = apps.own_service(tmp_path / "net.safetensors").answer(pixels, True)
    for variant in apps.VARIANTS:
        peer = apps.onnx_service(tmp_path / "net.onnx", 1.0, variant)
        assert peer.answer(pixels, True)[0] == status == 200
        assert alike(peer.answer(pixels, True)[1], own)


@pytest.mark.skipif(importlib.util.find_spec("uvicorn") is None, reason="needs uvicorn")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_two_worker_processes(threads):
    results = serving.measure(120, 2, Settings(renew=0.1), False, lambda text: None)
    (own,) = results["engines"]
    assert own["requests"] == 120 and own["errors"] == 0
    assert sum(own["counts"].values()) == 120
    assert len(own["memory_mb"]) == 2 and min(own["memory_mb"]) > 10
    assert own["renewals"] > 0


def measured(name, rate, p99, errors=0, memory=(100.0, 101.0)):
    return {
        "name": name,
        "requests": 1000,
        "counts": {"first weights": 1000 - errors, "wrong answer": errors},
        "errors": errors,
        "rates": [rate, 3 * rate, rate / 2],
        "median_ms": 10.0,
        "p99_ms": p99,
        "worst_ms": 50.0,
        "memory_mb": list(memory),
        "server_cpu_ms": 2.5,
        "client_cpu_ms": 0.1,
        "renewals": 7,
    }


def test_what_is_printed(monkeypatch):
    results = {
        "settings": vars(Settings()),
        "tried": {"1 thread a run": 500.0},
        "engines": [measured("ninc", 900.0, 20.0), measured("ONNX Runtime", 600.0, 40.0)],
        "others_cores": 0.0,
    }
    text = serving.lines(results)
    assert "2 worker processes, 16 connections, new weights every 0.5 s" in text[0]
    assert text[1] == "tried: ONNX Runtime, 1 thread a run: 500 requests/s"
    assert text[3].split()[:5] == ["ninc", "1,000", "0", "900", "10.0"]
    assert "memory 100.0 MB after the first round, 101.0 MB after the last" in text[5]
    assert text[-1] == (
        "ninc serves 1.50 times as many requests a second (1.50 to 1.50 in a round), its p99 is "
        "0.50 of the peer's; goal 1.2 times: reached"
    )
    results["engines"][0]["rates"] = [700.0, 9000.0, 330.0]
    results["others_cores"] = 0.5
    text = serving.lines(results)
    assert text[-2].endswith("goal 1.2 times: not reached")
    assert text[-1].startswith("disturbed: ")


def test_a_wrong_answer_fails_the_command(monkeypatch, capsys):
    results = {
        "settings": vars(Settings(renew=0)),
        "tried": {},
        "engines": [measured("ninc", 900.0, 20.0, errors=1)],
        "others_cores": None,
    }
    monkeypatch.setattr(serving, "measure", lambda *settings: results)
    with pytest.raises(SystemExit, match="some answers were wrong"):
        serving.main(["--peer", "none"])
    assert "new weights never" in capsys.readouterr().out
