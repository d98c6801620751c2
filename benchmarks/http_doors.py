"""What one call costs in the HTTP ingress, beside the same call through the connectrpc library.

Both are ASGI apps over the same admission and an engine that answers at once, called without sockets, in turn. Our
app does more: details of errors, headers of the answer and the watch for callers that hang up are in its time. Run it
with the library, which is no dependency of ours:

    .tools/bin/uv run --frozen --no-sync --with connectrpc==0.13.0 python -m benchmarks.http_doors
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc_tools
import uvloop
from grpc_tools import protoc
from restate_protocol.contract.read import read_contract
from restate_protocol.journal import Value
from restate_runtime.deployments.registry import Route
from restate_runtime.deployments.schema import Schema
from restate_runtime.engine.api import Accepted, Submission
from restate_runtime.ingress.admission import Admission, Limits
from restate_runtime.ingress.http import HttpApp
from restate_runtime.ingress.waiting import Waiting

HERE = Path(__file__).parent
CALLS, ROUNDS = 20_000, 5
PATH = "/load.v1.Load/Echo"
TEXT = b"fifty bytes of payload, as a small request has them"
PROTO = b"\x0a" + bytes([len(TEXT)]) + TEXT
WORKS = {
    "Connect, binary": (b"application/proto", PROTO),
    "Connect, JSON": (b"application/json", b'{"text":"' + TEXT + b'"}'),
    "gRPC-Web": (b"application/grpc-web+proto", b"\0" + len(PROTO).to_bytes(4, "big") + PROTO),
}

App = Callable[[Any, Any, Any], Awaitable[None]]


class Echo:
    """An engine that answers with the request, at once."""

    async def submit(self, submission: Submission, *, wait: bool) -> Accepted:
        result = asyncio.get_running_loop().create_future()
        result.set_result(Value(submission.payload))
        return Accepted(b"\0" * 16, True, result, lambda: None)


class Routes:
    """One deployment that never changes."""

    def __init__(self, descriptor_set: bytes) -> None:
        self._schema = Schema(descriptor_set)
        self._services = {one.name: one for one in read_contract(descriptor_set).services}

    def route(self, service: str, handler: str) -> Route | None:
        found = self._services[service]
        named = found.handler(handler)
        return None if named is None else Route(found, named, "dep_1", self._schema)

    def services(self) -> list[str]:
        return list(self._services)

    def schema(self, service: str) -> Schema:
        return self._schema

    schema_of = schema

    def on_change(self, callback: Callable[[], None]) -> None:
        """Nothing changes."""


def descriptor_set() -> bytes:
    """The load's contract."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set"
        roots = (HERE / "protos", HERE.parent / "protos", Path(grpc_tools.__file__).parent / "_proto")
        flags = [*(f"-I{root}" for root in roots), "--include_imports", f"--descriptor_set_out={out}"]
        if protoc.main(["protoc", *flags, "load/v1/load.proto"]) != 0:
            raise SystemExit("the load's contract does not compile")
        return out.read_bytes()


def library_app(admission: Admission, engine: Any, waiting: Waiting) -> App:
    """The same call through connectrpc: any path, raw bytes in and out."""
    from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
    from connectrpc.server import ConnectASGIApplication, Endpoint

    application: Any = ConnectASGIApplication

    class Raw:
        def __init__(self, name: str) -> None:
            self._name = name

        def name(self) -> str:
            return self._name

        def encode(self, message: bytes) -> bytes:
            return message

        def decode(self, data: Any, message_class: type) -> bytes:
            return bytes(data)

    async def call(request: bytes, ctx: Any) -> bytes:
        door = admission.door(PATH)
        in_json = ctx.request_headers.get("content-type") == "application/json"
        headers = ctx.request_headers.allitems()
        order = (admission.order_json if in_json else admission.order)(door, request, headers)
        payload = await waiting.payload(await engine.submit(order.submission, wait=order.wait))
        return door.schema.to_json(door.response, payload).encode() if in_json else payload

    service, _, name = PATH[1:].partition("/")
    method: Any = MethodInfo(
        name=name,
        service_name=service,
        input=bytes,
        output=bytes,
        idempotency_level=IdempotencyLevel.UNKNOWN,
        stream_type=StreamType.UNARY,
    )

    class Application(application):  # type: ignore[misc]  # of a library that is not installed
        path = "/"

    paths = {PATH: Endpoint.unary(method, call)}
    codecs: Any = [Raw("proto"), Raw("json")]
    return Application(service=None, endpoints=lambda _: paths, codecs=codecs)


async def _spend(app: App, content_type: bytes, body: bytes) -> float:
    """CPU microseconds of one call."""
    headers = [
        (b"host", b"localhost:8081"),
        (b"user-agent", b"curl/8"),
        (b"accept", b"*/*"),
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
    ]
    scope = {"type": "http", "method": "POST", "path": PATH, "root_path": "", "query_string": b"", "headers": headers}
    statuses: set[int] = set()

    async def send(message: Any) -> None:
        statuses.add(message.get("status", 200))

    async def call() -> None:
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            return messages.pop() if messages else await asyncio.Event().wait()

        await app(dict(scope), receive, send)

    start = time.process_time()
    for _ in range(CALLS):
        await call()
    if statuses != {200}:
        raise SystemExit(f"{app} answered {statuses}")
    return (time.process_time() - start) / CALLS * 1e6


async def measure() -> None:
    """Prints medians over rounds in turn."""
    waiting, engine = Waiting(), Echo()
    anything: Any = engine
    routes: Any = Routes(descriptor_set())
    admission = Admission(routes, Limits())
    apps: dict[str, App] = {
        "ours": HttpApp(admission, anything, waiting),
        "connectrpc": library_app(admission, engine, waiting),
    }
    for work, (content_type, body) in WORKS.items():
        spent: dict[str, list[float]] = {name: [] for name in apps}
        for _ in range(ROUNDS):
            for name, app in apps.items():
                spent[name].append(await _spend(app, content_type, body))
        medians = {name: statistics.median(times) for name, times in spent.items()}
        line = "  ".join(f"{name} {value:6.1f} us" for name, value in medians.items())
        print(f"{work:16} {line}   ratio {medians['connectrpc'] / medians['ours']:.1f}", flush=True)


if __name__ == "__main__":
    try:
        uvloop.run(measure())
    except ModuleNotFoundError as missing:
        sys.exit(f"{missing}; see how to run this at the top of the file")
