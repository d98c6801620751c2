"""What an attempt says and may not: where that ends the invocation, everybody who waits for it hears of it."""

from __future__ import annotations

import pytest
from restate_protocol import awaiting as aw
from restate_protocol import journal as j
from restate_protocol.contract.model import OnMaxAttempts, RetryPolicy
from restate_protocol.services import HandlerMode
from restate_protocol.status import StatusCode
from restate_runtime.core import events as ev
from restate_runtime.core.records import Status

from tests.core.harness import Bench, handler


@pytest.mark.parametrize("said", ["command", "result", "failed try"])
def test_a_cold_caller_hears_of_a_callee_that_ends_because_of_a_refusal(said: str) -> None:
    bench = Bench()
    policy = RetryPolicy(max_attempts=1, on_max_attempts=OnMaxAttempts.KILL)
    bench.handlers["t.Plain", "Once"] = (handler("Once", HandlerMode.SERVICE, policy), False)
    caller, _ = bench.submit()
    callee, _ = bench.call(caller, "t.Plain", "Once")
    bench.do(ev.AttemptSuspended(caller, 1, aw.OnCommand(1)))
    bench.stored[caller] = bench.world.invocations.pop(caller)
    if said == "command":
        bench.say(callee, j.SetState(1, b"v"))
    elif said == "result":
        bench.propose(callee, 7, j.Void())
    else:
        bench.do(ev.RunTryFailed(callee, 1, 7, j.Failure(2, "boom"), 1, 2, False))
    assert bench.hot(callee).record.status is Status.COMPLETED
    told = bench.journal(caller)[-1]
    assert isinstance(told, j.Completion)
    assert isinstance(told.result, j.Failure)
    assert told.result.code in (StatusCode.FAILED_PRECONDITION, StatusCode.INTERNAL)
