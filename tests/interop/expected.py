"""What each scenario of the clients' programs must see. 64-bit integers are texts, because JSON cannot hold them."""

from __future__ import annotations

SCENARIOS: dict[str, object] = {
    "echo": {
        "text": "zażółć ☕",
        "big": "9007199254740993",
        "biggest": "18446744073709551615",
        "ratio": 0.1,
        "flag": True,
        "data": "0001feff",
        "color": 2,
        "points": [[-1, 2], [3, -4]],
        "counts": {"a": 1, "b": 2},
        "maybe": 0,
        "choice": ["word", "chosen"],
        "at": ["1790000000", 123456789],
        "length": ["90", 5],
    },
    "counter": ["2", "5", "5"],
    "idempotency": {"statuses": ["accepted", "previously-accepted"], "total": "7", "same": True},
    "typed_error": {
        "code": 9,
        "message": "the amount is too high",
        "reason": "too much",
        "amount": "9007199254740993",
        "source": "handler",
    },
    "bad_request": {"code": 3, "field": "name", "source": "ingress"},
    "unknown_service": 12,
    "private": 7,
    "send_and_attach": {"status": "accepted", "total": "11"},
    # The caller's deadline passes; the invocation goes on, and the next caller with its key gets the result.
    "deadline": {"code": 4, "text": "late"},
    "cancellation": {"code": 1, "text": "goes on"},
    # Binary values as hexadecimal digits. What is secret does not reach the handler.
    "metadata": {"plain": "hello", "binary": "00ff10", "secret": False},
    "workflow": {"welcome": "welcome @example.com", "again": 6},
    "gzip": 100_000,
    "large": 3_000_000,
    "peek": "I see you",
}
