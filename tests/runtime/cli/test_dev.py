"""restate-runtime dev with a real app: serves, reloads, generates again, survives mistakes."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from restate_codegen.cli import app as codegen
from typer.testing import CliRunner

from tests.runtime.cli.processes import FREE_PORTS, Command, runtime

pytestmark = pytest.mark.e2e

PROTO = """
syntax = "proto3";
package greeter.v1;
import "restate/v1/options.proto";
service Greeter {
  option (restate.v1.service) = { kind: VIRTUAL_OBJECT, state: "greeter.v1.GreeterState" };
  rpc Greet(GreetRequest) returns (GreetResponse);
}
message GreetRequest { string name = 1 [(restate.v1.field).key = true]; }
message GreetResponse { string message = 1; }
message GreeterState { int64 count = 1; }
"""

APP = """
import restate_sdk
from gen.greeter.v1.greeter_pb import GreetRequest, GreetResponse
from gen.greeter.v1.greeter_restate import GreeterContext, GreeterHandlers


class Greeter(GreeterHandlers):
    async def greet(self, ctx: GreeterContext, request: GreetRequest) -> GreetResponse:
        count = await ctx.state.count.get() + 1
        ctx.state.count.set(count)
        return GreetResponse(message=f"Hello {ctx.key} {count}")


app = restate_sdk.Endpoint(Greeter())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    proto = tmp_path / "protos" / "greeter" / "v1" / "greeter.proto"
    proto.parent.mkdir(parents=True)
    proto.write_text(PROTO)
    (tmp_path / "app.py").write_text(APP)
    done = CliRunner().invoke(codegen, ["generate", str(tmp_path / "protos"), "--out", str(tmp_path / "gen")])
    assert done.exit_code == 0, done.output
    return tmp_path


@asynccontextmanager
async def developing(folder: Path, *args: str) -> AsyncIterator[tuple[Command, str]]:
    """A dev server that has the app, and the curl line it printed."""
    async with runtime(folder, "dev", *(args or ("app.py",)), *FREE_PORTS) as command:
        curl = (await command.until(r"^  (curl .*)$"))[1]
        await command.until("grpcurl")
        yield command, curl


async def pasted(curl: str) -> tuple[int, Any]:
    """Does what the printed curl line does."""
    words = shlex.split(curl)
    name, _, value = words[2].partition(": ")
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        answer = await client.post(words[5], content=words[4], headers={name: value})
    return answer.status_code, answer.json()


async def test_the_printed_call_works_and_its_trace_is_shown(folder: Path) -> None:
    async with developing(folder) as (command, curl):
        assert await pasted(curl) == (200, {"message": "Hello name 1"})
        await command.until(r"^greeter\.v1\.Greeter/Greet .* inv_")
        await command.until(r"set_state count")
        assert await command.stop() == 0
    assert (folder / ".restate" / "dev.db").is_file()


async def test_a_change_of_the_app_is_served_and_state_stays(folder: Path) -> None:
    async with developing(folder) as (command, curl):
        assert await pasted(curl) == (200, {"message": "Hello name 1"})
        (folder / "app.py").write_text(APP.replace("Hello", "Goodbye"))
        await command.until("^changed: app.py")
        await command.until("^reloaded")
        assert await pasted(curl) == (200, {"message": "Goodbye name 2"})


async def test_a_mistake_in_the_app_is_shown_and_the_next_change_mends_it(folder: Path) -> None:
    async with developing(folder) as (command, curl):
        (folder / "app.py").write_text(APP + "def broken(:\n")
        await command.until("SyntaxError")
        await command.until("it is started again when a file changes")
        (folder / "app.py").write_text(APP)
        await command.until("^reloaded")
        assert await pasted(curl) == (200, {"message": "Hello name 1"})


async def test_a_changed_contract_is_generated_and_served(folder: Path) -> None:
    proto = folder / "protos" / "greeter" / "v1" / "greeter.proto"
    async with developing(folder) as (command, _):
        proto.write_text(PROTO + "message Added { string nothing = 1; }\n")
        await command.until("^changed: greeter.proto")
        await command.until(r"^generated .*gen: \d+ files changed")
        await command.until("^reloaded")
        proto.write_text(
            PROTO.replace("GreetRequest { string name = 1", "GreetRequest { string extra = 2; string name = 1")
        )
        curl = (await command.until(r"^  (curl .*)$"))[1]
        assert json.loads(shlex.split(curl)[4]) == {"extra": "extra", "name": "name"}
        assert await pasted(curl) == (200, {"message": "Hello name 1"})


async def test_a_broken_contract_is_told_and_the_app_goes_on(folder: Path) -> None:
    proto = folder / "protos" / "greeter" / "v1" / "greeter.proto"
    before = (folder / "gen" / "greeter" / "v1" / "greeter_pb.py").read_text()
    async with developing(folder) as (command, curl):
        proto.write_text(PROTO.replace("string name", "strin name"))
        await command.until(r"greeter\.proto:\d+:\d+: ")
        await command.until("nothing was generated")
        assert await pasted(curl) == (200, {"message": "Hello name 1"})
    assert (folder / "gen" / "greeter" / "v1" / "greeter_pb.py").read_text() == before


async def test_state_that_does_not_fit_any_more_is_named_in_full(folder: Path) -> None:
    proto = folder / "protos" / "greeter" / "v1" / "greeter.proto"
    async with developing(folder) as (command, curl):
        assert await pasted(curl) == (200, {"message": "Hello name 1"})
        proto.write_text(PROTO.replace("int64 count", "string count"))
        await command.until("what is stored does not fit the contract of app:$")
        await command.until(r"^  greeter\.v1\.Greeter: state field 1 was int64 count, is string count$")
        await command.until(r"Take the change back, or start with another database \(--db\)")


async def test_ctrl_c_ends_it_without_a_word(folder: Path) -> None:
    async with developing(folder) as (command, curl):
        assert await pasted(curl) == (200, {"message": "Hello name 1"})
        await command.until(r"set_state count")
        told = len(command.lines)
        assert await command.interrupt() == 0
        assert command.lines[told:] == []


async def test_an_app_without_an_endpoint_says_what_to_write(folder: Path) -> None:
    (folder / "app.py").write_text("x = 1\n")
    async with runtime(folder, "dev", "app.py", *FREE_PORTS) as command:
        await command.until("app.py makes no Endpoint; write: app = restate_sdk.Endpoint")
        (folder / "app.py").write_text(APP)
        await command.until("grpcurl")


async def test_of_several_endpoints_one_is_named(folder: Path) -> None:
    (folder / "app.py").write_text(APP + "other = restate_sdk.Endpoint(Greeter(), version_label='other')\n")
    async with developing(folder, "app.py:other") as (_, curl):
        assert await pasted(curl) == (200, {"message": "Hello name 1"})


@pytest.mark.parametrize("ends", ["stdin", "signal"])
async def test_the_child_ends_with_its_parent(folder: Path, ends: str) -> None:
    command = (sys.executable, "-m", "restate_runtime.cli.dev_child", str(folder / "app.py"), "", "127.0.0.1:1", "app")
    child = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert child.stdin is not None
    assert child.stderr is not None
    await child.stderr.readuntil(b"127.0.0.1:1")  # it runs, and tells that no runtime answers
    if ends == "stdin":
        child.stdin.close()
    else:
        child.terminate()
    await child.stderr.read()
    assert await child.wait() == 0
