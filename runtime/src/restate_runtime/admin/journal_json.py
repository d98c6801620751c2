"""Journal entries as JSON, with payloads decoded by the pinned descriptors.

For people and tools only: nothing is ever read back from this. What cannot be decoded is shown as base64, with the
reason, so an entry is never missing.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from restate_protocol import journal as j
from restate_protocol.gen.restate.protocol.v1 import journal_pb
from restate_protocol.ids import invocation_id_text
from restate_protocol.status import StatusCode

from restate_runtime.deployments.contracts import View, name_of
from restate_runtime.deployments.schema import Schema, SchemaError


@dataclass(frozen=True, slots=True)
class _Kind:
    """A message, or one field of it: what bytes mean where the journal does not say so itself."""

    schema: Schema
    name: str
    field: str | None = None


class JournalReader:
    """Reads the journal of one invocation.

    Args:
        view: what its bytes mean.
        handler: name of its handler.
        entries: the whole journal, in order; completions are read by what they complete.
    """

    def __init__(self, view: View, handler: str, entries: Sequence[j.Entry]) -> None:
        self._view = view
        self._handler = handler
        self._commands = [entry for entry in entries if not isinstance(entry, j.NOTIFICATIONS)]

    def json(self, entry: j.Entry) -> str:
        """The entry on one line of JSON."""
        return json.dumps(self._entry(entry), ensure_ascii=False)

    def _entry(self, entry: j.Entry) -> dict[str, Any]:
        match entry:
            case j.Input():
                return {"payload": _message(entry.payload, self._own_type("request")), **_headers(entry.headers)}
            case j.Output():
                return self._result(entry.result, self._own_type("response"))
            case j.Run():
                ended = {} if entry.result is None else {**self._result(entry.result), "durationMs": entry.duration_ms}
                return {"name": entry.name, **ended}
            case j.Sleep():
                return {"wakeAtMs": entry.wake_at_ms, **({"name": entry.name} if entry.name else {})}
            case j.Call() | j.Send():
                return self._call(entry)
            case j.Awakeable():
                return {"number": entry.number, "type": entry.type}
            case j.CompleteAwakeable():
                return {"awakeableId": entry.awakeable_id, **self._result(entry.result)}
            case j.Attach() | j.Cancel():
                return {"invocationId": invocation_id_text(entry.invocation_id)}
            case j.SendSignal():
                target = {"invocationId": invocation_id_text(entry.invocation_id), "name": entry.name}
                return {**target, **self._result(entry.result)}
            case j.Completion() | j.Signal() | j.Cancelled() | j.RunFailed() | j.RunDue():
                return self._notification(entry)
            case _:
                return self._stored(entry)

    def _notification(self, entry: j.Notification) -> dict[str, Any]:
        match entry:
            case j.Completion():
                return {"command": entry.command, **self._completion(entry)}
            case j.Signal():
                return {"target": entry.target, **self._result(entry.result)}
            case j.Cancelled():
                return {"code": StatusCode.of(entry.code).name, "message": entry.message}
            case j.RunFailed():
                return {
                    "command": entry.command,
                    "failures": entry.failures,
                    "failure": self._failure(entry.failure),
                    "firstTryAtMs": entry.first_try_at_ms,
                    "retryAtMs": entry.retry_at_ms,
                }
            case j.RunDue():
                return {"command": entry.command, "failures": entry.failures}

    def _stored(self, entry: j.Entry) -> dict[str, Any]:
        """State and promises."""
        match entry:
            case j.SetState():
                return {**self._named(entry), "value": _message(entry.value, self._field_type(entry))}
            case j.GetState():
                shown = {} if entry.result is None else self._result(entry.result, self._field_type(entry))
                return {**self._named(entry), **shown}
            case j.GetStateKeys():
                return {} if entry.numbers is None else {"keys": [self._state_key(one) for one in entry.numbers]}
            case j.CompletePromise():
                return {**self._named(entry), **self._result(entry.result, self._field_type(entry))}
            case j.ClearState() | j.GetPromise() | j.PeekPromise():
                return self._named(entry)
            case _:
                return {}

    def _named(self, entry: j.Entry) -> dict[str, Any]:
        name = self._view.field_name(entry)
        return {"number": getattr(entry, "number", 0)} if name is None else {"name": name}

    def _call(self, entry: j.Call | j.Send) -> dict[str, Any]:
        delayed = {"executeAtMs": entry.execute_at_ms} if isinstance(entry, j.Send) and entry.execute_at_ms else {}
        return {
            "service": entry.service,
            "handler": entry.handler,
            **({} if entry.key is None else {"key": entry.key}),
            "invocationId": invocation_id_text(entry.invocation_id),
            "payload": _message(entry.payload, self._callee_type(entry, "request")),
            **({"idempotencyKey": entry.idempotency_key} if entry.idempotency_key else {}),
            **delayed,
            **_headers(entry.headers),
        }

    def _completion(self, entry: j.Completion) -> dict[str, Any]:
        command = self._commands[entry.command] if entry.command < len(self._commands) else None
        match command:
            case j.Call():
                return self._result(entry.result, self._callee_type(command, "response"))
            case j.GetState() | j.GetPromise() | j.PeekPromise():
                return self._result(entry.result, self._field_type(command))
            case j.GetStateKeys() if isinstance(entry.result, j.Value):
                numbers = journal_pb.StateKeys.from_binary(entry.result.data).numbers
                return {"keys": [self._state_key(one) for one in numbers]}
            case _:
                return self._result(entry.result)

    def _result(self, result: j.Result, kind: _Kind | None = None) -> dict[str, Any]:
        """A result; `kind` is what the contract says of it."""
        match result:
            case j.Void():
                return {"void": {}}
            case j.Failure():
                return {"failure": self._failure(result)}
            case j.Value():
                return {"value": self._value(result, kind)}

    def _value(self, value: j.Value, kind: _Kind | None) -> Any:
        match value.type:
            case "":
                return _message(value.data, kind)
            case j.JSON:
                return _json(value.data)
            case j.BYTES:
                return _base64(value.data)
            case name:
                return self._tagged(value.data, name)

    def _tagged(self, data: bytes, tag: str) -> Any:
        """A message by its name; else bytes that a handler's own serde made, which only it can read."""
        kind = self._kind(tag)
        if kind is None or not kind.schema.has(tag):
            return {**_base64(data), "type": tag}
        return _message(data, kind)

    def _failure(self, failure: j.Failure) -> dict[str, Any]:
        shown: dict[str, Any] = {"code": StatusCode.of(failure.code).name, "message": failure.message}
        if failure.detail_type:
            shown["detailType"] = failure.detail_type
            shown["detail"] = _message(failure.detail, self._kind(failure.detail_type))
        if failure.metadata:
            shown["metadata"] = dict(failure.metadata)
        return shown

    # What the contract says.

    def _kind(self, name: str | None, field: str | None = None) -> _Kind | None:
        if name is None or self._view.pinned is None:
            return None
        return _Kind(self._view.pinned.schema, name, field)

    def _own_type(self, which: str) -> _Kind | None:
        service = self._view.own()
        handler = None if service is None else service.handler(self._handler)
        return None if handler is None else self._kind(handler.request if which == "request" else handler.response)

    def _callee_type(self, entry: j.Call | j.Send, which: str) -> _Kind | None:
        found = self._view.other(entry.service)
        handler = None if found is None else found[0].handler(entry.handler)
        if found is None or handler is None:
            return None
        return _Kind(found[1], handler.request if which == "request" else handler.response)

    def _field_type(self, command: j.Entry) -> _Kind | None:
        """The state or promises message, and the field of it that the command is about."""
        service = self._view.own()
        if service is None:
            return None
        on_state = isinstance(command, j.GetState | j.SetState | j.ClearState)
        return self._kind(service.state if on_state else service.promises, self._view.field_name(command))

    def _state_key(self, number: int) -> str | int:
        service = self._view.own()
        return (name_of(service.state_fields, number) if service else None) or number


def _headers(headers: j.Headers) -> dict[str, Any]:
    if not headers:
        return {}
    return {"headers": {name: value.decode("utf-8", "backslashreplace") for name, value in headers}}


def _message(data: bytes, kind: _Kind | None) -> Any:
    if kind is None:
        return _base64(data)
    try:
        return _decoded(data, kind)
    except (ValueError, SchemaError) as error:
        return {**_base64(data), "problem": str(error)}


def _decoded(data: bytes, kind: _Kind) -> Any:
    if kind.field is None:
        return json.loads(kind.schema.to_json(kind.name, data))
    message = kind.schema.decode(kind.name, data)
    # A set entry that equals the default is there all the same, so defaults are shown.
    shown = json.loads(message.to_json(registry=kind.schema.registry, always_emit_implicit=True))
    json_name = next(field.json_name for field in message.desc().fields if field.name == kind.field)
    return shown.get(json_name)


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError as error:
        return {**_base64(data), "problem": str(error)}


def _base64(data: bytes) -> dict[str, Any]:
    return {"base64": base64.b64encode(data).decode()}
