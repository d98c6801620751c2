"""The floor: what the shape of this system costs without any of its rules. `make bench` measures it beside the runtime.

uvloop, grpcio aio, one multiplexed bidi stream with batched frames, and group commit with fsync into SQLite, on both
sides nothing but that: no contract, no queues, no replay, no retries, no recovery, no traces. Nobody should use it.
gRPC is as it comes; `GRPC_EXPERIMENTS` in the environment is a choice for this and for the runtime
(`restate_protocol.polling`).

Run: python -m benchmarks.bare runtime PORT ENDPOINT_PORT DATABASE, and python -m benchmarks.bare endpoint PORT.
"""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import struct
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import grpc
import uvloop

HEAD = struct.Struct("<QBBI")  # invocation, kind, number, length of what follows
START, STEP, ACK, END = range(4)

Frame: TypeAlias = tuple[int, int, int, bytes]

SCHEMA = """
CREATE TABLE invocations (id INTEGER PRIMARY KEY, method TEXT, input BLOB, result BLOB, status TEXT);
CREATE TABLE journal (id INTEGER, idx INTEGER, entry BLOB, PRIMARY KEY (id, idx)) WITHOUT ROWID;
"""
CREATE = "INSERT INTO invocations VALUES (?, ?, ?, NULL, 'active')"
APPEND = "INSERT INTO journal VALUES (?, ?, ?)"
COMPLETE = "UPDATE invocations SET result = ?, status = 'completed' WHERE id = ?"


def packed(frames: Iterable[Frame]) -> bytes:
    """One message."""
    return b"".join(HEAD.pack(*frame[:3], len(frame[3])) + frame[3] for frame in frames)


def unpacked(data: bytes) -> Iterator[Frame]:
    """The frames of a message."""
    at = 0
    while at < len(data):
        invocation, kind, number, length = HEAD.unpack_from(data, at)
        at += HEAD.size + length
        yield invocation, kind, number, data[at - length : at]


class Outbox:
    """Frames that leave together."""

    def __init__(self) -> None:
        self._frames: list[Frame] = []
        self._wake = asyncio.Event()

    def put(self, frame: Frame) -> None:
        self._frames.append(frame)
        self._wake.set()

    async def write_forever(self, write: Callable[[bytes], Coroutine[Any, Any, None]]) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            frames, self._frames = self._frames, []
            await write(packed(frames))


class Runtime:
    """Accepts, commits, sends, answers."""

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;" + SCHEMA)
        self._thread = ThreadPoolExecutor(1)
        self._ids = itertools.count(1)
        self._rows: dict[str, list[tuple[Any, ...]]] = {}
        self._effects: list[Callable[[], None]] = []
        self._work = asyncio.Event()
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self.outbox = Outbox()

    def _decide(self, query: str, row: tuple[Any, ...], effect: Callable[[], None]) -> None:
        self._rows.setdefault(query, []).append(row)
        self._effects.append(effect)
        self._work.set()

    async def call(self, method: str, request: bytes) -> bytes:
        one = next(self._ids)
        self._waiting[one] = asyncio.get_running_loop().create_future()
        steps = request[1] if method.endswith("/Steps") else 0
        start = (one, START, steps, request)
        self._decide(CREATE, (one, method, request), lambda: self.outbox.put(start))
        return await self._waiting[one]

    def take(self, frame: Frame) -> None:
        one, kind, number, data = frame
        if kind == STEP:
            self._decide(APPEND, (one, number, data), lambda: self.outbox.put((one, ACK, number, b"")))
        else:
            self._decide(COMPLETE, (data, one), lambda: self._answer(one, data))

    def _answer(self, one: int, data: bytes) -> None:
        future = self._waiting.pop(one)
        if not future.done():
            future.set_result(data)

    def _commit(self, rows: dict[str, list[tuple[Any, ...]]]) -> None:
        self._db.execute("BEGIN")
        for query in (CREATE, APPEND, COMPLETE):
            if query in rows:
                self._db.executemany(query, rows[query])
        self._db.execute("COMMIT")

    async def flush_forever(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            rows, self._rows = self._rows, {}
            effects, self._effects = self._effects, []
            await asyncio.get_running_loop().run_in_executor(self._thread, self._commit, rows)
            for effect in effects:
                effect()


async def handle(one: int, steps: int, data: bytes, outbox: Outbox, acks: dict[int, asyncio.Future[None]]) -> None:
    """The handler: so many steps, then the end."""
    for number in range(steps):
        acks[one] = asyncio.get_running_loop().create_future()
        outbox.put((one, STEP, number, data))
        await acks[one]
    outbox.put((one, END, 0, data))


async def session(_: Any, context: Any) -> None:
    """The endpoint's side of the stream."""
    outbox, acks = Outbox(), dict[int, asyncio.Future[None]]()
    tasks = {asyncio.create_task(outbox.write_forever(context.write))}
    while (message := await context.read()) is not grpc.aio.EOF:
        for one, kind, number, data in unpacked(message):
            if kind == START:
                task = asyncio.create_task(handle(one, number, data, outbox, acks))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            else:
                acks.pop(one).set_result(None)


class Handlers(grpc.GenericRpcHandler):
    """Serves every path alike."""

    def __init__(self, handler: Callable[[str], Any]) -> None:
        self._handler = handler

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._handler(handler_call_details.method)


async def serve(port: int, handler: Callable[[str], Any]) -> grpc.aio.Server:
    """A started server."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Handlers(handler),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    return server


async def run_runtime(port: int, endpoint_port: int, path: str) -> None:
    """Runs for ever."""
    runtime = Runtime(path)

    def handler(method: str) -> Any:
        async def call(request: bytes, _: Any) -> bytes:
            return await runtime.call(method, request)

        anything: Any = call
        return grpc.unary_unary_rpc_method_handler(anything)

    channel = grpc.aio.insecure_channel(f"127.0.0.1:{endpoint_port}")
    method: Any = channel.stream_stream("/bare.Endpoint/Session")
    stream = method(wait_for_ready=True)

    async def read_forever() -> None:
        while (message := await stream.read()) is not grpc.aio.EOF:
            for frame in unpacked(message):
                runtime.take(frame)

    server = await serve(port, handler)
    await asyncio.gather(runtime.flush_forever(), runtime.outbox.write_forever(stream.write), read_forever())
    await server.stop(None)


async def run_endpoint(port: int) -> None:
    """Runs for ever."""
    anything: Any = session
    server = await serve(port, lambda _: grpc.stream_stream_rpc_method_handler(anything))
    await server.wait_for_termination()


def main() -> None:
    """See the module."""
    role, port, *rest = sys.argv[1:]
    if role == "runtime":
        uvloop.run(run_runtime(int(port), int(rest[0]), rest[1]))
    else:
        uvloop.run(run_endpoint(int(port)))


if __name__ == "__main__":
    main()
