"""restate-cli: sees and steers a running runtime, over its admin gRPC port and nothing else.

What changes invocations is in `steering`.

Exit codes: 0 done; 1 refused by the runtime; 2 wrong usage; 3 nobody answers.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from restate_protocol.gen.restate.admin.v1 import admin_pb as pb

from restate_runtime.telemetry.tree import TreeSpan

from . import steering
from .command import STATUSES, Id, Json, call, explained
from .output import as_json, beginning, is_long, note, show_json, show_pairs, show_table, show_tree, time_text

app = typer.Typer(
    help="Sees and steers a running runtime.",
    epilog="Exit codes: 0 done, 1 refused by the runtime, 2 wrong usage, 3 nobody answers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
deployments = typer.Typer(help="Code that serves services.", no_args_is_help=True)
invocations = typer.Typer(help="What runs, waits, failed or is done.", no_args_is_help=True)
app.add_typer(deployments, name="deployments")
app.add_typer(invocations, name="invocations")


@app.callback()
def connect(
    context: typer.Context,
    admin: Annotated[
        str, typer.Option("--admin", envvar="RESTATE_ADMIN", help="host:port of the runtime's admin gRPC port.")
    ] = "localhost:9070",
) -> None:
    """Sees and steers a running runtime."""
    context.obj = admin


@deployments.command("register")
@explained
def register(
    context: typer.Context,
    address: Annotated[str, typer.Argument(help="host:port of a service endpoint.")],
    force: Annotated[bool, typer.Option("--force", help="Even if it would break live journals or state.")] = False,
    as_json_: Json = False,
) -> None:
    """Registers the services of an endpoint; new invocations go to them."""
    request = pb.RegisterDeploymentRequest(address=address, force=force)
    answer = call(context, "RegisterDeployment", request, pb.RegisterDeploymentResponse)
    if as_json_:
        show_json(as_json(answer))
        return
    one = answer.deployment or pb.Deployment()
    note(f"{'registered' if answer.created else 'was registered already:'} {one.id}")
    show_table(("SERVICE", "KIND", "HANDLERS"), [_service_row(service) for service in one.services])


@deployments.command("list")
@explained
def list_deployments(context: typer.Context, as_json_: Json = False) -> None:
    """Lists all deployments, in the order of registration."""
    answer = call(context, "ListDeployments", pb.ListDeploymentsRequest(), pb.ListDeploymentsResponse)
    if as_json_:
        show_json([as_json(one) for one in answer.deployments])
        return
    show_table(
        ("ID", "ADDRESS", "VERSION", "SERVICES", "SESSIONS", "CREATED", "LAST ERROR"),
        [_deployment_row(one) for one in answer.deployments],
    )
    if not answer.deployments:
        note("There is none yet. Register one with: restate-cli deployments register host:9080")


@invocations.command("list")
@explained
def list_invocations(
    context: typer.Context,
    service: Annotated[str, typer.Option(help="Full name of a service.")] = "",
    handler: Annotated[str, typer.Option(help="Name of a handler.")] = "",
    key: Annotated[str | None, typer.Option(help="Key of an object or workflow.")] = None,
    status: Annotated[str, typer.Option(help=f"{STATUSES}.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many, newest first.")] = 100,
    as_json_: Json = False,
) -> None:
    """Lists invocations, newest first."""
    request = pb.ListInvocationsRequest(service=service, status=status, limit=limit, handler=handler, key=key)
    answer = call(context, "ListInvocations", request, pb.ListInvocationsResponse)
    if as_json_:
        show_json([as_json(one) for one in answer.invocations])
        return
    show_table(
        ("ID", "TARGET", "STATUS", "CREATED", "RETRIES", "ERROR"),
        [_invocation_row(one) for one in answer.invocations],
    )


@invocations.command("get")
@explained
def get_invocation(context: typer.Context, id: Id, as_json_: Json = False) -> None:
    """Shows one invocation."""
    answer = call(context, "GetInvocation", pb.GetInvocationRequest(id=id), pb.GetInvocationResponse)
    one = answer.invocation or pb.Invocation()
    if as_json_:
        show_json(as_json(one))
        return
    show_pairs(_invocation_pairs(one))
    _show_report(one.error or one.last_failure)
    if one.status == "paused":
        note(f"It waits for you. Mend the cause, then: restate-cli invocations resume {one.id}")


@invocations.command("journal")
@explained
def journal(
    context: typer.Context,
    id: Id,
    full: Annotated[bool, typer.Option("--full", help="Long contents whole, instead of their beginning.")] = False,
    as_json_: Json = False,
) -> None:
    """Shows the journal of an invocation, payloads decoded, long ones cut unless --full or --json is given."""
    answer = call(context, "GetJournal", pb.GetJournalRequest(id=id), pb.GetJournalResponse)
    if as_json_:
        show_json([{**as_json(one), "json": json.loads(one.json)} for one in answer.entries])
        return
    show_table(
        ("#", "TIME", "TYPE", "COMMAND", "NAME", "CONTENT"),
        [
            (
                str(one.index),
                time_text(one.at_ms),
                one.type,
                str(one.command) if one.has_field("command") else "",
                one.name,
                one.json if full else beginning(one.json),
            )
            for one in answer.entries
        ],
    )
    if not full and any(is_long(one.json) for one in answer.entries):
        note("Long contents are cut here; --full shows them whole, --json too.")
    if not answer.entries:  # an invocation that has its journal has its input at least
        note("Its journal was removed: the retention is over, or somebody purged it.")


@invocations.command("trace")
@explained
def trace(context: typer.Context, id: Id, as_json_: Json = False) -> None:
    """Shows the trace of an invocation and of what it called, as a tree with durations."""
    answer = call(context, "GetTrace", pb.GetTraceRequest(id=id), pb.GetTraceResponse)
    if as_json_:
        show_json([as_json(one) for one in answer.spans])
        return
    show_tree(_tree_span(one) for one in answer.spans)


steering.add_to(invocations)


def _service_row(one: pb.Service) -> tuple[str, ...]:
    handlers = ", ".join(_handler_text(handler) for handler in one.handlers)
    return one.name, one.kind, handlers


def _handler_text(one: pb.Handler) -> str:
    marks = [mark for mark in (one.mode if one.mode in ("shared", "run") else "", "private" * one.private) if mark]
    return f"{one.name} ({', '.join(marks)})" if marks else one.name


def _deployment_row(one: pb.Deployment) -> tuple[str, ...]:
    return (
        one.id,
        one.address or "(dials in)",
        one.version_label,
        ", ".join(service.name for service in one.services),
        str(one.sessions),
        time_text(one.created_at_ms),
        one.last_error,
    )


def _target(one: pb.Invocation) -> str:
    middle = f"{one.key}/" if one.has_field("key") else ""
    return f"{one.service}/{middle}{one.handler}"


def _invocation_row(one: pb.Invocation) -> tuple[str, ...]:
    error = one.error or one.last_failure
    return (
        one.id,
        _target(one),
        one.status,
        time_text(one.created_at_ms),
        str(one.retry_count),
        f"{error.code}: {error.message.splitlines()[0] if error.message else ''}" if error else "",
    )


def _invocation_pairs(one: pb.Invocation) -> list[tuple[str, str]]:
    return [
        ("id", one.id),
        ("target", _target(one)),
        ("status", one.status),
        ("created", time_text(one.created_at_ms)),
        *((name, _time(one, field)) for name, field in _TIMES),
        ("deployment", one.deployment_id),
        ("attempts", str(one.epoch)),
        ("failed attempts", str(one.retry_count)),
        ("last failure", _error_text(one.last_failure)),
        *(("run retry", _retry_text(retry)) for retry in one.run_retries),
        ("error", _error_text(one.error)),
        ("idempotency key", one.idempotency_key),
        ("called by", one.parent_id),
        ("restarted from", one.restarted_from),
        ("trace", one.trace_id),
    ]


_BELOW = " (all of it below)"

_TIMES = (
    ("scheduled for", "scheduled_for_ms"),
    ("next attempt", "next_retry_at_ms"),
    ("completed", "completed_at_ms"),
    ("kept until", "expires_at_ms"),
)


def _time(one: pb.Invocation, field: Any) -> str:
    return time_text(getattr(one, field)) if one.has_field(field) else ""


def _retry_text(one: pb.RunRetry) -> str:
    times = "once" if one.failures == 1 else f"{one.failures} times"
    due = time_text(one.next_try_at_ms)
    error = _error_text(one.last_failure).removesuffix(_BELOW)
    return f"{one.name} (command {one.command}) failed {times}, next try {due}, last failure {error}"


def _error_text(error: pb.Error | None) -> str:
    if error is None:
        return ""
    about = f"; at {error.command}" if error.command else ""
    detail = f" [{error.detail_type}]" if error.detail_type else ""
    first, _, rest = error.message.partition("\n")
    return f"{error.code}: {first}{detail}{about}" + (_BELOW if rest else "")


def _show_report(error: pb.Error | None) -> None:
    """A message of several lines, such as a journal mismatch, as it is: tables would break its own columns."""
    if error is not None and "\n" in error.message:
        print(f"\n{error.message}\n")


def _tree_span(one: pb.Span) -> TreeSpan:
    return TreeSpan(
        one.span_id,
        one.parent_span_id,
        one.name,
        one.start_ms,
        one.end_ms if one.has_field("end_ms") else None,
        one.error,
        one.attributes.get("restate.attempt.outcome", ""),
    )


def main() -> None:
    """Entry point of restate-cli."""
    app()


if __name__ == "__main__":
    main()
