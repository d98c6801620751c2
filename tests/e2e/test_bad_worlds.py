"""What a user can get wrong around the processes: each is one clear line, a non-zero exit, and nothing is lost."""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e import calls
from tests.e2e.processes import World, wait_for

pytestmark = pytest.mark.e2e


def cli(world: World, *arguments: str) -> subprocess.CompletedProcess[str]:
    """restate-cli against the world's runtime."""
    command = [str(Path(sys.executable).parent / "restate-cli"), "--admin", f"127.0.0.1:{world.admin}", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def start(world: World, *flags: str) -> subprocess.CompletedProcess[str]:
    """restate-runtime start, which is expected to end by itself."""
    command = [str(Path(sys.executable).parent / "restate-runtime"), "start", "--db", str(world.db), *flags]
    zero = {name: "0" for name in world.env() if name.endswith("_PORT")}
    return subprocess.run(command, capture_output=True, text=True, env={**_environ(), **zero}, timeout=60)


def _environ() -> dict[str, str]:
    import os

    return dict(os.environ)


def check_refused(done: subprocess.CompletedProcess[str], *says: str) -> None:
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    for text in says:
        assert text in done.stderr, done.stderr


@pytest.mark.parametrize("flag", ["--ingress-grpc-port", "--ingress-http-port", "--admin-grpc-port"])
def test_a_port_that_is_taken(world: World, flag: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        check_refused(start(world, flag, port), port)


def test_a_database_that_another_runtime_has(world: World) -> None:
    runtime = world.runtime()
    check_refused(start(world), str(world.db), str(runtime.running.pid))


def test_a_file_that_is_no_database(world: World) -> None:
    world.db.write_bytes(b"this is not a database, whatever its name says" * 100)
    check_refused(start(world), str(world.db))
    assert world.db.read_bytes().startswith(b"this is not")


def test_somebody_elses_database(world: World) -> None:
    with sqlite3.connect(world.db) as db:
        db.execute("CREATE TABLE customers (name)")
    check_refused(start(world), str(world.db))


def test_a_database_of_a_newer_version(world: World) -> None:
    world.runtime().terminate()
    db = sqlite3.connect(world.db)
    db.execute("PRAGMA user_version = 9999")
    db.close()
    check_refused(start(world), "9999")


def test_a_folder_that_is_not_there(world: World) -> None:
    check_refused(start(world, "--db", str(world.folder / "no" / "such" / "x.db")), "no/such")


def test_registering_where_nobody_listens(world: World) -> None:
    world.runtime()
    done = cli(world, "deployments", "register", f"127.0.0.1:{world.service}")
    assert done.returncode == 1
    assert f"127.0.0.1:{world.service}" in done.stderr
    assert "Traceback" not in done.stderr


def test_registering_what_is_no_endpoint(world: World) -> None:
    world.runtime()
    done = cli(world, "deployments", "register", f"127.0.0.1:{world.ingress}")
    assert done.returncode == 1
    assert "no service endpoint" in done.stderr or "does not know" in done.stderr, done.stderr


async def test_an_endpoint_that_is_down_keeps_its_calls_waiting_visibly(world: World) -> None:
    world.runtime()
    endpoint = world.endpoint()
    world.register()
    endpoint.kill()
    calling = asyncio.create_task(calls.plain(world, "echo", 3))

    def listed() -> list[dict[str, str]]:
        done = cli(world, "invocations", "list", "--json")
        found: list[dict[str, str]] = json.loads(done.stdout)
        return found

    await asyncio.to_thread(wait_for, lambda: bool(listed()), "the invocation to be listed")
    assert [one["status"] in ("ready", "backing-off") for one in listed()] == [True]
    deployments = cli(world, "deployments", "list")
    assert "127.0.0.1" in deployments.stdout
    world.endpoint()
    assert (await calling).count == 3


async def test_a_message_over_the_limit_is_refused_and_the_next_one_is_not(world: World) -> None:
    from gen.bench.v1.bench_pb import DoRequest  # type: ignore[import-not-found]
    from restate_client.errors import IngressError

    world.runtime()
    world.endpoint()
    world.register()
    huge = DoRequest(text="x" * (40 << 20))
    import restate_client
    from gen.bench.v1.bench_restate import PlainClient  # type: ignore[import-not-found]

    async with restate_client.connect(f"127.0.0.1:{world.ingress}") as connection:
        with pytest.raises(IngressError) as caught:
            await PlainClient(connection).do(huge)
        assert caught.value.code.name == "RESOURCE_EXHAUSTED"
        assert (await PlainClient(connection).do(DoRequest(text="echo", count=1))).count == 1


async def test_a_handler_that_blocks_its_event_loop_is_visible_and_backs_off(world: World) -> None:
    """It holds up its own endpoint, but not for ever: it counts as tried, and says what is wrong."""
    runtime = world.runtime(RESTATE_DELIVERY_TIMEOUT_MS="500")
    world.endpoint()
    world.register()
    calling = asyncio.create_task(calls.plain(world, "block", 2_500))

    def log() -> str:
        return runtime.log.read_text()

    await asyncio.to_thread(wait_for, lambda: "start" in world.marks(), "the handler to block")
    assert (await calls.plain(world, "echo", 3, key="other")).count == 3
    assert (await calling).text == "block"
    assert "Traceback" not in log()
