"""Logs: ids as text, secrets hidden, one form for ours and others'."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from restate_protocol.ids import invocation_id_text
from restate_protocol.services import HandlerMode
from restate_runtime.core.records import Invocation
from restate_runtime.core.trace_context import derived_trace_id
from restate_runtime.telemetry.logging import configure_logging

ID = bytes(range(16))


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def logged(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_lines_carry_level_time_and_ids() -> None:
    stream = io.StringIO()
    configure_logging("json", "info", stream)
    log = structlog.get_logger("restate.test")
    log.info("ready", invocation_id=ID)
    log.info("done", invocation=Invocation(ID, "a.B", "C", None, HandlerMode.SERVICE, 0))
    log.debug("not written")
    first, second = logged(stream)
    assert (first["event"], first["level"], first["logger"]) == ("ready", "info", "restate.test")
    assert "timestamp" in first
    assert first["invocation_id"] == second["invocation_id"] == invocation_id_text(ID)
    assert second["trace_id"] == derived_trace_id(ID)


@pytest.mark.parametrize("name", ["authorization", "Cookie", "db_password", "api_key", "payload", "x-auth-token"])
def test_secrets_and_payloads_are_hidden_wherever_they_are(name: str) -> None:
    stream = io.StringIO()
    configure_logging("json", "info", stream)
    structlog.get_logger().warning("call", **{name: "s3cr3t"}, request={"inner": {name: "s3cr3t"}, "size": 3})
    assert "s3cr3t" not in stream.getvalue()
    assert logged(stream)[0]["request"] == {"inner": {name: "[hidden]"}, "size": 3}


def test_logs_of_libraries_have_the_same_form() -> None:
    stream = io.StringIO()
    configure_logging("json", "warning", stream)
    logging.getLogger("grpc").warning("lost %s", "it")
    logging.getLogger("grpc").info("not written")
    (line,) = logged(stream)
    assert (line["event"], line["level"], line["logger"]) == ("lost it", "warning", "grpc")


def test_an_exception_is_written_with_its_traceback() -> None:
    stream = io.StringIO()
    configure_logging("json", "info", stream)
    try:
        raise ValueError("boom")
    except ValueError:
        structlog.get_logger().exception("failed")
    assert "ValueError: boom" in str(logged(stream)[0]["exception"])


def test_console_lines_are_for_people() -> None:
    stream = io.StringIO()
    configure_logging("console", "info", stream)
    structlog.get_logger("restate").info("ready", invocation_id=ID)
    assert "ready" in stream.getvalue()
    assert f"invocation_id={invocation_id_text(ID)}" in stream.getvalue()
