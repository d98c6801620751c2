"""The choice of how gRPC waits for sockets: made once, and not against the user's."""

from __future__ import annotations

from restate_protocol.polling import POLLERS, VARIABLE, prefer_pollers


def test_the_pollers_are_chosen_where_nothing_is_said() -> None:
    environ: dict[str, str] = {}
    prefer_pollers(environ)
    assert environ == {VARIABLE: POLLERS}


def test_what_the_user_says_stands() -> None:
    environ = {VARIABLE: ""}
    prefer_pollers(environ)
    assert environ == {VARIABLE: ""}
