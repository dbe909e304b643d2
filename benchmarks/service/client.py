"""Requests over connections that stay open, each sending the next as soon as it has its answer.

It runs on the server's own processors, so it does little: requests are made beforehand, and an
answer is compared with the bytes that are expected.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence

# (picture's number, status, the answer's body) -> what it is counted as.
Check = Callable[[int, int, bytes], str]

_LOOK_EVERY = 5.0  # seconds
_PATIENCE = 12  # looks without a single answer before all is given up
_HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Results:
    """latencies: seconds of each request; counts: how many answers were what, as `Check` says."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.counts: Counter[str] = Counter()
        self.seconds = 0.0
        self.cpu_seconds = 0.0  # the client's own processor time
        self.server_cpu_seconds = 0.0


def request(pixels: bytes) -> bytes:
    """POST / with a picture's pixels."""
    head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"
    return f"{head}Content-Length: {len(pixels)}\r\n\r\n".encode() + pixels


def run(
    port: int, requests: Sequence[bytes], total: int, connections: int, workers: int, check: Check
) -> Results:
    """Sends `total` requests, of the given ones in turn, over so many connections.

    Each worker process has as many of these as another, as behind a balancer: which of them takes
    a connection is else left to chance.
    """
    return asyncio.run(_run(port, requests, total, connections, workers, check))


def health(port: int) -> dict:
    """What one of the worker processes says of itself."""

    async def ask():
        connection = await _open(port)
        status, body = await connection.ask(_HEALTH)
        connection.transport.close()
        assert status == 200, body
        return json.loads(body)

    return asyncio.run(ask())


async def _run(port, requests, total, connections, workers, check):
    opened = await _shared_out(port, connections, workers)
    results = Results()
    numbers = iter(range(total))

    async def send_all(connection):
        for number in numbers:
            picture = number % len(requests)
            start = time.perf_counter()
            try:
                status, body = await connection.ask(requests[picture])
            except ConnectionError:
                results.counts["no answer"] += 1
                connection = await _open(port)
            else:
                results.counts[check(picture, status, body)] += 1
            results.latencies.append(time.perf_counter() - start)
        connection.transport.close()

    start, cpu = time.perf_counter(), time.process_time()
    sending = asyncio.gather(*map(send_all, opened))
    watching = asyncio.ensure_future(_watch(results, sending))
    try:
        await sending
    except asyncio.CancelledError:
        raise RuntimeError("the server answers no more") from None
    finally:
        watching.cancel()
    results.seconds = time.perf_counter() - start
    results.cpu_seconds = time.process_time() - cpu
    return results


async def _watch(results, sending):
    """Gives up where nothing is answered any more.

    Looks are counted, and not seconds: a measurement that was stopped for a while goes on.
    """
    before, looks = -1, 0
    while looks < _PATIENCE:
        looks = looks + 1 if len(results.latencies) == before else 0
        before = len(results.latencies)
        await asyncio.sleep(_LOOK_EVERY)
    sending.cancel()


async def _shared_out(port, connections, workers):
    kept: dict[int, list[_Connection]] = {}
    surplus = []
    most = -(-connections // workers)
    while sum(map(len, kept.values())) < connections:
        connection = await _open(port)
        _, body = await connection.ask(_HEALTH)
        of_worker = kept.setdefault(json.loads(body)["process"], [])
        (of_worker if len(of_worker) < most else surplus).append(connection)
        if len(surplus) > 100 * connections:
            raise RuntimeError(f"{workers} workers were asked for, {len(kept)} answer")
    for connection in surplus:
        connection.transport.close()
    return [connection for of_worker in kept.values() for connection in of_worker]


async def _open(port):
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(_Connection, "127.0.0.1", port)
    return connection


class _Connection(asyncio.Protocol):
    """One request at a time; an answer has a Content-Length."""

    def connection_made(self, transport):
        self.transport = transport
        self._received = b""
        self._answer = None

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """(status, body) of the answer."""
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._answer

    def data_received(self, data):
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if len(body) >= int(length):
            self._received = b""
            self._answer.set_result((int(head[9:12]), body))

    def connection_lost(self, error):
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionError("the server closed a connection"))
