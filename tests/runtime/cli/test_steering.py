"""restate-cli invocations cancel, kill, … against an admin server: one by id, many by filter."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from restate_protocol.errors import TerminalError
from restate_protocol.ids import invocation_id_text
from restate_protocol.services import HandlerMode
from restate_protocol.status import StatusCode
from restate_runtime.cli.operator import app
from restate_runtime.core.decision import CreateInvocation
from restate_runtime.core.records import Invocation, Status
from typer.testing import CliRunner, Result

from tests.runtime.admin.conftest import Rig

ID = bytes(range(16))
TEXT = invocation_id_text(ID)

COMMANDS: list[tuple[str, str, tuple[Any, ...]]] = [
    ("cancel", "cancelled", ("cancel", ID)),
    ("kill", "killed", ("kill", ID)),
    ("pause", "paused", ("pause", ID)),
    ("resume", "resumed", ("resume", ID, None)),
    ("purge", "purged", ("purge", ID)),
    ("purge-journal", "purged the journal of", ("purge_journal", ID)),
]


def id_of(number: int) -> bytes:
    return bytes([number]) * 16


def text_of(number: int) -> str:
    return invocation_id_text(id_of(number))


async def run(rig: Rig, *args: str, input: str | None = None) -> Result:
    args = ("--admin", rig.address, "invocations", *args)
    return await asyncio.to_thread(CliRunner().invoke, app, args, input=input)


async def put(rig: Rig, *numbers: int, status: Status = Status.SUSPENDED) -> None:
    records = [
        Invocation(id_of(number), "shop.v1.Cart", "Add", f"k{number}", HandlerMode.SHARED, 1_000 + number)
        for number in numbers
    ]
    for one in records:
        one.status = status
    await rig.store.commit([CreateInvocation(one) for one in records])


@pytest.mark.parametrize(("command", "word", "done"), COMMANDS)
async def test_one_is_done_at_once_and_said_so(rig: Rig, command: str, word: str, done: tuple[Any, ...]) -> None:
    await rig.store.commit([CreateInvocation(Invocation(ID, "a.B", "C", None, HandlerMode.SERVICE, 1_000))])
    assert (await run(rig, command, TEXT)).stdout == f"{word} {TEXT}\n"
    assert json.loads((await run(rig, command, TEXT, "--json")).stdout) == {"id": TEXT, "done": word}
    assert rig.engine.done == [done, done]


async def test_one_is_resumed_on_another_deployment(rig: Rig) -> None:
    await run(rig, "resume", TEXT, "--deployment", "latest")
    assert rig.engine.done == [("resume", ID, "latest")]


async def test_a_restart_says_the_new_id(rig: Rig) -> None:
    new = invocation_id_text(ID[::-1])
    assert (await run(rig, "restart", TEXT)).stdout == f"restarted {TEXT} as {new}\n"
    result = await run(rig, "restart", TEXT, "--entries", "3", "--deployment", "dep_1", "--json")
    assert json.loads(result.stdout) == {"id": TEXT, "done": "restarted", "created": new}
    assert rig.engine.done == [("restart", ID, 0, None), ("restart", ID, 3, "dep_1")]


async def test_who_cancels_a_paused_one_is_told_what_is_missing(rig: Rig) -> None:
    await put(rig, 1, status=Status.PAUSED)
    result = await run(rig, "cancel", text_of(1))
    assert result.stdout == f"cancelled {text_of(1)}\n"
    assert (
        f"It is paused, and hears of it when it goes on: restate-cli invocations resume {text_of(1)}" in result.stderr
    )


# Many.


async def test_many_are_counted_asked_about_and_done(rig: Rig) -> None:
    await put(rig, 1, 2, 3)
    result = await run(rig, "kill", "--service", "shop.v1.Cart", "--status", "suspended", input="y\n")
    assert "kill 3 invocations (service shop.v1.Cart, status suspended)? [y/N]" in result.stderr
    assert result.stdout.splitlines() == [f"killed {text_of(number)}" for number in (3, 2, 1)]
    assert "killed 3 invocations, refused 0" in result.stderr
    assert result.exit_code == 0
    assert [done[1] for done in rig.engine.done] == [id_of(3), id_of(2), id_of(1)]


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
async def test_without_a_yes_nothing_is_done(rig: Rig, answer: str) -> None:
    await put(rig, 1)
    result = await run(rig, "purge", "--key", "k1", "--status", "suspended", input=answer)
    assert (result.exit_code, result.stdout, rig.engine.done) == (1, "", [])
    assert "error: nothing was done" in result.stderr
    assert "--yes" in result.stderr


async def test_yes_asks_nothing(rig: Rig) -> None:
    await put(rig, 1, 2)
    result = await run(rig, "cancel", "--handler", "Add", "--yes", "--limit", "1")
    assert (result.exit_code, result.stdout) == (0, f"cancelled {text_of(2)}\n")
    assert "?" not in result.stderr


async def test_what_is_refused_is_listed_and_the_exit_code_says_so(rig: Rig) -> None:
    await put(rig, 1, 2)
    rig.engine.refused = {id_of(1): TerminalError("it is completed", code=StatusCode.FAILED_PRECONDITION)}
    result = await run(rig, "pause", "--status", "suspended", "--yes")
    assert (result.exit_code, result.stdout) == (1, f"paused {text_of(2)}\n")
    assert f"refused {text_of(1)}: FAILED_PRECONDITION: it is completed" in result.stderr
    assert "paused 1 invocation, refused 1" in result.stderr
    shown = json.loads((await run(rig, "pause", "--status", "suspended", "--yes", "--json")).stdout)
    assert shown["done"] == [text_of(2)]
    assert shown["refused"] == [
        {"id": text_of(1), "error": {"code": "FAILED_PRECONDITION", "message": "it is completed"}}
    ]


async def test_many_are_resumed_and_restarted_on_another_deployment(rig: Rig) -> None:
    await put(rig, 1, status=Status.PAUSED)
    await put(rig, 2, status=Status.COMPLETED)
    await run(rig, "resume", "--service", "shop.v1.Cart", "--deployment", "latest", "--yes")
    result = await run(rig, "restart", "--service", "shop.v1.Cart", "--deployment", "dep_1", "--yes")
    assert rig.engine.done == [("resume", id_of(1), "latest"), ("restart", id_of(2), 0, "dep_1")]
    assert result.stdout == f"restarted {text_of(2)} as {text_of(2)}\n"


async def test_when_nothing_fits_nothing_is_asked(rig: Rig) -> None:
    result = await run(rig, "kill", "--service", "shop.v1.Nobody")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "nothing to kill: no invocation fits (service shop.v1.Nobody)\n"


async def test_which_ones_must_be_said(rig: Rig) -> None:
    result = await run(rig, "kill")
    assert (result.exit_code, "which ones? Give an ID or a filter to kill" in result.stderr) == (2, True)
    result = await run(rig, "kill", TEXT, "--key", "ada")
    assert (result.exit_code, "give an ID or filters, not both" in result.stderr) == (2, True)
    assert rig.engine.done == []
