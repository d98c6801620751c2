"""restate-cli against an admin server: what is printed where, and with which exit code."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from restate_protocol import journal as j
from restate_protocol.errors import TerminalError
from restate_protocol.gen.restate.protocol.v1.session_pb import Failed
from restate_protocol.ids import invocation_id_text
from restate_protocol.services import HandlerMode
from restate_protocol.status import StatusCode
from restate_runtime.admin.http import admin_app
from restate_runtime.cli import output
from restate_runtime.cli.operator import app
from restate_runtime.core.decision import AppendEntry, CreateInvocation, PurgeJournal, RecordAttempt
from restate_runtime.core.records import Attempt, AttemptOutcome, Invocation, Status
from restate_runtime.deployments.registry import Registry
from restate_runtime.ingress.admission import Admission, Limits
from restate_runtime.ingress.grpc import GrpcIngress
from restate_runtime.ingress.http_server import HttpServer
from restate_runtime.ingress.waiting import Waiting
from typer.testing import CliRunner, Result

from tests.runtime.admin.conftest import Rig

ID = bytes(range(16))
TEXT = invocation_id_text(ID)


@pytest.fixture
async def ingress_port() -> AsyncIterator[int]:
    """The gRPC ingress of a runtime that serves nothing yet."""
    anything: Any = None
    ingress = GrpcIngress(Admission(Registry(), Limits()), anything, Waiting())
    yield await ingress.start("127.0.0.1", 0)
    await ingress.stop(0)


async def run(rig: Rig, *args: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["--admin", rig.address, *args])


async def lines(rig: Rig, *args: str) -> list[list[str]]:
    result = await run(rig, *args)
    assert result.exit_code == 0, result.output
    return [line.split("\t") for line in result.stdout.splitlines()]


async def put(rig: Rig, **changes: Any) -> None:
    one = Invocation(ID, "shop.v1.Cart", "Add", "ada", HandlerMode.EXCLUSIVE, 1_000, deployment_id="dep_1")
    for name, value in changes.items():
        setattr(one, name, value)
    entries: list[j.Entry] = [j.Input(b"\n\x03ada"), j.Run("charge"), j.Completion(1, j.Value(b"true", j.JSON))]
    rows = [AppendEntry(ID, index, 1_000 + index, j.encode(entry)) for index, entry in enumerate(entries)]
    failed = Attempt(ID, 1, 1_000, 1_250, AttemptOutcome.LOST)
    await rig.store.commit([CreateInvocation(one), *rows, RecordAttempt(failed)])


async def test_register_prints_what_is_served(rig: Rig) -> None:
    result = await run(rig, "deployments", "register", "localhost:9080", "--force")
    assert result.exit_code == 0
    assert "registered dep_1" in result.stderr
    assert result.stdout.splitlines()[1:] == [
        "shop.v1.Cart\tvirtual_object\tAdd",
        "shop.v1.Checkout\tworkflow\tRun (run)",
    ]
    assert rig.deployments.registered == [("localhost:9080", True)]
    again = await run(rig, "deployments", "register", "localhost:9080", "--json")
    assert json.loads(again.stdout)["deployment"]["id"] == "dep_1"
    assert "created" not in json.loads(again.stdout)


async def test_deployments_are_listed(rig: Rig) -> None:
    header, row = await lines(rig, "deployments", "list")
    assert header[:5] == ["ID", "ADDRESS", "VERSION", "SERVICES", "SESSIONS"]
    assert row[:5] == ["dep_1", "localhost:9080", "v1", "shop.v1.Cart, shop.v1.Checkout", "2"]


async def test_invocations_are_listed_filtered_and_as_json(rig: Rig) -> None:
    await put(rig, status=Status.PAUSED, epoch=1)
    header, row = await lines(rig, "invocations", "list", "--service", "shop.v1.Cart", "--status", "paused")
    assert header == ["ID", "TARGET", "STATUS", "CREATED", "RETRIES", "ERROR"]
    assert row == [TEXT, "shop.v1.Cart/ada/Add", "paused", "1970-01-01T00:00:01.000Z", "0", ""]
    (one,) = json.loads((await run(rig, "invocations", "list", "--json")).stdout)
    assert (one["id"], one["status"]) == (TEXT, "paused")
    assert (await lines(rig, "invocations", "list", "--status", "completed"))[1:] == []
    assert len(await lines(rig, "invocations", "list", "--handler", "Add", "--key", "ada")) == 2
    assert len(await lines(rig, "invocations", "list", "--key", "bob")) == 1


async def test_a_status_that_is_never_shown_is_not_offered(rig: Rig) -> None:
    result = await run(rig, "invocations", "list", "--status", "active")
    assert (result.exit_code, "give one of scheduled, queued, ready, running" in result.stderr) == (1, True)


async def test_one_invocation_is_shown_with_what_to_do_next(rig: Rig) -> None:
    await put(rig, status=Status.PAUSED, epoch=1)
    result = await run(rig, "invocations", "get", TEXT)
    assert dict(line.split("\t") for line in result.stdout.splitlines())["target"] == "shop.v1.Cart/ada/Add"
    assert f"restate-cli invocations resume {TEXT}" in result.stderr


async def test_a_report_of_several_lines_is_shown_as_it_is(rig: Rig) -> None:
    report = "journal mismatch at command 1\n     recorded  attempted\n  * x  1         2"
    failed = Failed(
        failure=j.failure_to_pb(j.Failure(13, report)), command=1, command_type="run", command_name="charge"
    )
    await put(rig, status=Status.PAUSED, epoch=1, last_failure=failed.to_binary())
    result = await run(rig, "invocations", "get", TEXT)
    first = "INTERNAL: journal mismatch at command 1; at run charge (command 1) (all of it below)"
    assert f"last failure\t{first}\n" in result.stdout
    assert result.stdout.endswith(f"\n\n{report}\n\n")
    row = (await lines(rig, "invocations", "list"))[1]
    assert row[5] == "INTERNAL: journal mismatch at command 1"


async def test_a_run_that_waits_for_its_next_try_is_shown_until_it_is_tried(rig: Rig) -> None:
    await put(rig, status=Status.SUSPENDED, epoch=1)
    refused = j.Failure(14, "no route")
    said: list[j.Entry] = [
        j.Run("fetch"),
        j.RunFailed(2, 1, refused, 1_700_000_000_000, 1_700_000_001_000),
        j.RunFailed(2, 2, refused, 1_700_000_000_000, 1_700_000_003_000),
    ]
    await rig.store.commit([AppendEntry(ID, 3 + index, 2_000, j.encode(entry)) for index, entry in enumerate(said)])
    shown = (await run(rig, "invocations", "get", TEXT)).stdout
    text = "fetch (command 2) failed 2 times, next try 2023-11-14T22:13:23.000Z, last failure UNAVAILABLE: no route"
    assert f"run retry\t{text}\n" in shown
    (one,) = json.loads((await run(rig, "invocations", "get", TEXT, "--json")).stdout)["runRetries"]
    assert one == {
        "command": 2,
        "name": "fetch",
        "failures": 2,
        "lastFailure": {"code": "UNAVAILABLE", "message": "no route"},
        "nextTryAtMs": "1700000003000",
    }
    await rig.store.commit([AppendEntry(ID, 6, 3_000, j.encode(j.RunDue(2, 2)))])
    assert "run retry" not in (await run(rig, "invocations", "get", TEXT)).stdout


async def test_a_journal_is_shown_decoded(rig: Rig) -> None:
    await put(rig)
    rows = (await lines(rig, "invocations", "journal", TEXT))[1:]
    assert [(row[0], *row[2:]) for row in rows] == [
        ("0", "input", "0", "", '{"payload": {"userId": "ada"}}'),
        ("1", "run", "1", "charge", '{"name": "charge"}'),
        ("2", "completion", "1", "", '{"command": 1, "value": true}'),
    ]
    shown = json.loads((await run(rig, "invocations", "journal", TEXT, "--json")).stdout)
    assert shown[0]["json"] == {"payload": {"userId": "ada"}}


async def test_long_contents_of_a_journal_are_cut_unless_all_is_asked_for(rig: Rig) -> None:
    await put(rig)
    value = j.Completion(1, j.Value(json.dumps("x" * 5_000).encode(), j.JSON))
    await rig.store.commit([AppendEntry(ID, 3, 2_000, j.encode(value))])
    whole = '{"command": 1, "value": "' + "x" * 5_000 + '"}'
    result = await run(rig, "invocations", "journal", TEXT)
    cell = result.stdout.splitlines()[-1].split("\t")[5]
    assert cell == f"{whole[:1_000]}… ({len(whole) - 1_000:,} more characters)"
    assert result.stderr == "Long contents are cut here; --full shows them whole, --json too.\n"
    result = await run(rig, "invocations", "journal", TEXT, "--full")
    assert result.stdout.splitlines()[-1].split("\t")[5] == whole
    assert result.stderr == ""
    shown = json.loads((await run(rig, "invocations", "journal", TEXT, "--json")).stdout)
    assert shown[3]["json"] == json.loads(whole)


async def test_a_journal_that_is_gone_is_not_shown_as_an_empty_one(rig: Rig) -> None:
    await put(rig, status=Status.COMPLETED)
    await rig.store.commit([PurgeJournal(ID)])
    result = await run(rig, "invocations", "journal", TEXT)
    assert "Its journal was removed: the retention is over, or somebody purged it." in result.stderr


async def test_a_trace_is_a_tree_with_durations(rig: Rig) -> None:
    await put(rig, epoch=1, status=Status.SUSPENDED)
    result = await run(rig, "invocations", "trace", TEXT)
    assert result.stdout.splitlines() == [
        "shop.v1.Cart/Add         …",
        "├─ attempt 1         250ms  lost  ✗ lost",
        "└─ run charge          1ms",
    ]
    shown = json.loads((await run(rig, "invocations", "trace", TEXT, "--json")).stdout)
    assert [one["name"] for one in shown] == ["shop.v1.Cart/Add", "attempt 1", "run charge"]


async def test_what_the_runtime_refuses_goes_to_stderr_with_exit_code_1(rig: Rig) -> None:
    rig.engine.refuse = TerminalError("it is completed", code=StatusCode.FAILED_PRECONDITION)
    result = await run(rig, "invocations", "kill", TEXT)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "error: FAILED_PRECONDITION: it is completed\n"
    result = await run(rig, "invocations", "get", "[bold]inv_x")
    assert "'[bold]inv_x' is not an invocation id" in result.stderr


async def test_an_endpoint_that_does_not_answer_is_not_taken_for_a_missing_runtime(rig: Rig) -> None:
    result = await run(rig, "deployments", "register", "nowhere:1")
    assert (result.exit_code, result.stderr) == (1, "error: UNAVAILABLE: nobody answers at nowhere:1\n")


def test_without_a_runtime_one_line_says_where_and_how_to_start_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = CliRunner(env={"RESTATE_ADMIN": address}).invoke(app, ["invocations", "list"])
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.splitlines()[0] == f"error: no runtime answers at {address}"
    assert "restate-runtime start" in result.stderr.splitlines()[1]


async def test_pointed_at_the_ingress_it_says_so(ingress_port: int) -> None:
    address = f"127.0.0.1:{ingress_port}"
    result = await asyncio.to_thread(CliRunner().invoke, app, ["--admin", address, "deployments", "list"])
    assert (result.exit_code, result.stdout) == (3, "")
    first, hint = result.stderr.splitlines()
    assert first == f"error: {address} is the gRPC ingress of a runtime, not its admin port"
    assert "9070" in hint


async def test_pointed_at_an_http_port_it_says_so() -> None:
    anything: Any = None
    server = HttpServer(admin_app(lambda: "", anything), "the admin HTTP port")
    port = await server.start("127.0.0.1", 0)
    args = ["--admin", f"127.0.0.1:{port}", "deployments", "list"]
    result = await asyncio.to_thread(CliRunner().invoke, app, args)
    await server.stop(0)
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.splitlines()[0] == f"error: 127.0.0.1:{port} speaks HTTP; it is no admin gRPC port"


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["frobnicate"],
        ["invocations", "get"],
        ["invocations", "list", "--limit", "0"],
        ["invocations", "list", "--limit", "ten"],
        ["deployments", "register"],
        ["invocations", "kill"],
        ["invocations", "kill", TEXT, "--status", "paused"],
        ["invocations", "restart", "--status", "completed", "--entries", "3"],
    ],
)
def test_wrong_usage_is_exit_code_2(args: list[str]) -> None:
    assert CliRunner().invoke(app, args).exit_code == 2


def test_the_command_runs_as_a_process() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "restate_runtime.cli.operator", "--help"], capture_output=True, text=True, check=True
    )
    assert "deployments" in done.stdout
    assert "RESTATE_ADMIN" in done.stdout


def test_on_a_terminal_rows_are_a_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    output.show_table(("ID", "STATUS", "ERROR"), [("[red]inv_1" + "x" * 40, "paused", "word " * 40)])
    output.show_pairs([("status", "paused"), ("error", "")])
    output.show_tree([])
    shown = capsys.readouterr().out
    assert "[red]inv_1" + "x" * 40 in shown
    assert "\t" not in shown
    assert "error" not in shown


def test_in_a_pipe_a_cell_is_one_cell(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_table(("A", "B"), [("x\ty", "1\n2")])
    assert capsys.readouterr().out == "A\tB\nx y\t1 2\n"
