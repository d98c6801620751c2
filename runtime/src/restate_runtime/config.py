"""The runtime's settings: one table with unit, default, limits, environment variable and flag of each.

Command-line help and `docs/reference/settings.md` are made from the table. A flag wins over the environment, the
environment over the default. A value that makes no sense is an error that names the setting and where the value
came from; nothing is rounded or guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from restate_protocol.errors import RestateError

T = TypeVar("T")


class SettingsError(RestateError):
    """A setting has a value that makes no sense. The message names it and says what is allowed."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table.

    Args:
        name: name of the attribute of Settings.
        unit: what its number counts; empty where it is no quantity.
        default: used where neither flag nor environment variable is given.
        doc: one or two sentences.
        parse: gives the value of a text; raises ValueError saying what is allowed.
    """

    name: str
    unit: str
    default: Any
    doc: str
    parse: Callable[[str], Any]

    @property
    def flag(self) -> str:
        """--db, --ingress-grpc-port, …"""
        return "--" + self.name.replace("_", "-")

    @property
    def env(self) -> str:
        """RESTATE_DB, RESTATE_INGRESS_GRPC_PORT, …"""
        return "RESTATE_" + self.name.upper()

    @property
    def default_text(self) -> str:
        """The default as one would type it."""
        return ",".join(self.default) if isinstance(self.default, tuple) else str(self.default)


def _setting(default: T, unit: str, doc: str, parse: Callable[[str], T]) -> T:
    value: T = field(default=default, metadata={"unit": unit, "doc": doc, "parse": parse})
    return value


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,18}", text) or not least <= int(text) <= most:
            raise ValueError(f"give a whole number from {least} to {most}")
        return int(text)

    return parse


def _one_of(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"give one of {', '.join(allowed)}")
        return text

    return parse


def _factor(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text) or float(text) < 1:
        raise ValueError("give a number of at least 1, such as 2 or 1.5")
    return float(text)


def _text(text: str) -> str:
    if not text.strip():
        raise ValueError("give some text")
    return text


def _maybe_address(text: str) -> str:
    if text and not re.fullmatch(r"(https?://)?[^\s/:]+:[0-9]{1,5}/?|(https?://)\[[^\s/]+\]:[0-9]{1,5}/?", text):
        raise ValueError("give host:port or http://host:port")
    return text


def _header_names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip().lower() for name in text.split(",") if name.strip())
    for name in names:
        if not re.fullmatch(r"[a-z0-9._-]+\*?", name):
            raise ValueError(f"{name!r} is no header name; give names, or prefixes that end in *, with commas between")
        if name in NEVER_JOURNALED or name == "*":
            raise ValueError(f"{name!r} may carry secrets and never reaches a journal; leave it out")
    return names


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(origin.strip().lower() for origin in text.split(",") if origin.strip())
    for origin in origins:
        if origin != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^\s/,*]+", origin):
            raise ValueError(
                f"{origin!r} is no origin; give scheme://host or scheme://host:port without a path, such as "
                "https://app.example.com, with commas between, or *"
            )
        if re.fullmatch(r"http://.*:80|https://.*:443", origin):
            raise ValueError(f"leave the port out of {origin!r}: browsers do, where it is the usual one")
    return origins


def _cors_headers(text: str) -> tuple[str, ...]:
    names = tuple(name.strip().lower() for name in text.split(",") if name.strip())
    for name in names:
        if not re.fullmatch(r"[a-z0-9._-]*\*?", name):
            raise ValueError(f"{name!r} is no header name; give names, or prefixes that end in *, with commas between")
    return names


#: Headers that no setting brings into a journal.
NEVER_JOURNALED = frozenset({"authorization", "cookie", "proxy-authorization", "set-cookie"})

_PORT = _whole(0, 65_535)
_MS = _whole(1, 86_400_000)
_MAYBE_MS = _whole(0, 86_400_000)
# Ten years: what people mean when they mean for ever.
_LONG_MS = _whole(0, 315_360_000_000)
_WHERE_UNSAID = "Used where neither handler nor service says it."
_CUT = "The longest that is granted: what contracts or defaults say beyond it is cut."


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the runtime runs with. See SETTINGS for what each means."""

    db: str = _setting(
        "restate.db", "", "File of the embedded SQLite database. Its folder must exist. One runtime per file.", _text
    )
    host: str = _setting(
        "127.0.0.1", "", "Address that all ports listen on. There is no authentication: keep it private.", _text
    )
    ingress_grpc_port: int = _setting(8080, "port", "gRPC ingress. 0: any free port.", _PORT)
    ingress_http_port: int = _setting(8081, "port", "HTTP ingress (Connect and gRPC-Web). 0: any free port.", _PORT)
    admin_grpc_port: int = _setting(9070, "port", "Admin API, and where endpoints dial in. 0: any free port.", _PORT)
    admin_http_port: int = _setting(9071, "port", "Health and metrics over HTTP. 0: any free port.", _PORT)
    max_message_bytes: int = _setting(
        33_554_432,
        "bytes",
        "The longest request, response, state entry or step result. Longer ones are refused, never cut.",
        _whole(1_024, 1_073_741_824),
    )
    max_key_bytes: int = _setting(
        4_096, "bytes", "The longest key of an object or workflow, and the longest idempotency key.", _whole(1, 65_536)
    )
    max_metadata_bytes: int = _setting(
        16_384,
        "bytes",
        "The most that the headers of a request may have: names and values, and 32 bytes for each.",
        _whole(1_024, 1_048_576),
    )
    max_waiting_callers: int = _setting(
        10_000,
        "callers",
        "How many requests may wait for their answers on all ingress ports together. One more is refused. "
        "Callers of services with waiting work may take half of the places.",
        _whole(1, 10_000_000),
    )
    max_queued_invocations: int = _setting(
        100_000,
        "invocations",
        "How many invocations of one service may wait to run: for their keys, and for an endpoint of the newest "
        "deployment of the service. One more from outside is refused, unless it is due later.",
        _whole(1, 100_000_000),
    )
    max_bytes_in_flight: int = _setting(
        268_435_456,
        "bytes",
        "How much the journals in memory may take: of invocations that run, back off, or have a caller who waits. "
        "A request from outside that would pass it is refused.",
        _whole(1_024, 1_099_511_627_776),
    )
    ready_in_memory: int = _setting(
        1_000,
        "attempts",
        "Of the attempts that wait for an endpoint, how many of each deployment are held ready to be sent. "
        "The others stay in the store, and all of them while no endpoint is there.",
        _whole(1, 1_000_000),
    )
    ready_bytes_in_memory: int = _setting(
        16_777_216,
        "bytes",
        "And about how much their journals and states may take.",
        _whole(1_024, 1_099_511_627_776),
    )
    commit_gather_ms: int = _setting(
        2,
        "ms",
        "Under load, how long a commit waits at most until four fifths of what was in the one before came together, "
        "24 events at most. 0: not at all.",
        _whole(0, 1_000),
    )
    grpc_keepalive_ms: int = _setting(
        60_000, "ms", "The gRPC ingress pings a connection on which nothing came for so long.", _MS
    )
    grpc_keepalive_timeout_ms: int = _setting(
        20_000, "ms", "It closes a connection on which its ping is not answered within this time.", _MS
    )
    grpc_min_ping_interval_ms: int = _setting(
        10_000,
        "ms",
        "gRPC clients may ping this often, with and without calls. Those that ping more often are sent away with "
        "GOAWAY (too_many_pings).",
        _whole(0, 86_400_000),
    )
    ingress_session_credits: int = _setting(
        1_000,
        "requests",
        "How many requests may wait for their answers on one session of a caller. One more is refused.",
        _whole(1, 1_000_000),
    )
    ingress_session_buffer_bytes: int = _setting(
        8_388_608,
        "bytes",
        "How many bytes of answers may wait to be read by the caller of a session before its requests wait too.",
        _whole(1_024, 1_073_741_824),
    )
    max_http_head_bytes: int = _setting(
        65_536,
        "bytes",
        "The longest request line with its headers on the HTTP ports. A message in the query of a GET is part of it.",
        _whole(1_024, 16_777_216),
    )
    cors_allowed_origins: tuple[str, ...] = _setting(
        (),
        "",
        "Origins whose pages may call the HTTP ingress from a browser, such as https://app.example.com. Commas "
        "between. *: every page in the world. Empty: none. There is no authentication: who may call may call all.",
        _origins,
    )
    cors_allowed_headers: tuple[str, ...] = _setting(
        (),
        "",
        "Request headers that pages may send besides those of the protocols, ours, journal_headers and x-*. Commas "
        "between; a name that ends in * is a prefix.",
        _cors_headers,
    )
    cors_max_age_ms: int = _setting(
        7_200_000, "ms", "How long a browser may remember what a preflight said. Whole seconds count.", _MAYBE_MS
    )
    cors_credentials: str = _setting(
        "off",
        "",
        "on: pages may send cookies and the like, for a proxy in front. Not with the origin *.",
        _one_of("on", "off"),
    )
    journal_headers: tuple[str, ...] = _setting(
        (),
        "",
        "Request headers that reach the journal besides traceparent, tracestate, baggage and x-*. Commas between; "
        "a name that ends in * is a prefix. authorization and cookie never do.",
        _header_names,
    )
    timers_in_memory: int = _setting(
        10_000,
        "timers",
        "How many of the next timers are kept in memory; the rest stay in the store.",
        _whole(1, 10_000_000),
    )
    session_credits: int = _setting(
        1_000,
        "attempts",
        "The most attempts given to one session at once. An endpoint may ask for fewer.",
        _whole(1, 1_000_000),
    )
    delivery_timeout_ms: int = _setting(
        5_000, "ms", "An attempt not acknowledged by its endpoint within this time is given to another session.", _MS
    )
    drain_grace_ms: int = _setting(
        10_000, "ms", "On SIGTERM: how long what runs may finish. What is left runs again after the restart.", _MS
    )
    otlp_endpoint: str = _setting(
        "",
        "",
        "Where traces are sent by OTLP over gRPC. Empty: OTEL_EXPORTER_OTLP_ENDPOINT, and nowhere if that is not set.",
        _maybe_address,
    )
    trace_console: str = _setting(
        "off", "", "on: prints the trace of each completed invocation to stderr.", _one_of("on", "off")
    )
    trace_queue: int = _setting(
        10_000,
        "invocations",
        "How many invocations may wait for the export of their traces. When it is full, the exporter reads the store.",
        _whole(1, 10_000_000),
    )
    trace_reexport_ms: int = _setting(
        300_000,
        "ms",
        "After a start: exports the traces of invocations that completed within this time, again if need be. "
        "Ids are equal, so a backend sees them once.",
        _whole(0, 86_400_000),
    )
    retention_sweep_ms: int = _setting(
        10_000,
        "ms",
        "How often completed invocations are looked for that are past their retention, to remove them.",
        _MS,
    )
    abort_sweep_ms: int = _setting(
        1_000,
        "ms",
        "How often attempts are looked for that stand still for longer than inactivity_timeout and abort_timeout. "
        "One is aborted at most that much late.",
        _MS,
    )
    default_inactivity_timeout_ms: int = _setting(60_000, "ms", f"inactivity_timeout. {_WHERE_UNSAID}", _LONG_MS)
    default_abort_timeout_ms: int = _setting(600_000, "ms", f"abort_timeout. {_WHERE_UNSAID}", _LONG_MS)
    default_retry_initial_interval_ms: int = _setting(
        500, "ms", f"retry.initial_interval. {_WHERE_UNSAID}", _whole(1, 315_360_000_000)
    )
    default_retry_factor: float = _setting(2.0, "", f"retry.factor. {_WHERE_UNSAID}", _factor)
    default_retry_max_interval_ms: int = _setting(
        60_000, "ms", f"retry.max_interval. {_WHERE_UNSAID}", _whole(1, 315_360_000_000)
    )
    default_retry_max_attempts: int = _setting(
        70, "attempts", f"retry.max_attempts, which counts the first. {_WHERE_UNSAID}", _whole(1, 4_294_967_295)
    )
    default_retry_on_max_attempts: str = _setting(
        "pause", "", f"retry.on_max_attempts: pause or kill. {_WHERE_UNSAID}", _one_of("pause", "kill")
    )
    default_journal_retention_ms: int = _setting(86_400_000, "ms", f"journal_retention. {_WHERE_UNSAID}", _LONG_MS)
    default_idempotency_retention_ms: int = _setting(
        86_400_000, "ms", f"idempotency_retention. {_WHERE_UNSAID}", _LONG_MS
    )
    default_workflow_retention_ms: int = _setting(86_400_000, "ms", f"workflow_retention. {_WHERE_UNSAID}", _LONG_MS)
    max_journal_retention_ms: int = _setting(315_360_000_000, "ms", f"journal_retention. {_CUT}", _LONG_MS)
    max_idempotency_retention_ms: int = _setting(315_360_000_000, "ms", f"idempotency_retention. {_CUT}", _LONG_MS)
    max_workflow_retention_ms: int = _setting(315_360_000_000, "ms", f"workflow_retention. {_CUT}", _LONG_MS)
    default_lazy_state: str = _setting(
        "off", "", f"on: lazy_state for objects and workflows. {_WHERE_UNSAID}", _one_of("on", "off")
    )
    log_format: str = _setting("console", "", "console for people, json for machines.", _one_of("console", "json"))
    log_level: str = _setting(
        "info", "", "The least important messages that are written.", _one_of("debug", "info", "warning", "error")
    )


SETTINGS: tuple[Setting, ...] = tuple(
    Setting(one.name, one.metadata["unit"], one.default, one.metadata["doc"], one.metadata["parse"])
    for one in fields(Settings)
)


def load(flags: Mapping[str, str | None], environ: Mapping[str, str]) -> Settings:
    """The settings from flags and environment.

    Args:
        flags: texts by name of the setting; None: not given.
        environ: the environment; an empty variable counts as not given.

    Raises:
        SettingsError: a value makes no sense, or a flag is of no known setting.
    """
    unknown = flags.keys() - {setting.name for setting in SETTINGS}
    if unknown:
        raise SettingsError(f"there is no setting {sorted(unknown)[0]!r}")
    given: dict[str, Any] = {}
    for setting in SETTINGS:
        text = flags.get(setting.name)
        source = setting.flag
        if text is None:
            text, source = environ.get(setting.env) or None, setting.env
        if text is not None:
            given[setting.name] = _parse(setting, text, source)
    settings = Settings(**given)
    _check_ports(settings)
    _check_retry(settings)
    _check_cors(settings)
    return settings


def _parse(setting: Setting, text: str, source: str) -> Any:
    try:
        return setting.parse(text)
    except ValueError as error:
        raise SettingsError(f"{source}={text!r} makes no sense: {error}") from None


def _check_ports(settings: Settings) -> None:
    taken: dict[int, str] = {}
    for name in ("ingress_grpc_port", "ingress_http_port", "admin_grpc_port", "admin_http_port"):
        port: int = getattr(settings, name)
        flag = "--" + name.replace("_", "-")
        if port and port in taken:
            raise SettingsError(f"{flag} and {taken[port]} are both {port}; give each its own port")
        taken[port] = flag


def _check_retry(settings: Settings) -> None:
    first, longest = settings.default_retry_initial_interval_ms, settings.default_retry_max_interval_ms
    if longest < first:
        raise SettingsError(
            f"--default-retry-max-interval-ms ({longest}) is shorter than "
            f"--default-retry-initial-interval-ms ({first}); raise the one or lower the other"
        )


def _check_cors(settings: Settings) -> None:
    if settings.cors_credentials == "on" and "*" in settings.cors_allowed_origins:
        raise SettingsError(
            "--cors-credentials=on with the origin * would let every page act for its visitors; "
            "name the origins in --cors-allowed-origins"
        )


def help_text(setting: Setting) -> str:
    """One line for command-line help; the unit is shown beside the flag."""
    default = f" Default: {setting.default_text}." if setting.default_text else ""
    return f"{setting.doc}{default} ({setting.env})"


def markdown() -> str:
    """The text of docs/reference/settings.md."""
    lines = [
        "# Settings of the runtime",
        "",
        "`restate-runtime start` and `restate-runtime dev` take each of these as a flag or as an environment variable.",
        "A flag wins. A value that makes no sense stops the start with an error that names the setting.",
        "",
        "This page is made by `restate-runtime settings`.",
        "",
        "| flag | environment variable | default | unit | meaning |",
        "|---|---|---|---|---|",
    ]
    for one in SETTINGS:
        default = f"`{one.default_text}`" if one.default_text else ""
        doc = one.doc.replace("x-*", "`x-*`")
        lines.append(f"| `{one.flag}` | `{one.env}` | {default} | {one.unit} | {doc} |")
    return "\n".join(lines) + "\n"
