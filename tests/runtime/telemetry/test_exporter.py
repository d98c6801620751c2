"""The exporter: each span once in the usual case, none lost in the unusual ones."""

from __future__ import annotations

import asyncio
from typing import Any

from restate_protocol import journal as j
from restate_protocol.gen.restate.protocol.v1.session_pb import Failed
from restate_runtime.core.decision import Report
from restate_runtime.core.records import Invocation, Status
from restate_runtime.core.spans import Span
from restate_runtime.telemetry.exporter import FIRST_PAUSE_S, LAST_PAUSE_S, TraceExporter

from tests.runtime.telemetry.conftest import FakeTarget, World


def exporter(world: World, target: FakeTarget, **more: Any) -> TraceExporter:
    return TraceExporter(world.store, more.pop("source", world.traces), target, lambda: 10_000, **more)


async def test_what_has_ended_is_exported_at_once_and_the_rest_on_completion(world: World) -> None:
    target = FakeTarget()
    one = await world.put(1)
    running = exporter(world, target)
    running.start()
    running.report(Report("suspended", one.id))
    await target.taken.wait()
    assert target.names == ["attempt 1", "run charge"]
    await world.complete(one)
    running.report(Report("completed", one.id))
    await running.stop()
    assert target.names == ["attempt 1", "run charge", "shop.v1.Cart/Add", "sleep"]
    assert len(set(target.ids)) == 4
    assert target.closed


async def test_a_pause_is_exported_at_once_with_its_cause_and_what_to_do(world: World) -> None:
    target = FakeTarget()
    failed = Failed(failure=j.failure_to_pb(j.Failure(2, "boom"))).to_binary()
    one = await world.put(1, status=Status.PAUSED, last_failure=failed)
    running = exporter(world, target)
    running.start()
    running.report(Report("paused", one.id, "boom"))
    await running.stop()
    (span,) = [span for batch in target.batches for span in batch if span.name == "paused"]
    assert (span.error, span.end_ms) == ("UNKNOWN: boom", 1_500)
    assert str(span.attributes["restate.resume"]).startswith("restate-cli invocations resume inv_")


async def test_after_a_restart_what_completed_lately_is_exported_with_equal_ids(world: World) -> None:
    first, second = FakeTarget(), FakeTarget()
    late, early = await world.put(1), await world.put(2)
    await world.complete(early, 4_000)
    await world.complete(late, 9_500)
    running = exporter(world, first)
    running.start()
    await running.stop()
    again = exporter(world, second, reexport_ms=1_000)
    again.start()
    await again.stop()
    assert {span.attributes["restate.invocation.id"] for span in second.batches[0]} < {
        span.attributes["restate.invocation.id"] for span in first.batches[0]
    }
    assert set(second.ids) < set(first.ids)


async def test_a_target_that_refuses_is_tried_again_with_growing_pauses(world: World) -> None:
    target = FakeTarget(refuse=8)
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    one = await world.put(1)
    running = exporter(world, target, pause=pause)
    running.start()
    running.report(Report("suspended", one.id))
    await target.taken.wait()
    await running.stop()
    assert target.names == ["attempt 1", "run charge"]
    assert pauses[:3] == [FIRST_PAUSE_S, 2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S]
    assert max(pauses) == LAST_PAUSE_S


async def test_a_target_that_always_refuses_does_not_hold_up_the_stop(world: World) -> None:
    target = FakeTarget(refuse=1_000_000)
    one = await world.put(1)
    paused = asyncio.Event()

    async def pause(_: float) -> None:
        paused.set()
        await asyncio.sleep(0)

    running = exporter(world, target, pause=pause)
    running.start()
    running.report(Report("suspended", one.id))
    await paused.wait()
    await running.stop()
    assert (target.batches, target.closed) == ([], True)


async def test_what_does_not_fit_in_the_queue_is_found_in_the_store(world: World) -> None:
    target = FakeTarget()
    invocations = [await world.put(number) for number in range(1, 6)]
    running = exporter(world, target, queue_limit=2, reexport_ms=0)
    for one in invocations:
        await world.complete(one, 10_000)
        running.report(Report("completed", one.id))
    running.start()
    await running.stop()
    assert target.names.count("shop.v1.Cart/Add") >= 5
    assert len({span.trace_id for batch in target.batches for span in batch}) == 5


async def test_an_unsampled_trace_is_not_exported(world: World) -> None:
    target = FakeTarget()
    one = await world.put(1, traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
    running = exporter(world, target)
    running.start()
    running.report(Report("suspended", one.id))
    await running.stop()
    assert target.batches == []


async def test_a_journal_that_cannot_be_read_does_not_stop_the_others(world: World) -> None:
    class Source:
        async def own(self, record: Invocation) -> list[Span]:
            if record.id[0] == 1:
                raise ValueError("broken")
            return await world.traces.own(record)

        async def whole(self, record: Invocation) -> list[Span]:
            return await world.traces.whole(record)

    target = FakeTarget()
    running = exporter(world, target, source=Source())
    for number in (1, 2):
        running.report(Report("suspended", (await world.put(number)).id))
    running.start()
    await running.stop()
    assert target.names == ["attempt 1", "run charge"]


async def test_a_removed_invocation_is_passed_over(world: World) -> None:
    target = FakeTarget()
    running = exporter(world, target)
    running.report(Report("completed", bytes(16)))
    running.start()
    await running.stop()
    assert target.batches == []


async def test_a_store_that_fails_for_a_while_loses_nothing(world: World) -> None:
    target = FakeTarget()
    one = await world.put(1)
    await world.store.close()

    async def pause(_: float) -> None:
        await world.store.open()

    running = exporter(world, target, pause=pause)
    running.report(Report("suspended", one.id))
    running.start()
    await target.taken.wait()
    await running.stop()
    assert target.names == ["attempt 1", "run charge"]
