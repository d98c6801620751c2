"""What a caller may do wrong: the table. `test_bad_input` runs every row of it over every way in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from restate_protocol import ids
from restate_protocol.gen.restate.ingress.v1 import ingress_pb as pb
from restate_runtime.ingress.reasons import Reason

INGRESS = "/restate.ingress.v1.Ingress/"
CART = "/shop.v1.Cart/AddTicket"
SAY = "/shop.v1.Echo/Say"
RUN = "/shop.v1.Checkout/Run"
NOWHERE = ids.invocation_id_text(bytes(range(16)))
LIMITS: dict[str, Any] = {"max_message_bytes": 4_096, "max_key_bytes": 64, "max_metadata_bytes": 2_048}


@dataclass(frozen=True)
class Row:
    """One thing that a caller may do wrong.

    Args:
        message: the request message in JSON; its binary is made from it by the contract.
        binary, json: one form alone, for what only that form can say.
        says: what the error's text has.
        fields: the paths in BadRequest.
        http: the HTTP status.
    """

    path: str
    code: str
    http: int
    reason: Reason
    says: tuple[str, ...]
    message: str | None = None
    binary: bytes | None = None
    json: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    fields: tuple[str, ...] = ()


def wrong(path: str, reason: Reason, *says: str, **more: Any) -> Row:
    return Row(path, "INVALID_ARGUMENT", 400, reason, says, **more)


TABLE: dict[str, Row] = {
    "unknown service": Row(
        "/shop.v1.Card/AddTicket",
        "UNIMPLEMENTED",
        404,
        Reason.UNKNOWN_SERVICE,
        ("shop.v1.Card", "did you mean shop.v1.Cart?"),
        binary=b"",
        json=b"{}",
    ),
    "unknown method": Row(
        "/shop.v1.Cart/Nope",
        "UNIMPLEMENTED",
        404,
        Reason.UNKNOWN_HANDLER,
        ("service shop.v1.Cart has no method Nope",),
        binary=b"",
        json=b"{}",
    ),
    "private handler": Row(
        "/shop.v1.Cart/Expire",
        "PERMISSION_DENIED",
        403,
        Reason.PRIVATE_HANDLER,
        ("shop.v1.Cart/Expire is private",),
        message='{"userId":"ada"}',
    ),
    "not a message": wrong(
        CART, Reason.INVALID_MESSAGE, "not a valid shop.v1.AddTicketRequest", binary=b"\x0a\x05a", fields=("",)
    ),
    "text that is no text": wrong(
        CART,
        Reason.INVALID_MESSAGE,
        "not a valid shop.v1.AddTicketRequest",
        "utf-8",
        binary=b"\x0a\x01\xff",
        fields=("",),
    ),
    "not JSON": wrong(
        CART,
        Reason.INVALID_MESSAGE,
        "not a valid shop.v1.AddTicketRequest",
        "not JSON",
        json=b'{"userId"',
        fields=("",),
    ),
    "wrong type": wrong(
        CART, Reason.INVALID_MESSAGE, "count", json=b'{"userId":"ada","count":"many"}', fields=("count",)
    ),
    "wrong type, deep": wrong(
        CART,
        Reason.INVALID_MESSAGE,
        "tickets[1].price",
        json=b'{"userId":"ada","tickets":[{"price":1},{"price":{}}]}',
        fields=("tickets[1].price",),
    ),
    "a name twice": wrong(
        CART, Reason.INVALID_MESSAGE, "count", json=b'{"userId":"ada","count":1,"count":2}', fields=("",)
    ),
    "unknown field": wrong(
        CART,
        Reason.UNKNOWN_FIELD,
        "nothing: shop.v1.AddTicketRequest has no such field",
        json=b'{"userId":"ada","nothing":1}',
        fields=("nothing",),
    ),
    "unknown field, deep": wrong(
        CART,
        Reason.UNKNOWN_FIELD,
        "tickets[0].seat: shop.v1.Ticket has no such field",
        json=b'{"userId":"ada","tickets":[{"seat":1}]}',
        fields=("tickets[0].seat",),
    ),
    "missing key": wrong(
        CART, Reason.MISSING_KEY, "user_id: the key is missing or empty", message="{}", fields=("user_id",)
    ),
    "empty key": wrong(
        CART, Reason.MISSING_KEY, "user_id: the key is missing or empty", message='{"userId":""}', fields=("user_id",)
    ),
    "missing integer key": wrong(
        "/shop.v1.Counter/Add", Reason.MISSING_KEY, "from: the key is missing or empty", message="{}", fields=("from",)
    ),
    "missing key of a workflow": wrong(
        RUN, Reason.MISSING_KEY, "order_id: the key is missing", message="{}", fields=("order_id",)
    ),
    "key too long": wrong(
        CART,
        Reason.KEY_TOO_LONG,
        "user_id: the key of shop.v1.AddTicketRequest has 65 bytes; the limit is 64",
        "max_key_bytes",
        message='{"userId":"' + "k" * 65 + '"}',
        fields=("user_id",),
    ),
    "key too long in bytes": wrong(
        CART,
        Reason.KEY_TOO_LONG,
        "has 66 bytes; the limit is 64",
        message='{"userId":"' + "ü" * 33 + '"}',
        fields=("user_id",),
    ),
    "idempotency key too long": wrong(
        "/shop.v1.Echo/Pay",
        Reason.KEY_TOO_LONG,
        "the idempotency key has 65 bytes; the limit is 64",
        "max_key_bytes",
        message='{"paymentId":"' + "k" * 65 + '"}',
    ),
    "a broken rule": wrong(
        CART,
        Reason.VALIDATION,
        "count: must be greater than or equal to 0",
        message='{"userId":"ada","count":-1}',
        fields=("count",),
    ),
    "broken rules, deep": wrong(
        CART,
        Reason.VALIDATION,
        "tickets[1].price",
        'by_seat["a"].price',
        message='{"userId":"ada","tickets":[{},{"price":-1}],"bySeat":{"a":{"price":-2}}}',
        fields=("tickets[1].price", 'by_seat["a"].price'),
    ),
    "too long": Row(
        SAY,
        "RESOURCE_EXHAUSTED",
        413,
        Reason.TOO_LARGE,
        ("4096", "max_message_bytes"),
        message='{"text":"' + "a" * 5_000 + '"}',
    ),
    "too much metadata": Row(
        SAY,
        "RESOURCE_EXHAUSTED",
        431,
        Reason.METADATA_TOO_LARGE,
        ("the limit is 2048", "max_metadata_bytes"),
        message="{}",
        headers={"x-long": "y" * 2_100},
    ),
    "idempotency key that is empty": wrong(
        SAY, Reason.BAD_HEADER, "idempotency-key is empty", message="{}", headers={"idempotency-key": ""}
    ),
    "idempotency key of a run": wrong(
        RUN,
        Reason.BAD_HEADER,
        "idempotency-key",
        "runs once for each key",
        message='{"orderId":"1"}',
        headers={"idempotency-key": "k"},
    ),
    "send that is neither": wrong(
        SAY, Reason.BAD_HEADER, "restate-send is 'yes'", message="{}", headers={"restate-send": "yes"}
    ),
    "delay that does not parse": wrong(
        SAY, Reason.BAD_DELAY, "restate-delay: 'soon' is no delay", message="{}", headers={"restate-delay": "soon"}
    ),
    "delay in the past": wrong(
        SAY, Reason.BAD_DELAY, "restate-delay: '-1s' lies in the past", message="{}", headers={"restate-delay": "-1s"}
    ),
    "delay too long": wrong(
        SAY, Reason.BAD_DELAY, "restate-delay: '200000d' is longer", message="{}", headers={"restate-delay": "200000d"}
    ),
    "invocation id that is none": wrong(
        INGRESS + "Attach",
        Reason.BAD_ID,
        "invocation_id",
        "inv_x",
        binary=pb.AttachRequest(invocation_id="inv_x").to_binary(),
        json=b'{"invocationId":"inv_x"}',
        fields=("invocation_id",),
    ),
    "awakeable id that is none": wrong(
        INGRESS + "ResolveAwakeable",
        Reason.BAD_ID,
        "awakeable_id",
        "awk_x",
        binary=pb.ResolveAwakeableRequest(awakeable_id="awk_x").to_binary(),
        json=b'{"awakeableId":"awk_x"}',
        fields=("awakeable_id",),
    ),
    "attach to what never was": Row(
        INGRESS + "Attach",
        "NOT_FOUND",
        404,
        Reason.NOT_FOUND,
        (NOWHERE, "its retention is over"),
        binary=pb.AttachRequest(invocation_id=NOWHERE).to_binary(),
        json=b'{"invocationId":"' + NOWHERE.encode() + b'"}',
    ),
    "our own package": Row(
        INGRESS + "Nope", "UNIMPLEMENTED", 404, Reason.UNKNOWN_HANDLER, ("Nope",), binary=b"", json=b"{}"
    ),
}
