"""Whatever comes in a body or a query is a message or a clear refusal; what is well made comes out as it went in."""

from __future__ import annotations

import base64
import contextlib
import gzip
import re
from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar
from urllib.parse import quote

from hypothesis import example, given
from hypothesis import strategies as st
from restate_runtime.ingress.connect import read_query
from restate_runtime.ingress.errors import Refused
from restate_runtime.ingress.grpc_web import GrpcWebForm, timeout_seconds
from restate_runtime.ingress.http_message import HttpProblem

LIMIT = 200
ENCODINGS = st.sampled_from([b"identity", b"gzip", b"br", b""])
PARTS = [b"encoding=json", b"encoding=proto", b"message=", b"base64=1", b"compression=gzip", b"&", b"%"]
WORDS = st.lists(st.one_of(st.sampled_from(PARTS), st.binary(max_size=9)))
T = TypeVar("T")


def unless_refused(read: Callable[[], T]) -> T | None:
    """What comes of it; None where it is refused. Any other error is a defect."""
    with contextlib.suppress(Refused, HttpProblem):
        return read()
    return None


def frame(data: bytes, flags: int) -> bytes:
    return bytes((flags,)) + len(data).to_bytes(4, "big") + data


@given(st.binary(max_size=300), st.booleans(), ENCODINGS)
@example(b"\1\0\0\0\0", False, b"gzip")
@example(b"====", True, b"identity")
def test_any_body_is_a_message_or_refused(body: bytes, text: bool, encoding: bytes) -> None:
    message = unless_refused(lambda: GrpcWebForm(text, False).message(body, encoding, LIMIT))
    assert message is None or len(message) <= LIMIT


@given(st.binary(max_size=LIMIT), st.booleans(), st.booleans(), st.lists(st.integers(0, 300), max_size=3))
def test_a_message_in_a_frame_comes_out(data: bytes, text: bool, compressed: bool, cuts: list[int]) -> None:
    body = frame(gzip.compress(data) if compressed else data, int(compressed))
    if text:
        places = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
        body = b"".join(base64.b64encode(body[a:b]) for a, b in pairwise(places))
    form = GrpcWebForm(text, False)
    # A compressed message may be a little longer than the message.
    assert form.message(body, b"gzip", LIMIT + 50) == data


@given(
    st.one_of(st.binary(max_size=300), st.lists(st.one_of(st.sampled_from(PARTS), st.binary(max_size=9))).map(b"".join))
)
@example(b"encoding=proto&message=%ff%f")
@example(b"encoding=proto&message=A&base64=1")
def test_any_query_is_a_message_or_refused(query: bytes) -> None:
    found = unless_refused(lambda: read_query(query, LIMIT))
    assert found is None or len(found[1]) <= LIMIT


@given(st.binary(max_size=LIMIT), st.sampled_from(["plain", "base64", "padded", "gzip"]))
def test_a_message_in_a_query_comes_out(data: bytes, how: str) -> None:
    parts = {
        "plain": quote(data),
        "base64": base64.urlsafe_b64encode(data).decode().rstrip("=") + "&base64=1",
        "padded": quote(base64.urlsafe_b64encode(data)) + "&base64=1",
        "gzip": base64.urlsafe_b64encode(gzip.compress(data)).decode().rstrip("=") + "&base64=1&compression=gzip",
    }
    form, message = read_query(f"encoding=proto&message={parts[how]}".encode(), LIMIT)
    assert (form.json, message) == (False, data)


@given(st.one_of(st.binary(max_size=12), st.from_regex(rb"[0-9]{0,9}[HMSmunx]?", fullmatch=True)))
def test_any_timeout_is_a_time_or_refused(value: bytes) -> None:
    seconds = unless_refused(lambda: timeout_seconds(value))
    assert (seconds is None) == (re.fullmatch(rb"[0-9]{1,8}[HMSmun]", value) is None)
    assert seconds is None or seconds >= 0
