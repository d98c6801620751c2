"""One idempotency key, one request: what another request under a used key becomes."""

from __future__ import annotations

import pytest
from restate_protocol import ids
from restate_protocol import journal as j
from restate_protocol.status import StatusCode
from restate_runtime.core import decision as d
from restate_runtime.core.records import Status

from .harness import Bench, only

PLAIN = ids.idempotent_invocation_id("t.Plain", "Do", None, "k")


def bench() -> Bench:
    """Payloads are one value where they are equal but for case."""
    return Bench(digest=lambda payload: payload.lower())


@pytest.mark.parametrize("completed", [False, True])
@pytest.mark.parametrize("wait", [False, True])
def test_another_request_under_a_used_key_is_refused_and_nothing_is_written(completed: bool, wait: bool) -> None:
    one = bench()
    first, _ = one.submit("t.Object", "Do", "ada", idempotency_key="k", payload=b"a")
    if completed:
        one.end(first)
    _, out = one.submit("t.Object", "Do", "ada", idempotency_key="k", payload=b"b", wait=wait)
    [refused] = only(d.AnswerRefused, out.effects)
    assert out.writes == []
    assert refused.failure.code == StatusCode.ALREADY_EXISTS
    text = ids.invocation_id_text(first)
    assert dict(refused.failure.metadata) == {"restate-invocation-id": text}
    for part in (
        "'k' of t.Object/Do of 'ada'",
        text,
        "send that one again, attach to the invocation, or use a new key",
    ):
        assert part in refused.failure.message


def test_the_same_value_finds_the_invocation_whatever_its_bytes() -> None:
    one = bench()
    first, _ = one.submit(idempotency_key="k", payload=b"a")
    _, out = one.submit(idempotency_key="k", payload=b"A")
    assert [(one.invocation_id, one.new) for one in only(d.AnswerAccepted, out.effects)] == [(first, False)]


def test_the_digest_is_kept_with_the_record_and_only_where_there_is_a_key() -> None:
    one = bench()
    with_key, out = one.submit(idempotency_key="k", payload=b"A")
    assert [write.invocation.request_digest for write in only(d.CreateInvocation, out.writes)] == [b"a"]
    without, _ = one.submit(payload=b"A")
    assert one.hot(without).record.request_digest is None
    assert one.hot(with_key).record.request_digest == b"a"


def test_an_invocation_without_a_digest_takes_every_request_as_its_own() -> None:
    one = bench()
    first, _ = one.submit(idempotency_key="k", payload=b"a")
    one.hot(first).record.request_digest = None
    _, out = one.submit(idempotency_key="k", payload=b"b")
    assert only(d.AnswerAccepted, out.effects)


def test_a_call_of_a_handler_fails_where_its_key_belongs_to_another_request() -> None:
    one = bench()
    one.submit(idempotency_key="k", payload=b"a")
    caller, _ = one.submit()
    one.say(caller, j.Call("t.Plain", "Do", None, b"b", PLAIN, idempotency_key="k"))
    completion = one.journal(caller)[-1]
    assert isinstance(completion, j.Completion)
    assert isinstance(completion.result, j.Failure)
    assert completion.result.code == StatusCode.ALREADY_EXISTS
    one.say(caller, j.Call("t.Plain", "Do", None, b"A", PLAIN, idempotency_key="k"))
    assert isinstance(one.journal(caller)[-1], j.Call)


def test_a_send_of_a_handler_whose_key_belongs_to_another_request_ends_the_handler() -> None:
    one = bench()
    one.submit(idempotency_key="k", payload=b"a")
    caller, _ = one.submit()
    awaited, _ = one.call(caller, "t.Plain", "Do")
    begun = len(one.journal(caller))
    out = one.say(caller, j.Send("t.Plain", "Do", None, b"b", PLAIN, idempotency_key="k"))
    assert len(one.journal(caller)) == begun
    assert [abort.invocation_id for abort in only(d.AbortAttempt, out.effects)] == [caller, awaited]
    [answer] = only(d.AnswerResult, out.effects)
    assert isinstance(answer.result, j.Failure)
    assert (answer.result.code, "belongs to" in answer.result.message) == (StatusCode.ALREADY_EXISTS, True)
    assert one.hot(caller).record.status is Status.COMPLETED


def test_a_send_of_a_handler_with_the_same_request_finds_what_is_there() -> None:
    one = bench()
    one.submit(idempotency_key="k", payload=b"a")
    caller, _ = one.submit()
    out = one.say(caller, j.Send("t.Plain", "Do", None, b"A", PLAIN, idempotency_key="k"))
    assert not only(d.AbortAttempt, out.effects)
    assert not only(d.CreateInvocation, out.writes)
    assert isinstance(one.journal(caller)[-1], j.Send)
