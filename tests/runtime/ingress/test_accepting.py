"""Taking many gRPC calls at once: what is asked for ahead, in which order it is taken, and how that ends."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # not in the stubs
from restate_protocol.journal import Value
from restate_runtime.ingress import accepting
from restate_runtime.ingress.accepting import ASKED_AHEAD, _Ahead, accepting_server, takes_many
from structlog.testing import capture_logs

from tests.runtime.engine.harness import until
from tests.runtime.ingress.raw_grpc import Client, Server

SAY = "/shop.v1.Echo/Say"
CALLS = 500
NEVER_SECONDS = 3_600
#: What the library's own object does with its class besides.
NOTHING: dict[str, Any] = {"__init__": lambda *_: None, "is_running": lambda _: False}


class Core:
    """What the library's core is to a server: calls come when the test says so."""

    def __init__(self) -> None:
        self.asked: list[asyncio.Future[Any]] = []

    async def ask(self) -> Any:
        future = asyncio.get_running_loop().create_future()
        self.asked.append(future)
        return await future

    def comes(self, call: str) -> None:
        next(one for one in self.asked if not one.done()).set_result(call)

    @property
    def open(self) -> int:
        return sum(not one.done() for one in self.asked)


def test_the_library_in_the_lock_file_can_be_made_to() -> None:
    assert takes_many()


async def test_calls_are_asked_for_ahead_and_taken_in_order() -> None:
    core = Core()
    ahead = _Ahead(core.ask)
    first = ahead.next()
    await until(lambda: core.open == ASKED_AHEAD)
    for number in range(ASKED_AHEAD):
        core.comes(f"call {number}")
    await until(lambda: len(ahead) == ASKED_AHEAD - 1)
    assert first.result() == "call 0"
    assert [ahead.next().result() for _ in range(ASKED_AHEAD - 1)] == [f"call {n}" for n in range(1, ASKED_AHEAD)]


async def test_no_more_is_asked_for_than_is_taken() -> None:
    core = Core()
    ahead = _Ahead(core.ask)
    ahead.next()
    await until(lambda: core.open == ASKED_AHEAD)
    for _ in range(ASKED_AHEAD):
        core.comes("call")
    await until(lambda: len(ahead) == ASKED_AHEAD - 1)
    assert core.open == 0
    ahead.next()
    await until(lambda: core.open == 2)  # for the first, and for this one
    assert core.open + len(ahead) == ASKED_AHEAD


async def test_calls_that_are_there_are_taken_without_a_turn_of_the_loop() -> None:
    core = Core()
    ahead = _Ahead(core.ask)
    ahead.next()
    await until(lambda: core.open == ASKED_AHEAD)
    for _ in range(10):
        core.comes("call")
    await until(lambda: len(ahead) == 9)
    turns: list[None] = []
    asyncio.get_running_loop().call_soon(turns.append, None)
    for _ in range(9):
        future = ahead.next()
        done, _pending = await asyncio.wait([future], return_when=asyncio.FIRST_COMPLETED)
        assert done == {future}
    assert not turns


async def test_why_there_is_no_call_is_told_to_who_waits() -> None:
    core = Core()
    ahead = _Ahead(core.ask)
    waiting = ahead.next()
    await until(lambda: core.open == ASKED_AHEAD)
    core.asked[0].set_exception(RuntimeError("the server stops"))
    with pytest.raises(RuntimeError, match="the server stops"):
        await waiting


async def test_a_server_that_stops_takes_what_is_on_its_way_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "QUIET_SECONDS", 0)
    core = Core()
    ahead = _Ahead(core.ask)
    taken = [ahead.next()]
    await until(lambda: core.open == ASKED_AHEAD)
    core.comes("first")
    core.comes("second")
    await until(lambda: len(ahead) == 1)
    ending = asyncio.create_task(ahead.end(NEVER_SECONDS))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not ending.done()
    taken.append(ahead.next())
    await ending
    assert [future.result() for future in taken] == ["first", "second"]


async def test_a_server_that_stops_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "QUIET_SECONDS", 0)
    core = Core()
    ahead = _Ahead(core.ask)
    ahead.next()
    await until(lambda: core.open == ASKED_AHEAD)
    core.comes("first")
    core.comes("second")
    await until(lambda: len(ahead) == 1)
    await ahead.end(0)
    assert len(ahead) == 0
    core.comes("third")
    await until(lambda: core.open == len(ahead._asked))
    assert len(ahead) == 0


async def test_one_connection_has_many_calls_under_way(client: Client, server: Server, engine: Any) -> None:
    engine.answer = lambda _: None
    calls = [asyncio.create_task(client.call(SAY, b"\x0a\x01a")) for _ in range(CALLS)]
    accepted = [await engine.accepted.get() for _ in range(CALLS)]
    for one in accepted:
        one.result.set_result(Value(b"\x0a\x01a"))
    assert {(await call).code for call in calls} == {grpc.StatusCode.OK}


@pytest.mark.parametrize("grace", [0, 20])
@pytest.mark.parametrize("turns", [0, 10, 100])
async def test_a_server_stops_while_calls_come_in(client: Client, server: Server, turns: int, grace: float) -> None:
    await client.call(SAY)
    calls = [asyncio.create_task(client.call(SAY, b"\x0a\x01a")) for _ in range(CALLS)]
    for _ in range(turns):
        await asyncio.sleep(0)
    await server.ingress.stop(grace)
    ends = {(await call).code for call in calls}
    assert ends <= {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


@pytest.mark.parametrize("missing", accepting._NEEDED)
async def test_another_version_of_the_library_takes_calls_one_by_one(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    own = cygrpc.AioServer
    others = {name: getattr(own, name) for name in accepting._NEEDED if name != missing}
    monkeypatch.setattr(cygrpc, "AioServer", type("Other", (), {**others, **NOTHING}))
    with capture_logs() as logs:
        server = accepting_server([])
    assert isinstance(server, grpc.aio.Server)
    [line] = logs
    assert line["log_level"] == "warning"
    assert line["version"] == grpc.__version__


async def test_servers_of_others_in_the_process_stay_as_they_are() -> None:
    before = cygrpc.AioServer
    server = accepting_server([])
    assert cygrpc.AioServer is before
    await server.stop(None)
