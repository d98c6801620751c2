"""Signals by name, and handles of other invocations: what they give and what they journal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from restate_protocol import codec, ids
from restate_protocol import journal as j
from restate_protocol.errors import IdError
from restate_sdk import MisuseError, StatusCode, TerminalError, first_success, gather, race, select, timeout

from .gen.shop.v1.shop_pb import Address, PayRequest, PayResponse
from .gen.shop.v1.shop_restate import CheckoutClient, CheckoutContext
from .handlers import PAY, Checkout
from .prefixes import replays_from_every_prefix
from .runtime import FakeRuntime, Invocation

Body = Callable[[CheckoutContext], Awaitable[object]]
OTHER = ids.invocation_id_text(bytes(16))
FAILED = j.Failure(2, "no")


def value(text: str) -> j.Value:
    return j.Value(f'"{text}"'.encode(), j.JSON)


def text(one: Invocation) -> str:
    found: str = one.result(PayResponse).text
    return found


async def signalled(body: Body, *signals: tuple[str, j.Result]) -> str:
    """What a handler returns whose invocation gets these signals: resident, suspended, and from every prefix."""
    found: set[str] = set()
    for inactivity_ms in (0, 60_000):
        async with FakeRuntime(Checkout(body), inactivity_ms=inactivity_ms) as runtime:
            one = await runtime.invoke(PAY, PayRequest())
            await one.has_commands(0)
            for name, result in signals:
                await one.signal(name, result)
            await one.ended()
        assert one.failures == []
        await replays_from_every_prefix(lambda: Checkout(body), PAY, one)
        found.add(text(one))
    (told,) = found
    return told


async def test_a_signal_gives_its_value() -> None:
    async def body(ctx: CheckoutContext) -> object:
        return await ctx.signal("go", str)

    assert await signalled(body, ("go", value("hello"))) == "hello"


async def test_signals_of_two_names_in_reverse_order() -> None:
    async def body(ctx: CheckoutContext) -> object:
        return await gather(ctx.signal("a", str), ctx.signal("b", str))

    assert await signalled(body, ("b", value("b-value")), ("a", value("a-value"))) == "('a-value', 'b-value')"


async def test_a_stream_of_signals_is_first_come_first_served() -> None:
    async def body(ctx: CheckoutContext) -> object:
        found: list[str] = []
        while (one := await ctx.signal("next", str)) != "end":
            found.append(one)
        return found

    stream = [("next", value(one)) for one in ("alpha", "beta", "gamma", "end", "late")]
    assert await signalled(body, *stream) == "['alpha', 'beta', 'gamma']"


async def test_a_receiver_that_wants_a_message_takes_its_bytes_and_its_json() -> None:
    async def body(ctx: CheckoutContext) -> object:
        return [(await ctx.signal("to", Address)).street for _ in range(2)]

    sent = Address(street="Main")
    typed = j.Value(codec.encode(sent), codec.full_name(Address))
    told = await signalled(body, ("to", typed), ("to", j.Value(b'{"street": "Side"}', j.JSON)))
    assert told == "['Main', 'Side']"


async def test_a_signal_that_is_no_such_value_is_an_error_of_the_handler() -> None:
    async def body(ctx: CheckoutContext) -> object:
        try:
            await ctx.signal("to", Address)
        except TerminalError as error:
            return error
        return None

    told = await signalled(body, ("to", j.Value(b"[1]", j.JSON)))
    assert told.startswith("INVALID_ARGUMENT: the value given to signal 'to' is not a")


@pytest.mark.parametrize(
    ("signals", "told"),
    [
        ([("b", value("first"))], "('race', 'first')"),
        ([("c", FAILED)], "('race', 'UNKNOWN: no')"),
    ],
)
async def test_a_race_is_won_by_the_first_even_if_it_failed(signals: list[tuple[str, j.Result]], told: str) -> None:
    async def body(ctx: CheckoutContext) -> object:
        try:
            return "race", await race(*(ctx.signal(name, str) for name in "abc"))
        except TerminalError as error:
            return "race", str(error)

    assert await signalled(body, *signals) == told


async def test_the_first_success_passes_over_failures() -> None:
    async def body(ctx: CheckoutContext) -> object:
        return await first_success(*(ctx.signal(name, str) for name in "abc"))

    assert await signalled(body, ("a", FAILED), ("c", FAILED), ("b", value("success"))) == "success"


async def test_all_failures_are_one_terminal_error() -> None:
    async def body(ctx: CheckoutContext) -> object:
        try:
            await first_success(*(ctx.signal(name, str) for name in "ab"))
        except TerminalError as error:
            return error, repr(error.__cause__)
        return None

    told = await signalled(body, ("b", FAILED), ("a", j.Failure(2, "neither")))
    assert "none of 2 futures succeeded: 0: UNKNOWN: neither; 1: UNKNOWN: no" in told


async def test_all_outcomes_in_the_order_of_the_arguments() -> None:
    async def body(ctx: CheckoutContext) -> object:
        signals = [ctx.signal(name, str) for name in "abc"]
        return [str(one) for one in await gather(*signals, return_exceptions=True)]

    assert await signalled(body, ("b", FAILED), ("c", value("2")), ("a", value("0"))) == "['0', 'UNKNOWN: no', '2']"


async def test_a_signal_or_a_timeout() -> None:
    async def body(ctx: CheckoutContext) -> object:
        return await timeout(ctx.signal("go", str), timedelta(minutes=1))

    assert await signalled(body, ("go", value("fast"))) == "fast"


@pytest.mark.parametrize("name", ["", "restate.cancel", 5])
async def test_names_that_are_no_names_are_refused(name: str) -> None:
    async def body(ctx: CheckoutContext) -> object:
        wrong = TypeError if not isinstance(name, str) else ValueError
        with pytest.raises(wrong, match="signal"):
            ctx.signal(name, str)
        with pytest.raises(wrong, match="signal"):
            ctx.invocation(OTHER).signal(name)
        with pytest.raises(wrong, match="signal"):
            ctx.invocation(OTHER).reject_signal(name, "no")
        return "refused"

    assert await signalled(body) == "refused"


class TestHandles:
    async def test_what_is_done_with_the_handle_of_a_send_is_journaled(self) -> None:
        async def body(ctx: CheckoutContext) -> object:
            handle = await CheckoutClient(ctx).pay.send(PayRequest())
            await handle.signal("go", {"a": 1})
            handle.signal("address", Address(street="Main"))
            handle.signal("nothing")
            handle.reject_signal("no", "because", code=StatusCode.ABORTED)
            handle.cancel()
            response = await handle.attach()
            return response.text, handle.invocation_id

        def answers(entry: j.Command) -> j.Result | None:
            done = j.Value(codec.encode(PayResponse(text="done")))
            return done if isinstance(entry, j.Attach) else None

        async with FakeRuntime(Checkout(body), inactivity_ms=0) as runtime:
            one = await runtime.run(PAY, PayRequest(), answers=answers)
        sent = one.commands[1]
        assert isinstance(sent, j.Send)
        to = sent.invocation_id
        assert text(one) == str(("done", ids.invocation_id_text(to)))
        assert one.commands[2:-1] == [
            j.SendSignal(to, "go", j.Value(b'{"a":1}', j.JSON)),
            j.SendSignal(to, "address", j.Value(codec.encode(Address(street="Main")), codec.full_name(Address))),
            j.SendSignal(to, "nothing", j.Value(b"null", j.JSON)),
            j.SendSignal(to, "no", j.Failure(StatusCode.ABORTED, "because")),
            j.Cancel(to),
            j.Attach(to),
        ]
        await replays_from_every_prefix(lambda: Checkout(body), PAY, one)

    async def test_an_id_is_enough(self) -> None:
        async def body(ctx: CheckoutContext) -> object:
            handle = ctx.invocation(OTHER, returns=PayResponse)
            await ctx.cancel(OTHER)
            response, raw = await gather(handle.attach(), ctx.invocation(OTHER).attach())
            with pytest.raises(IdError):
                ctx.cancel("inv_")
            return response.text, raw == codec.encode(response), handle.invocation_id == OTHER

        def answers(entry: j.Command) -> j.Result | None:
            done = j.Value(codec.encode(PayResponse(text="done")))
            return done if isinstance(entry, j.Attach) else None

        async with FakeRuntime(Checkout(body), inactivity_ms=0) as runtime:
            one = await runtime.run(PAY, PayRequest(), answers=answers)
        assert text(one) == "('done', True, True)"
        assert [type(entry) for entry in one.commands[1:-1]] == [j.Cancel, j.Attach, j.Attach]

    async def test_a_call_knows_its_invocation_before_its_result(self) -> None:
        async def body(ctx: CheckoutContext) -> object:
            call = CheckoutClient(ctx).pay(PayRequest())
            await ctx.cancel(call.invocation_id)
            return (await select(call, ctx.signal("go", str)))[0]

        async with FakeRuntime(Checkout(body), inactivity_ms=0) as runtime:
            one = await runtime.invoke(PAY, PayRequest())
            await one.has_commands(2)
            await one.signal("go", value("on"))
            await one.ended()
        called, cancel = one.commands[1:3]
        assert isinstance(called, j.Call)
        assert cancel == j.Cancel(called.invocation_id)
        assert text(one) == "1"

    async def test_a_value_that_cannot_be_journaled_is_refused(self) -> None:
        async def body(ctx: CheckoutContext) -> object:
            with pytest.raises(MisuseError, match="signal 'go' was given a object, which cannot be journaled"):
                ctx.invocation(OTHER).signal("go", object())
            return "refused"

        async with FakeRuntime(Checkout(body)) as runtime:
            assert text(await runtime.run(PAY, PayRequest())) == "refused"
