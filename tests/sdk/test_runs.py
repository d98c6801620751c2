"""ctx.run: executed once for the journal, retried by its policy, read back as what it was."""

from __future__ import annotations

import asyncio
import functools
import pickle
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel
from restate_protocol import journal as j
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_sdk import RetryableError, RetryPolicy, StatusCode, TerminalError, gather

from .gen.shop.v1.shop_pb import Address, PayRequest, PayResponse, SoldOut
from .gen.shop.v1.shop_restate import CheckoutContext, SoldOutError
from .handlers import PAY, Checkout
from .runtime import FakeRuntime, Invocation

FAST = RetryPolicy(initial_interval=timedelta(milliseconds=1))


async def pay(body: Callable[[CheckoutContext], Any], **options: Any) -> Invocation:
    """One invocation of a body, in an attempt that never suspends and in one that always does: both must agree."""
    texts = []
    for inactivity_ms in (60_000, 0):
        async with FakeRuntime(Checkout(body), inactivity_ms=inactivity_ms) as runtime:
            one = await runtime.run(PAY, PayRequest(), **options)
            texts.append((one.output, [failed.failure for failed in one.failures]))
    assert texts[0] == texts[1]
    return one


def text(invocation: Invocation) -> str:
    response = invocation.result(PayResponse)
    assert isinstance(response, PayResponse)
    return response.text


class Pickled:
    """A serde for whatever Python has."""

    tag = "application/x-pickle"

    def dumps(self, value: Any, /) -> bytes:
        return pickle.dumps(value)

    def loads(self, data: bytes, /) -> Any:
        return pickle.loads(data)


async def address(street: str) -> Address:
    return Address(street=street)


def plain_address(street: str) -> Address | None:
    return Address(street=street) if street else None


class ByObject:
    async def __call__(self) -> Address:
        return Address(street="object")

    def method(self) -> bytes:
        return b"bytes"


@pytest.mark.parametrize(
    ("function", "args", "expected"),
    [
        (address, ("a",), Address(street="a")),
        (plain_address, ("b",), Address(street="b")),
        (plain_address, ("",), None),
        (functools.partial(address, street="c"), (), Address(street="c")),
        (ByObject(), (), Address(street="object")),
        (ByObject().method, (), b"bytes"),
        (lambda: 5, (), 5),
        (lambda: [1, {"a": None}], (), [1, {"a": None}]),
        (lambda: None, (), None),
        (lambda: b"\x00", (), b"\x00"),
        (lambda: "é", (), "é"),
        (lambda: True, (), True),
    ],
)
async def test_a_result_is_the_same_now_and_on_replay(function: Any, args: tuple[Any, ...], expected: Any) -> None:
    async def body(ctx: CheckoutContext) -> object:
        found = await ctx.run("step", function, *args)
        assert type(found) is type(expected)
        return found == expected

    assert text(await pay(body)) == "True"


@dataclass
class Seat:
    row: int
    free: bool = True


class Ticket(BaseModel):
    seat: Seat
    price: Decimal


def two_seats() -> list[Seat]:
    return [Seat(1), Seat(2, free=False)]


async def a_ticket() -> Ticket | None:
    return Ticket(seat=Seat(1), price=Decimal("1.50"))


@pytest.mark.parametrize(
    ("function", "options", "expected"),
    [
        (two_seats, {}, [Seat(1), Seat(2, free=False)]),
        (a_ticket, {}, Ticket(seat=Seat(1), price=Decimal("1.50"))),
        (lambda: (1, Seat(2)), {"returns": tuple[int, Seat]}, (1, Seat(2))),
        (lambda: Seat(2), {"serde": Pickled()}, Seat(2)),
        (lambda: (1, {2: None}), {"serde": Pickled()}, (1, {2: None})),
    ],
)
async def test_typed_results_come_back_as_their_types(function: Any, options: dict[str, Any], expected: Any) -> None:
    async def body(ctx: CheckoutContext) -> object:
        found = await ctx.run("step", function, **options)
        return found == expected and type(found) is type(expected)

    assert text(await pay(body)) == "True"


async def test_returns_names_the_class_where_the_function_does_not() -> None:
    async def body(ctx: CheckoutContext) -> object:
        found = await ctx.run("step", lambda: Address(street="x"), returns=Address)
        return found.street

    assert text(await pay(body)) == "x"


async def test_a_lambda_around_a_coroutine_function_is_awaited() -> None:
    async def body(ctx: CheckoutContext) -> object:
        found = await ctx.run("step", lambda: address(street="x"), returns=Address)
        return found.street

    assert text(await pay(body)) == "x"


async def test_plain_functions_execute_in_threads_and_coroutines_in_the_loop() -> None:
    names: list[str] = []

    def plain() -> None:
        names.append(threading.current_thread().name)

    async def coroutine() -> None:
        names.append(threading.current_thread().name)

    async def body(ctx: CheckoutContext) -> None:
        await ctx.run("a", plain)
        await ctx.run("b", coroutine)

    async with FakeRuntime(Checkout(body)) as runtime:
        await runtime.run(PAY, PayRequest())
    assert names[0] != threading.main_thread().name
    assert names[1] == threading.main_thread().name


async def test_a_recorded_result_is_never_computed_again() -> None:
    executed: list[str] = []

    async def step(name: str) -> str:
        executed.append(name)
        return name

    async def body(ctx: CheckoutContext) -> object:
        return [await ctx.run(name, step, name) for name in "abc"]

    async with FakeRuntime(Checkout(body), inactivity_ms=0) as runtime:
        one = await runtime.run(PAY, PayRequest())
    assert executed == ["a", "b", "c"]
    assert len(one.suspensions) == 3
    assert text(one) == "['a', 'b', 'c']"


async def test_a_result_counts_only_once_it_is_acknowledged() -> None:
    reached: list[str] = []

    async def step() -> int:
        return 1

    async def body(ctx: CheckoutContext) -> None:
        await ctx.run("a", step)
        reached.append("after")

    async with FakeRuntime(Checkout(body)) as runtime:
        one = await runtime.invoke(PAY, PayRequest())
        one.hold_acks = True
        await one.until(lambda it: bool(it.held))
        await runtime.send(pb.Describe())
        await runtime.frames.get()
        assert reached == []
        await one.release_acks()
        await one.ended()
    assert reached == ["after"]


async def test_runs_begin_as_soon_as_they_exist_and_execute_beside_each_other() -> None:
    async def body(ctx: CheckoutContext) -> object:
        both = asyncio.Barrier(2)

        async def meet() -> int:
            await both.wait()
            return 1

        left = ctx.run("left", meet)
        right = ctx.run("right", meet)
        return await gather(left, right)

    assert text(await pay(body)) == "(1, 1)"


async def test_a_future_may_be_awaited_again() -> None:
    async def body(ctx: CheckoutContext) -> object:
        future = ctx.run("step", address, "x")
        return await future is await future

    async with FakeRuntime(Checkout(body)) as runtime:
        assert text(await runtime.run(PAY, PayRequest())) == "True"


class TestFailures:
    async def test_a_terminal_error_is_journaled_and_raised(self) -> None:
        tries: list[int] = []

        async def step() -> None:
            tries.append(1)
            raise TerminalError("no", code=StatusCode.NOT_FOUND, metadata={"a": "b"})

        async def body(ctx: CheckoutContext) -> object:
            try:
                await ctx.run("step", step, retry=FAST)
            except TerminalError as error:
                return (error.message, error.code.name, error.metadata)
            return None

        assert text(await pay(body)) == "('no', 'NOT_FOUND', {'a': 'b'})"
        assert len(tries) == 2  # once in each of the two settings

    async def test_a_typed_error_comes_back_as_its_class(self) -> None:
        async def step() -> None:
            raise SoldOutError(SoldOut(item="shoe"))

        async def body(ctx: CheckoutContext) -> object:
            try:
                await ctx.run("step", step)
            except SoldOutError as error:
                return error.detail.item
            return None

        assert text(await pay(body)) == "shoe"

    async def test_any_other_error_fails_the_attempt_and_names_the_run(self) -> None:
        async def step() -> None:
            raise ValueError("boom")

        async def body(ctx: CheckoutContext) -> None:
            try:
                await ctx.run("step", step)
            except Exception:
                pytest.fail("the handler sees an error that is not terminal")

        (failed,) = (await pay(body)).failures
        assert failed.failure is not None
        assert failed.failure.message == "ValueError: boom"
        assert (failed.command, failed.command_type, failed.command_name) == (1, "run", "step")
        assert failed.behavior == pb.Failed.Behavior.POLICY
        assert "raise ValueError" in failed.stacktrace

    async def test_a_stop_iteration_of_a_plain_function_is_an_error_like_others(self) -> None:
        async def body(ctx: CheckoutContext) -> None:
            await ctx.run("step", next, iter(()))

        (failed,) = (await pay(body)).failures
        assert failed.failure is not None
        assert failed.failure.message == "RuntimeError: the function of a run raised StopIteration()"

    @pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
    @pytest.mark.parametrize("place", ["handler", "here", "background", "thread"])
    async def test_what_ends_programs_fails_only_the_attempt(self, error: type[BaseException], place: str) -> None:
        async def coroutine() -> None:
            raise error("stop")

        def plain() -> None:
            raise error("stop")

        async def body(ctx: CheckoutContext) -> None:
            match place:
                case "handler":
                    raise error("stop")
                case "here":
                    await ctx.run("step", coroutine, retry=FAST)
                case "background":
                    await gather(ctx.run("step", coroutine, retry=FAST))
                case _:
                    await ctx.run("step", plain, retry=FAST)

        (failed,) = (await pay(body)).failures
        assert failed.failure is not None
        assert failed.failure.message == f"{error.__name__}: stop"

    async def test_an_error_of_a_run_in_the_background_fails_the_attempt_too(self) -> None:
        async def step() -> None:
            raise ValueError("boom")

        async def body(ctx: CheckoutContext) -> None:
            await gather(ctx.run("a", step), ctx.sleep(timedelta(days=1)))

        (failed,) = (await pay(body)).failures
        assert failed.command_name == "a"

    async def test_a_retryable_error_says_when_the_next_attempt_is_due(self) -> None:
        async def step() -> None:
            raise RetryableError("busy", retry_after=timedelta(milliseconds=1500))

        async def body(ctx: CheckoutContext) -> None:
            await ctx.run("step", step)

        (failed,) = (await pay(body)).failures
        assert failed.retry_after_ms == 1500

    async def test_a_policy_retries_in_place_until_it_works(self) -> None:
        tries: list[int] = []

        def step() -> int:
            tries.append(1)
            if len(tries) < 3:
                raise ValueError("not yet")
            return len(tries)

        async def body(ctx: CheckoutContext) -> object:
            return await ctx.run("step", step, retry=FAST)

        async with FakeRuntime(Checkout(body), inactivity_ms=0) as runtime:
            assert text(await runtime.run(PAY, PayRequest())) == "3"

    async def test_an_exhausted_policy_is_a_journaled_terminal_error(self) -> None:
        tries: list[int] = []

        async def step() -> None:
            tries.append(1)
            raise ValueError("doomed")

        async def body(ctx: CheckoutContext) -> None:
            policy = RetryPolicy(initial_interval=timedelta(milliseconds=1), max_attempts=2)
            await ctx.run("step", step, retry=policy)

        async with FakeRuntime(Checkout(body), inactivity_ms=0) as runtime:
            one = await runtime.run(PAY, PayRequest())
        assert len(tries) == 2
        assert "run 'step' failed 2 times" in one.failure.message
        assert "doomed" in one.failure.message

    @pytest.mark.parametrize(
        ("value", "says"),
        [
            (object(), "a object is neither a message, nor bytes, nor JSON"),
            ((1, 2), "tuples become lists"),
            ({1: 2}, "keys become text"),
            (float("nan"), "Out of range float"),
            (Address(street="x"), "nothing says how to read it back"),
        ],
    )
    async def test_a_result_that_cannot_be_journaled_is_a_terminal_error(self, value: object, says: str) -> None:
        async def body(ctx: CheckoutContext) -> None:
            await ctx.run("step", lambda: value)

        failure = (await pay(body)).failure
        assert "the result of run 'step' cannot be journaled" in failure.message
        assert says in failure.message

    async def test_a_result_of_another_class_than_announced_is_a_terminal_error(self) -> None:
        def wrong() -> Address:
            return b"bytes"  # type: ignore[return-value]

        async def body(ctx: CheckoutContext) -> None:
            await ctx.run("step", wrong)

        failure = (await pay(body)).failure
        assert "application/octet-stream" in failure.message
        assert "shop.v1.Address" in failure.message

    async def test_a_result_over_the_limit_is_a_terminal_error_that_names_it(self) -> None:
        async def body(ctx: CheckoutContext) -> None:
            await ctx.run("step", lambda: "x" * 200)

        async with FakeRuntime(Checkout(body), max_value_bytes=100) as runtime:
            failure = (await runtime.run(PAY, PayRequest())).failure
        assert failure.code == StatusCode.RESOURCE_EXHAUSTED
        assert "202 bytes, and a value may have 100" in failure.message

    @pytest.mark.parametrize(
        ("recorded", "function", "options", "says"),
        [
            (j.Value(b"1", j.JSON), address, {}, ("application/json", "shop.v1.Address")),
            (j.Value(b"1", j.JSON), two_seats, {}, ("application/json, '1'", "holds a int in place of a list")),
            (j.Value(b'{"row": 1}', j.JSON), a_ticket, {}, ('{"row": 1}', "it is none of the types")),
            (j.Value(b"1", j.JSON), address, {"serde": Pickled()}, ("application/json", "application/x-pickle")),
            (j.Value(b"?", Pickled.tag), address, {"serde": Pickled()}, ("application/x-pickle, 1 bytes", "cannot be")),
            (j.Value(b"?", Pickled.tag), address, {}, ("application/x-pickle", "shop.v1.Address")),
            (j.Value(b"?", "x.Y"), lambda: 1, {}, ("x.Y", "nothing that says how to read it")),
        ],
    )
    async def test_a_recorded_result_that_cannot_be_read_any_more_is_a_mismatch(
        self, recorded: j.Value, function: Any, options: dict[str, Any], says: tuple[str, str]
    ) -> None:
        async def body(ctx: CheckoutContext) -> None:
            await ctx.run("step", function, "x", **options)

        async with FakeRuntime(Checkout(body)) as runtime:
            one = await runtime.invoke(PAY, PayRequest(), first=False)
            await one.start([one.entries[0], j.encode(j.Run("step")), j.encode(j.Completion(1, recorded))])
            await one.ended()
        (failed,) = one.failures
        assert failed.behavior == pb.Failed.Behavior.PAUSE
        assert failed.failure is not None
        for part in says:
            assert part in failed.failure.message


class TestArguments:
    async def test_a_run_needs_a_name_and_a_function(self) -> None:
        async def body(ctx: CheckoutContext) -> object:
            run: Any = ctx.run
            with pytest.raises(TypeError, match="a run begins with its name"):
                run(address, "x")
            with pytest.raises(TypeError, match=r"charge, card instead of charge\(card\)"):
                run("step", address("x"))
            with pytest.raises(TypeError, match="takes a function, not a int"):
                run("step", 5)
            with pytest.raises(TypeError, match="the timeout of run 'step' is a timedelta"):
                run("step", address, timeout=5)
            with pytest.raises(ValueError, match="must be longer than nothing, not 0 s"):
                run("step", address, timeout=timedelta())
            with pytest.raises(TypeError, match="takes returns= or serde=, not both"):
                run("step", address, returns=int, serde=Pickled())
            with pytest.raises(TypeError, match="the serde of run 'step' needs a tag, dumps and loads"):
                run("step", address, serde=pickle)
            with pytest.raises(TypeError, match="the retry of run 'step' is a RetryPolicy, not 3"):
                run("step", address, retry=3)
            return "refused"

        assert text(await pay(body)) == "refused"
