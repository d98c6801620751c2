"""The scenarios with stubs of grpcio-tools, in a process of its own. Arguments: folder of the stubs, port, prefix."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

sys.path.insert(0, sys.argv[1])

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from interop.v1 import interop_pb2 as pb
from interop.v1 import interop_pb2_grpc as stubs
from restate.ingress.v1 import ingress_pb2, ingress_pb2_grpc

PORT, PREFIX = sys.argv[2:]
CHANNEL = grpc.insecure_channel(f"127.0.0.1:{PORT}")
PROBE, COUNTER = stubs.ProbeStub(CHANNEL), stubs.CounterStub(CHANNEL)
BOARD, SIGNUP = stubs.BoardStub(CHANNEL), stubs.SignupStub(CHANNEL)
INGRESS = ingress_pb2_grpc.IngressStub(CHANNEL)


def failure(call: Callable[[], Any]) -> Any:
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise AssertionError("it did not fail")


def text(metadata: Any, name: str) -> str | None:
    return next((value for key, value in metadata if key == name), None)


def code(error: Any) -> int:
    value: int = error.code().value[0]
    return value


def detail(error: Any, message: Any) -> Any:
    status = status_pb2.Status.FromString(text(error.trailing_metadata(), "grpc-status-details-bin"))
    assert any(one.Unpack(message) for one in status.details)
    return message


def pinned(name: str) -> str:
    found: str = BOARD.Run(pb.ReadRequest(name=name)).awakeable_id
    return found


def echo() -> Any:
    gold = pb.Everything(
        text="zażółć ☕",
        big=9007199254740993,
        biggest=18446744073709551615,
        ratio=0.1,
        flag=True,
        data=bytes([0, 1, 254, 255]),
        color=pb.COLOR_BLUE,
        points=[pb.Point(x=-1, y=2), pb.Point(x=3, y=-4)],
        counts={"a": 1, "b": 2},
        maybe=0,
        word="chosen",
    )
    gold.at.seconds, gold.at.nanos, gold.length.seconds, gold.length.nanos = 1790000000, 123456789, 90, 5
    got = PROBE.Echo(pb.EchoRequest(everything=gold)).everything
    choice = got.WhichOneof("choice")
    return {
        "text": got.text,
        "big": str(got.big),
        "biggest": str(got.biggest),
        "ratio": got.ratio,
        "flag": got.flag,
        "data": got.data.hex(),
        "color": got.color,
        "points": [[one.x, one.y] for one in got.points],
        "counts": dict(got.counts),
        "maybe": got.maybe if got.HasField("maybe") else None,
        "choice": [choice, getattr(got, choice)],
        "at": [str(got.at.seconds), got.at.nanos],
        "length": [str(got.length.seconds), got.length.nanos],
    }


def counter() -> Any:
    name = f"{PREFIX}-counter"
    totals = [COUNTER.Add(pb.AddRequest(name=name, amount=amount)).total for amount in (2, 3)]
    return [str(total) for total in (*totals, COUNTER.Get(pb.GetRequest(name=name)).total)]


def idempotency() -> Any:
    request = pb.AddRequest(name=f"{PREFIX}-idempotent", amount=7)
    key = (("idempotency-key", f"{PREFIX}-once"),)
    answers = [COUNTER.Add.with_call(request, metadata=key) for _ in range(2)]
    initial = [call.initial_metadata() for _, call in answers]
    ids = {text(one, "restate-invocation-id") for one in initial}
    statuses = [text(one, "restate-status") for one in initial]
    return {"statuses": statuses, "total": str(answers[1][0].total), "same": len(ids) == 1}


def typed_error() -> Any:
    error = failure(lambda: PROBE.Refuse(pb.RefuseRequest(amount=9007199254740993)))
    refusal = detail(error, pb.Refusal())
    return {
        "code": code(error),
        "message": error.details(),
        "reason": refusal.reason,
        "amount": str(refusal.amount),
        "source": text(error.trailing_metadata(), "restate-error-source"),
    }


def bad_request() -> Any:
    error = failure(lambda: COUNTER.Add(pb.AddRequest(amount=1)))
    violations = detail(error, error_details_pb2.BadRequest()).field_violations
    source = text(error.trailing_metadata(), "restate-error-source")
    return {"code": code(error), "field": violations[0].field, "source": source}


def send_and_attach() -> Any:
    request = pb.AddRequest(name=f"{PREFIX}-sent", amount=11)
    _, call = COUNTER.Add.with_call(request, metadata=(("restate-send", "true"),))
    initial = call.initial_metadata()
    reference = ingress_pb2.AttachRequest(invocation_id=text(initial, "restate-invocation-id"))
    response = pb.AddResponse.FromString(INGRESS.Attach(reference).payload)
    return {"status": text(initial, "restate-status"), "total": str(response.total)}


def resolve(awakeable_id: str, said: str) -> None:
    INGRESS.ResolveAwakeable(ingress_pb2.ResolveAwakeableRequest(awakeable_id=awakeable_id, json=json.dumps(said)))


def deadline() -> Any:
    board = f"{PREFIX}-deadline"
    key = (("idempotency-key", board),)
    error = failure(lambda: PROBE.Wait(pb.WaitRequest(board=board), metadata=key, timeout=1))
    # A caller that gave up early asks again; the invocation is the same.
    late = PROBE.Wait.future(pb.WaitRequest(board=board), metadata=key)
    resolve(pinned(board), "late")
    return {"code": code(error), "text": late.result().text}


def cancellation() -> Any:
    board = f"{PREFIX}-cancelled"
    key = (("idempotency-key", board),)
    call = PROBE.Wait.future(pb.WaitRequest(board=board), metadata=key)
    awakeable_id = pinned(board)
    call.cancel()
    seen = code(call)
    resolve(awakeable_id, "goes on")
    # This client shows what arrived before the response only with the response, so the key finds the invocation.
    return {"code": seen, "text": PROBE.Wait(pb.WaitRequest(board=board), metadata=key).text}


def metadata() -> Any:
    sent = (("x-plain", "hello"), ("x-trace-bin", bytes([0, 255, 16])), ("authorization", "Bearer secret"))
    headers = PROBE.Headers(pb.HeadersRequest(), metadata=sent).headers
    return {"plain": headers["x-plain"], "binary": headers["x-trace-bin"], "secret": "authorization" in headers}


def workflow() -> Any:
    request = pb.RunRequest(email=f"{PREFIX}@example.com")
    welcome = SIGNUP.Run(request).welcome
    return {"welcome": welcome.replace(PREFIX, ""), "again": code(failure(lambda: SIGNUP.Run(request)))}


def gzip() -> Any:
    request = pb.EchoRequest(everything=pb.Everything(text="a" * 100_000))
    return len(PROBE.Echo(request, compression=grpc.Compression.Gzip).everything.text)


def large() -> Any:
    return len(PROBE.Echo(pb.EchoRequest(everything=pb.Everything(data=bytes(3_000_000)))).everything.data)


def health() -> Any:
    stub = health_pb2_grpc.HealthStub(CHANNEL)
    return [stub.Check(health_pb2.HealthCheckRequest(service=name)).status for name in ("", "interop.v1.Counter")]


SCENARIOS: dict[str, Callable[[], Any]] = {
    "echo": echo,
    "counter": counter,
    "idempotency": idempotency,
    "typed_error": typed_error,
    "bad_request": bad_request,
    "unknown_service": lambda: code(failure(lambda: stubs.AbsentStub(CHANNEL).Call(pb.CallRequest()))),
    "private": lambda: code(failure(lambda: PROBE.Hidden(pb.HiddenRequest()))),
    "send_and_attach": send_and_attach,
    "deadline": deadline,
    "cancellation": cancellation,
    "metadata": metadata,
    "workflow": workflow,
    "gzip": gzip,
    "large": large,
    "peek": lambda: PROBE.Peek(pb.PeekRequest(name="you")).message,
    "health": health,
}

if __name__ == "__main__":
    print(json.dumps({name: scenario() for name, scenario in SCENARIOS.items()}))
