"""A web service that names what is on a picture: an ASGI application in one file.

Save it as service.py, and in the same folder:

    pip install ninc uvicorn pillow
    SERVICE_MODEL=nin.safetensors uvicorn --factory service:app --workers 2
    curl --data-binary @cat.jpg -H 'Content-Type: image/jpeg' localhost:8000

POST /        a picture: the bytes of its file; or, as application/octet-stream, its pixels alone,
              height × width × channels bytes of the network's size. Forms (multipart) are not
              taken. The answer is JSON:
              {"classes": [{"name": "cat", "probability": 0.93}, ...]}
GET /health   200 once the network is loaded; which process answers, and how often its weights were
              renewed since.

The model file is looked at every second. When it has changed, its weights take the place of the old
ones while requests go on; each is answered with the old weights or with the new.
docs/serving.md explains why it is written as it is, and how fast it runs.
"""

import asyncio
import concurrent.futures
import json
import logging
import math
import os
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

import ninc

THREADS = 4  # predictions under way at a time in each process; more requests wait
TOP = 3  # classes in an answer
LONGEST_BODY = 16 << 20  # bytes
TIMEOUT = 30.0  # seconds that a request may wait and compute

# What a server and an application hand each other, as ASGI has it.
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

Answer = tuple[int, dict[str, Any]]  # status, JSON

log = logging.getLogger("uvicorn.error")


class Service:
    """The application. It loads its network at once, and begins threads when its server starts.

    So a server that forks may make it before, and its children share the network's memory.
    """

    def __init__(
        self,
        path: str,
        look_every: float = 1.0,
        load: Callable[[str], ninc.Network] = ninc.load,
    ) -> None:
        self.path = path
        self.look_every = look_every
        self.load = load
        self.renewals = 0
        # Requests keep all processors busy by themselves: a prediction on several threads would
        # only wait for processors that other predictions use.
        ninc.set_num_threads(1)
        self._seen = self._signature()
        self.network = load(path)
        self.classes = self.network.classes or []
        settings = self.network.preprocessing
        if settings is None:
            raise ninc.ArgumentError(f"{path}: has no preprocessing stored; train it on pictures")
        # What pixels alone must be; None where the network takes pictures of any size.
        self.shape = settings["size"] and (*settings["size"], settings["channels"])

    # ---- Answers ---------------------------------------------------------------------------------

    def answer(self, body: bytes, is_pixels: bool) -> Answer:
        """(status, JSON); runs on a thread of the pool, so that the event loop goes on."""
        try:
            picture = self._pixels(body) if is_pixels else body
            (probabilities,) = self.network.predict(picture)
        except (ninc.OutOfMemoryError, ninc.DeviceError) as error:
            return 503, {"error": str(error)}
        except ninc.Error as error:  # its text is a sentence that says what is wrong
            return 400, {"error": str(error)}
        best = np.argsort(-probabilities, kind="stable")[:TOP]
        return 200, {
            "classes": [
                {"name": self._name(index), "probability": float(probabilities[index])}
                for index in best
            ]
        }

    def _name(self, index: int) -> str:
        return self.classes[index] if index < len(self.classes) else str(index)

    def _pixels(self, body: bytes) -> npt.NDArray[np.uint8]:
        if self.shape is None:
            raise ninc.ShapeError("pixels alone have no size; send a picture's file")
        if len(body) != math.prod(self.shape):
            shape = "×".join(map(str, self.shape))
            raise ninc.ShapeError(f"{shape} bytes are needed, got {len(body)}")
        return np.frombuffer(body, np.uint8).reshape(self.shape)

    # ---- New weights -----------------------------------------------------------------------------

    def _signature(self) -> tuple[int, int, int]:
        """What is another one when the file is. `Network.save` puts a whole new file in place."""
        status = os.stat(self.path)
        return status.st_ino, status.st_size, status.st_mtime_ns

    def _watch(self) -> None:
        while not self._stopping.wait(self.look_every):
            found = self._seen
            try:
                found = self._signature()
                if found == self._seen:
                    continue
                # Plans and memory stay as they are; only the weights are taken from the new file.
                self.network.load_state_dict(self.load(self.path).state_dict())
                self.renewals += 1
            except Exception as error:
                # The service goes on with the weights it has: a bad file stops nobody. What may
                # have been a moment's lack is tried again.
                log.error("%s was not taken over: %s", self.path, error)
                if not isinstance(error, (ninc.ModelError, ninc.ShapeError)):
                    continue
            self._seen = found

    # ---- The server's side -----------------------------------------------------------------------

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            try:
                status, content = await self._respond(scope, receive)
            except ConnectionAbortedError:
                return  # nobody waits for an answer
            await _send(send, status, content)

    async def _respond(self, scope: Message, receive: Receive) -> Answer:
        request = scope["method"], scope["path"]
        if request == ("GET", "/health"):
            return 200, {"process": os.getpid(), "renewals": self.renewals}
        if request != ("POST", "/"):
            return 404, {"error": "POST a picture to /"}
        kind = dict(scope["headers"]).get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind.startswith(b"multipart/"):
            advice = "send the file's bytes as the body (curl --data-binary @cat.jpg)"
            return 415, {"error": f"a form (multipart) is not taken; {advice}"}
        body = await _body(receive)
        if body is None:
            return 413, {"error": f"a picture has at most {LONGEST_BODY} bytes"}
        is_pixels = kind == b"application/octet-stream"
        waiting = asyncio.get_running_loop().run_in_executor(
            self._pool, self.answer, body, is_pixels
        )
        try:
            return await asyncio.wait_for(waiting, TIMEOUT)
        except asyncio.TimeoutError:  # one that waits for a thread never begins
            return 503, {"error": "too many requests at the moment"}

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()  # lifespan.startup
        self._pool = concurrent.futures.ThreadPoolExecutor(THREADS, "predict")
        self._stopping = threading.Event()
        watcher = threading.Thread(target=self._watch, name="weights")
        watcher.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()  # lifespan.shutdown, once the last request is answered
        self._stopping.set()
        watcher.join()
        self._pool.shutdown()
        await send({"type": "lifespan.shutdown.complete"})


async def _body(receive: Receive) -> Optional[bytes]:
    """All of a request's body; None where it is too long."""
    parts, length, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionAbortedError("the client left in the middle of its request")
        parts.append(message.get("body", b""))
        length += len(parts[-1])
        if length > LONGEST_BODY:
            return None
        more = message.get("more_body", False)
    return b"".join(parts)


async def _send(send: Send, status: int, content: dict[str, Any]) -> None:
    body = json.dumps(content).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def app() -> Service:
    """The application, for a server that calls this in each of its processes."""
    path = os.environ.get("SERVICE_MODEL")
    if not path:
        raise SystemExit("service: set SERVICE_MODEL to the path of a model file")
    try:
        return Service(path)
    except (ninc.Error, OSError) as error:  # a sentence in place of a traceback
        raise SystemExit(f"service: SERVICE_MODEL: {error}") from None
