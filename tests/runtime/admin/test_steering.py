"""What operators do to invocations, one by one and many at once, over a real gRPC server."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from restate_protocol.errors import TerminalError
from restate_protocol.gen.restate.admin.v1 import admin_pb as pb
from restate_protocol.ids import invocation_id_text
from restate_protocol.services import HandlerMode
from restate_protocol.status import StatusCode
from restate_runtime.core.records import Invocation, Status
from restate_runtime.store.base import StoreUnavailable

from tests.runtime.admin.calls import ID, TEXT, call, put, raw, refusal
from tests.runtime.admin.conftest import Rig

Verb = pb.BatchInvocationsRequest.Verb

CASES: list[tuple[str, Any, tuple[Any, ...]]] = [
    ("CancelInvocation", pb.CancelInvocationRequest(id=TEXT), ("cancel", ID)),
    ("KillInvocation", pb.KillInvocationRequest(id=TEXT), ("kill", ID)),
    ("PauseInvocation", pb.PauseInvocationRequest(id=TEXT), ("pause", ID)),
    ("ResumeInvocation", pb.ResumeInvocationRequest(id=TEXT), ("resume", ID, None)),
    ("ResumeInvocation", pb.ResumeInvocationRequest(id=TEXT, deployment_id="latest"), ("resume", ID, "latest")),
    ("RestartInvocation", pb.RestartInvocationRequest(id=TEXT), ("restart", ID, 0, None)),
    (
        "RestartInvocation",
        pb.RestartInvocationRequest(id=TEXT, entries=3, deployment_id="dep_1"),
        ("restart", ID, 3, "dep_1"),
    ),
    ("PurgeInvocation", pb.PurgeInvocationRequest(id=TEXT), ("purge", ID)),
    ("PurgeJournal", pb.PurgeJournalRequest(id=TEXT), ("purge_journal", ID)),
]


@pytest.mark.parametrize(("method", "request_message", "done"), CASES)
async def test_each_verb_reaches_the_engine_and_its_refusal_the_operator(
    rig: Rig, method: str, request_message: Any, done: tuple[Any, ...]
) -> None:
    await raw(rig, method, request_message.to_binary())
    assert rig.engine.done == [done]
    rig.engine.refuse = TerminalError("it is completed", code=StatusCode.FAILED_PRECONDITION)
    code, message = await refusal(rig, method, request_message)
    assert (code, message) == (grpc.StatusCode.FAILED_PRECONDITION, "it is completed")


@pytest.mark.parametrize(("method", "request_message", "_"), CASES)
async def test_what_is_no_id_is_refused(rig: Rig, method: str, request_message: Any, _: object) -> None:
    code, message = await refusal(rig, method, type(request_message)(id="inv_x"))
    assert (code, "inv_x" in message) == (grpc.StatusCode.INVALID_ARGUMENT, True)


async def test_a_restart_gives_the_new_id(rig: Rig) -> None:
    answer = await call(rig, "RestartInvocation", pb.RestartInvocationRequest(id=TEXT), pb.RestartInvocationResponse)
    assert answer.id == invocation_id_text(ID[::-1])


# Batches.


def id_of(number: int) -> bytes:
    return bytes([number]) * 16


def text_of(number: int) -> str:
    return invocation_id_text(id_of(number))


async def batch(rig: Rig, **fields: Any) -> pb.BatchInvocationsResponse:
    return await call(rig, "BatchInvocations", pb.BatchInvocationsRequest(**fields), pb.BatchInvocationsResponse)


async def fill(rig: Rig) -> None:
    """One invocation of each status, numbered in the order of Status, and two more suspended ones."""
    for number, status in enumerate([*Status, Status.SUSPENDED, Status.SUSPENDED]):
        handler, key = ("Get", "bob") if number >= 6 else ("Add", "ada")
        one = Invocation(id_of(number), "shop.v1.Cart", handler, key, HandlerMode.SHARED, 1_000 + number, status=status)
        await put(rig, one)


@pytest.mark.parametrize(
    ("verb", "done"),
    [
        (Verb.CANCEL, "cancel"),
        (Verb.KILL, "kill"),
        (Verb.PAUSE, "pause"),
        (Verb.PURGE, "purge"),
        (Verb.PURGE_JOURNAL, "purge_journal"),
    ],
)
async def test_a_batch_does_it_to_the_ids_it_names(rig: Rig, verb: Verb, done: str) -> None:
    answer = await batch(rig, verb=verb, ids=[text_of(1), text_of(2), text_of(1)])
    assert rig.engine.done == [(done, id_of(1)), (done, id_of(2))]
    assert (answer.done, answer.refused) == ([text_of(1), text_of(2)], [])


async def test_a_batch_resumes_and_restarts_on_the_deployment_it_names(rig: Rig) -> None:
    await batch(rig, verb=Verb.RESUME, ids=[TEXT], deployment_id="latest")
    answer = await batch(rig, verb=Verb.RESTART, ids=[TEXT], deployment_id="dep_1")
    assert rig.engine.done == [("resume", ID, "latest"), ("restart", ID, 0, "dep_1")]
    assert (answer.done, answer.created) == ([TEXT], [invocation_id_text(ID[::-1])])


async def test_what_a_batch_refuses_is_listed_and_the_rest_is_done(rig: Rig) -> None:
    rig.engine.refused = {
        id_of(1): TerminalError("it is completed", code=StatusCode.FAILED_PRECONDITION),
        id_of(2): StoreUnavailable("the disk is full"),
    }
    answer = await batch(rig, verb=Verb.KILL, ids=[text_of(1), text_of(2), "inv_x", text_of(3)])
    assert answer.done == [text_of(3)]
    refused = [(one.id, one.error.code if one.error else "") for one in answer.refused]
    assert refused == [(text_of(1), "FAILED_PRECONDITION"), (text_of(2), "UNAVAILABLE"), ("inv_x", "INVALID_ARGUMENT")]


@pytest.mark.parametrize(
    ("verb", "numbers"),
    [
        (Verb.CANCEL, [7, 6, 4, 3, 2, 1, 0]),
        (Verb.KILL, [7, 6, 4, 3, 2, 1, 0]),
        (Verb.PAUSE, [7, 6, 3, 2, 1, 0]),
        (Verb.RESUME, [4]),
        (Verb.RESTART, [5]),
        (Verb.PURGE, [5]),
        (Verb.PURGE_JOURNAL, [5]),
    ],
)
async def test_without_a_status_a_batch_is_about_those_that_the_verb_is_for(
    rig: Rig, verb: Verb, numbers: list[int]
) -> None:
    await fill(rig)
    answer = await batch(rig, verb=verb, service="shop.v1.Cart")
    assert [one[1] for one in rig.engine.done] == [id_of(number) for number in numbers]
    assert answer.done == [text_of(number) for number in numbers]


@pytest.mark.parametrize(
    ("fields", "numbers"),
    [
        ({"service": "shop.v1.Cart", "status": "suspended"}, [7, 6, 3]),
        ({"status": "suspended", "handler": "Add"}, [3]),
        ({"status": "suspended", "key": "bob"}, [7, 6]),
        ({"status": "suspended", "limit": 2}, [7, 6]),
        ({"status": "ready"}, [2]),
        ({"service": "shop.v1.Nobody"}, []),
    ],
)
async def test_filters_count_together_and_a_dry_run_only_tells(
    rig: Rig, fields: dict[str, Any], numbers: list[int]
) -> None:
    await fill(rig)
    told = await batch(rig, verb=Verb.CANCEL, dry_run=True, **fields)
    assert rig.engine.done == []
    answer = await batch(rig, verb=Verb.CANCEL, **fields)
    assert told.done == answer.done == [text_of(number) for number in numbers]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"ids": [TEXT]}, "verb is missing; give one of CANCEL, KILL"),
        ({"verb": Verb.KILL}, "about nothing: give ids, or one of service, handler, key and status"),
        ({"verb": Verb.KILL, "ids": [TEXT], "key": ""}, "ids and filters"),
        ({"verb": Verb.KILL, "ids": [text_of(1), text_of(2)], "limit": 1}, "names 2 invocations, the limit is 1"),
        ({"verb": Verb.KILL, "service": "a", "limit": 10_001}, "at most 10000"),
        ({"verb": Verb.KILL, "status": "active"}, "no status 'active'; give one of scheduled, queued, ready"),
        ({"verb": Verb.KILL, "ids": [TEXT], "deployment_id": "dep_1"}, "for RESUME and RESTART only"),
    ],
)
async def test_a_batch_that_makes_no_sense_is_refused_whole(rig: Rig, fields: dict[str, Any], problem: str) -> None:
    code, message = await refusal(rig, "BatchInvocations", pb.BatchInvocationsRequest(**fields))
    assert (code, problem in message) == (grpc.StatusCode.INVALID_ARGUMENT, True), message
    assert rig.engine.done == []


async def test_a_list_is_filtered_by_handler_and_key(rig: Rig) -> None:
    await fill(rig)
    request = pb.ListInvocationsRequest(handler="Get", key="bob", status="suspended")
    answer = await call(rig, "ListInvocations", request, pb.ListInvocationsResponse)
    assert [one.id for one in answer.invocations] == [text_of(7), text_of(6)]
