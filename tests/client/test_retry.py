"""Retries, decided: which failures of which calls are tried again, as what, when, and what is said after the last.

The machine is pure: no test here waits for anything.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from protobuf.wkt.google.protobuf.duration_pb import Duration
from protobuf.wkt.google.protobuf.wrappers_pb import StringValue
from restate_client import outgoing as out
from restate_client.errors import ConnectionFailed, IngressError, Overloaded
from restate_client.failures import HANDLER, INGRESS, Failure, failure_of_status
from restate_client.outgoing import HandlerCall, IngressCall, Outgoing
from restate_client.replies import Reply, SendStatus
from restate_client.retry import Again, RetryPolicy, Tries
from restate_protocol import ids
from restate_protocol.callers import CallOptions
from restate_protocol.errors import TerminalError
from restate_protocol.gen.google.rpc import error_details_pb as details_pb
from restate_protocol.services import HandlerDescriptor, HandlerMode
from restate_protocol.status import StatusCode

INVOCATION = ids.invocation_id_text(bytes(16))
NAME = out.by_id(INVOCATION)
AWAKEABLE = ids.awakeable_id_text(bytes(16), 1)


def handler(mode: HandlerMode = HandlerMode.SERVICE, **more: Any) -> HandlerDescriptor[Any, Any]:
    return HandlerDescriptor("echo.v1.Echo", "Say", "say", mode, StringValue, StringValue, **more)


PLAIN = handler()
RUN = handler(HandlerMode.RUN, key_field="value")
READS = handler(no_side_effects=True)
NAMED = handler(idempotency_field="value")
TEXT = StringValue(value="hi")
KEY = CallOptions(idempotency_key="42")
NONE = CallOptions()

LOST = Failure(StatusCode.UNAVAILABLE, "Socket closed")
NEVER_LEFT = Failure(StatusCode.UNAVAILABLE, "failed to connect to all addresses", sent=False)
STOPPING = Failure(StatusCode.UNAVAILABLE, "the runtime stops", INGRESS)
ACCEPTED = Failure(StatusCode.UNAVAILABLE, "Socket closed", invocation_id=INVOCATION, status="accepted")
RETRY_INFO = details_pb.RetryInfo(retry_delay=Duration(seconds=3)).to_binary()
BUSY = Failure(StatusCode.RESOURCE_EXHAUSTED, "too much", INGRESS, {"google.rpc.RetryInfo": RETRY_INFO})
TOO_LONG = Failure(StatusCode.RESOURCE_EXHAUSTED, "too long", INGRESS)

CALLS: dict[str, Outgoing] = {
    "call": out.call(PLAIN, TEXT, NONE),
    "send": out.send(PLAIN, TEXT, NONE),
    "call with a key": out.call(PLAIN, TEXT, KEY),
    "send with a key": out.send(PLAIN, TEXT, KEY),
    "call with a key in the request": out.call(NAMED, TEXT, NONE),
    "call with an empty key in the request": out.call(NAMED, StringValue(), NONE),
    "call that only reads": out.call(READS, TEXT, NONE),
    "run": out.call(RUN, TEXT, NONE),
    "send to a run": out.send(RUN, TEXT, NONE),
    "attach": out.attach(PLAIN, NAME, None),
    "output": out.get_output(PLAIN, NAME, None),
    "lookup": out.lookup(NAME, None),
    "cancel": out.cancel(NAME, None),
    "signal": out.send_signal(NAME, "go", 1, None),
    "reject signal": out.reject_signal(NAME, "go", "no", None),
    "resolve": out.resolve_awakeable(AWAKEABLE, 1, None),
    "reject": out.reject_awakeable(AWAKEABLE, "no", StatusCode.UNKNOWN, None),
}
ONCE = {"call", "send", "call with an empty key in the request", "cancel", "signal", "reject signal"}
POLICY = RetryPolicy(jitter=0)


def tries(outgoing: Outgoing, policy: RetryPolicy | None = POLICY, timeout_s: float | None = None) -> Tries:
    return Tries("host:1", policy, outgoing, 0.0, timeout_s)


@pytest.mark.parametrize("failure", [LOST, STOPPING], ids=["lost", "stopping"])
@pytest.mark.parametrize("name", CALLS)
def test_what_may_have_arrived_is_asked_again_only_where_it_may_be_repeated(name: str, failure: Failure) -> None:
    step = tries(CALLS[name]).after(failure, 0.0, 0.0)
    if name in ONCE:
        assert isinstance(step, ConnectionFailed)
        assert step.tries == 1
    else:
        assert step == Again(CALLS[name], 0.05, None)


@pytest.mark.parametrize("name", CALLS)
def test_what_never_left_is_asked_again_whatever_it_is(name: str) -> None:
    assert tries(CALLS[name]).after(NEVER_LEFT, 0.0, 0.0) == Again(CALLS[name], 0.05, None)


@pytest.mark.parametrize("name", CALLS)
def test_what_the_runtime_did_not_take_is_asked_again_when_it_says(name: str) -> None:
    assert tries(CALLS[name]).after(BUSY, 0.0, 0.0) == Again(CALLS[name], 3.0, None)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    "failure",
    [
        TOO_LONG,
        Failure(StatusCode.UNAVAILABLE, "no", HANDLER),
        Failure(StatusCode.RESOURCE_EXHAUSTED, "no", HANDLER, {"google.rpc.RetryInfo": RETRY_INFO}),
        Failure(StatusCode.INTERNAL, "no", INGRESS),
        Failure(StatusCode.DEADLINE_EXCEEDED, "late"),
        Failure(StatusCode.UNAVAILABLE, "connections to all: SSL_ERROR_SSL: CERTIFICATE_VERIFY_FAILED", sent=False),
    ],
)
def test_what_would_fail_again_is_not_asked_again(name: str, failure: Failure) -> None:
    assert isinstance(tries(CALLS[name]).after(failure, 0.0, 0.0), IngressError | TerminalError)


@pytest.mark.parametrize("name", ["call", "call with a key", "call that only reads", "run"])
def test_a_call_whose_invocation_is_known_is_attached_to_and_not_made_again(name: str) -> None:
    step = tries(CALLS[name]).after(ACCEPTED, 0.0, 0.0)
    assert isinstance(step, Again)
    assert isinstance(step.outgoing, IngressCall)
    assert (step.outgoing.name, step.outgoing.about) == ("Attach", NAME)
    assert step.outgoing.handler is CALLS[name].handler


@pytest.mark.parametrize("name", ["send", "send with a key", "send to a run"])
def test_a_send_whose_invocation_is_known_is_done(name: str) -> None:
    step = tries(CALLS[name], policy=None).after(ACCEPTED, 0.0, 0.0)
    assert step == Reply(b"", INVOCATION, SendStatus.ACCEPTED)


def test_a_run_that_a_lost_try_has_started_is_attached_to() -> None:
    making = tries(CALLS["run"])
    assert isinstance(making.after(LOST, 0.0, 0.0), Again)
    step = making.after(Failure(StatusCode.ALREADY_EXISTS, "started before", INGRESS), 1.0, 0.0)
    assert isinstance(step, Again)
    assert isinstance(step.outgoing, IngressCall)
    assert str(step.outgoing.about) == "echo.v1.Echo/Say, key 'hi'"
    assert step.wait_s == 0


def test_a_run_that_no_try_of_this_call_can_have_started_is_an_error() -> None:
    started = Failure(StatusCode.ALREADY_EXISTS, "started before", INGRESS)
    assert isinstance(tries(CALLS["run"]).after(started, 0.0, 0.0), IngressError)
    making = tries(CALLS["run"])
    assert isinstance(making.after(NEVER_LEFT, 0.0, 0.0), Again)
    assert isinstance(making.after(started, 0.0, 0.0), IngressError)


def test_waits_grow_up_to_the_longest_and_no_try_begins_after_the_time_is_over() -> None:
    making, now, waits = tries(CALLS["attach"]), 0.0, []
    while isinstance(step := making.after(LOST, now, 0.0), Again):
        waits.append(step.wait_s)
        now += step.wait_s
    assert waits[:7] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert sum(waits) <= 10.0 < sum(waits) + 1.0
    assert isinstance(step, ConnectionFailed)
    assert step.tries == len(waits) + 1
    assert f"after {step.tries} tries in 9.6 s" in str(step)
    assert "Socket closed" in str(step)


def test_jitter_takes_its_share_of_a_wait() -> None:
    policy = RetryPolicy(jitter=0.5)
    assert [policy.wait_s(1, luck) for luck in (0.0, 0.5, 1.0)] == pytest.approx([0.05, 0.0375, 0.025])


def test_a_factor_that_overflows_is_the_longest_wait() -> None:
    assert RetryPolicy(factor=1e300, jitter=0).wait_s(10_000, 0.0) == 1.0


def test_the_count_of_tries_is_bounded() -> None:
    making = tries(CALLS["attach"], RetryPolicy(max_attempts=3))
    steps = [making.after(LOST, 0.0, 0.0) for _ in range(3)]
    assert [isinstance(step, Again) for step in steps] == [True, True, False]
    assert isinstance(steps[2], ConnectionFailed)
    assert steps[2].tries == 3


def test_without_a_policy_nothing_is_asked_again() -> None:
    assert isinstance(tries(CALLS["attach"], policy=None).after(NEVER_LEFT, 0.0, 0.0), ConnectionFailed)


def test_the_timeout_of_the_call_bounds_all_tries_together() -> None:
    making = tries(CALLS["attach"], timeout_s=0.12)
    first = making.after(LOST, 0.0, 0.0)
    assert isinstance(first, Again)
    assert first.timeout_s == pytest.approx(0.07)
    assert isinstance(making.after(LOST, 0.06, 0.0), ConnectionFailed)


def test_a_runtime_that_wants_more_time_than_there_is_is_not_waited_for() -> None:
    step = tries(CALLS["call"], timeout_s=2.0).after(BUSY, 0.0, 0.0)
    assert isinstance(step, Overloaded)
    assert step.retry_after == timedelta(seconds=3)


def test_a_call_that_waited_for_long_begins_to_count_when_its_connection_breaks() -> None:
    making = tries(CALLS["attach"])
    step = making.after(LOST, 86_400.0, 0.0)
    assert isinstance(step, Again)
    assert step.wait_s == 0.05
    again = making.after(LOST, 2 * 86_400.0, 0.0)
    assert isinstance(again, Again)
    assert again.wait_s == 0.05


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"initial_interval": timedelta(seconds=-1)}, "negative"),
        ({"max_duration": timedelta(seconds=-1)}, "negative"),
        ({"factor": 0.5}, "at least 1"),
        ({"max_attempts": 0}, "at least 1"),
        ({"jitter": 1.5}, "from 0 to 1"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        RetryPolicy(**options)


def test_every_method_of_the_ingress_service_is_judged() -> None:
    methods = {one.name for one in CALLS.values() if isinstance(one, IngressCall)}
    assert methods == {
        "Attach", "GetOutput", "Lookup", "Cancel", "SendSignal", "ResolveAwakeable", "RejectAwakeable"
    }  # fmt: skip
    assert any(isinstance(one, HandlerCall) for one in CALLS.values())


@pytest.mark.parametrize("message", ["CANCELLED", "Received RST_STREAM with error code 8"])
def test_a_call_that_the_other_side_drops_without_a_word_counts_as_lost(message: str) -> None:
    failure = failure_of_status(StatusCode.CANCELLED, message)
    assert (failure.code, failure.sent) == (StatusCode.UNAVAILABLE, True)
    assert message in failure.message
    begun = Tries("localhost:8080", RetryPolicy(), CALLS["call with a key"], 0.0, None)
    assert isinstance(begun.after(failure, 0.0, 0.5), Again)
    once = Tries("localhost:8080", RetryPolicy(), CALLS["call"], 0.0, None)
    assert isinstance(once.after(failure, 0.0, 0.5), ConnectionFailed)


@pytest.mark.parametrize(
    ("message", "trailing"),
    [
        ("CANCELLED", (("restate-error-source", "handler"),)),
        ("CANCELLED", (("restate-error-source", "ingress"),)),
        ("Locally cancelled by application!", ()),
        ("Channel closed!", ()),
    ],
)
def test_what_was_cancelled_by_somebody_stays_cancelled(message: str, trailing: tuple[tuple[str, str], ...]) -> None:
    failure = failure_of_status(StatusCode.CANCELLED, message, trailing=trailing)
    assert (failure.code, failure.message) == (StatusCode.CANCELLED, message)
