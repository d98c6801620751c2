"""Sessions: greeting, manifest, epochs, aborts, broken peers, batches and draining."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from protobuf.wkt import FileDescriptorSet
from restate_protocol import codec, frames, ids
from restate_protocol import journal as j
from restate_protocol.contract.read import read_contract
from restate_protocol.errors import RestateError
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_protocol.hot_frames import RunAck
from restate_sdk import Endpoint
from restate_sdk.session import MAX_BATCH_FRAMES, Session
from restate_sdk.transport.memory import MemoryPeer

from .gen.shop.v1.shop_pb import PayRequest, PayResponse
from .gen.shop.v1.shop_restate import CheckoutContext
from .handlers import Cart, Checkout
from .runtime import INVOCATION_ID

HELLO = pb.RuntimeHello(protocol_min=1, protocol_max=1)
INPUT = j.encode(j.Input(codec.encode(PayRequest())))


class Peer:
    """The runtime's end of a session, frame by frame."""

    def __init__(self, endpoint: Endpoint, **options: Any) -> None:
        self.memory: MemoryPeer = endpoint.connect_in_memory(**options)
        self._frames: list[Any] = []

    async def send(self, *out: frames.RuntimeFrame) -> None:
        await self.memory.write(frames.encode_runtime_batch(out))

    async def next(self) -> Any:
        """The next frame; None at the end."""
        while not self._frames:
            data = await asyncio.wait_for(self.memory.read(), 20)
            if data is None:
                return None
            self._frames += frames.decode_endpoint_batch(data)
        return self._frames.pop(0)

    async def until(self, kind: type[Any]) -> Any:
        """The next frame of one type."""
        while not isinstance(frame := await self.next(), kind):
            assert frame is not None, f"the session ended before {kind.__name__}"
        return frame

    async def start(self, epoch: int = 1, **fields: Any) -> None:
        start = {
            "invocation_id": INVOCATION_ID,
            "service": "shop.v1.Checkout",
            "handler": "Pay",
            "entries": [INPUT],
            "journal_length": 1,
            "inactivity_timeout_ms": 60_000,
            **fields,
        }
        await self.send(pb.Start(epoch=epoch, **start))


@asynccontextmanager
async def session(endpoint: Endpoint, **options: Any) -> AsyncIterator[Peer]:
    peer = Peer(endpoint, **options)
    yield peer
    await peer.memory.close()


async def answer(_: CheckoutContext) -> object:
    return "x"


async def test_the_endpoint_answers_hello_with_its_deployment_and_credits() -> None:
    endpoint = Endpoint(Cart(), Checkout(answer), version_label="v1")
    async with session(endpoint) as peer:
        await peer.send(HELLO)
        hello = await peer.next()
        assert (hello.protocol_min, hello.protocol_max, hello.dev_name) == (1, 1, "")
        assert hello.credits > 0
        await peer.send(pb.Describe())
        manifest = await peer.next()
    assert manifest.services == ["shop.v1.Cart", "shop.v1.Checkout"]
    assert manifest.version_label == "v1"
    assert hello.deployment_id == ids.deployment_id_text("v1", manifest.services, manifest.descriptor_set)
    assert len(read_contract(manifest.descriptor_set, manifest.services).services) == 2
    names = [file.name for file in FileDescriptorSet.from_binary(manifest.descriptor_set).file]
    assert len(names) == len(set(names))


async def test_equal_endpoints_are_replicas_whatever_the_order_of_their_services() -> None:
    one, other = Endpoint(Cart(), Checkout(answer)), Endpoint(Checkout(answer), Cart())
    assert one.deployment.id == other.deployment.id
    assert one.deployment.id != Endpoint(Cart(), Checkout(answer), version_label="v2").deployment.id


async def test_an_endpoint_that_dials_speaks_first() -> None:
    async with session(Endpoint(Checkout(answer)), speaks_first=True, dev_name="app") as peer:
        hello = await peer.next()
        assert hello.dev_name == "app"
        await peer.send(HELLO, pb.Describe())
        assert isinstance(await peer.next(), pb.Manifest)


async def test_an_attempt_is_delivered_then_commands_then_ended() -> None:
    async with session(Endpoint(Checkout(answer))) as peer:
        await peer.send(HELLO)
        await peer.start()
        await peer.next()
        assert isinstance(await peer.next(), pb.Delivered)
        command = await peer.next()
        assert j.decode(command.entry) == j.Output(j.Value(codec.encode(PayResponse(text="x"))))
        ended = await peer.next()
        assert isinstance(ended, pb.Ended)
        assert (ended.invocation_id, ended.epoch) == (INVOCATION_ID, 1)


async def test_the_handler_waits_for_the_whole_journal() -> None:
    async with session(Endpoint(Checkout(answer))) as peer:
        await peer.send(HELLO)
        await peer.start(journal_length=2)
        await peer.next()
        await peer.next()
        await peer.send(pb.Describe())
        assert isinstance(await peer.next(), pb.Manifest)
        output = j.encode(j.Output(j.Value(codec.encode(PayResponse(text="x")))))
        await peer.send(pb.JournalPart(invocation_id=INVOCATION_ID, epoch=1, entries=[output]))
        assert isinstance(await peer.next(), pb.Ended)


async def test_a_handler_that_is_not_served_fails_the_attempt() -> None:
    async with session(Endpoint(Checkout(answer))) as peer:
        await peer.send(HELLO)
        await peer.start(handler="Refund")
        await peer.next()
        await peer.next()
        failed = await peer.next()
        assert "does not serve shop.v1.Checkout/Refund" in failed.failure.message


async def test_a_journal_that_is_none_fails_the_attempt_and_not_the_session() -> None:
    async with session(Endpoint(Checkout(answer))) as peer:
        await peer.send(HELLO)
        await peer.start(entries=[b"\xff"])
        await peer.next()
        await peer.next()
        assert isinstance(await peer.next(), pb.Failed)
        await peer.send(pb.Describe())
        assert isinstance(await peer.next(), pb.Manifest)


class Blocked:
    """A handler that says when it began and how it ended, and blocks between."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.ended: asyncio.Queue[str] = asyncio.Queue()

    async def __call__(self, ctx: CheckoutContext) -> object:
        self.began.set()
        try:
            return await ctx.awakeable(str)
        except BaseException as error:
            self.ended.put_nowait(type(error).__name__)
            raise


async def test_an_aborted_attempt_ends_without_a_word() -> None:
    handler = Blocked()
    async with session(Endpoint(Checkout(handler))) as peer:
        await peer.send(HELLO)
        await peer.start()
        await handler.began.wait()
        await peer.send(pb.Abort(invocation_id=INVOCATION_ID, epoch=1, reason="killed"))
        assert await handler.ended.get() == "CancelledError"
        await peer.send(pb.Describe())
        seen = [type(await peer.next()) for _ in range(4)]
    assert seen == [pb.EndpointHello, pb.Delivered, pb.Command, pb.Manifest]


async def test_an_aborted_run_is_cancelled_and_its_attempt_says_nothing() -> None:
    began, cancelled = asyncio.Event(), asyncio.Event()

    async def step() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def body(ctx: CheckoutContext) -> object:
        return await ctx.run("step", step)

    async with session(Endpoint(Checkout(body))) as peer:
        await peer.send(HELLO)
        await peer.start()
        await began.wait()
        await peer.send(pb.Abort(invocation_id=INVOCATION_ID, epoch=1))
        await cancelled.wait()
        await peer.send(pb.Describe())
        seen = [type(await peer.next()) for _ in range(4)]
    assert seen[-1] is pb.Manifest


async def test_a_newer_attempt_ends_the_older_and_frames_of_the_old_epoch_are_dropped() -> None:
    handler = Blocked()
    signal = j.encode(j.Signal(1, j.Value(b'"x"', j.JSON)))
    async with session(Endpoint(Checkout(handler))) as peer:
        await peer.send(HELLO)
        await peer.start(epoch=1)
        await handler.began.wait()
        await peer.start(epoch=2)
        assert await handler.ended.get() == "CancelledError"
        await peer.send(pb.Notify(invocation_id=INVOCATION_ID, epoch=1, entry=signal))
        await peer.send(RunAck(invocation_id=INVOCATION_ID, epoch=1, command=9))
        await peer.send(pb.Notify(invocation_id=INVOCATION_ID, epoch=2, entry=signal))
        last = None
        while not isinstance(last, pb.Ended):
            last = await peer.next()
        assert last.epoch == 2


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\xff\xff\xff", "not a batch of frames"),
        (frames.encode_runtime_batch([pb.RuntimeHello(protocol_min=7, protocol_max=9)]), "speaks protocol 7 to 9"),
    ],
)
async def test_what_breaks_the_protocol_is_refused_and_ends_the_session(data: bytes, says: str) -> None:
    async with session(Endpoint(Checkout(answer))) as peer:
        await peer.memory.write(data)
        refused = await peer.next()
        assert isinstance(refused, pb.Refused)
        assert says in refused.message
        assert await peer.next() is None


async def test_an_acknowledgement_of_nothing_is_refused() -> None:
    handler = Blocked()
    async with session(Endpoint(Checkout(handler))) as peer:
        await peer.send(HELLO)
        await peer.start()
        await handler.began.wait()
        await peer.send(RunAck(invocation_id=INVOCATION_ID, epoch=1, command=5))
        seen = [await peer.next() for _ in range(4)]
    assert isinstance(seen[-1], pb.Refused)
    assert "no proposal" in seen[-1].message


async def test_a_refusal_of_the_runtime_ends_the_session() -> None:
    async with session(Endpoint(Checkout(answer))) as peer:
        await peer.send(HELLO, pb.Refused(code=9, message="unknown capability"))
        while await peer.next() is not None:
            pass


async def test_frames_leave_in_batches_of_limited_length() -> None:
    many = 3 * MAX_BATCH_FRAMES

    async def body(ctx: CheckoutContext) -> None:
        for number in range(many):
            ctx.awakeable(int)
            if number == many // 2:
                ctx.reject_awakeable(ids.awakeable_id_text(INVOCATION_ID, 1), "x" * 100)

    one = Session(Endpoint(Checkout(body)).deployment)
    one.receive(frames.encode_runtime_batch([HELLO]))
    start = pb.Start(
        invocation_id=INVOCATION_ID, service="shop.v1.Checkout", handler="Pay", entries=[INPUT], journal_length=1
    )
    one.receive(frames.encode_runtime_batch([start]))
    sizes: list[int] = []
    last: Any = None
    while not isinstance(last, pb.Ended):
        batch = frames.decode_endpoint_batch(await one.next_batch() or b"")
        sizes.append(len(batch))
        last = batch[-1]
    one.close("done")
    assert max(sizes) == MAX_BATCH_FRAMES
    assert len(sizes) <= 5
    assert await one.next_batch() is None


async def test_draining_tells_the_runtime_and_lets_attempts_finish() -> None:
    handler = Blocked()
    async with session(Endpoint(Checkout(handler))) as peer:
        await peer.send(HELLO)
        await peer.start()
        await handler.began.wait()
        peer.memory.drain()
        seen = [await peer.next() for _ in range(4)]
        assert isinstance(seen[-1], pb.Drain)
        await peer.send(
            pb.Notify(invocation_id=INVOCATION_ID, epoch=1, entry=j.encode(j.Signal(1, j.Value(b'"x"', j.JSON))))
        )
        assert isinstance(await peer.next(), pb.Command)
        assert isinstance(await peer.next(), pb.Ended)


async def test_an_inactive_attempt_suspends_after_its_timeout_and_not_while_a_run_executes() -> None:
    go_on = asyncio.Event()

    async def body(ctx: CheckoutContext) -> object:
        run = ctx.run("step", go_on.wait)
        awakeable = ctx.awakeable(int)
        await awakeable
        return await run

    async with session(Endpoint(Checkout(body))) as peer:
        await peer.send(HELLO)
        await peer.start(inactivity_timeout_ms=1)
        seen = [type(await peer.next()) for _ in range(4)]
        assert seen[2:] == [pb.Command, pb.Command]
        await peer.send(pb.Describe())
        assert isinstance(await peer.next(), pb.Manifest)
        go_on.set()
        assert isinstance(await peer.next(), pb.RunProposal)
        assert isinstance(await peer.next(), pb.Suspended)


async def test_a_refused_session_is_an_error_of_its_transport() -> None:
    from restate_sdk.session import pump

    inbox: asyncio.Queue[bytes | None] = asyncio.Queue()
    written: list[bytes] = []

    async def write(data: bytes) -> None:
        written.append(data)

    inbox.put_nowait(b"\xff\xff\xff")
    with pytest.raises(RestateError, match="broke the protocol"):
        await pump(Session(Endpoint(Checkout(answer)).deployment), inbox.get, write)
    assert len(written) == 1


async def test_an_attempt_that_is_asked_to_suspend_does_so_once_it_only_waits() -> None:
    ends = asyncio.Event()
    began = asyncio.Event()

    async def step() -> int:
        began.set()
        await ends.wait()
        return 1

    async def body(ctx: CheckoutContext) -> None:
        await ctx.run("step", step)
        await ctx.awakeable(int)

    async with session(Endpoint(Checkout(body))) as peer:
        await peer.send(HELLO)
        await peer.start()
        await began.wait()
        await peer.send(pb.Suspend(invocation_id=INVOCATION_ID, epoch=2), pb.Suspend(invocation_id=b"other", epoch=1))
        await peer.send(pb.Suspend(invocation_id=INVOCATION_ID, epoch=1))
        ends.set()
        proposal = await peer.until(pb.RunProposal)
        assert proposal.command == 1
        suspended = await peer.until(pb.Suspended)
        assert suspended.awaiting.commands == [1]


async def test_an_attempt_that_only_waits_suspends_when_it_is_asked_to() -> None:
    async def body(ctx: CheckoutContext) -> None:
        await ctx.awakeable(int)

    async with session(Endpoint(Checkout(body))) as peer:
        await peer.send(HELLO)
        await peer.start()
        await peer.until(pb.Command)
        await peer.send(pb.Suspend(invocation_id=INVOCATION_ID, epoch=1))
        assert (await peer.until(pb.Suspended)).epoch == 1


async def test_an_attempt_that_is_asked_before_it_begins_suspends_at_its_first_wait() -> None:
    async def body(ctx: CheckoutContext) -> None:
        await ctx.awakeable(int)

    async with session(Endpoint(Checkout(body))) as peer:
        await peer.send(HELLO)
        start = pb.Start(
            invocation_id=INVOCATION_ID,
            epoch=1,
            service="shop.v1.Checkout",
            handler="Pay",
            entries=[INPUT],
            journal_length=1,
            inactivity_timeout_ms=60_000,
        )
        await peer.send(start, pb.Suspend(invocation_id=INVOCATION_ID, epoch=1))
        assert (await peer.until(pb.Suspended)).epoch == 1


async def test_a_draining_runtime_gets_back_what_only_waits() -> None:
    async def body(ctx: CheckoutContext) -> None:
        await ctx.awakeable(int)

    one = Session(Endpoint(Checkout(body)).deployment)
    one.receive(frames.encode_runtime_batch([HELLO]))
    start = pb.Start(
        invocation_id=INVOCATION_ID,
        service="shop.v1.Checkout",
        handler="Pay",
        entries=[INPUT],
        journal_length=1,
        inactivity_timeout_ms=3_600_000,
    )
    one.receive(frames.encode_runtime_batch([start]))
    said: list[frames.EndpointFrame] = []
    while not any(isinstance(frame, pb.Command) for frame in said):
        said += frames.decode_endpoint_batch(await one.next_batch() or b"")
    one.receive(frames.encode_runtime_batch([pb.Drain()]))
    while not any(isinstance(frame, pb.Suspended) for frame in said):
        said += frames.decode_endpoint_batch(await one.next_batch() or b"")
    await one.idle()
