"""One contract with everything, each message library as handlers and as callers, on the real runtime: the same values,
the same bytes. Also where every await replays, and where a handler of one library calls one of another.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, Literal, cast

import pytest
from protobuf import Oneof
from protobuf.wkt import Any as AnyMessage
from protobuf.wkt import Duration, StringValue, Struct, Timestamp, Value
from restate_client.errors import InvalidRequest
from restate_protocol import codec
from restate_protocol import journal as j
from restate_protocol.errors import TerminalError
from restate_protocol.gen.google.type.money_pb import Money
from restate_protocol.status import StatusCode
from restate_runtime.testing import Environment, Overrides, environment
from restate_sdk import Endpoint

from .depot import FLAVOURS, REFERENCE, Flavour, courier_of, delivery_of, depot_of

PAIRS = list(itertools.product(FLAVOURS, repeat=2))
REPLAYS = Overrides(inactivity_timeout=timedelta())
SETTINGS = pytest.mark.parametrize("overrides", [None, REPLAYS], ids=["default", "replays"])
BOTH = pytest.mark.parametrize(("served_by", "called_by"), PAIRS)
Flavours = Mapping[str, Flavour]


def parcel(pb: Any) -> Any:
    """A message of the reference with something in every field. Maps have one entry: their order is nobody's."""
    label = pb.Parcel.Label(lines=[pb.Parcel.Label.Line(text="Grüße"), pb.Parcel.Label.Line()])
    number = Value(kind=cast("Oneof[Literal['number_value'], float]", Oneof("number_value", 1.0)))
    return pb.Parcel(
        depot="north",
        text="a",
        data=b"\0\xff",
        number=-(2**40),
        weight=1.5,
        size=pb.Parcel.Size.LARGE,
        floor=0,
        label=label,
        labels=[label, pb.Parcel.Label()],
        named={"x": label},
        sizes={-1: pb.Parcel.Size.LARGE},
        content=Oneof("book", label),
        sent_at=Timestamp(seconds=1_700_000_000, nanos=123_456_000),
        lasts=Duration(seconds=3, nanos=500_000_000),
        extra=Struct(fields={"n": number}),
        anything=AnyMessage(type_url="type.googleapis.com/depot.v1.Full", value=b"\x08\x07"),
        nickname=StringValue(value="Ada"),
        price=Money(currency_code="EUR", units=5, nanos=10_000_000),
        numbers=[1, 300, -1],
        all_sizes=[pb.Parcel.Size.LARGE, pb.Parcel.Size.UNSPECIFIED],
    )


def serving(flavour: Flavour, overrides: Overrides | None) -> AbstractAsyncContextManager[Environment]:
    return environment(Endpoint(depot_of(flavour)), overrides=overrides)


@pytest.mark.parametrize("name", FLAVOURS)
def test_a_message_with_everything_is_the_same_bytes_in_each_flavour(name: str, flavours: Flavours) -> None:
    reference = flavours[REFERENCE]
    message = parcel(reference.pb)
    assert codec.encode(flavours[name].of(message)) == codec.encode(message)
    assert reference.of(flavours[name].of(message)) == message


@SETTINGS
@BOTH
async def test_a_message_with_everything_comes_back(
    served_by: str, called_by: str, overrides: Overrides | None, flavours: Flavours
) -> None:
    reference, caller = flavours[REFERENCE], flavours[called_by]
    message = parcel(reference.pb)
    async with serving(flavours[served_by], overrides) as env:
        client = caller.restate.DepotClient(env.connection)
        sent = await client.echo.send(caller.of(message))
        back = await sent.attach()
        assert back == caller.of(message)
        assert reference.of(back) == message
        (output,) = [one for one in await env.admin.journal(sent.invocation_id) if isinstance(one, j.Output)]
        assert output.result == j.Value(codec.encode(message))


@SETTINGS
@BOTH
async def test_state_of_every_shape_is_read_as_it_was_written(
    served_by: str, called_by: str, overrides: Overrides | None, flavours: Flavours
) -> None:
    reference, caller = flavours[REFERENCE], flavours[called_by]
    message = parcel(reference.pb)
    async with serving(flavours[served_by], overrides) as env:
        client = caller.restate.DepotClient(env.connection)
        empty = reference.of(await client.look(caller.pb.LookRequest(depot="north")))
        assert empty == reference.pb.LookResponse(state=reference.pb.DepotState())
        for _ in range(2):
            await client.echo(caller.of(message))
        assert (await client.put(caller.pb.PutRequest(depot="north", amount=1))).puts == 1
        seen = reference.of(await client.look(caller.pb.LookRequest(depot="north")))
    assert seen.state == reference.pb.DepotState(
        last=message, texts=["a", "a"], counts={"a": 2}, size=message.size, floor=0, puts=1
    )
    assert sorted(seen.keys) == ["counts", "floor", "last", "puts", "size", "texts"]


@SETTINGS
@BOTH
async def test_typed_errors_carry_their_messages(
    served_by: str, called_by: str, overrides: Overrides | None, flavours: Flavours
) -> None:
    reference, caller = flavours[REFERENCE], flavours[called_by]
    message = parcel(reference.pb)
    async with serving(flavours[served_by], overrides) as env:
        client = caller.restate.DepotClient(env.connection)
        with pytest.raises(caller.restate.FullError) as first:
            await client.put(caller.pb.PutRequest(depot="north", amount=11))
        await client.echo(caller.of(message))
        with pytest.raises(caller.restate.FullError) as second:
            await client.put(caller.pb.PutRequest(depot="north", amount=11))
    assert isinstance(first.value.detail, caller.pb.Full)
    assert reference.of(first.value.detail) == reference.pb.Full(limit=10)
    assert reference.of(second.value.detail) == reference.pb.Full(limit=10, label=message.label)


@pytest.mark.parametrize("called_by", FLAVOURS)
async def test_rules_of_fields_are_enforced(called_by: str, flavours: Flavours) -> None:
    caller = flavours[called_by]
    async with serving(flavours[REFERENCE], None) as env:
        client = caller.restate.DepotClient(env.connection)
        with pytest.raises(InvalidRequest, match=r"amount: must be less than or equal to 100"):
            await client.put(caller.pb.PutRequest(depot="north", amount=101))


@pytest.mark.parametrize("name", FLAVOURS)
def test_a_request_without_its_key_is_refused_before_it_leaves(name: str, flavours: Flavours) -> None:
    flavour = flavours[name]
    put, run = flavour.restate.DEPOT.handler("Put"), flavour.restate.DELIVERY.handler("Run")
    assert put.key_of(flavour.pb.PutRequest(depot="north")) == "north"
    assert run.key_of(flavour.pb.DeliverRequest(id=7)) == "7"
    for handler, request in ((put, flavour.pb.PutRequest()), (run, flavour.pb.DeliverRequest())):
        with pytest.raises(TerminalError, match=r"needs a key: set (depot|id) of the request") as caught:
            handler.key_of(request)
        assert caught.value.code is StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("name", FLAVOURS)
def test_zero_is_a_key_where_the_field_has_presence(name: str, flavours: Flavours) -> None:
    flavour = flavours[name]
    call = flavour.restate.SHELF.handler("Call")
    assert call.key_of(flavour.pb.ShelfRequest(number=0)) == "0"
    with pytest.raises(TerminalError, match="needs a key"):
        call.key_of(flavour.pb.ShelfRequest())


@SETTINGS
@BOTH
async def test_awakeables_and_promises_carry_messages(
    served_by: str, called_by: str, overrides: Overrides | None, flavours: Flavours
) -> None:
    reference, caller = flavours[REFERENCE], flavours[called_by]
    asked: list[str] = []
    arrival = reference.pb.Arrival(place="door", at=Timestamp(seconds=7))
    signature = reference.pb.Signature(name="Ada", label=parcel(reference.pb).label)
    async with environment(Endpoint(delivery_of(flavours[served_by], asked)), overrides=overrides) as env:
        client = caller.restate.DeliveryClient(env.connection)
        sent = await client.run.send(caller.pb.DeliverRequest(id=2**64 - 1))
        await env.settle()
        await env.connection.resolve_awakeable(asked[0], caller.of(signature))
        await client.arrive(caller.pb.ArriveRequest(id=2**64 - 1, arrival=caller.of(arrival)))
        receipt = reference.of(await sent.attach())
    assert receipt == reference.pb.Receipt(id=2**64 - 1, signature=signature, arrival=arrival, notes=["rang", "left"])
    assert len(set(asked)) == 1


@SETTINGS
@BOTH
async def test_a_handler_calls_one_with_messages_of_another_library(
    served_by: str, called_by: str, overrides: Overrides | None, flavours: Flavours
) -> None:
    reference, caller = flavours[REFERENCE], flavours[called_by]
    message = parcel(reference.pb)
    endpoints = Endpoint(depot_of(flavours[served_by])), Endpoint(courier_of(caller))
    async with environment(*endpoints, overrides=overrides) as env:
        client = reference.restate.CourierClient(env.connection)
        assert await client.carry(message) == message
        assert (await client.overload(reference.pb.PutRequest(depot="north", amount=1))).puts == 1
        with pytest.raises(reference.restate.FullError) as full:
            await client.overload(reference.pb.PutRequest(depot="north", amount=11))
    assert full.value.message == "no room for 11"
    assert full.value.detail == reference.pb.Full(limit=10, label=message.label)


@pytest.mark.parametrize("name", FLAVOURS)
async def test_a_journal_of_one_flavour_is_replayed_by_another(name: str, flavours: Flavours) -> None:
    """The flavour of a deployment may change while invocations are asleep: the bytes are the contract's."""
    reference, other = flavours[REFERENCE], flavours[name]
    message = parcel(reference.pb)
    async with environment(overrides=REPLAYS, skip_time=False) as env:
        before = await env.deploy(Endpoint(depot_of(reference)))
        sent = await reference.restate.DepotClient(env.connection).echo.send(message)
        await env.settle()
        await env.disconnect()
        assert await env.deploy(Endpoint(depot_of(other))) == before
        await env.advance(timedelta(hours=1))
        assert await sent.attach() == message
