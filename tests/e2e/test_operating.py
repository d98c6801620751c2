"""What operators and clients do to invocations, with restate-cli and the typed client, on real processes."""

from __future__ import annotations

import asyncio

import pytest
import restate_client
from restate_client import AlreadyCompleted, IngressError, StatusCode, TerminalError

from tests.e2e import calls
from tests.e2e.processes import World, wait_for

pytestmark = pytest.mark.e2e

FLOW = "bench.v1.Flow"


def status(world: World, invocation_id: str) -> str:
    shown = dict(line.split("\t") for line in world.cli("invocations", "get", invocation_id).stdout.splitlines())
    return shown["status"]


async def ended(world: World, key: str) -> TerminalError:
    """The error that the run of a workflow ends with."""
    from gen.bench.v1.bench_pb import KeyedRequest  # type: ignore[import-not-found]
    from gen.bench.v1.bench_restate import FlowClient  # type: ignore[import-not-found]

    async with restate_client.connect(f"127.0.0.1:{world.ingress}") as connection:
        handle = await FlowClient(connection).run.send(KeyedRequest(key=key))
        with pytest.raises(TerminalError) as caught:
            await handle.attach()
        with pytest.raises(AlreadyCompleted):
            await handle.cancel()
    return caught.value


async def test_a_paused_run_is_cancelled_survives_a_crash_and_ends_when_it_is_resumed(world: World) -> None:
    runtime = world.runtime()
    world.endpoint()
    world.register()
    run = await calls.start_flow(world, "one")
    assert world.cli("invocations", "pause", run).stdout == f"paused {run}\n"
    async with restate_client.connect(f"127.0.0.1:{world.ingress}") as connection:
        await connection.cancel(run)
    runtime.kill()
    world.runtime()
    assert await asyncio.to_thread(status, world, run) == "paused"
    assert world.cli("invocations", "resume", run, "--deployment", "latest").stdout == f"resumed {run}\n"
    assert (await ended(world, "one")).code is StatusCode.CANCELLED
    trace = world.cli("invocations", "trace", run).stdout
    assert "cancelled" in trace
    assert world.cli("invocations", "journal", run).stdout.count("\tcancelled\t") == 1


async def test_many_are_killed_restarted_and_purged_by_filter(world: World) -> None:
    world.runtime()
    world.endpoint()
    world.register()
    runs = [await calls.start_flow(world, key) for key in ("one", "two", "three")]
    killed = world.cli("invocations", "kill", "--service", FLOW, "--yes")
    assert sorted(killed.stdout.splitlines()) == sorted(f"killed {run}" for run in runs)
    assert {(await ended(world, key)).code for key in ("one", "two", "three")} == {StatusCode.ABORTED}
    refused = world.cli("invocations", "restart", "--service", FLOW, "--yes")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.count("FAILED_PRECONDITION") == 3
    purged = world.cli("invocations", "purge", "--service", FLOW, "--key", "two", "--yes")
    assert purged.stdout == f"purged {runs[1]}\n"
    left = world.cli("invocations", "list", "--service", FLOW).stdout.splitlines()[1:]
    assert sorted(line.split("\t")[0] for line in left) == sorted([runs[0], runs[2]])


async def test_a_completed_call_is_restarted_with_its_journal(world: World) -> None:
    world.runtime()
    world.endpoint()
    world.register()
    first = await calls.plain(world, "steps", 2)
    (done,) = [line.split("\t")[0] for line in world.cli("invocations", "list").stdout.splitlines()[1:]]
    entries = str(len(world.cli("invocations", "journal", done).stdout.splitlines()) - 2)  # without the output
    new = world.cli("invocations", "restart", done, "--entries", entries).stdout.split()[-1]
    assert await calls.attach(world, new) == first.text
    assert world.marks().count("begin 0") == 1


async def test_a_stop_waits_for_what_runs_and_not_for_what_sleeps(world: World) -> None:
    from gen.bench.v1.bench_pb import DoRequest
    from gen.bench.v1.bench_restate import PlainClient

    runtime = world.runtime(RESTATE_DRAIN_GRACE_MS="600000")
    world.endpoint()
    world.register()
    async with restate_client.connect(f"127.0.0.1:{world.ingress}", retry=None) as connection:
        sleeper = asyncio.ensure_future(PlainClient(connection).do(DoRequest(text="sleep", count=3_600_000)))
        await asyncio.to_thread(wait_for, lambda: "end 0" in world.marks(), "the handler to begin")
        # Far sooner than the grace is over, or this gives up.
        assert await asyncio.to_thread(runtime.terminate) == 0
        with pytest.raises(IngressError) as caught:
            await sleeper
    assert caught.value.code is StatusCode.UNAVAILABLE
    assert caught.value.invocation_id is not None
