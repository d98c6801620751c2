"""Time, chance, logs, requests, promises and awakeables: everything else a context offers."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from restate_protocol import awaiting, codec, ids
from restate_protocol import journal as j
from restate_protocol.errors import IdError
from restate_sdk import MisuseError, StatusCode, TerminalError, select

from .gen.shop.v1.shop_pb import (
    Address,
    ApproveRequest,
    ApproveResponse,
    OrderPromises,
    OrderRequest,
    OrderResponse,
    PayRequest,
    PayResponse,
)
from .gen.shop.v1.shop_restate import CheckoutContext, OrderContext, OrderSharedContext
from .handlers import APPROVE, PAY, RUN, Checkout, Order
from .runtime import INVOCATION_ID, NOW_MS, FakeRuntime, Invocation

Body = Callable[[CheckoutContext], Awaitable[object]]


async def pay(body: Body, *, inactivity_ms: int = 0, headers: j.Headers = ()) -> Invocation:
    def answers(entry: j.Command) -> j.Result | None:
        return j.Void() if isinstance(entry, j.Sleep) else None

    async with FakeRuntime(Checkout(body), inactivity_ms=inactivity_ms) as runtime:
        return await runtime.run(PAY, PayRequest(text="hi"), answers=answers, headers=headers)


def text(one: Invocation) -> str:
    found: str = one.result(PayResponse).text
    return found


async def test_chance_is_the_same_in_every_attempt() -> None:
    drawn: list[tuple[float, object]] = []

    async def body(ctx: CheckoutContext) -> object:
        drawn.append((ctx.random.random(), ctx.uuid()))
        await ctx.sleep(timedelta(1))
        drawn.append((ctx.random.random(), ctx.uuid()))
        return ctx.uuid().version

    assert text(await pay(body)) == "4"
    assert drawn[0] == drawn[1]
    assert drawn[1] != drawn[2]


async def test_now_is_journaled_and_in_utc() -> None:
    async def body(ctx: CheckoutContext) -> object:
        at = await ctx.now()
        await ctx.sleep(timedelta(1))
        return at == datetime.fromtimestamp(NOW_MS / 1000, UTC), at.tzinfo is UTC

    one = await pay(body)
    assert text(one) == "(True, True)"
    recorded = one.commands[1]
    assert isinstance(recorded, j.Run)
    assert recorded.name == "now"
    assert recorded.result == j.Value(b'"2023-11-14T22:13:20+00:00"', j.JSON)


async def test_a_sleep_counts_from_now_and_cannot_be_negative() -> None:
    async def body(ctx: CheckoutContext) -> object:
        with pytest.raises(ValueError, match="negative"):
            ctx.sleep(timedelta(seconds=-1))
        await ctx.sleep(timedelta(microseconds=1500), name="nap")
        return "slept"

    one = await pay(body)
    assert one.commands[1] == j.Sleep(NOW_MS + 2, "nap")


async def test_the_request_has_body_and_headers_with_bytes_where_the_name_says_so() -> None:
    async def body(ctx: CheckoutContext) -> object:
        return ctx.request.body == codec.encode(PayRequest(text="hi")), dict(ctx.request.headers), ctx.invocation_id

    headers = (("x-a", b"b"), ("x-c-bin", b"\xff"))
    expected = (True, {"x-a": "b", "x-c-bin": b"\xff"}, ids.invocation_id_text(INVOCATION_ID))
    assert text(await pay(body, headers=headers)) == str(expected)


async def test_the_log_is_silent_on_replay_and_names_the_invocation(caplog: pytest.LogCaptureFixture) -> None:
    async def body(ctx: CheckoutContext) -> None:
        for name in "abc":
            ctx.log.info("before %s", name, extra={"mine": 1})
            await ctx.run(name, lambda: None)

    with caplog.at_level(logging.INFO, "restate.shop.v1.Checkout"):
        await pay(body)
    records = [record for record in caplog.records if record.name == "restate.shop.v1.Checkout"]
    assert [record.getMessage() for record in records] == ["before a", "before b", "before c"]
    assert records[0].__dict__["invocation_id"] == ids.invocation_id_text(INVOCATION_ID)
    assert records[0].__dict__["handler"] == PAY
    assert records[0].__dict__["mine"] == 1


class TestAwakeables:
    async def resolve(self, body: Body, result: j.Result) -> Invocation:
        async with FakeRuntime(Checkout(body), inactivity_ms=0) as runtime:
            one = await runtime.invoke(PAY, PayRequest())
            await one.until(lambda it: bool(it.suspensions))
            await one.signal(1, result)
            return await one.ended()

    @pytest.mark.parametrize(
        "result",
        [
            j.Value(codec.encode(Address(street="x"))),
            j.Value(codec.encode(Address(street="x")), "shop.v1.Address"),
            j.Value(b'{"street": "x"}', j.JSON),
        ],
    )
    async def test_a_message_comes_as_bytes_or_as_json(self, result: j.Result) -> None:
        async def body(ctx: CheckoutContext) -> object:
            return (await ctx.awakeable(Address)).street

        one = await self.resolve(body, result)
        assert text(one) == "x"
        assert one.commands[1] == j.Awakeable(1, "shop.v1.Address")
        assert awaiting.leaves(one.suspensions[0]) == [awaiting.OnAwakeable(1)]

    async def test_plain_values_come_as_json_or_bytes(self) -> None:
        async def number(ctx: CheckoutContext) -> object:
            return await ctx.awakeable(int) + 1

        async def data(ctx: CheckoutContext) -> object:
            return await ctx.awakeable(bytes)

        assert text(await self.resolve(number, j.Value(b"41", j.JSON))) == "42"
        assert text(await self.resolve(data, j.Value(b"41", j.BYTES))) == "b'41'"

    async def test_a_rejection_is_a_terminal_error(self) -> None:
        async def body(ctx: CheckoutContext) -> object:
            return await ctx.awakeable(Address)

        failure = j.Failure(10, "gave up")
        assert (await self.resolve(body, failure)).failure == failure

    async def test_a_value_of_another_kind_is_a_terminal_error(self) -> None:
        async def body(ctx: CheckoutContext) -> object:
            return await ctx.awakeable(Address)

        failure = (await self.resolve(body, j.Value(b"\xff\xff"))).failure
        assert failure.code == StatusCode.INVALID_ARGUMENT
        assert "given to the awakeable is not a Address" in failure.message

    async def test_the_id_names_invocation_and_number(self) -> None:
        async def body(ctx: CheckoutContext) -> object:
            return [ctx.awakeable(int).id, ctx.awakeable(int).id]

        assert text(await pay(body)) == str([ids.awakeable_id_text(INVOCATION_ID, number) for number in (1, 2)])

    async def test_a_handler_resolves_and_rejects_awakeables_of_others(self) -> None:
        target = ids.awakeable_id_text(b"x" * 16, 3)

        async def body(ctx: CheckoutContext) -> None:
            ctx.resolve_awakeable(target, Address(street="x"))
            ctx.resolve_awakeable(target, [1])
            ctx.resolve_awakeable(target, b"raw")
            ctx.reject_awakeable(target, "no", code=StatusCode.ABORTED)

        assert (await pay(body)).commands[1:5] == [
            j.CompleteAwakeable(target, j.Value(codec.encode(Address(street="x")), "shop.v1.Address")),
            j.CompleteAwakeable(target, j.Value(b"[1]", j.JSON)),
            j.CompleteAwakeable(target, j.Value(b"raw", j.BYTES)),
            j.CompleteAwakeable(target, j.Failure(10, "no")),
        ]

    async def test_nonsense_is_refused_where_it_is_written(self) -> None:
        async def body(ctx: CheckoutContext) -> object:
            with pytest.raises(IdError):
                ctx.resolve_awakeable("nonsense", 1)
            with pytest.raises(MisuseError, match=r"awakeable awk_\w+ was given a object, which cannot be journaled"):
                ctx.resolve_awakeable(ids.awakeable_id_text(b"x" * 16, 3), object())
            return "refused"

        assert text(await pay(body)) == "refused"


def promised(**field: object) -> bytes:
    return codec.encode(OrderPromises(**field))  # type: ignore[arg-type]


class TestPromises:
    async def order(self, body: Callable[[OrderContext], Awaitable[object]], answers: object) -> Invocation:
        async with FakeRuntime(Order(run=body), inactivity_ms=0) as runtime:
            return await runtime.run(RUN, OrderRequest(order_id="o"), key="o", answers=answers)

    async def test_awaiting_gives_the_field_of_the_promises_message(self) -> None:
        async def body(ctx: OrderContext) -> object:
            place = await ctx.promises.address
            return await ctx.promises.approved, place.street if place else None, ctx.key

        def answers(entry: j.Command) -> j.Result | None:
            match entry:
                case j.GetPromise(number=1):
                    return j.Value(promised(approved=True))
                case j.GetPromise(number=2):
                    return j.Value(promised(address=Address(street="x")))
                case _:
                    return None

        one = await self.order(body, answers)
        assert one.result(OrderResponse).text == "(True, 'x', 'o')"

    async def test_a_promise_races_like_any_future(self) -> None:
        async def body(ctx: OrderContext) -> object:
            return (await select(ok=ctx.promises.approved, late=ctx.sleep(timedelta(1)))).name

        one = await self.order(body, lambda entry: j.Void() if isinstance(entry, j.Sleep) else None)
        assert one.result(OrderResponse).text == "late"
        assert [j.type_name(entry) for entry in one.commands[1:3]] == ["sleep", "get_promise"]

    async def test_a_rejected_promise_raises(self) -> None:
        async def body(ctx: OrderContext) -> object:
            return await ctx.promises.approved

        failure = j.Failure(2, "refused")
        assert (await self.order(body, lambda _: failure)).failure == failure

    async def approve(self, body: Callable[[OrderSharedContext], Awaitable[object]], result: j.Result) -> Invocation:
        def answers(entry: j.Command) -> j.Result | None:
            return result if isinstance(entry, j.CompletePromise | j.PeekPromise) else None

        async with FakeRuntime(Order(approve=body), inactivity_ms=0) as runtime:
            return await runtime.run(APPROVE, ApproveRequest(order_id="o"), key="o", answers=answers)

    async def test_other_handlers_complete_it_once(self) -> None:
        async def body(ctx: OrderSharedContext) -> object:
            await ctx.promises.approved.resolve(True)
            await ctx.promises.address.reject("no", code=StatusCode.ABORTED)
            return "done"

        one = await self.approve(body, j.Void())
        assert one.commands[1:3] == [
            j.CompletePromise(1, j.Value(promised(approved=True))),
            j.CompletePromise(2, j.Failure(10, "no")),
        ]
        failure = j.Failure(9, "promise was already completed")
        assert (await self.approve(body, failure)).failure == failure

    @pytest.mark.parametrize(("result", "expected"), [(j.Void(), "None"), (j.Value(promised(approved=True)), "True")])
    async def test_peeking_gives_the_value_or_none(self, result: j.Result, expected: str) -> None:
        async def body(ctx: OrderSharedContext) -> object:
            return await ctx.promises.approved.peek()

        assert (await self.approve(body, result)).result(ApproveResponse).text == expected


class TestEnds:
    async def test_a_request_that_cannot_be_decoded_fails_for_good(self) -> None:
        async def body(_: CheckoutContext) -> None:
            pytest.fail("reached")

        async with FakeRuntime(Checkout(body)) as runtime:
            one = await runtime.run(PAY, b"\xff\xff")
        assert one.failure.code == StatusCode.INVALID_ARGUMENT
        assert "the request of shop.v1.Checkout/Pay is not a shop.v1.PayRequest" in one.failure.message

    async def test_a_terminal_error_is_the_output(self) -> None:
        async def body(_: CheckoutContext) -> None:
            raise TerminalError("no", code=StatusCode.NOT_FOUND, metadata={"b": "2", "a": "1"})

        assert (await pay(body)).failure == j.Failure(5, "no", metadata=(("a", "1"), ("b", "2")))

    @pytest.mark.parametrize("error", [ValueError("boom"), SystemExit("boom")])
    async def test_any_other_error_fails_the_attempt(self, error: BaseException) -> None:
        async def body(_: CheckoutContext) -> None:
            raise error

        one = await pay(body)
        assert one.output is None
        (failed,) = one.failures
        assert failed.failure is not None
        assert failed.failure.message == f"{type(error).__name__}: boom"
        assert "raise error" in failed.stacktrace

    async def test_a_response_over_the_limit_fails_for_good(self) -> None:
        async def body(_: CheckoutContext) -> object:
            return "x" * 100

        async with FakeRuntime(Checkout(body), max_value_bytes=50) as runtime:
            failure = (await runtime.run(PAY, PayRequest())).failure
        assert "the response has 102 bytes, and a value may have 50" in failure.message

    async def test_swallowing_the_suspension_changes_nothing(self) -> None:
        attempts: list[str] = []

        async def body(ctx: CheckoutContext) -> object:
            attempts.append("begins")
            try:
                await ctx.sleep(timedelta(1))
            except BaseException:
                await ctx.run("never", lambda: attempts.append("executed"))
            return "done"

        one = await pay(body)
        assert text(one) == "done"
        assert attempts == ["begins", "begins"]
        assert [j.type_name(entry) for entry in one.commands] == ["input", "sleep", "output"]
