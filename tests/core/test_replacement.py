"""Whether another deployment may go on with an invocation: what its contract must have in common with the old one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from restate_protocol.contract.model import Field, Service
from restate_protocol.services import ServiceKind
from restate_protocol.status import StatusCode
from restate_runtime.core import decision as d
from restate_runtime.core import events as ev
from restate_runtime.core.records import Status
from restate_runtime.core.target import Target

from tests.core.harness import HANDLERS, Bench, only

HANDLER = HANDLERS["t.Object", "Do"][0]
OLD = Service(
    "t.Object",
    ServiceKind.VIRTUAL_OBJECT,
    "t.proto",
    (HANDLER,),
    str,
    state="t.State",
    state_fields=(Field("count", 1, "int64", True), Field("name", 2, "string", True)),
)

FITTING = {
    "the same": OLD,
    "another field": replace(OLD, state_fields=(*OLD.state_fields, Field("more", 3, "bool", True))),
    "a field less": replace(OLD, state_fields=OLD.state_fields[:1]),
    "another name": replace(OLD, state_fields=(Field("total", 1, "int64", True),)),
}

BREAKING = {
    "t.Object: was a virtual_object, is a workflow": replace(OLD, kind=ServiceKind.WORKFLOW),
    "t.Object: keys were str, are int": replace(OLD, key_type=int),
    "t.Object: state field 1 was int64 count, is string count": replace(
        OLD, state_fields=(Field("count", 1, "string", True),)
    ),
}


def resumed(new: Service) -> tuple[Bench, bytes, d.Decision]:
    """A paused invocation of the old contract is resumed on a deployment with the new one."""
    bench = Bench()
    invocation_id, _ = bench.submit("t.Object", "Do", "k")
    bench.do(ev.Pause(invocation_id, 1))
    bench.hot(invocation_id).target = Target("t.Object", HANDLER, "dep_1", False, OLD)
    bench.resolve = lambda service, name, deployment_id: Target(  # type: ignore[method-assign]
        service, HANDLER, deployment_id or "dep_1", False, new
    )
    return bench, invocation_id, bench.do(ev.Resume(invocation_id, 2, "dep_2"))


@pytest.mark.parametrize("new", FITTING)
def test_a_contract_that_reads_what_is_there_may_take_over(new: str) -> None:
    _, _, out = resumed(FITTING[new])
    assert [one.invocation.deployment_id for one in only(d.StartAttempt, out.effects)] == ["dep_2"]


@pytest.mark.parametrize("problem", BREAKING)
def test_one_that_would_break_it_may_not_and_the_answer_says_what(problem: str) -> None:
    bench, invocation_id, out = resumed(BREAKING[problem])
    (refused,) = only(d.AnswerRefused, out.effects)
    assert refused.failure.code == StatusCode.FAILED_PRECONDITION
    assert problem in refused.failure.message
    assert "dep_2" in refused.failure.message
    assert bench.hot(invocation_id).record.status is Status.PAUSED
    assert bench.hot(invocation_id).record.deployment_id == "dep_1"
