"""Sessions over real sockets: the runtime dials the endpoint, or the endpoint dials the runtime."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from restate_protocol import codec, frames
from restate_protocol import journal as j
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_protocol.hot_frames import RunAck
from restate_sdk import Endpoint, EndpointError
from restate_sdk.transport.options import CHANNEL_OPTIONS

from .gen.shop.v1.shop_pb import PayRequest, PayResponse
from .gen.shop.v1.shop_restate import CheckoutContext
from .handlers import Checkout
from .runtime import INVOCATION_ID

HELLO = pb.RuntimeHello(protocol_min=1, protocol_max=1)
LARGE = "x" * (8 * 1024 * 1024)


def start(request: PayRequest) -> pb.Start:
    entry = j.encode(j.Input(codec.encode(request)))
    return pb.Start(
        invocation_id=INVOCATION_ID,
        epoch=1,
        service="shop.v1.Checkout",
        handler="Pay",
        entries=[entry],
        journal_length=1,
        inactivity_timeout_ms=60_000,
    )


class Stream:
    """The runtime's end of a stream, whoever dialled."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._frames: list[Any] = []

    async def send(self, *out: frames.RuntimeFrame) -> None:
        await self._call.write(frames.encode_runtime_batch(out))

    async def next(self) -> Any:
        while not self._frames:
            data = await self._call.read()
            if data is grpc.aio.EOF:
                return None
            self._frames += frames.decode_endpoint_batch(data)
        return self._frames.pop(0)

    async def until(self, kind: type[Any]) -> Any:
        while not isinstance(frame := await self.next(), kind):
            assert frame is not None, f"the stream ended before {kind.__name__}"
        return frame


@asynccontextmanager
async def dialled(port: int) -> AsyncIterator[Stream]:
    """The runtime dials an endpoint."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=CHANNEL_OPTIONS) as channel:
        call: Any = channel.stream_stream("/restate.protocol.v1.Endpoint/Session")()
        yield Stream(call)
        call.cancel()


class Runtime:
    """A runtime that endpoints dial. Streams wait in `streams` and go on until they are ended."""

    def __init__(self) -> None:
        self.streams: asyncio.Queue[Stream] = asyncio.Queue()
        self.end: asyncio.Queue[None] = asyncio.Queue()
        self._server = grpc.aio.server(options=CHANNEL_OPTIONS)
        handler: Any = grpc.stream_stream_rpc_method_handler(self._serve)
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("restate.protocol.v1.Runtime", {"Session": handler}),)
        )

    async def __aenter__(self) -> Runtime:
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop(None)

    async def _serve(self, _: Any, context: Any) -> None:
        self.streams.put_nowait(Stream(context))
        await self.end.get()


async def echo(ctx: CheckoutContext) -> object:
    request = PayRequest.from_binary(ctx.request.body)
    return await ctx.run("echo", lambda: request.text)


async def run_result(stream: Stream) -> None:
    """The result of the first run: by itself, or with its command where the function ended before that left."""
    while (frame := await stream.next()) is not None:
        if isinstance(frame, pb.RunProposal):
            return
        entry = j.decode(frame.entry) if isinstance(frame, pb.Command) else None
        if isinstance(entry, j.Run) and entry.result is not None:
            return
    raise AssertionError("the stream ended before the run did")


async def works(stream: Stream, text: str) -> None:
    """An invocation with one run goes through."""
    await stream.send(start(PayRequest(text=text)))
    await run_result(stream)
    await stream.send(RunAck(invocation_id=INVOCATION_ID, epoch=1, command=1))
    output = j.decode((await stream.until(pb.Command)).entry)
    assert output == j.Output(j.Value(codec.encode(PayResponse(text=text))))
    await stream.until(pb.Ended)


@pytest.mark.parametrize("text", ["small", LARGE], ids=["small", "large"])
async def test_the_runtime_dials_and_an_invocation_goes_through(text: str) -> None:
    running = await Endpoint(Checkout(echo)).serve_async(port=0)
    async with dialled(running.port) as stream:
        await stream.send(HELLO)
        await stream.until(pb.EndpointHello)
        await works(stream, text)
    await running.stop()


async def test_the_endpoint_dials_and_dials_again_when_the_session_ends() -> None:
    async with Runtime() as runtime:
        running = await Endpoint(Checkout(echo)).dial_async(f"127.0.0.1:{runtime.port}", dev_name="app")
        for _ in range(2):
            stream = await asyncio.wait_for(runtime.streams.get(), 20)
            hello = await stream.until(pb.EndpointHello)
            assert hello.dev_name == "app"
            await stream.send(HELLO)
            await works(stream, "x")
            runtime.end.put_nowait(None)
        await running.stop(grace=0)


async def test_an_endpoint_waits_for_a_runtime_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        warned = asyncio.Event()

        class Handler(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                assert f"no session with the runtime at {address}, trying again" in record.getMessage()
                warned.set()

        handler = Handler()
        logging.getLogger("restate_sdk").addHandler(handler)
        running = await Endpoint(Checkout(echo)).dial_async(address)
        await asyncio.wait_for(warned.wait(), 20)
        logging.getLogger("restate_sdk").removeHandler(handler)
        await running.stop()


async def test_stopping_lets_attempts_finish_and_ends_the_stream() -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    async def body(ctx: CheckoutContext) -> object:
        began.set()
        await go_on.wait()
        return "finished"

    running = await Endpoint(Checkout(body)).serve_async(port=0)
    async with dialled(running.port) as stream:
        await stream.send(HELLO, start(PayRequest()))
        await began.wait()
        stopping = asyncio.create_task(running.stop(grace=60))
        await stream.until(pb.Drain)
        go_on.set()
        await stream.until(pb.Ended)
        assert await stream.next() is None
        await stopping


async def test_stopping_does_not_wait_longer_than_its_grace() -> None:
    began = asyncio.Event()

    async def body(ctx: CheckoutContext) -> object:
        began.set()
        return await asyncio.Event().wait()

    running = await Endpoint(Checkout(body)).serve_async(port=0)
    async with dialled(running.port) as stream:
        await stream.send(HELLO, start(PayRequest()))
        await began.wait()
        await running.stop(grace=0)
        await stream.until(pb.Drain)
        assert await stream.next() is None


async def test_a_lost_stream_ends_its_attempts() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def body(ctx: CheckoutContext) -> object:
        began.set()
        try:
            return await ctx.awakeable(int)
        finally:
            ended.set()

    running = await Endpoint(Checkout(body)).serve_async(port=0)
    async with dialled(running.port) as stream:
        await stream.send(HELLO, start(PayRequest()))
        await began.wait()
    await asyncio.wait_for(ended.wait(), 20)
    await running.stop()


async def test_a_port_in_use_is_an_error_that_names_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(EndpointError, match=f"cannot serve on 127.0.0.1:{port}: the port is in use"):
            await Endpoint(Checkout(echo)).serve_async(port=port)


async def test_two_endpoints_do_not_share_a_port() -> None:
    running = await Endpoint(Checkout(echo)).serve_async(port=0)
    with pytest.raises(EndpointError, match="in use"):
        await Endpoint(Checkout(echo)).serve_async(port=running.port)
    await running.stop()


APP = """
import sys
sys.path.insert(0, {root!r})
from restate_sdk import Endpoint
from tests.sdk.handlers import Checkout
from tests.sdk.test_transport import echo

if __name__ == "__main__":
    Endpoint(Checkout(echo)).serve(port={port})
"""


async def process(tmp_path: Path, port: int) -> asyncio.subprocess.Process:
    app = tmp_path / "app.py"
    app.write_text(APP.format(root=str(Path(__file__).parents[2]), port=port))
    return await asyncio.create_subprocess_exec(
        sys.executable, str(app), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


@pytest.mark.e2e
async def test_an_app_says_what_it_serves_and_stops_on_sigterm(tmp_path: Path) -> None:
    running = await process(tmp_path, 0)
    assert running.stdout is not None
    lines = [(await running.stdout.readline()).decode().rstrip() for _ in range(3)]
    port = int(lines[0].rpartition(":")[2])
    assert lines[0] == f"Serving on 127.0.0.1:{port}"
    assert lines[1].split() == ["shop.v1.Checkout", "service", "Pay"]
    assert lines[2] == f"Register it with the runtime: restate-cli deployments register localhost:{port}"
    async with dialled(port) as stream:
        await stream.send(HELLO)
        await works(stream, "x")
        running.send_signal(signal.SIGTERM)
        await stream.until(pb.Drain)
    _, errors = await running.communicate()
    assert running.returncode == 0, errors.decode()
    assert errors == b""


@pytest.mark.e2e
async def test_an_app_on_a_taken_port_says_so_and_exits_with_1(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        running = await process(tmp_path, taken.getsockname()[1])
        out, errors = await running.communicate()
    assert running.returncode == 1
    assert out == b""
    last = errors.decode().splitlines()[-1]
    assert last.startswith("error: cannot serve on 127.0.0.1:")
