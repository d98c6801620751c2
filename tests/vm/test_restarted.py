"""An invocation that was restarted replays the journal of its origin: the calls in it keep their ids."""

from __future__ import annotations

from restate_protocol import ids
from restate_protocol import journal as j

from .journals import Attempt

ORIGIN = b"o" * 16
TARGET = ("s.S", "H", None)


def test_calls_of_the_origin_are_recognized_and_later_ones_are_its_own() -> None:
    called, sent = (ids.child_invocation_id(ORIGIN, number) for number in (1, 2))
    attempt = Attempt(j.Call("s.S", "H", None, b"x", called), j.Send("s.S", "H", None, b"x", sent))
    attempt.machine.sys_call(TARGET, b"x")
    _, replayed = attempt.machine.sys_send(TARGET, b"x")
    assert replayed == sent
    _, fresh = attempt.machine.sys_send(TARGET, b"x")
    assert fresh == ids.child_invocation_id(attempt.machine.invocation_id, 3)
    assert len(attempt.commands) == 1
