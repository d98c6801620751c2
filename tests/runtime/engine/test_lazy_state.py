"""Handlers with lazy state: nothing is sent along, each entry is read when it is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from restate_protocol import journal as j
from restate_protocol.gen.restate.protocol.v1 import journal_pb
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_runtime.core.decision import PutState, Write
from restate_runtime.store.memory import MemoryStore

from tests.runtime.engine.harness import Rig, Scripted, rig, until

SERVICE = "bench.v1.Tuned"


class SlowReads(MemoryStore):
    """A memory store whose commits and reads of single entries can be held up."""

    def __init__(self) -> None:
        super().__init__()
        self.commits, self.reads = asyncio.Event(), asyncio.Event()
        self.commits.set()
        self.reads.set()
        self.reading = 0

    async def commit(self, writes: Sequence[Write]) -> None:
        await self.commits.wait()
        await super().commit(writes)

    async def state_entry(self, service: str, key: str, number: int) -> bytes | None:
        self.reading += 1
        found = await super().state_entry(service, key, number)
        await self.reads.wait()
        return found


async def _put(one: Rig, key: str, **values: bytes) -> None:
    await one.store.commit([PutState(SERVICE, key, int(name[1:]), value) for name, value in values.items()])


async def _read(endpoint: Scripted, start: pb.Start, entry: j.Entry) -> j.Entry:
    endpoint.command(start, entry)
    return j.decode((await endpoint.next(pb.Notify, start.invocation_id)).entry)


def _keys(*numbers: int) -> j.Value:
    return j.Value(journal_pb.StateKeys(numbers=list(numbers)).to_binary())


async def test_an_attempt_starts_without_state_and_reads_it_from_the_store() -> None:
    async with rig(MemoryStore()) as one:
        endpoint = await one.endpoint()
        await _put(one, "k", n1=b"one", n2=b"two")
        accepted = await one.submit("Tuned", "Lazy", "k")
        start = await endpoint.started()
        assert (start.partial_state, start.state) == (True, [])
        assert await _read(endpoint, start, j.GetState(2)) == j.Completion(1, j.Value(b"two"))
        assert await _read(endpoint, start, j.GetState(3)) == j.Completion(2, j.Void())
        assert await _read(endpoint, start, j.GetStateKeys()) == j.Completion(3, _keys(1, 2))
        endpoint.end(start)
        assert accepted.result is not None
        await accepted.result
        assert len(await one.journal(accepted.invocation_id)) == 8
        assert not one.engine.world.states


async def test_other_handlers_still_get_all_state_at_once() -> None:
    async with rig(MemoryStore()) as one:
        endpoint = await one.endpoint()
        await _put(one, "k", n1=b"one")
        await one.submit("Tuned", "Watched", "k")
        start = await endpoint.started()
        assert not start.partial_state
        assert [(entry.number, entry.value) for entry in start.state] == [(1, b"one")]


async def test_a_read_sees_what_is_decided_and_not_committed() -> None:
    store = SlowReads()
    async with rig(store) as one:
        endpoint = await one.endpoint()
        await _put(one, "k", n1=b"old", n2=b"old")
        await one.submit("Tuned", "Lazy", "k")
        start = await endpoint.started()
        store.commits.clear()
        hot = one.engine.world.invocations[start.invocation_id]
        endpoint.command(start, j.SetState(1, b"new"))  # is being committed
        await until(lambda: hot.commands == 2)
        endpoint.command(start, j.SetState(3, b"new"))  # waits for the next batch
        await until(lambda: hot.commands == 3)
        for entry in (j.GetState(1), j.GetStateKeys(), j.GetState(2)):
            endpoint.command(start, entry)
        await until(lambda: len(hot.done) == 3)
        store.commits.set()
        answers = [j.decode((await endpoint.next(pb.Notify)).entry) for _ in range(3)]
        assert answers == [
            j.Completion(3, j.Value(b"new")),
            j.Completion(4, _keys(1, 2, 3)),
            j.Completion(5, j.Value(b"old")),
        ]


async def test_a_slow_read_does_not_bring_back_what_has_changed_meanwhile() -> None:
    store = SlowReads()
    async with rig(store) as one:
        endpoint = await one.endpoint()
        await _put(one, "k", n1=b"old")
        await one.submit("Tuned", "Lazy", "k")
        start = await endpoint.started()
        store.reads.clear()
        endpoint.command(start, j.GetState(1))
        endpoint.command(start, j.SetState(1, b"new"))
        endpoint.command(start, j.GetState(1))
        await until(lambda: store.reading == 1)
        store.reads.set()
        answers = [j.decode((await endpoint.next(pb.Notify)).entry) for _ in range(2)]
        assert answers == [j.Completion(1, j.Value(b"old")), j.Completion(3, j.Value(b"new"))]


async def test_a_replay_sees_the_same_and_reads_nothing_twice() -> None:
    store = SlowReads()
    async with rig(store) as one:
        endpoint = await one.endpoint()
        await _put(one, "k", n1=b"one")
        await one.submit("Tuned", "Lazy", "k")
        start = await endpoint.started()
        await _read(endpoint, start, j.GetState(1))
        endpoint.fail(start)
        await until(lambda: one.engine.live_status(start.invocation_id) == "backing-off")
        one.clock.now_ms += 500
        again = await endpoint.started()
        assert again.partial_state
        assert [j.decode(entry) for entry in again.entries[1:]] == [j.GetState(1), j.Completion(1, j.Value(b"one"))]
        assert store.reading == 1
