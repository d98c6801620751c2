"""The parts of the OpenAPI document that are the same for every contract: errors, headers, parameters."""

from __future__ import annotations

from typing import Any

from restate_protocol.status import StatusCode

from .admission import DELAY, IDEMPOTENCY_KEY, INVOCATION_ID, SEND, STATUS
from .connect import NAMES
from .errors import SOURCE

Node = dict[str, Any]

ERROR = "connect.Error"

#: What goes with every call of a handler, by its key in components/parameters.
CALL_PARAMETERS = (IDEMPOTENCY_KEY, SEND, DELAY, "connect-timeout-ms")

_TEXT: Node = {"type": "string"}

SCHEMAS: Node = {
    ERROR: {
        "type": "object",
        "description": "What went wrong, as the Connect protocol writes it.",
        "properties": {
            "code": {"type": "string", "enum": [NAMES[code] for code in StatusCode if code is not StatusCode.OK]},
            "message": {"type": "string", "description": "What happened and what to do."},
            "details": {"type": "array", "items": {"$ref": f"#/components/schemas/{ERROR}Detail"}},
        },
        "required": ["code", "message"],
    },
    f"{ERROR}Detail": {
        "type": "object",
        "description": "A typed error, or google.rpc.BadRequest with the paths of the fields that are wrong.",
        "properties": {
            "type": {"type": "string", "description": "Full name of its message."},
            "value": {"type": "string", "contentEncoding": "base64", "description": "The message, encoded."},
            "debug": {"description": "The message as JSON, where the runtime knows it."},
        },
        "required": ["type", "value"],
    },
}

HEADERS: Node = {
    INVOCATION_ID: {"description": "inv_…, once the invocation is durable.", "schema": _TEXT},
    STATUS: {
        "description": "Whether this call made the invocation.",
        "schema": {"type": "string", "enum": ["accepted", "previously-accepted"]},
    },
    SOURCE: {"description": "Who said it.", "schema": {"type": "string", "enum": ["ingress", "handler"]}},
}


def _header(name: str, description: str, schema: Node) -> Node:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


def _query(name: str, required: bool, description: str, schema: Node) -> Node:
    return {"name": name, "in": "query", "required": required, "description": description, "schema": schema}


PARAMETERS: Node = {
    IDEMPOTENCY_KEY: _header(
        IDEMPOTENCY_KEY, "Calls of one handler (and key) with the same idempotency key are one invocation.", _TEXT
    ),
    SEND: _header(
        SEND,
        "true: answers at once with {}, and nobody waits for the result.",
        {"type": "string", "enum": ["true", "false"]},
    ),
    DELAY: _header(DELAY, "As a send, due later: 60ms, 10s, 1h 30min, PT1M.", _TEXT),
    "connect-timeout-ms": _header(
        "connect-timeout-ms",
        "How long the caller waits, in milliseconds. The invocation goes on after that.",
        {"type": "integer", "minimum": 0, "maximum": 9_999_999_999},
    ),
    "query.connect": _query("connect", False, "The version of the protocol.", {"type": "string", "enum": ["v1"]}),
    "query.encoding": _query(
        "encoding", True, "The form of the message.", {"type": "string", "enum": ["json", "proto"]}
    ),
    "query.message": _query("message", True, "The request message.", _TEXT),
    "query.base64": _query(
        "base64", False, "1: the message is base64 for URLs.", {"type": "string", "enum": ["0", "1"]}
    ),
    "query.compression": _query(
        "compression", False, "How the message is compressed.", {"type": "string", "enum": ["identity", "gzip"]}
    ),
}
QUERY_PARAMETERS = tuple(name for name in PARAMETERS if name.startswith("query."))
