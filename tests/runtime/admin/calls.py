"""Calls of the admin API over its wire, and invocations for it to show."""

from __future__ import annotations

from typing import Any, TypeVar

import grpc
import pytest
from protobuf import Message
from restate_protocol import journal as j
from restate_protocol.gen.restate.admin.v1 import admin_pb as pb
from restate_protocol.ids import invocation_id_text
from restate_protocol.services import HandlerMode
from restate_runtime.core.decision import AppendEntry, CreateInvocation, Write
from restate_runtime.core.records import Invocation

from tests.runtime.admin.conftest import Rig

Res = TypeVar("Res", bound=Message[Any])

ID = bytes(range(16))
TEXT = invocation_id_text(ID)


async def call(rig: Rig, method: str, request: Message[Any], response: type[Res]) -> Res:
    return response.from_binary(await raw(rig, method, request.to_binary()))


async def raw(rig: Rig, method: str, data: bytes) -> bytes:
    stub: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = rig.channel.unary_unary(f"/restate.admin.v1.Admin/{method}")
    return await stub(data)


async def refusal(rig: Rig, method: str, request: Message[Any] | bytes) -> tuple[grpc.StatusCode, str]:
    data = request if isinstance(request, bytes) else request.to_binary()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await raw(rig, method, data)
    return caught.value.code(), caught.value.details() or ""


def cart(invocation_id: bytes = ID, **changes: Any) -> Invocation:
    one = Invocation(invocation_id, "shop.v1.Cart", "Add", "ada", HandlerMode.EXCLUSIVE, 1_000, deployment_id="dep_1")
    for name, value in changes.items():
        setattr(one, name, value)
    return one


async def put(rig: Rig, invocation: Invocation, *entries: j.Entry) -> None:
    writes: list[Write] = [CreateInvocation(invocation)]
    writes += [AppendEntry(invocation.id, index, 1_000 + index, j.encode(entry)) for index, entry in enumerate(entries)]
    await rig.store.commit(writes)


async def journal(rig: Rig, text: str = TEXT) -> list[pb.JournalEntry]:
    return (await call(rig, "GetJournal", pb.GetJournalRequest(id=text), pb.GetJournalResponse)).entries
