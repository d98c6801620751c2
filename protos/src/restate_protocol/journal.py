"""Journal entries as values, and their bytes.

Both state machines speak in these values; `encode` and `decode` are the only places that know the stubs. An
entry is either a command (what the handler asked for) or a notification (what came back). Entries are stored as
the bytes they were first written with, so `encode` is called once for each entry, by whoever creates it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from protobuf import Oneof

from . import hot_entries as hot
from .errors import FrameError
from .gen.restate.protocol.v1 import journal_pb as pb
from .immutable import immutable
from .wire import Unusual

JSON = "application/json"
BYTES = "application/octet-stream"

Headers: TypeAlias = tuple[tuple[str, bytes], ...]


@immutable
class Value:
    """Bytes and how to read them: "" by the contract, JSON, BYTES, or the full name of a message."""

    data: bytes
    type: str = ""


@immutable
class Failure:
    """A terminal error: gRPC status code, text, and for typed errors the message's full name and bytes."""

    code: int
    message: str
    detail_type: str = ""
    detail: bytes = b""
    metadata: tuple[tuple[str, str], ...] = ()


@immutable
class Void:
    """Nothing: a sleep that ended, a promise that has no value yet."""


Result: TypeAlias = Value | Failure | Void


@immutable
class Input:
    payload: bytes
    headers: Headers = ()


@immutable
class Output:
    result: Result


@immutable
class Run:
    """A step. With a result: its function ended before the command left, and no completion follows."""

    name: str
    result: Result | None = None
    duration_ms: int = 0


@immutable
class Sleep:
    wake_at_ms: int
    name: str = ""


@immutable
class Call:
    service: str
    handler: str
    key: str | None
    payload: bytes
    invocation_id: bytes
    idempotency_key: str = ""
    headers: Headers = ()


@immutable
class Send:
    service: str
    handler: str
    key: str | None
    payload: bytes
    invocation_id: bytes
    idempotency_key: str = ""
    headers: Headers = ()
    execute_at_ms: int = 0


@immutable
class Awakeable:
    number: int
    type: str = ""


@immutable
class CompleteAwakeable:
    awakeable_id: str
    result: Result


@immutable
class GetState:
    number: int
    result: Result | None = None


@immutable
class SetState:
    number: int
    value: bytes


@immutable
class ClearState:
    number: int


@immutable
class ClearAllState:
    pass


@immutable
class GetStateKeys:
    numbers: tuple[int, ...] | None = None


@immutable
class GetPromise:
    number: int


@immutable
class PeekPromise:
    number: int


@immutable
class CompletePromise:
    number: int
    result: Result


@immutable
class Attach:
    invocation_id: bytes


@immutable
class Cancel:
    invocation_id: bytes


@immutable
class SendSignal:
    """Gives a named signal to another invocation."""

    invocation_id: bytes
    name: str
    result: Result


@immutable
class Completion:
    """Notification: the result of command number `command`."""

    command: int
    result: Result


@immutable
class Signal:
    """Notification: a result for an awakeable (its number) or a named signal (its name)."""

    target: int | str
    result: Result


@immutable
class Cancelled:
    """Notification: somebody wants the invocation to end. Told each time somebody asks."""

    code: int
    message: str


@immutable
class RunFailed:
    """Notification: the function of a run failed, and its retry policy tries it again.

    Args:
        failures: how often it failed so far.
        first_try_at_ms, retry_at_ms: milliseconds since the Unix epoch.
    """

    command: int
    failures: int
    failure: Failure
    first_try_at_ms: int
    retry_at_ms: int


@immutable
class RunDue:
    """Notification: the wait after failure number `failures` of a run is over."""

    command: int
    failures: int


Command: TypeAlias = (
    Input
    | Output
    | Run
    | Sleep
    | Call
    | Send
    | Awakeable
    | CompleteAwakeable
    | GetState
    | SetState
    | ClearState
    | ClearAllState
    | GetStateKeys
    | GetPromise
    | PeekPromise
    | CompletePromise
    | Attach
    | Cancel
    | SendSignal
)
Notification: TypeAlias = Completion | Signal | Cancelled | RunFailed | RunDue
Entry: TypeAlias = Command | Notification

NOTIFICATIONS = (Completion, Signal, Cancelled, RunFailed, RunDue)

# Commands that a Completion answers.
COMPLETABLE = (Run, Sleep, Call, GetPromise, PeekPromise, CompletePromise, Attach)


def result_to_pb(result: Result) -> pb.Result:
    """The stub of a result."""
    match result:
        case Value():
            return pb.Result(result=Oneof("value", pb.Value(data=result.data, type=result.type)))  # type: ignore[arg-type]
        case Void():
            return pb.Result(result=Oneof("void", pb.Void()))  # type: ignore[arg-type]
        case Failure():
            return pb.Result(result=Oneof("failure", failure_to_pb(result)))  # type: ignore[arg-type]


def encode_result(result: Result) -> bytes:
    """The bytes of a result."""
    if type(result) is Value:
        return hot.value_result(result.data, result.type)
    return result_to_pb(result).to_binary()


def result_from_pb(message: pb.Result | None) -> Result:
    """The value of a result's stub.

    Raises:
        FrameError: it holds nothing.
    """
    one: Any = None if message is None else message.result
    if one is None:
        raise FrameError("a result without a value, a failure or a void")
    if one.field == "value":
        return Value(one.value.data, one.value.type)
    if one.field == "void":
        return Void()
    return failure_from_pb(one.value)


def failure_to_pb(failure: Failure) -> pb.Failure:
    """The stub of a failure."""
    return pb.Failure(
        code=failure.code,
        message=failure.message,
        detail_type=failure.detail_type,
        detail=failure.detail,
        metadata=dict(failure.metadata),
    )


def failure_from_pb(message: pb.Failure) -> Failure:
    """The value of a failure's stub."""
    return Failure(
        message.code,
        message.message,
        message.detail_type,
        message.detail,
        tuple(sorted(message.metadata.items())),
    )


def _headers_to_pb(headers: Headers) -> list[pb.Header]:
    return [pb.Header(name=name, value=value) for name, value in headers]


def _headers_from_pb(headers: list[pb.Header]) -> Headers:
    return tuple((header.name, header.value) for header in headers)


def _key(message: pb.CallCommand | pb.SendCommand) -> str | None:
    return message.key if message.has_field("key") else None


def _encode_call(entry: Call) -> pb.CallCommand:
    message = pb.CallCommand(
        service=entry.service,
        handler=entry.handler,
        payload=entry.payload,
        idempotency_key=entry.idempotency_key,
        headers=_headers_to_pb(entry.headers),
        invocation_id=entry.invocation_id,
    )
    if entry.key is not None:
        message.key = entry.key
    return message


def _encode_send(entry: Send) -> pb.SendCommand:
    message = pb.SendCommand(
        service=entry.service,
        handler=entry.handler,
        payload=entry.payload,
        idempotency_key=entry.idempotency_key,
        headers=_headers_to_pb(entry.headers),
        invocation_id=entry.invocation_id,
        execute_at_ms=entry.execute_at_ms,
    )
    if entry.key is not None:
        message.key = entry.key
    return message


def _encode_run(entry: Run) -> pb.RunCommand:
    if entry.result is None:
        return pb.RunCommand(name=entry.name)
    return pb.RunCommand(name=entry.name, result=result_to_pb(entry.result), duration_ms=entry.duration_ms)


def _encode_get_state(entry: GetState) -> pb.GetStateCommand:
    if entry.result is None:
        return pb.GetStateCommand(number=entry.number)
    return pb.GetStateCommand(number=entry.number, result=result_to_pb(entry.result))


def _encode_keys(entry: GetStateKeys) -> pb.GetStateKeysCommand:
    if entry.numbers is None:
        return pb.GetStateKeysCommand()
    return pb.GetStateKeysCommand(keys=pb.StateKeys(numbers=list(entry.numbers)))


def _encode_signal(entry: Signal) -> pb.SignalNotification:
    target: Any = Oneof("awakeable" if isinstance(entry.target, int) else "name", entry.target)
    return pb.SignalNotification(target=target, result=result_to_pb(entry.result))


def _encode_run_failed(entry: RunFailed) -> pb.RunFailedNotification:
    return pb.RunFailedNotification(
        command=entry.command,
        failures=entry.failures,
        failure=failure_to_pb(entry.failure),
        first_try_at_ms=entry.first_try_at_ms,
        retry_at_ms=entry.retry_at_ms,
    )


def _decode_run_failed(message: pb.RunFailedNotification) -> RunFailed:
    if message.failure is None:
        raise FrameError("a failed run without its failure")
    failure = failure_from_pb(message.failure)
    return RunFailed(message.command, message.failures, failure, message.first_try_at_ms, message.retry_at_ms)


_ENCODERS: dict[type[Any], tuple[str, Callable[[Any], Any]]] = {
    Input: ("input", lambda e: pb.InputCommand(payload=e.payload, headers=_headers_to_pb(e.headers))),
    Output: ("output", lambda e: pb.OutputCommand(result=result_to_pb(e.result))),
    Run: ("run", _encode_run),
    Sleep: ("sleep", lambda e: pb.SleepCommand(wake_at_ms=e.wake_at_ms, name=e.name)),
    Call: ("call", _encode_call),
    Send: ("send", _encode_send),
    Awakeable: ("awakeable", lambda e: pb.AwakeableCommand(number=e.number, type=e.type)),
    CompleteAwakeable: (
        "complete_awakeable",
        lambda e: pb.CompleteAwakeableCommand(awakeable_id=e.awakeable_id, result=result_to_pb(e.result)),
    ),
    GetState: ("get_state", _encode_get_state),
    SetState: ("set_state", lambda e: pb.SetStateCommand(number=e.number, value=e.value)),
    ClearState: ("clear_state", lambda e: pb.ClearStateCommand(number=e.number)),
    ClearAllState: ("clear_all_state", lambda _: pb.ClearAllStateCommand()),
    GetStateKeys: ("get_state_keys", _encode_keys),
    GetPromise: ("get_promise", lambda e: pb.GetPromiseCommand(number=e.number)),
    PeekPromise: ("peek_promise", lambda e: pb.PeekPromiseCommand(number=e.number)),
    CompletePromise: (
        "complete_promise",
        lambda e: pb.CompletePromiseCommand(number=e.number, result=result_to_pb(e.result)),
    ),
    Attach: ("attach", lambda e: pb.AttachCommand(invocation_id=e.invocation_id)),
    Cancel: ("cancel", lambda e: pb.CancelCommand(invocation_id=e.invocation_id)),
    SendSignal: (
        "send_signal",
        lambda e: pb.SendSignalCommand(invocation_id=e.invocation_id, name=e.name, result=result_to_pb(e.result)),
    ),
    Completion: (
        "completion",
        lambda e: pb.CompletionNotification(command=e.command, result=result_to_pb(e.result)),
    ),
    Signal: ("signal", _encode_signal),
    Cancelled: ("cancelled", lambda e: pb.CancelledNotification(code=e.code, message=e.message)),
    RunFailed: ("run_failed", _encode_run_failed),
    RunDue: ("run_due", lambda e: pb.RunDueNotification(command=e.command, failures=e.failures)),
}


def _write_run(entry: Run) -> bytes | None:
    result = entry.result
    if type(result) is not Value:
        return None
    return hot.write_run(entry.name, result.data, result.type, entry.duration_ms)


def _write_output(entry: Output) -> bytes | None:
    result = entry.result
    return hot.write_output(result.data, result.type) if type(result) is Value else None


#: What these give None for is left to the stubs. Found by type: patterns of classes take as long as the writing.
_HOT_ENCODERS: dict[type[Any], Callable[[Any], bytes | None]] = {
    Input: lambda entry: hot.write_input(entry.payload, entry.headers),
    Output: _write_output,
    Run: _write_run,
}


def _decode_hot_run(data: bytes) -> Run:
    name, value, type_name, duration_ms = hot.read_run(data)
    return Run(name, Value(value, type_name), duration_ms)


_DECODERS: dict[str, Callable[[Any], Entry]] = {
    "input": lambda m: Input(m.payload, _headers_from_pb(m.headers)),
    "output": lambda m: Output(result_from_pb(m.result)),
    "run": lambda m: Run(m.name, None if m.result is None else result_from_pb(m.result), m.duration_ms),
    "sleep": lambda m: Sleep(m.wake_at_ms, m.name),
    "call": lambda m: Call(
        m.service,
        m.handler,
        _key(m),
        m.payload,
        m.invocation_id,
        m.idempotency_key,
        _headers_from_pb(m.headers),
    ),
    "send": lambda m: Send(
        m.service,
        m.handler,
        _key(m),
        m.payload,
        m.invocation_id,
        m.idempotency_key,
        _headers_from_pb(m.headers),
        m.execute_at_ms,
    ),
    "awakeable": lambda m: Awakeable(m.number, m.type),
    "complete_awakeable": lambda m: CompleteAwakeable(m.awakeable_id, result_from_pb(m.result)),
    "get_state": lambda m: GetState(m.number, None if m.result is None else result_from_pb(m.result)),
    "set_state": lambda m: SetState(m.number, m.value),
    "clear_state": lambda m: ClearState(m.number),
    "clear_all_state": lambda _: ClearAllState(),
    "get_state_keys": lambda m: GetStateKeys(None if m.keys is None else tuple(m.keys.numbers)),
    "get_promise": lambda m: GetPromise(m.number),
    "peek_promise": lambda m: PeekPromise(m.number),
    "complete_promise": lambda m: CompletePromise(m.number, result_from_pb(m.result)),
    "attach": lambda m: Attach(m.invocation_id),
    "cancel": lambda m: Cancel(m.invocation_id),
    "completion": lambda m: Completion(m.command, result_from_pb(m.result)),
    "signal": lambda m: Signal(_signal_target(m), result_from_pb(m.result)),
    "send_signal": lambda m: SendSignal(m.invocation_id, m.name, result_from_pb(m.result)),
    "cancelled": lambda m: Cancelled(m.code, m.message),
    "run_failed": _decode_run_failed,
    "run_due": lambda m: RunDue(m.command, m.failures),
}


#: By the first byte of an entry. What these do not know they leave to the stubs.
_HOT_DECODERS: dict[int, Callable[[bytes], Entry]] = {
    hot.INPUT_TAG: lambda data: Input(hot.read_input(data)),
    hot.OUTPUT_TAG: lambda data: Output(Value(*hot.read_output(data))),
    hot.RUN_TAG: _decode_hot_run,
}


def _signal_target(message: Any) -> int | str:
    if message.target is None:
        raise FrameError("a signal without an awakeable or a name")
    target: int | str = message.target.value
    return target


def type_name(entry: Entry) -> str:
    """run, sleep, completion, …: the entry's type as protos, SQL, CLI and traces write it."""
    return _ENCODERS[type(entry)][0]


def encode(entry: Entry) -> bytes:
    """The bytes of an entry."""
    write = _HOT_ENCODERS.get(type(entry))
    if write is not None and (data := write(entry)) is not None:
        return data
    field, build = _ENCODERS[type(entry)]
    one: Any = Oneof(field, build(entry))
    return pb.Entry(entry=one).to_binary()


def decode(data: bytes) -> Entry:
    """The entry in these bytes.

    Raises:
        FrameError: they are not an entry, or one this version does not know.
    """
    try:
        read = _HOT_DECODERS.get(data[0])
        if read is not None:
            return read(data)
    except (Unusual, IndexError, UnicodeDecodeError):
        pass  # the stubs say what it is, or what is wrong with it
    try:
        one: Any = pb.Entry.from_binary(data).entry
    except Exception as error:
        raise FrameError(f"not a journal entry: {error}") from error
    if one is None:
        raise FrameError("a journal entry of a type this version does not know")
    return _DECODERS[one.field](one.value)


def taken(data: bytes) -> int | None:
    """How many notifications the handler had taken when it issued this command; None where the entry does not say."""
    entry = pb.Entry.from_binary(data)
    return entry.taken if entry.has_field("taken") else None
