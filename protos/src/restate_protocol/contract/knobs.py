"""Numbers and durations of the options: checked where they are written, then merged, handler over service.

The two option messages carry them under the same names and, from `retry` on, the same field numbers.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from protobuf import DescMethod, DescService, Message
from protobuf.wkt import Duration

from restate_protocol.gen.restate.v1 import options_pb
from restate_protocol.gen.restate.v1.options_pb import HandlerOptions, ServiceOptions

from .model import OnMaxAttempts, RetryPolicy
from .reading import HANDLER_OPTION, SERVICE_OPTION, Reading

Options = HandlerOptions | ServiceOptions

_RETRY = 5
_DURATIONS = {
    "inactivity_timeout": 6,
    "abort_timeout": 7,
    "journal_retention": 8,
    "idempotency_retention": 9,
    "workflow_retention": 10,
    "execution_timeout": 11,
}
#: As google.protobuf.Duration says: about 10,000 years.
_MAX_SECONDS = 315_576_000_000
_ON_MAX_ATTEMPTS = {
    options_pb.RetryPolicy.OnMaxAttempts.PAUSE: OnMaxAttempts.PAUSE,
    options_pb.RetryPolicy.OnMaxAttempts.KILL: OnMaxAttempts.KILL,
}


def check_knobs(reading: Reading, element: DescService | DescMethod, options: Options) -> None:
    """Checks what one service or one handler says, by itself."""
    option = SERVICE_OPTION if isinstance(element, DescService) else HANDLER_OPTION
    for name, number in _DURATIONS.items():
        least = 1 if name == "execution_timeout" else 0
        if fault := _duration_fault(getattr(options, name), least):
            reading.problem(element, f"`{name}` {fault}", _mend_of(least), *option, number)
    if options.retry is not None:
        _check_retry(reading, element, options.retry, (*option, _RETRY))


def merged_retry(own: Options, defaults: Options, base: RetryPolicy) -> RetryPolicy:
    """The retry policy of a handler: field by field its own, else the service's, else that of `base`."""
    layers = [one for one in (defaults.retry, own.retry) if one is not None]
    values: dict[str, Any] = {}
    for layer in layers:
        values |= _retry_values(layer)
    return replace(base, **values)


def check_merged_retry(reading: Reading, method: DescMethod, own: Options, retry: RetryPolicy) -> None:
    """Checks the two intervals against each other; they may come from different places."""
    if retry.max_ms >= retry.initial_ms or retry.max_ms < 1:
        return
    element = method if own.retry is not None else method.parent
    option = HANDLER_OPTION if own.retry is not None else SERVICE_OPTION
    message = (
        f"`retry.max_interval` ({retry.max_ms} ms) is shorter than `retry.initial_interval` ({retry.initial_ms} ms)"
    )
    reading.problem(element, message, "Raise max_interval or lower initial_interval.", *option, _RETRY)


def merged_ms(name: str, own: Options, defaults: Options) -> int | None:
    """Milliseconds of a duration: the handler's own, else the service's, else None."""
    duration: Duration | None = getattr(own, name)
    if duration is None:
        duration = getattr(defaults, name)
    return None if duration is None else _millis(duration)


def merged_flag(name: str, own: Options, defaults: Options, base: bool = False) -> bool:
    """A flag: the handler's own, else the service's, else `base`."""
    for holder in (own, defaults):
        if has(holder, name):
            flag: bool = getattr(holder, name)
            return flag
    return base


def has(options: Message[Any], name: str) -> bool:
    """Whether an option is written at all."""
    return options.has_field(name)


def _check_retry(
    reading: Reading, element: DescService | DescMethod, retry: options_pb.RetryPolicy, option: tuple[int, ...]
) -> None:
    for name, number in (("initial_interval", 1), ("max_interval", 3)):
        if fault := _duration_fault(getattr(retry, name), 1):
            reading.problem(element, f"`retry.{name}` {fault}", _mend_of(1), *option, number)
    if retry.has_field("factor") and not (math.isfinite(retry.factor) and retry.factor >= 1):
        text = f"`retry.factor` is {retry.factor:g}"
        reading.problem(element, text, "Use 1 for equal intervals, more for growing ones.", *option, 2)
    if retry.has_field("max_attempts") and retry.max_attempts < 1:
        mend = "It counts the first attempt: write 1 for no retry."
        reading.problem(element, f"`retry.max_attempts` is {retry.max_attempts}", mend, *option, 4)
    if retry.has_field("on_max_attempts") and retry.on_max_attempts not in _ON_MAX_ATTEMPTS:
        text = f"`retry.on_max_attempts` is {int(retry.on_max_attempts)}, which has no meaning"
        reading.problem(element, text, "Write PAUSE or KILL.", *option, 5)


def _duration_fault(duration: Duration | None, least_ms: int) -> str | None:
    if duration is None:
        return None
    seconds, nanos = duration.seconds, duration.nanos
    if abs(nanos) >= 1_000_000_000 or abs(seconds) > _MAX_SECONDS or seconds * nanos < 0:
        return f"is no valid duration ({seconds} s and {nanos} ns)"
    if seconds < 0 or nanos < 0:
        return "is negative"
    return "is shorter than a millisecond" if _millis(duration) < least_ms else None


def _mend_of(least_ms: int) -> str:
    return "Write a duration of at least a millisecond." if least_ms else "Write a duration of zero or more."


def _millis(duration: Duration) -> int:
    return duration.seconds * 1000 + duration.nanos // 1_000_000


def _retry_values(retry: options_pb.RetryPolicy) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if retry.initial_interval is not None:
        values["initial_ms"] = _millis(retry.initial_interval)
    if retry.max_interval is not None:
        values["max_ms"] = _millis(retry.max_interval)
    if retry.has_field("factor"):
        values["factor"] = retry.factor
    if retry.has_field("max_attempts"):
        values["max_attempts"] = retry.max_attempts
    if retry.has_field("on_max_attempts"):
        values["on_max_attempts"] = _ON_MAX_ATTEMPTS.get(retry.on_max_attempts, OnMaxAttempts.PAUSE)
    return values
