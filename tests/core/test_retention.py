"""How long completed invocations are kept, in one piece or in two."""

from __future__ import annotations

from dataclasses import replace

import pytest
from restate_protocol import awaiting as aw
from restate_protocol import journal as j
from restate_protocol.services import HandlerMode
from restate_protocol.status import StatusCode
from restate_runtime.core import decision as d
from restate_runtime.core import events as ev

from tests.core.harness import Bench, handler, only

SERVICES = {HandlerMode.SERVICE: ("t.Plain", "Do"), HandlerMode.RUN: ("t.Flow", "Run")}


def keeping(mode: HandlerMode, journal_s: int, other_s: int) -> Bench:
    """Journals are kept for `journal_s`; results, for an idempotency key or a workflow, for `other_s`."""
    bench = Bench()
    service, name = SERVICES[mode]
    made = replace(
        handler(name, mode),
        journal_retention_ms=journal_s * 1_000,
        idempotency_retention_ms=other_s * 1_000,
        workflow_retention_ms=other_s * 1_000,
    )
    bench.handlers[service, name] = (made, mode is HandlerMode.RUN)
    return bench


def completed(bench: Bench, mode: HandlerMode, idempotency_key: str | None = None) -> bytes:
    key = None if mode is HandlerMode.SERVICE else "k"
    invocation_id, _ = bench.submit(*SERVICES[mode], key, idempotency_key=idempotency_key)
    bench.end(invocation_id)
    return invocation_id


def expire(bench: Bench, invocation_id: bytes, after_ms: int) -> list[d.Write]:
    """What goes when a sweep looks `after_ms` after the completion at 1,000 ms."""
    bench.now_ms = 1_000 + after_ms
    out = bench.do(ev.Expire(invocation_id))
    assert only(d.Forget, out.effects)
    return [one for one in out.writes if not isinstance(one, d.SaveInvocation)]


@pytest.mark.parametrize(
    ("mode", "idempotency_key", "journal_s", "other_s", "journal_goes_ms", "all_goes_ms"),
    [
        (HandlerMode.SERVICE, None, 60, 10, 60_000, 60_000),
        (HandlerMode.SERVICE, "i", 30, 120, 30_000, 120_000),
        (HandlerMode.SERVICE, "i", 120, 60, 60_000, 60_000),
        (HandlerMode.SERVICE, "i", 0, 60, 0, 60_000),
        (HandlerMode.SERVICE, None, 0, 60, 0, 0),
        (HandlerMode.RUN, None, 30, 120, 30_000, 120_000),
        (HandlerMode.RUN, None, 120, 60, 60_000, 60_000),
    ],
)
def test_the_journal_goes_first_and_never_later_than_the_rest(
    mode: HandlerMode, idempotency_key: str | None, journal_s: int, other_s: int, journal_goes_ms: int, all_goes_ms: int
) -> None:
    bench = keeping(mode, journal_s, other_s)
    invocation_id = completed(bench, mode, idempotency_key)
    record = bench.hot(invocation_id).record
    assert (record.expires_ms, record.removed_ms) == (1_000 + journal_goes_ms, 1_000 + all_goes_ms)
    if journal_goes_ms < all_goes_ms:
        assert not expire(bench, invocation_id, journal_goes_ms - 1)
        assert expire(bench, invocation_id, journal_goes_ms) == [d.PurgeJournal(invocation_id)]
        assert record.expires_ms == 1_000 + all_goes_ms
    assert not expire(bench, invocation_id, all_goes_ms - 1)
    assert expire(bench, invocation_id, all_goes_ms) == [d.PurgeInvocation(invocation_id)]


def test_a_sweep_that_comes_late_removes_all_at_once() -> None:
    bench = keeping(HandlerMode.SERVICE, 30, 120)
    invocation_id = completed(bench, HandlerMode.SERVICE, "i")
    assert expire(bench, invocation_id, 120_000) == [d.PurgeInvocation(invocation_id)]


def test_a_result_outlives_its_journal() -> None:
    bench = keeping(HandlerMode.SERVICE, 0, 60)
    invocation_id = completed(bench, HandlerMode.SERVICE, "i")
    expire(bench, invocation_id, 1)
    again, out = bench.submit(idempotency_key="i")
    assert again == invocation_id
    assert [one.new for one in only(d.AnswerAccepted, out.effects)] == [False]
    assert len(only(d.AnswerResult, out.effects)) == 1


def test_what_is_not_completed_is_never_removed() -> None:
    bench = keeping(HandlerMode.SERVICE, 0, 0)
    invocation_id, _ = bench.submit()
    assert not expire(bench, invocation_id, 10**12)


def test_who_waits_for_a_promise_of_a_removed_workflow_hears_that_it_never_comes() -> None:
    bench = keeping(HandlerMode.RUN, 30, 30)
    workflow = completed(bench, HandlerMode.RUN)
    waiting, _ = bench.submit("t.Flow", "Tell", "k")
    bench.say(waiting, j.GetPromise(1))
    bench.do(ev.AttemptSuspended(waiting, 1, aw.OnCommand(1)))
    bench.now_ms = 31_000
    out = bench.do(ev.Expire(workflow))
    assert only(d.ForgetState, out.effects) == [d.ForgetState("t.Flow", "k")]
    assert [one.invocation.id for one in only(d.StartAttempt, out.effects)] == [waiting]
    last = bench.journal(waiting)[-1]
    assert isinstance(last, j.Completion)
    assert isinstance(last.result, j.Failure)
    assert last.result.code == StatusCode.NOT_FOUND
