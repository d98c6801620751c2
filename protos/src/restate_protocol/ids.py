"""Ids: their bytes, their text, and the ones both sides derive alike.

An invocation id is 16 bytes. A fresh one begins with the time, so that rows are written in order; a derived one
is a hash, so that the same call always has the same id: this is what dedupes workflow runs, idempotency keys
and the calls of a handler that is replayed. Text is `inv_`, `awk_` or `dep_` and base32 (RFC 4648 "hex"
alphabet, lower case), which sorts like the bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from .errors import IdError

INVOCATION_ID_BYTES = 16


def fresh_invocation_id(now_ms: int, entropy: bytes) -> bytes:
    """A new id from the time (milliseconds since the epoch) and 10 random bytes."""
    if len(entropy) != 10:
        raise ValueError("an invocation id takes 10 random bytes")
    return now_ms.to_bytes(6, "big") + entropy


def child_invocation_id(parent: bytes, command: int) -> bytes:
    """The id of what command number `command` of `parent` calls or sends, unless it has an id by key."""
    return _digest(b"child", parent, command.to_bytes(4, "big"))


def workflow_invocation_id(service: str, key: str) -> bytes:
    """The id of the run of a workflow: one for each key."""
    return _digest(b"workflow", service.encode(), key.encode())


def idempotent_invocation_id(service: str, handler: str, key: str | None, idempotency_key: str) -> bytes:
    """The id of an invocation with an idempotency key: one for each (method, key, idempotency key)."""
    scope = b"" if key is None else b"k" + key.encode()
    return _digest(b"idempotent", service.encode(), handler.encode(), scope, idempotency_key.encode())


def invocation_id_text(invocation_id: bytes) -> str:
    """inv_… for these 16 bytes."""
    return "inv_" + _text(invocation_id)


def parse_invocation_id(text: str) -> bytes:
    """The bytes of an inv_… id.

    Raises:
        IdError: it is not one.
    """
    return _parse(text, "inv_", INVOCATION_ID_BYTES, "an invocation id")


def awakeable_id_text(invocation_id: bytes, number: int) -> str:
    """awk_… for awakeable `number` of an invocation."""
    return "awk_" + _text(invocation_id + number.to_bytes(4, "big"))


def parse_awakeable_id(text: str) -> tuple[bytes, int]:
    """The invocation id and the number in an awk_… id.

    Raises:
        IdError: it is not one.
    """
    data = _parse(text, "awk_", INVOCATION_ID_BYTES + 4, "an awakeable id")
    return data[:INVOCATION_ID_BYTES], int.from_bytes(data[INVOCATION_ID_BYTES:], "big")


def deployment_id_text(version_label: str, services: list[str], descriptor_set: bytes) -> str:
    """dep_… for a manifest: equal manifests have equal ids, so replicas join one deployment."""
    parts = [version_label.encode(), *(name.encode() for name in sorted(services))]
    return "dep_" + _text(_digest(b"deployment", *parts, hashlib.sha256(descriptor_set).digest()))


def _digest(*parts: bytes) -> bytes:
    """16 bytes that depend on every part and on where each ends."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(4, "big"))
        digest.update(part)
    return digest.digest()[:INVOCATION_ID_BYTES]


_DIGITS = "0123456789abcdefghijklmnopqrstuv"
_PAIRS = [a + b for a in _DIGITS for b in _DIGITS]


def _text(data: bytes) -> str:
    """Base32 "hex" without padding. Every call of a handler needs one, and base64.b32hexencode is slower."""
    digits = (len(data) * 8 + 4) // 5
    even = digits + digits % 2
    number = int.from_bytes(data, "big") << (even * 5 - len(data) * 8)
    text = "".join([_PAIRS[number >> shift & 1023] for shift in range(even * 5 - 10, -1, -10)])
    return text[:digits]


def _parse(text: str, prefix: str, length: int, what: str) -> bytes:
    if not text.startswith(prefix):
        raise IdError(f"{text!r} is not {what}: it does not begin with {prefix}")
    body = text[len(prefix) :]
    try:
        data = base64.b32hexdecode(body.upper() + "=" * (-len(body) % 8))
    except (binascii.Error, ValueError):
        raise IdError(f"{text!r} is not {what}: it has characters that no id has") from None
    if len(data) != length or _text(data) != body:
        raise IdError(f"{text!r} is not {what}: it is too short, too long or altered")
    return data
