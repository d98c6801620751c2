"""Typed state: defaults, presence, copies, keys, and what shared handlers may not do."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from restate_protocol import codec
from restate_protocol import journal as j
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_sdk import MisuseError, StatusCode

from .gen.shop.v1.shop_pb import AddRequest, AddResponse, Address, CartState, LookRequest, LookResponse
from .gen.shop.v1.shop_restate import CartContext, CartSharedContext
from .handlers import ADD, LOOK, Cart
from .runtime import FakeRuntime, Invocation

ITEMS, TOTAL, NOTE, ADDRESS = 1, 2, 3, 4


def stored(**field: object) -> bytes:
    return codec.encode(CartState(**field))  # type: ignore[arg-type]


async def add(body: Callable[[CartContext], Awaitable[list[str]]], state: dict[int, bytes] | None = None) -> Invocation:
    async with FakeRuntime(Cart(add=body)) as runtime:
        return await runtime.run(ADD, AddRequest(cart_id=7), key="7", state=state)


def items(one: Invocation) -> list[str]:
    found: list[str] = one.result(AddResponse).items
    return found


async def test_absent_entries_read_as_defaults_or_none() -> None:
    async def body(ctx: CartContext) -> list[str]:
        state = ctx.state
        return [
            repr([await state.items.get(), await state.total.get(), await state.note.get(), await state.address.get()])
        ]

    assert items(await add(body)) == ["[[], 0, None, None]"]


async def test_entries_are_stored_under_their_number_as_the_message_with_only_that_field() -> None:
    async def body(ctx: CartContext) -> list[str]:
        ctx.state.items.set(["a", "b"])
        ctx.state.total.set(0)
        ctx.state.note.set("")
        ctx.state.address.set(Address(street="x"))
        return [str(await ctx.state.total.get()), repr(await ctx.state.note.get())]

    one = await add(body)
    assert items(one) == ["0", "''"]
    assert one.commands[1:5] == [
        j.SetState(ITEMS, stored(items=["a", "b"])),
        j.SetState(TOTAL, b""),
        j.SetState(NOTE, stored(note="")),
        j.SetState(ADDRESS, stored(address=Address(street="x"))),
    ]


async def test_a_read_gives_a_fresh_copy_and_only_set_writes() -> None:
    async def body(ctx: CartContext) -> list[str]:
        future = ctx.state.items.get()
        (await future).append("lost")
        (await ctx.state.items.get()).append("lost too")
        return [*await future, *await ctx.state.items.get()]

    assert items(await add(body, {ITEMS: stored(items=["kept"])})) == ["kept", "kept"]


async def test_none_and_clear_remove_an_entry() -> None:
    async def body(ctx: CartContext) -> list[str]:
        ctx.state.note.set(None)
        ctx.state.total.clear()
        return await ctx.state_keys()

    state = {NOTE: stored(note="a"), TOTAL: stored(total=1), ITEMS: stored(items=["a"])}
    assert items(await add(body, state)) == ["items"]


async def test_keys_are_names_in_the_order_of_the_contract() -> None:
    async def body(ctx: CartContext) -> list[str]:
        ctx.clear_state()
        empty = await ctx.state_keys()
        ctx.state.address.set(Address())
        ctx.state.items.set([])
        return [*empty, *await ctx.state_keys()]

    assert items(await add(body, {NOTE: stored(note="a")})) == ["items", "address"]


async def test_the_key_has_the_type_of_the_contract() -> None:
    async def body(ctx: CartContext) -> list[str]:
        return [repr(ctx.key)]

    assert items(await add(body)) == ["7"]


async def test_bytes_that_are_no_state_message_are_a_terminal_error() -> None:
    async def body(ctx: CartContext) -> list[str]:
        return await ctx.state.items.get()

    failure = (await add(body, {ITEMS: b"\xff"})).failure
    assert failure.code == StatusCode.DATA_LOSS
    assert "state items does not hold a shop.v1.CartState" in failure.message


async def test_a_value_over_the_limit_is_refused() -> None:
    async def body(ctx: CartContext) -> list[str]:
        ctx.state.note.set("x" * 100)
        return []

    async with FakeRuntime(Cart(add=body), max_value_bytes=50) as runtime:
        failure = (await runtime.run(ADD, AddRequest(cart_id=7), key="7")).failure
    assert failure.code == StatusCode.RESOURCE_EXHAUSTED
    assert "state field 3 has 102 bytes" in failure.message


async def test_a_lazy_read_is_fetched() -> None:
    async def body(ctx: CartContext) -> list[str]:
        return [*await ctx.state.items.get(), str(await ctx.state.total.get())]

    def answers(entry: j.Command) -> j.Result | None:
        if isinstance(entry, j.GetState):
            return j.Value(stored(items=["far"])) if entry.number == ITEMS else j.Void()
        return None

    async with FakeRuntime(Cart(add=body), inactivity_ms=0) as runtime:
        one = await runtime.run(ADD, AddRequest(cart_id=7), key="7", partial_state=True, answers=answers)
    assert items(one) == ["far", "0"]


async def test_shared_handlers_read() -> None:
    async def body(ctx: CartSharedContext) -> list[str]:
        return await ctx.state.items.get()

    async with FakeRuntime(Cart(look=body)) as runtime:
        one = await runtime.run(LOOK, LookRequest(cart_id=7), key="7", state={ITEMS: stored(items=["a"])})
    assert one.result(LookResponse).items == ["a"]


@pytest.mark.parametrize(
    ("write", "named"),
    [
        (lambda ctx: ctx.state.total.set(3), "ctx.state.total.set was called"),
        (lambda ctx: ctx.state.total.clear(), "ctx.state.total.clear was called"),
        (lambda ctx: ctx.clear_state(), "ctx.clear_state was called"),
    ],
)
async def test_a_write_in_a_shared_handler_pauses_with_the_reason(write: Callable[[Any], None], named: str) -> None:
    async def body(ctx: CartSharedContext) -> list[str]:
        with contextlib.suppress(Exception):  # the attempt has failed whatever the handler makes of it
            write(ctx)
        return []

    async with FakeRuntime(Cart(look=body)) as runtime:
        one = await runtime.run(LOOK, LookRequest(cart_id=7), key="7")
    (failed,) = one.failures
    assert (one.output, one.commands[1:]) == (None, [])
    assert failed.failure is not None
    assert f"MisuseError: {named} in a shared handler" in failed.failure.message
    assert failed.behavior == pb.Failed.Behavior.PAUSE


async def test_state_is_right_in_every_attempt() -> None:
    async def body(ctx: CartContext) -> list[str]:
        seen = []
        for name in "abc":
            seen.append(name)
            ctx.state.items.set([*await ctx.state.items.get(), name])
            await ctx.run(name, lambda: None)
        return await ctx.state.items.get()

    def state_of(one: Invocation) -> dict[int, bytes]:
        return {entry.number: entry.value for entry in one.commands if isinstance(entry, j.SetState)}

    async with FakeRuntime(Cart(add=body)) as runtime:
        one = await runtime.invoke(ADD, AddRequest(cart_id=7), key="7")
        await one.ended()
        assert items(one) == ["a", "b", "c"]
        whole = list(one.entries)
        for length in range(1, len(whole)):
            one.output = None
            one.set_state(_state(whole[:length]))
            await one.start(whole[:length])
            await one.ended()
            assert one.failures == []
            assert items(one) == ["a", "b", "c"]


def _state(entries: list[bytes]) -> dict[int, bytes]:
    decoded = [j.decode(entry) for entry in entries]
    return {entry.number: entry.value for entry in decoded if isinstance(entry, j.SetState)}


@pytest.mark.parametrize("name", ["total", "items"])
async def test_a_value_of_another_type_is_a_misuse_at_the_line_that_sets_it(name: str) -> None:
    async def body(ctx: CartContext) -> list[str]:
        with pytest.raises(MisuseError, match=rf"state {name} was given a object.*the field {name} of shop\.v1\.Cart"):
            getattr(ctx.state, name).set(object())
        return ["refused"]

    assert items(await add(body)) == ["refused"]
