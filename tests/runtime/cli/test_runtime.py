"""restate-runtime start: ready, stopped, and refused in one line."""

from __future__ import annotations

import re
import socket
import sqlite3
from pathlib import Path

import httpx
import pytest
from restate_runtime.cli.runtime import app
from restate_runtime.config import SETTINGS, markdown
from typer.testing import CliRunner

from tests.runtime.cli.processes import FREE_PORTS, runtime

pytestmark = pytest.mark.e2e


def refused(args: list[str], code: int) -> str:
    result = CliRunner().invoke(app, args)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.stderr


async def test_a_runtime_says_where_it_listens_and_stops_when_told_to(tmp_path: Path) -> None:
    async with runtime(tmp_path, "start", *FREE_PORTS) as command:
        ready = await command.until("^ready ingress_grpc=.* ingress_http=.* admin_grpc=.* admin_http=.*")
        ports = [int(port) for port in re.findall(r"=127\.0\.0\.1:(\d+)", ready.string)]
        assert len({*ports}) == 4
        assert 0 not in ports
        for port in ports:
            socket.create_connection(("127.0.0.1", port)).close()
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"http://127.0.0.1:{ports[3]}/healthz")).text == "ok\n"
        assert await command.stop() == 0
    assert (tmp_path / "restate.db").is_file()


async def test_a_second_runtime_on_the_same_file_is_refused(tmp_path: Path) -> None:
    async with runtime(tmp_path, "start", *FREE_PORTS) as first:
        await first.until("^ready")
        async with runtime(tmp_path, "start", *FREE_PORTS) as second:
            await second.until(r"^error: .*restate\.db")
            assert await second.end() == 1
            assert not any("Traceback" in line for line in second.lines)
        assert await first.stop() == 0


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with runtime(tmp_path, "start", *FREE_PORTS, f"--ingress-grpc-port={port}") as command:
            await command.until(rf"^error: .*127\.0\.0\.1:{port}.*in use")
            assert await command.end() == 1
            assert not any("Traceback" in line for line in command.lines)


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "restate.db").write_bytes(b"not a database, and long enough to be taken for one" * 100)
    async with runtime(tmp_path, "start", *FREE_PORTS) as command:
        await command.until(r"^error: .*restate\.db")
        assert await command.end() == 1
        assert not any("Traceback" in line for line in command.lines)


async def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    async with runtime(tmp_path, "start", *FREE_PORTS, "--db=none/restate.db") as command:
        await command.until(r"^error: .*none")
        assert await command.end() == 1


async def test_the_journal_is_a_database_that_others_can_read(tmp_path: Path) -> None:
    async with runtime(tmp_path, "start", *FREE_PORTS, "--db=other.db") as command:
        await command.until("^ready")
        await command.stop()
    tables = sqlite3.connect(tmp_path / "other.db").execute("SELECT count(*) FROM sqlite_master").fetchone()
    assert tables[0] > 0


def test_a_setting_that_makes_no_sense_is_wrong_usage() -> None:
    assert "--ingress-grpc-port='http' makes no sense" in refused(["start", "--ingress-grpc-port", "http"], 2)
    result = CliRunner(env={"RESTATE_LOG_LEVEL": "loud"}).invoke(app, ["start"])
    assert result.exit_code == 2
    assert "RESTATE_LOG_LEVEL='loud'" in result.stderr


@pytest.mark.parametrize("command", ["start", "dev"])
def test_help_lists_every_setting(command: str) -> None:
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, [command, "--help"]).output
    for setting in SETTINGS:
        assert setting.flag in shown
        assert setting.env in shown


def test_the_reference_of_settings_is_printed() -> None:
    assert CliRunner().invoke(app, ["settings"]).output == markdown()


def test_dev_without_an_app_is_wrong_usage(tmp_path: Path) -> None:
    assert "give the one that makes the Endpoint" in refused(["dev", str(tmp_path / "none.py")], 2)
    refused(["dev"], 2)
