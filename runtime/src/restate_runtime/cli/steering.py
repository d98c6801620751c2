"""restate-cli invocations cancel, kill, pause, resume, restart, purge, purge-journal.

Each takes one id, or filters for many. Many are looked up first and shown as a number; what was confirmed is what it
is done to. Done goes to stdout, refused to stderr.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from protobuf import Message
from restate_protocol.gen.restate.admin.v1 import admin_pb as pb

from .admin_client import REFUSED, USAGE, CliError
from .command import STATUSES, Json, call, explained
from .output import as_json, ask, note, show_json

MaybeId = Annotated[str, typer.Argument(metavar="ID", help="inv_…; or give filters.", show_default=False)]
Service = Annotated[str, typer.Option(help="Filter: full name of a service.")]
Handler = Annotated[str, typer.Option(help="Filter: name of a handler.")]
Key = Annotated[str | None, typer.Option(help="Filter: key of an object or workflow.")]
StatusName = Annotated[str, typer.Option("--status", help=f"Filter: {STATUSES}. Default: those the command is for.")]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="With filters: how many at most, newest first.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="With filters: do not ask.")]
DeploymentId = Annotated[
    str, typer.Option("--deployment", metavar="ID", help="dep_… to go on with, or latest: the newest that serves it.")
]

_Verb = pb.BatchInvocationsRequest.Verb
_DEFAULT_LIMIT = 1_000


@dataclass(frozen=True, slots=True)
class Filters:
    """Which invocations, by what they are."""

    service: str
    handler: str
    key: str | None
    status: str
    limit: int

    @property
    def any(self) -> bool:
        """Whether something is filtered by."""
        return bool(self.service or self.handler or self.status or self.key is not None)

    def __str__(self) -> str:
        named = {"service": self.service, "handler": self.handler, "key": self.key, "status": self.status}
        return ", ".join(f"{name} {value}" for name, value in named.items() if value not in (None, ""))


@dataclass(frozen=True, slots=True)
class Command:
    """One of the commands.

    Args:
        verb: what a batch calls it.
        word, done: for people: cancel, cancelled.
        help: the first sentence says what it does.
        rpc: method, request and response for one invocation.
    """

    verb: _Verb
    word: str
    done: str
    help: str
    rpc: tuple[str, Any, Any]


_CANCEL = Command(
    _Verb.CANCEL,
    "cancel",
    "cancelled",
    "Asks invocations to end: what they await fails with CANCELLED, their code cleans up. "
    "What has not begun ends at once. What is paused stays so and hears of it when it is resumed. "
    "To end one without running its code: kill.",
    ("CancelInvocation", pb.CancelInvocationRequest, pb.CancelInvocationResponse),
)
_KILL = Command(
    _Verb.KILL,
    "kill",
    "killed",
    "Ends invocations with ABORTED, without running their code, and the calls they wait for. "
    "What they sent one way goes on. State stays as it is, maybe half changed: cancel lets the code clean up.",
    ("KillInvocation", pb.KillInvocationRequest, pb.KillInvocationResponse),
)
_PAUSE = Command(
    _Verb.PAUSE,
    "pause",
    "paused",
    "Stops invocations until they are resumed. Nothing recorded is lost. "
    "One that holds the key of its object keeps it: others of the key wait as long as it is paused.",
    ("PauseInvocation", pb.PauseInvocationRequest, pb.PauseInvocationResponse),
)
_RESUME = Command(
    _Verb.RESUME,
    "resume",
    "resumed",
    "Starts paused invocations again, and at once those that back off. "
    "With --deployment they go on with other code from now on: it has to do what their journals say was done.",
    ("ResumeInvocation", pb.ResumeInvocationRequest, pb.ResumeInvocationResponse),
)
_RESTART = Command(
    _Verb.RESTART,
    "restart",
    "restarted",
    "Starts new invocations with the requests of completed ones. State and what others saw stay as they are. "
    "With --entries the new one begins with that much of the journal: what is recorded there is not done again.",
    ("RestartInvocation", pb.RestartInvocationRequest, pb.RestartInvocationResponse),
)
_PURGE = Command(
    _Verb.PURGE,
    "purge",
    "purged",
    "Removes completed invocations with journal and result, before their retention is over. "
    "Of a workflow's run state and promises go too; the key may run again. Idempotency keys may be used again.",
    ("PurgeInvocation", pb.PurgeInvocationRequest, pb.PurgeInvocationResponse),
)
_PURGE_JOURNAL = Command(
    _Verb.PURGE_JOURNAL,
    "purge the journal of",
    "purged the journal of",
    "Removes the journals of completed invocations. Their results stay until the retention is over.",
    ("PurgeJournal", pb.PurgeJournalRequest, pb.PurgeJournalResponse),
)


def add_to(group: typer.Typer) -> None:
    """Adds the commands to a group."""
    _add(group, "cancel", _CANCEL, _plain(_CANCEL))
    _add(group, "kill", _KILL, _plain(_KILL))
    _add(group, "pause", _PAUSE, _plain(_PAUSE))
    _add(group, "resume", _RESUME, _resume)
    _add(group, "restart", _RESTART, _restart)
    _add(group, "purge", _PURGE, _plain(_PURGE))
    _add(group, "purge-journal", _PURGE_JOURNAL, _plain(_PURGE_JOURNAL))


def _add(group: typer.Typer, name: str, command: Command, body: Callable[..., None]) -> None:
    group.command(name, help=command.help)(explained(body))


def _plain(command: Command) -> Callable[..., None]:
    """What a command does that has nothing but an id or filters."""

    def run(
        context: typer.Context,
        id: MaybeId = "",
        service: Service = "",
        handler: Handler = "",
        key: Key = None,
        status: StatusName = "",
        limit: Limit = _DEFAULT_LIMIT,
        yes: Yes = False,
        as_json_: Json = False,
    ) -> None:
        _run(context, command, id, Filters(service, handler, key, status, limit), yes, as_json_)
        if command is _CANCEL and id and not as_json_:
            _tell_if_paused(context, id)

    return run


def _resume(
    context: typer.Context,
    id: MaybeId = "",
    service: Service = "",
    handler: Handler = "",
    key: Key = None,
    status: StatusName = "",
    limit: Limit = _DEFAULT_LIMIT,
    deployment: DeploymentId = "",
    yes: Yes = False,
    as_json_: Json = False,
) -> None:
    filters = Filters(service, handler, key, status, limit)
    _run(context, _RESUME, id, filters, yes, as_json_, deployment_id=deployment)


def _restart(
    context: typer.Context,
    id: MaybeId = "",
    entries: Annotated[
        int, typer.Option(min=0, help="With an ID: how many journal entries the new one takes over, from the first.")
    ] = 0,
    service: Service = "",
    handler: Handler = "",
    key: Key = None,
    status: StatusName = "",
    limit: Limit = _DEFAULT_LIMIT,
    deployment: DeploymentId = "",
    yes: Yes = False,
    as_json_: Json = False,
) -> None:
    if entries and not id:
        raise CliError("--entries is about one journal: give an ID", exit_code=USAGE)
    more = {"entries": entries} if entries else {}
    filters = Filters(service, handler, key, status, limit)
    _run(context, _RESTART, id, filters, yes, as_json_, deployment_id=deployment, **more)


def _run(
    context: typer.Context, command: Command, id: str, filters: Filters, yes: bool, as_json_: bool, **more: Any
) -> None:
    if id and filters.any:
        raise CliError("give an ID or filters, not both", exit_code=USAGE)
    if id:
        _one(context, command, id, as_json_, more)
        return
    if not filters.any:
        hint = "Filters: --service, --handler, --key, --status."
        raise CliError(f"which ones? Give an ID or a filter to {command.word}", hint, USAGE)
    ids = _found(context, command, filters)
    if not ids:
        note(f"nothing to {command.word}: no invocation fits ({filters})")
    elif not yes and not ask(f"{command.word} {_counted(ids)} ({filters})?"):
        raise CliError("nothing was done", "Answer y, or give --yes.", REFUSED)
    _many(context, command, ids, as_json_, more)


def _one(context: typer.Context, command: Command, id: str, as_json_: bool, more: dict[str, Any]) -> None:
    method, request_type, response_type = command.rpc
    answer: Message[Any] = call(context, method, request_type(id=id, **more), response_type)
    created = answer.id if isinstance(answer, pb.RestartInvocationResponse) else ""
    if as_json_:
        show_json({"id": id, "done": command.done, **({"created": created} if created else {})})
    else:
        print(f"{command.done} {id}" + (f" as {created}" if created else ""))


def _found(context: typer.Context, command: Command, filters: Filters) -> list[str]:
    request = pb.BatchInvocationsRequest(
        verb=command.verb,
        service=filters.service,
        handler=filters.handler,
        key=filters.key,
        status=filters.status,
        limit=filters.limit,
        dry_run=True,
    )
    return list(call(context, "BatchInvocations", request, pb.BatchInvocationsResponse).done)


def _many(context: typer.Context, command: Command, ids: list[str], as_json_: bool, more: dict[str, Any]) -> None:
    answer = pb.BatchInvocationsResponse()
    if ids:
        request = pb.BatchInvocationsRequest(verb=command.verb, ids=ids, limit=len(ids), **more)
        answer = call(context, "BatchInvocations", request, pb.BatchInvocationsResponse)
    if as_json_:
        show_json(as_json(answer))
    else:
        _print(command, answer)
    if answer.refused:
        raise typer.Exit(REFUSED)


def _print(command: Command, answer: pb.BatchInvocationsResponse) -> None:
    created = [f" as {one}" for one in answer.created] or [""] * len(answer.done)
    for id, new in zip(answer.done, created, strict=True):
        print(f"{command.done} {id}{new}")
    for one in answer.refused:
        error = one.error or pb.Error()
        note(f"refused {one.id}: {error.code}: {error.message}")
    if answer.done or answer.refused:
        note(f"{command.done} {_counted(answer.done)}, refused {len(answer.refused)}")


def _counted(ids: list[str]) -> str:
    return "1 invocation" if len(ids) == 1 else f"{len(ids):,} invocations"


def _tell_if_paused(context: typer.Context, id: str) -> None:
    answer = call(context, "GetInvocation", pb.GetInvocationRequest(id=id), pb.GetInvocationResponse)
    if answer.invocation is not None and answer.invocation.status == "paused":
        note(f"It is paused, and hears of it when it goes on: restate-cli invocations resume {id}")
