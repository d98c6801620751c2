"""What a caller may do wrong: a table, and every row of it over every way into a whole runtime.

Each row is refused with its code and reason, in words that name what is wrong; nothing is made of it; and the metric of
its reason goes up by one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from protobuf import Oneof
from restate_protocol import ids
from restate_protocol.gen.restate.ingress.v1 import ingress_pb as pb
from restate_protocol.journal import JSON, Value
from restate_runtime.deployments.schema import Schema
from restate_runtime.engine.api import Submission
from restate_runtime.ingress.reasons import Reason

from tests.runtime.ingress.bad_input import CART, INGRESS, LIMITS, SAY, TABLE, Row, wrong
from tests.runtime.ingress.real import Real, real
from tests.runtime.ingress.ways import BY_MESSAGE, WAYS, Ask, Seen


def _forms(row: Row, schema: Schema, types: Mapping[str, str]) -> Row:
    """The row with its message in both forms."""
    if row.message is None:
        return row
    return replace(row, json=row.message.encode(), binary=schema.from_json(types[row.path], row.message))


def _fits(row: Row, way: str) -> bool:
    """Whether a way can say it."""
    _, form, _ = WAYS[way]
    if row.message is None and getattr(row, form) is None:
        return False
    return not (way in BY_MESSAGE and (row.headers or row.path.startswith(INGRESS)))


@pytest.fixture(scope="session")
def shop_schema(shop_set: bytes) -> Schema:
    return Schema(shop_set)


@pytest.fixture(scope="session")
def request_types(shop_schema: Schema) -> dict[str, str]:
    """The request message of each path."""
    services = [shop_schema.registry.service(f"shop.v1.{name}") for name in ("Cart", "Counter", "Echo", "Checkout")]
    return {
        f"/{service.type_name}/{method.name}": method.input.type_name
        for service in services
        if service is not None
        for method in service.methods
    }


async def check(it: Real, way: str, row: Row) -> Seen:
    """Asks, and looks at everything that a refusal is to be."""
    go, _, protocol = WAYS[way]
    labels = {"protocol": protocol, "reason": row.reason.value}
    before = await it.metric("restate_ingress_refusals_total", **labels)
    there = await it.invocations()
    seen = await go(it.doors, Ask(row.path, row.binary, row.json, row.headers))
    assert (seen.code, seen.source, seen.reason) == (row.code, "ingress", row.reason.value.upper()), seen
    assert all(text in seen.message for text in row.says), seen.message
    assert set(row.fields) - {""} <= set(seen.fields)
    assert seen.http in (0, row.http)
    assert await it.invocations() == there
    assert await it.metric("restate_ingress_refusals_total", **labels) == before + 1
    return seen


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def it(shop_set: bytes) -> AsyncIterator[Real]:
    """One runtime for all rows: what a row looks at is what it changes."""
    async with real(shop_set, **LIMITS) as made:
        yield made


CASES = [(way, name) for way in WAYS for name, row in TABLE.items() if _fits(row, way)]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("way", "name"), CASES)
async def test_bad_input_is_refused(
    it: Real, shop_schema: Schema, request_types: dict[str, str], way: str, name: str
) -> None:
    await check(it, way, _forms(TABLE[name], shop_schema, request_types))


DIRECT = [way for way in WAYS if way not in BY_MESSAGE]

Prepare = Callable[[Real], Awaitable[Row]]


async def _resolved_twice(it: Real) -> Row:
    id_ = await it.awakeable()
    await it.server.engine.complete_awakeable(id_, _json_value())
    return Row(
        INGRESS + "ResolveAwakeable",
        "FAILED_PRECONDITION",
        400,
        Reason.ALREADY_COMPLETED,
        (id_, "completed already"),
        binary=pb.ResolveAwakeableRequest(awakeable_id=id_, value=_oneof("1")).to_binary(),
        json=b'{"awakeableId":"' + id_.encode() + b'","json":"1"}',
    )


async def _rejected_after(it: Real) -> Row:
    row = await _resolved_twice(it)
    assert row.json is not None
    id_ = row.says[0]
    binary = pb.RejectAwakeableRequest(awakeable_id=id_).to_binary()
    return replace(
        row, path=INGRESS + "RejectAwakeable", binary=binary, json=b'{"awakeableId":"' + id_.encode() + b'"}'
    )


async def _value_of_another_type(it: Real) -> Row:
    id_ = await it.awakeable()
    return wrong(
        INGRESS + "ResolveAwakeable",
        Reason.INVALID_MESSAGE,
        "json is not JSON",
        binary=pb.ResolveAwakeableRequest(awakeable_id=id_, value=_oneof("{")).to_binary(),
        json=b'{"awakeableId":"' + id_.encode() + b'","json":"{"}',
    )


async def _purged(it: Real) -> Row:
    id_ = await it.completed()
    await it.server.engine.purge(ids.parse_invocation_id(id_))
    return _about("Attach", id_, "NOT_FOUND", 404, Reason.NOT_FOUND, "its retention is over")


async def _output_too_early(it: Real) -> Row:
    id_ = ids.invocation_id_text(ids.parse_awakeable_id(await it.awakeable())[0])
    return _about("GetOutput", id_, "FAILED_PRECONDITION", 400, Reason.NOT_READY, "not completed yet")


async def _cancelled_too_late(it: Real) -> Row:
    id_ = await it.completed()
    return _about("Cancel", id_, "FAILED_PRECONDITION", 400, Reason.ALREADY_COMPLETED, "completed")


def _about(method: str, id_: str, code: str, http: int, reason: Reason, *says: str) -> Row:
    binary = pb.AttachRequest(invocation_id=id_).to_binary()  # all of them have the id in the same place
    json = b'{"invocationId":"' + id_.encode() + b'"}'
    return Row(INGRESS + method, code, http, reason, (id_, *says), binary=binary, json=json)


LATER: dict[str, Prepare] = {
    "second resolution of an awakeable": _resolved_twice,
    "rejection of a resolved awakeable": _rejected_after,
    "a value that the awakeable was not made for": _value_of_another_type,
    "attach to what was purged": _purged,
    "output that is not there yet": _output_too_early,
    "cancel of what is over": _cancelled_too_late,
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("way", DIRECT)
@pytest.mark.parametrize("name", LATER)
async def test_what_comes_too_late_or_too_early_is_refused(it: Real, way: str, name: str) -> None:
    await check(it, way, await LATER[name](it))


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("way", ["connect json", "connect proto"])
async def test_a_deadline_that_has_passed_starts_nothing(it: Real, way: str) -> None:
    headers = {"connect-timeout-ms": "0"}
    says = ("nothing was started",)
    row = Row(SAY, "DEADLINE_EXCEEDED", 504, Reason.DEADLINE, says, binary=b"", json=b"{}", headers=headers)
    await check(it, way, row)


# Overload: refused like bad input, and with when to try again.

OVERLOADS: dict[str, tuple[dict[str, Any], Reason, str]] = {
    "callers": ({"max_waiting_callers": 1}, Reason.WAITING_CALLERS, "max_waiting_callers"),
    "bytes": ({"max_bytes_in_flight": 1_024}, Reason.BYTES_IN_FLIGHT, "max_bytes_in_flight"),
    "queue": ({"max_queued_invocations": 1}, Reason.QUEUED_INVOCATIONS, "max_queued_invocations"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", OVERLOADS)
async def test_overload_is_refused_with_when_to_try_again(
    shop_set: bytes, shop_schema: Schema, way: str, name: str
) -> None:
    settings, reason, setting = OVERLOADS[name]
    async with real(shop_set, **settings) as it:
        for _ in range(2):
            # Both wait, the second for the first: for its key.
            await it.server.engine.submit(_cart(), wait=name == "callers" and not await it.invocations())
            if name == "callers":
                break
        text = '{"userId":"ada","tickets":[' + ",".join(['{"price":1}'] * 500) + "]}"
        binary = shop_schema.from_json("shop.v1.AddTicketRequest", text)
        row = Row(
            CART, "RESOURCE_EXHAUSTED", 429, reason, (setting, "try again later"), binary=binary, json=text.encode()
        )
        seen = await check(it, way, row)
        assert seen.retry == (True, True)


def _cart() -> Any:
    return Submission("shop.v1.Cart", "AddTicket", "ada", b"\x0a\x03ada")


def _json_value() -> Any:
    return Value(b"1", JSON)


def _oneof(text: str) -> Any:
    return Oneof("json", text)
