"""Logs: structlog for ours, and the standard library's records of others through the same pipe.

Every line may carry `invocation_id` (inv_…) and `trace_id`. Values under names that may hold secrets or payloads
are hidden, whoever logs them.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from restate_protocol.ids import INVOCATION_ID_BYTES, invocation_id_text
from structlog.typing import EventDict, Processor

from restate_runtime.core.records import Invocation
from restate_runtime.core.trace_context import trace_context

HIDDEN = "[hidden]"
_SECRET = re.compile(
    r"authorization|cookie|password|passwd|secret|token|credential|api[-_]?key|payload|headers|metadata", re.IGNORECASE
)


def configure_logging(format: str, level: str, stream: TextIO | None = None) -> None:
    """Sets up logs of the whole process; calling it again replaces what was there.

    Args:
        format: console or json.
        level: debug, info, warning or error.
        stream: default stderr.
    """
    output = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        show_ids,
        hide_secrets,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(format, output)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def _renderers(format: str, output: TextIO) -> list[Processor]:
    if format == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    return [structlog.dev.ConsoleRenderer(colors=output.isatty())]


def show_ids(_: Any, __: str, event: EventDict) -> EventDict:
    """Ids as text: of an `invocation` record its id and trace id, of an `invocation_id` in bytes inv_…"""
    record = event.get("invocation")
    if isinstance(record, Invocation):
        del event["invocation"]
        event["invocation_id"] = record.id
        event["trace_id"] = trace_context(record).trace_id
    raw = event.get("invocation_id")
    if isinstance(raw, bytes) and len(raw) == INVOCATION_ID_BYTES:
        event["invocation_id"] = invocation_id_text(raw)
    return event


def hide_secrets(_: Any, __: str, event: EventDict) -> EventDict:
    """Hides values by their names, in nested mappings too."""
    for name in event:
        if name != "event":
            event[name] = _hide(name, event[name])
    return event


def _hide(name: str, value: Any) -> Any:
    if _SECRET.search(name):
        return HIDDEN
    if isinstance(value, MutableMapping | dict):
        return {str(inner): _hide(str(inner), one) for inner, one in value.items()}
    return value
