"""§14 and §18: the ingress by HTTP and gRPC, the admin API by gRPC, and the operator's command."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from restate_protocol.gen.restate.admin.v1 import admin_pb as pb
from restate_runtime.store.base import StoreUnavailable
from restate_runtime.store.memory import MemoryStore
from restate_sdk import StatusCode, TerminalError

from .generated import AddRequest, CounterClient, LabClient, LabRequest, ToolRequest, ToolsClient
from .ports import INGRESS, Served, served
from .services.counter import Counter
from .services.failing import Failing
from .services.lab import Lab, LabObject
from .services.tools import Tools


async def wait(ctx: Any, request: LabRequest) -> object:
    return await ctx.signal("go", str)


async def quick(ctx: Any, request: LabRequest) -> object:
    return request.text


async def until(condition: Any) -> Any:
    """Looks until the condition gives something true; the test's time limit ends what never does."""
    while not (found := await condition()):
        await asyncio.sleep(0.001)
    return found


async def test_INGR_02_bytes_come_back_as_they_went() -> None:
    data = bytes(range(100))
    async with served(Tools()) as it:
        answer = await it.post("Tools/RawEcho", {"data": base64.b64encode(data).decode()})
        assert base64.b64decode(answer.json()["data"]) == data
        assert (await ToolsClient(it.caller).raw_echo(ToolRequest(data=data))).data == data


async def test_INGR_05_a_send_is_answered_when_it_is_durable() -> None:
    async with served(Counter()) as it:
        body = {"key": "k", "value": 2}
        answers = [await it.post("Counter/Add", body, restate_send="true", idempotency_key="i") for _ in range(2)]
        assert [one.status_code for one in answers] == [200, 200]
        assert [one.headers["restate-status"] for one in answers] == ["accepted", "previously-accepted"]
        ids = {one.headers["restate-invocation-id"] for one in answers}
        assert len(ids) == 1
        assert ids.pop().startswith("inv_")


async def test_INGR_06_an_idempotency_key_is_a_header() -> None:
    async with served(Counter()) as it:
        answers = [await it.post("Counter/Add", {"key": "k", "value": 1}, idempotency_key="i") for _ in range(2)]
        assert [one.json()["newValue"] for one in answers] == ["1", "1"]
        [kept] = (await it.admin("ListInvocations")).invocations
        assert kept.expires_at_ms - kept.completed_at_ms == 86_400_000


async def test_INGR_07_results_are_attached_to_and_read_by_id() -> None:
    async with served(Lab(do=wait)) as it:
        sent = await it.post("Lab/Do", {}, restate_send="true")
        named = {"invocationId": sent.headers["restate-invocation-id"]}
        early = await it.post(INGRESS + "GetOutput", named)
        assert early.json()["code"] == "failed_precondition"
        attached = asyncio.ensure_future(it.post(INGRESS + "Attach", named))
        await it.post(INGRESS + "SendSignal", {**named, "name": "go", "json": '"told"'})
        assert (await attached).status_code == 200
        assert (await it.post(INGRESS + "GetOutput", named)).json() == (await attached).json()
        unknown = {"invocationId": named["invocationId"][:-4] + "0000"}
        assert (await it.post(INGRESS + "GetOutput", unknown)).status_code == 404
        assert (await it.post(INGRESS + "GetOutput", {"invocationId": "inv_x"})).status_code == 400


async def test_INGR_07_and_by_what_the_caller_knows() -> None:
    targets = [
        ("Lab/Do", {"service": "conformance.v1.Lab", "handler": "Do", "idempotencyKey": "k"}),
        ("LabObject/Do", {"service": "conformance.v1.LabObject", "handler": "Do", "key": "o", "idempotencyKey": "k"}),
    ]
    async with served(Lab(do=wait), LabObject(do=wait)) as it:
        for path, target in targets:
            named = {"target": target}
            assert (await it.post(INGRESS + "GetOutput", named)).status_code == 404
            key = target.get("key", "")
            sent = await it.post(path, {"key": key}, restate_send="true", idempotency_key="k")
            assert (await it.post(INGRESS + "GetOutput", named)).json()["code"] == "failed_precondition"
            found = (await it.post(INGRESS + "Lookup", named)).json()
            assert found["invocationId"] == sent.headers["restate-invocation-id"]
            await it.post(INGRESS + "SendSignal", {**named, "name": "go", "json": '"told"'})
            attached = (await it.post(INGRESS + "Attach", {**named, "json": True})).json()
            assert json.loads(attached["json"]) == {"text": "told"}
            assert attached["invocationId"] == found["invocationId"]
            assert (await it.post(INGRESS + "GetOutput", {**named, "json": True})).json() == attached
            assert (await it.post(INGRESS + "Lookup", named)).json()["completed"] is True
            wrong = {"target": {**target, "idempotencyKey": ""}}
            refused = await it.post(INGRESS + "Attach", wrong)
            assert (refused.status_code, "target.idempotency_key" in refused.text) == (400, True)


async def test_INGR_18_the_handler_may_be_named_in_the_message() -> None:
    async with served(Counter()) as it:
        add = {"service": "conformance.v1.Counter", "handler": "Add", "json": '{"key": "k", "value": 2}'}
        called = await it.post(INGRESS + "Call", {**add, "idempotencyKey": "i"})
        body = called.json()
        assert json.loads(body["json"])["newValue"] == "2"
        assert called.headers["restate-invocation-id"] == body["invocationId"]
        direct = await it.post("Counter/Add", {"value": 2, "key": "k"}, idempotency_key="i")
        assert direct.headers["restate-invocation-id"] == body["invocationId"]
        assert direct.headers["restate-status"] == "previously-accepted"
        binary = AddRequest(key="k", value=2).to_binary()
        again = await it.post(
            INGRESS + "Send",
            {**{name: add[name] for name in ("service", "handler")}, "payload": base64.b64encode(binary).decode()}
            | {"idempotencyKey": "i"},
        )
        assert again.json()["acceptance"] == "ACCEPTANCE_PREVIOUSLY_ACCEPTED"
        other = await it.post("Counter/Add", {"value": 3, "key": "k"}, idempotency_key="i")
        assert (other.status_code, other.json()["code"]) == (409, "already_exists")
        assert other.headers["restate-invocation-id"] == body["invocationId"]


async def test_INGR_11_what_the_contract_does_not_allow_is_refused() -> None:
    as_json = {"content-type": "application/json"}
    async with served(Counter(), Lab(quick)) as it:
        refused = [
            await it.post("Counter/Add", {"key": "k", "nothing": 1}),
            await it.post("Counter/Add", {"value": 1}),
            await it.http.post("/conformance.v1.Counter/Add", content=b"{", headers=as_json),
        ]
        assert [one.status_code for one in refused] == [400, 400, 400]
        unsuitable = await it.http.post("/conformance.v1.Counter/Add", content=b"x", headers={"content-type": "text/x"})
        assert unsuitable.status_code == 415
        assert (await it.post("Lab/Hidden", {})).status_code == 403
        assert (await it.post("Lab/NoSuchHandler", {})).status_code in (404, 501)
        assert (await it.admin("ListInvocations")).invocations == []


async def test_INGR_13_a_response_is_in_the_format_of_the_request() -> None:
    async with served(Tools()) as it:
        path = "/conformance.v1.Tools/Echo"
        for content_type, body in (
            ("application/json", b'{"text":"x"}'),
            ("application/proto", ToolRequest(text="x").to_binary()),
        ):
            answer = await it.http.post(path, content=body, headers={"content-type": content_type})
            assert answer.headers["content-type"].startswith(content_type)
        frame = b"\0\0\0\0\3" + ToolRequest(text="x").to_binary()
        answer = await it.http.post(path, content=frame, headers={"content-type": "application/grpc-web"})
        assert answer.headers["content-type"] == "application/grpc-web+proto"
        assert answer.content.endswith(b"grpc-status: 0\r\n")


async def test_INGR_14_health_and_methods() -> None:
    async with served(Tools()) as it:
        assert (await it.http.get("/healthz")).status_code == 200
        for method in ("PUT", "GET", "DELETE"):
            refused = await it.http.request(method, "/conformance.v1.Tools/Echo")
            assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


async def test_INGR_15_what_is_too_long_is_refused_with_the_limit() -> None:
    async with served(Counter()) as it:
        answer = await it.post("Counter/Add", {"key": "k" * 5_000, "value": 1})
        assert answer.status_code == 400
        assert "the limit is 4096 (setting max_key_bytes)" in answer.json()["message"]


async def test_INGR_15_overload_is_refused_with_when_to_try_again() -> None:
    async with served(Lab(do=wait, other=quick), max_waiting_callers=1) as it:
        sent = await LabClient(it.caller).do.send(LabRequest())
        waiting = asyncio.ensure_future(sent.attach())
        page = 'restate_load{of="waiting_callers"} 1.0'

        async def waits() -> bool:
            return page in (await it.health.get("/metrics")).text

        await until(waits)
        answer = await it.post("Lab/Other", {})
        assert answer.status_code == 429
        assert "max_waiting_callers" in answer.json()["message"]
        assert int(answer.headers["retry-after"]) >= 1
        assert len((await it.admin("ListInvocations")).invocations) == 1
        await it.admin("KillInvocation", id=sent.invocation_id)
        with pytest.raises(TerminalError):
            await waiting
        assert (await it.post("Lab/Other", {})).status_code == 200


class BrokenStore(MemoryStore):
    """A store that cannot be read, or not be written, when told so."""

    unreadable = unwritable = False

    async def invocation(self, invocation_id: bytes) -> Any:
        if self.unreadable:
            raise StoreUnavailable("the disk is gone")
        return await super().invocation(invocation_id)

    async def commit(self, writes: Any) -> None:
        if self.unwritable:
            raise StoreUnavailable("the disk is full")
        await super().commit(writes)


async def test_INGR_15_what_cannot_be_read_is_a_defect() -> None:
    store = BrokenStore()
    async with served(Lab(quick), store=store) as it:
        sent = await it.post("Lab/Do", {}, restate_send="true")
        store.unreadable = True
        answer = await it.post(INGRESS + "GetOutput", {"invocationId": sent.headers["restate-invocation-id"]})
        assert (answer.status_code, answer.headers["restate-error-source"]) == (500, "ingress")
        assert "disk" not in answer.json()["message"]


async def test_INGR_15_a_runtime_that_cannot_write_takes_nothing() -> None:
    store = BrokenStore()
    async with served(Lab(quick), store=store) as it:
        store.unwritable = True
        for _ in range(2):
            answer = await it.post("Lab/Do", {})
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        store.unwritable = False


async def test_INGR_21_the_services_are_described() -> None:
    async with served(Counter(), Tools()) as it:
        answer = await it.http.get("/openapi.json", params={"service": "conformance.v1.Counter"})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        document = answer.json()
        OpenAPIV31SpecValidator(document).validate()
        add = document["paths"]["/conformance.v1.Counter/Add"]["post"]
        assert add["requestBody"]["content"]["application/json"]["schema"]["required"] == ["key"]
        assert not any("Tools" in path for path in document["paths"])
        every = (await it.http.get("/openapi.json")).json()
        OpenAPIV31SpecValidator(every).validate()
        assert "/conformance.v1.Tools/Echo" in every["paths"]


async def test_INGR_23_keys_that_look_alike_are_different_keys() -> None:
    keys = ["é", "e\u0301", "é ", " é", "É", "%C3%A9", "a+b", "a b", "a%20b", "a\u0000b", "\u202ea"]
    async with served(Counter()) as it:
        for number, key in enumerate(keys, start=1):
            assert (await it.post("Counter/Add", {"key": key, "value": number})).json()["newValue"] == str(number)
        for number, key in enumerate(keys, start=1):
            assert (await CounterClient(it.caller).add(AddRequest(key=key, value=0))).new_value == number
        assert {one.key for one in (await it.admin("ListInvocations")).invocations} == set(keys)


async def test_INGR_23_what_is_no_key_is_refused() -> None:
    as_json = {"content-type": "application/json"}
    async with served(Counter()) as it:
        refused = [
            await it.post("Counter/Add", {"key": "k" * 4_097, "value": 1}),
            await it.post("Counter/Add", {"key": "🎟️" * 1_000, "value": 1}),
            await it.http.post("/conformance.v1.Counter/Add", content=b'{"key":"\\ud800"}', headers=as_json),
            await it.http.post("/conformance.v1.Counter/Add", content=b'{"key":"\xff"}', headers=as_json),
        ]
        assert [one.status_code for one in refused] == [400] * 4
        assert (await it.admin("ListInvocations")).invocations == []


async def test_INGR_23_64_bit_numbers_stay_whole() -> None:
    largest = 2**63 - 1
    async with served(Counter()) as it:
        answer = await it.post("Counter/Add", {"key": "k", "value": str(largest)})
        assert answer.json()["newValue"] == str(largest)
        assert (await CounterClient(it.caller).add(AddRequest(key="k", value=0))).new_value == largest
        assert (await it.post("Counter/Add", {"key": "k", "value": str(largest + 1)})).status_code == 400


@pytest.mark.parametrize("key", ["a/b", "50%", "🎟️", "k" * 4_096, "a b?c#d", "ключ"])
async def test_INGR_23_a_key_may_be_any_text(key: str) -> None:
    async with served(Counter()) as it:
        answer = await it.post("Counter/Add", {"key": key, "value": 3})
        assert answer.json()["newValue"] == "3"
        answer = await CounterClient(it.caller).add(AddRequest(key=key, value=1))
        assert answer.new_value == 4
        [one, _] = (await it.admin("ListInvocations")).invocations
        assert one.key == key


@pytest.mark.parametrize("text", ["PT60S", "60sec", "60000ms", "PT1M", "1min", "60s"])
async def test_TIMER_12_a_delay_may_be_written_in_several_ways(text: str) -> None:
    async with served(Counter()) as it:
        sent = await it.post("Counter/Add", {"key": "k", "value": 1}, restate_delay=text)
        one = (await it.admin("GetInvocation", id=sent.headers["restate-invocation-id"])).invocation
        # The delay is counted from the arrival, which is a moment before the invocation is made.
        assert 59_000 <= one.scheduled_for_ms - one.created_at_ms <= 60_000


async def test_TIMER_12_a_delay_that_makes_no_sense_is_refused() -> None:
    async with served(Counter()) as it:
        for text in ("soon", "-1s", "60 parsecs"):
            assert (await it.post("Counter/Add", {"key": "k"}, restate_delay=text)).status_code == 400


async def test_AWK_09_awakeables_are_completed_by_http() -> None:
    ids: list[str] = []

    async def note(id_: str) -> None:
        ids.append(id_)

    async def body(ctx: Any, request: LabRequest) -> object:
        awakeable = ctx.awakeable(str)
        await ctx.run("note", note, awakeable.id)
        return await awakeable

    async def noted() -> list[str]:
        return ids

    async with served(Lab(body)) as it:
        sent = await LabClient(it.caller).do.send(LabRequest())
        await until(noted)
        complete = {"awakeableId": ids[0], "json": '"by HTTP"'}
        assert (await it.http.put(INGRESS + "ResolveAwakeable", json=complete)).status_code == 405
        malformed = await it.post(INGRESS + "ResolveAwakeable", {**complete, "awakeableId": "awk_x"})
        assert malformed.status_code == 400
        assert (await it.post(INGRESS + "ResolveAwakeable", complete)).status_code == 200
        assert (await sent.attach()).text == "by HTTP"
        sent = await LabClient(it.caller).do.send(LabRequest())

        async def again() -> bool:
            return len(ids) > 1

        await until(again)
        await it.post(INGRESS + "RejectAwakeable", {"awakeableId": ids[1], "message": "rejected by HTTP"})
        with pytest.raises(TerminalError, match="rejected by HTTP"):
            await sent.attach()


async def test_ERR_05_to_08_metadata_of_an_error_is_in_the_http_body() -> None:
    async with served(Failing()) as it:
        body = {"key": "k", "message": "my error", "metadata": {"key1": "value1", "key2": "value2"}}
        answer = await it.post("Failing/TerminallyFailingCall", body, idempotency_key="i")
        assert answer.status_code >= 400
        assert "my error" in answer.json()["message"]
        assert all(text in json.dumps(_readable(answer.json())) for text in ("key1", "value1", "key2", "value2"))


def _readable(error: dict[str, Any]) -> Any:
    """The details of a Connect error, decoded as far as texts go."""
    return [base64.b64decode(one["value"] + "==").decode(errors="replace") for one in error.get("details", [])]


async def test_ERR_12_bad_input_makes_no_invocation() -> None:
    lab = Lab(quick)
    async with served(lab) as it:
        assert (await it.post("Lab/Do", {"count": "many"})).status_code == 400
        assert lab.attempts == 0


async def test_ERR_13_the_source_of_an_error_is_named_and_its_code_is_a_status() -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        raise TerminalError("boom", code=StatusCode.UNAVAILABLE)

    async with served(Lab(body)) as it:
        own, ingress = await it.post("Lab/Do", {}), await it.post("Lab/Do", {"nothing": 1})
        assert (own.status_code, own.headers["restate-error-source"]) == (503, "handler")
        assert (own.json()["code"], own.json()["message"]) == ("unavailable", "boom")
        assert ingress.headers["restate-error-source"] == "ingress"


async def refused(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    code: grpc.StatusCode = caught.value.code()
    return code


async def test_ADMIN_02_the_verbs_know_what_they_are_asked_about() -> None:
    async with served(Lab(quick)) as it:
        sent = await LabClient(it.caller).do.send(LabRequest())
        await sent.attach()
        unknown = sent.invocation_id[:-4] + "0000"
        for verb in ("CancelInvocation", "KillInvocation", "PauseInvocation", "ResumeInvocation"):
            assert await refused(it.admin(verb, id=sent.invocation_id)) is grpc.StatusCode.FAILED_PRECONDITION
            assert await refused(it.admin(verb, id=unknown)) is grpc.StatusCode.NOT_FOUND
            assert await refused(it.admin(verb, id="inv_x")) is grpc.StatusCode.INVALID_ARGUMENT


async def test_ADMIN_06_deployments_are_registered_and_listed() -> None:
    async with served(Lab(quick), Counter()) as it:
        again = await it.admin("RegisterDeployment", address=it.endpoint_address)
        assert again.created is False
        [listed] = (await it.admin("ListDeployments")).deployments
        assert listed.id == again.deployment.id
        assert sorted(one.name for one in listed.services) == ["conformance.v1.Counter", "conformance.v1.Lab"]
        code = await refused(it.admin("RegisterDeployment", address="127.0.0.1:1"))
        assert code is grpc.StatusCode.UNAVAILABLE


async def test_ADMIN_08_a_batch_says_what_it_did_and_what_not() -> None:
    async with served(Lab(do=wait, other=quick)) as it:
        client = LabClient(it.caller)
        waiting = [(await client.do.send(LabRequest())).invocation_id for _ in range(3)]
        done = await client.other.send(LabRequest())
        await done.attach()
        unknown = done.invocation_id[:-4] + "0000"
        verb = pb.BatchInvocationsRequest.Verb
        answer = await it.admin("BatchInvocations", verb=verb.KILL, ids=[*waiting, done.invocation_id, unknown])
        assert sorted(answer.done) == sorted(waiting)
        assert sorted(one.id for one in answer.refused) == sorted([done.invocation_id, unknown])
        answer = await it.admin("BatchInvocations", verb=verb.PURGE, status="completed", service="conformance.v1.Lab")
        assert len(answer.done) == 4
        assert (await it.admin("ListInvocations")).invocations == []


async def test_ADMIN_10_invocations_are_listed_by_service_and_status() -> None:
    async with served(Lab(do=wait, other=quick), Counter()) as it:
        client = LabClient(it.caller)
        waiting = await client.do.send(LabRequest())
        await client.other(LabRequest())
        await CounterClient(it.caller).add(AddRequest(key="k", value=1))
        later = await client.other.send(LabRequest(), delay=timedelta(hours=1))

        async def listed(**filters: Any) -> list[str]:
            return [one.id for one in (await it.admin("ListInvocations", **filters)).invocations]

        assert len(await listed()) == 4
        assert len(await listed(service="conformance.v1.Lab")) == 3
        assert await listed(status="scheduled") == [later.invocation_id]
        assert len(await listed(status="completed")) == 2
        assert len(await listed(limit=2)) == 2
        assert waiting.invocation_id in await listed(service="conformance.v1.Lab")


async def test_ADMIN_11_a_journal_shows_its_entries_typed_and_with_their_times() -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        await ctx.sleep(timedelta(milliseconds=5))
        return await ctx.run("step", lambda: "stepped", returns=str)

    async with served(Lab(body)) as it:
        sent = await LabClient(it.caller).do.send(LabRequest(text="typed request"))
        await sent.attach()
        entries = (await it.admin("GetJournal", id=sent.invocation_id)).entries
        assert "typed request" in entries[0].json
        assert any(entry.name == "step" for entry in entries)
        times = [entry.at_ms for entry in entries]
        assert times == sorted(times)
        assert times[-1] - times[0] >= 5


async def command(it: Served, *arguments: str) -> tuple[int, str]:
    """restate-cli: its exit code and what it printed."""
    program = str(Path(sys.executable).parent / "restate-cli")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        program, "--admin", f"127.0.0.1:{it.ports.admin_grpc}", *arguments, stdout=pipe, stderr=pipe
    )
    out, errors = await process.communicate()
    return process.returncode or 0, out.decode() + errors.decode()


async def test_ADMIN_08_the_command_cancels_and_says_what_it_cannot_do() -> None:
    async with served(Lab(do=wait), LabObject(quick)) as it:
        sent = await LabClient(it.caller).do.send(LabRequest())
        code, said = await command(it, "invocations", "cancel", sent.invocation_id)
        assert code == 0, said
        with pytest.raises(TerminalError) as caught:
            await sent.attach()
        assert caught.value.code is StatusCode.CANCELLED
        code, said = await command(it, "invocations", "kill", sent.invocation_id)
        assert code == 1
        assert "completed" in said
