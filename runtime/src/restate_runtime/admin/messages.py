"""Records of the store as messages of the admin API. Pure translation; nothing is decided here."""

from __future__ import annotations

from collections.abc import Iterable

from restate_protocol import journal as j
from restate_protocol.contract import model
from restate_protocol.gen.restate.admin.v1 import admin_pb as pb
from restate_protocol.gen.restate.protocol.v1 import journal_pb
from restate_protocol.gen.restate.protocol.v1.session_pb import Failed
from restate_protocol.ids import invocation_id_text
from restate_protocol.status import StatusCode

from restate_runtime.core import spans
from restate_runtime.core.records import Deployment, Invocation, JournalRow


def deployment(
    record: Deployment, services: Iterable[model.Service], sessions: int, last_error: str | None
) -> pb.Deployment:
    """A deployment with what it serves and how it is connected."""
    return pb.Deployment(
        id=record.id,
        address=record.address,
        version_label=record.version_label,
        services=[_service(one) for one in services],
        created_at_ms=record.created_ms,
        sessions=sessions,
        last_error=last_error or "",
    )


def _service(service: model.Service) -> pb.Service:
    return pb.Service(
        name=service.name,
        kind=service.kind.value,
        handlers=[
            pb.Handler(
                name=one.name,
                mode=one.mode.value,
                request_type=one.request,
                response_type=one.response,
                private=one.private,
            )
            for one in service.handlers
        ],
    )


def invocation(record: Invocation, status: str) -> pb.Invocation:
    """An invocation; `status` is the shown one, finer than the stored one."""
    return pb.Invocation(
        id=invocation_id_text(record.id),
        service=record.service,
        handler=record.handler,
        key=record.key,
        status=status,
        deployment_id=record.deployment_id or "",
        created_at_ms=record.created_ms,
        scheduled_for_ms=record.scheduled_for_ms,
        completed_at_ms=record.completed_ms,
        next_retry_at_ms=record.next_retry_ms,
        epoch=record.epoch,
        retry_count=record.retry_count,
        last_failure=None if record.last_failure is None else _failed(record.last_failure),
        error=None if record.result is None else _error(record.result),
        idempotency_key=record.idempotency_key or "",
        parent_id=_id_text(None if record.restarted_from else record.parent_id),
        restarted_from=_id_text(record.restarted_from),
        trace_id=spans.trace_context(record).trace_id,
        expires_at_ms=record.removed_ms,
    )


def _id_text(invocation_id: bytes | None) -> str:
    return "" if invocation_id is None else invocation_id_text(invocation_id)


def _failed(data: bytes) -> pb.Error | None:
    failed = Failed.from_binary(data)
    if failed.failure is None:
        return None
    error = _failure(j.failure_from_pb(failed.failure))
    if failed.has_field("command"):
        error.command = " ".join(part for part in (failed.command_type, failed.command_name) if part)
        error.command = f"{error.command} (command {failed.command})".lstrip()
    return error


def run_retry(command: j.Entry, failed: j.RunFailed) -> pb.RunRetry:
    """A run that waits for its next try, by its last failure."""
    return pb.RunRetry(
        command=failed.command,
        name=command.name if isinstance(command, j.Run) else "",
        failures=failed.failures,
        last_failure=_failure(failed.failure),
        next_try_at_ms=failed.retry_at_ms,
    )


def _error(data: bytes) -> pb.Error | None:
    result = j.result_from_pb(journal_pb.Result.from_binary(data))
    return _failure(result) if isinstance(result, j.Failure) else None


def _failure(failure: j.Failure) -> pb.Error:
    return pb.Error(code=StatusCode.of(failure.code).name, message=failure.message, detail_type=failure.detail_type)


def journal_entry(row: JournalRow, entry: j.Entry, command: int | None, name: str, json: str) -> pb.JournalEntry:
    """A journal entry; `command` is its own number, or that of the command it completes."""
    return pb.JournalEntry(
        index=row.index,
        at_ms=row.at_ms,
        type=j.type_name(entry),
        command=command,
        name=name,
        json=json,
        raw=row.entry,
    )


def span(one: spans.Span) -> pb.Span:
    """A span; every attribute as text."""
    return pb.Span(
        trace_id=one.trace_id,
        span_id=one.span_id,
        parent_span_id=one.parent_id,
        name=one.name,
        start_ms=one.start_ms,
        end_ms=one.end_ms,
        attributes={name: _text(value) for name, value in one.attributes.items()},
        error=one.error,
    )


def _text(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
