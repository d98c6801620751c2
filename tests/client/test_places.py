"""Where people call from: a WSGI server, scripts, threads, notebooks, forked workers, several event loops."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
import restate_client
from IPython.core.interactiveshell import InteractiveShell
from protobuf.wkt.google.protobuf.wrappers_pb import StringValue
from restate_client import sync

if TYPE_CHECKING:
    from tests.client.fake_ingress import FakeIngress, Incoming

SAY = "/echo.v1.Echo/Say"


class _ThreadingServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """A WSGI server with a thread for each request."""
    with make_server("127.0.0.1", 0, app, _ThreadingServer, _Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


async def test_one_blocking_connection_serves_all_threads_of_a_wsgi_app(ingress: FakeIngress, echo_client: Any) -> None:
    together = asyncio.Event()

    async def answer(incoming: Incoming) -> bytes:
        if len(ingress.calls) == 16:
            together.set()
        await together.wait()  # all sixteen are in the app at once, or nobody gets an answer
        return incoming.data

    ingress.on(SAY, answer)
    with sync.connect(ingress.address) as restate:

        def app(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
            reply = echo_client(restate).say(StringValue(value=environ["PATH_INFO"]), idempotency_key="1")
            start_response("200 OK", [("content-type", "text/plain")])
            return [reply.value.encode()]

        loop = asyncio.get_running_loop()
        with serving(app) as url, ThreadPoolExecutor(16) as threads:
            bodies = await asyncio.gather(*(loop.run_in_executor(threads, get, f"{url}/{n}") for n in range(16)))
    assert bodies == [f"/{number}" for number in range(16)]


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as response:
        text: str = response.read().decode()
        return text


async def run_script(script: str, *args: str) -> str:
    """What a program prints that knows nothing of this test."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(script), *args]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


CLIENT = """
import asyncio, os, sys
import restate_client
from protobuf.wkt.google.protobuf.wrappers_pb import StringValue
from restate_client.stub import Client
from restate_protocol.services import HandlerDescriptor, HandlerMode

SAY = HandlerDescriptor("echo.v1.Echo", "Say", "say", HandlerMode.SERVICE, StringValue, StringValue)

class EchoClient(Client):
    @property
    def say(self):
        return self._method(SAY)
"""


async def test_a_script_needs_no_event_loop(ingress: FakeIngress) -> None:
    script = CLIENT + textwrap.dedent("""
        with restate_client.sync.connect(sys.argv[1]) as restate:
            print(EchoClient(restate).say(StringValue(value="hi")).value)
        """)
    assert await run_script(script, ingress.address) == "hi\n"


async def test_a_script_with_asyncio_run_ends_cleanly_with_or_without_closing(ingress: FakeIngress) -> None:
    ingress.credits = 10
    script = CLIENT + textwrap.dedent("""
        async def main():
            restate = restate_client.connect(sys.argv[1])
            print((await EchoClient(restate).say(StringValue(value="hi"))).value)

        asyncio.run(main())
        """)
    assert await run_script(script, ingress.address) == "hi\n"


FORK = (
    CLIENT
    + """
restate = restate_client.sync.connect(sys.argv[1])
if sys.argv[2] == "used":
    EchoClient(restate).say(StringValue(value="parent"))
read, write = os.pipe()
child = os.fork()
if child == 0:
    try:
        text = EchoClient(restate).say(StringValue(value="child")).value
    except restate_client.ConnectionMisused as error:
        text = str(error)
    os.write(write, text.encode())
    os._exit(0)
os.close(write)
os.waitpid(child, 0)
print(child, os.read(read, 4096).decode())
print(EchoClient(restate).say(StringValue(value="still")).value)
"""
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
async def test_a_connection_that_was_used_before_a_fork_says_so_in_the_child(ingress: FakeIngress) -> None:
    told, still = (await run_script(FORK, ingress.address, "used")).splitlines()
    child, _, text = told.partition(" ")
    assert f"used in process {child}, which was forked" in text
    assert "Connect after the fork" in text
    assert still == "still"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
async def test_a_connection_that_was_not_used_before_a_fork_works_on_both_sides(ingress: FakeIngress) -> None:
    told, still = (await run_script(FORK, ingress.address, "new")).splitlines()
    assert (told.partition(" ")[2], still) == ("child", "still")


async def test_an_asynchronous_connection_knows_its_process_too(
    ingress: FakeIngress, connection: restate_client.Connection, echo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await echo.say(StringValue())
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: 1)
        with pytest.raises(restate_client.ConnectionMisused, match="forked"):
            await echo.say(StringValue())
    await echo.say(StringValue())


async def test_another_event_loop_is_refused_with_what_to_do(connection: restate_client.Connection, echo: Any) -> None:
    await echo.say(StringValue())

    async def elsewhere() -> None:
        with pytest.raises(restate_client.ConnectionMisused, match=r"another event loop.*restate_client\.sync"):
            await echo.say(StringValue())

    await asyncio.to_thread(asyncio.run, elsewhere())
    assert (await echo.say(StringValue(value="here"))).value == "here"


async def test_a_notebook_awaits_at_top_level_over_many_cells(ingress: FakeIngress, echo_client: Any, way: str) -> None:
    """Cells run as ipykernel runs them: by IPython, inside the running loop."""
    shell: Any = InteractiveShell()  # type: ignore[no-untyped-call]
    shell.user_ns.update(address=ingress.address, EchoClient=echo_client, StringValue=StringValue, way=way)
    cells = [
        "import asyncio, restate_client",
        "restate = restate_client.connect(address, session=way == 'session')",
        "reply = await EchoClient(restate).say(StringValue(value='cell'))",
        "replies = await asyncio.gather(*(EchoClient(restate).say(StringValue(value=str(n))) for n in range(5)))",
        "await restate.close()",
    ]
    for cell in cells:
        done = await shell.run_cell_async(cell, transformed_cell=cell)
        done.raise_error()
    assert shell.user_ns["reply"].value == "cell"
    assert [reply.value for reply in shell.user_ns["replies"]] == ["0", "1", "2", "3", "4"]


async def test_a_blocking_connection_works_inside_a_running_loop(ingress: FakeIngress) -> None:
    script = CLIENT + textwrap.dedent("""
        async def cell():
            with restate_client.sync.connect(sys.argv[1]) as restate:
                print(EchoClient(restate).say(StringValue(value="hi")).value)

        asyncio.run(cell())
        """)
    assert await run_script(script, ingress.address) == "hi\n"


def test_connections_share_nothing() -> None:
    first, second = restate_client.connect("a"), restate_client.connect("b", headers={"x-a": "b"})
    assert first._settings != second._settings
    assert first._channel is not second._channel
