"""Journal entries, await trees, frames and ids: what is written is what is read, and junk is a clear error."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from restate_protocol import awaiting as aw
from restate_protocol import frames as fr
from restate_protocol import ids
from restate_protocol import journal as j
from restate_protocol.errors import FrameError, IdError, TerminalError
from restate_protocol.gen.google.rpc.status_pb import Status
from restate_protocol.gen.restate.ingress.v1.ingress_pb import RejectAwakeableRequest, Target
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_protocol.services import HandlerDescriptor, HandlerMode
from restate_protocol.status import StatusCode

texts = st.text(max_size=20)
numbers = st.integers(0, 2**32 - 1)
times = st.integers(0, 2**48)
data = st.binary(max_size=40)
invocation_ids = st.binary(min_size=16, max_size=16)
pairs = st.dictionaries(texts, texts, max_size=3).map(lambda one: tuple(sorted(one.items())))
headers = st.lists(st.tuples(texts, data), max_size=3).map(tuple)
results = st.one_of(
    st.builds(j.Value, data, texts),
    st.builds(j.Failure, st.integers(1, 16), texts, texts, data, pairs),
    st.just(j.Void()),
)
keys = st.one_of(st.none(), texts)
entries = st.one_of(
    st.builds(j.Input, data, headers),
    st.builds(j.Output, results),
    st.builds(j.Run, texts),
    st.builds(j.Run, texts, results, numbers),
    st.builds(j.Sleep, times, texts),
    st.builds(j.Call, texts, texts, keys, data, invocation_ids, texts, headers),
    st.builds(j.Send, texts, texts, keys, data, invocation_ids, texts, headers, times),
    st.builds(j.Awakeable, numbers, texts),
    st.builds(j.CompleteAwakeable, texts, results),
    st.builds(j.GetState, numbers, st.one_of(st.none(), results)),
    st.builds(j.SetState, numbers, data),
    st.builds(j.ClearState, numbers),
    st.just(j.ClearAllState()),
    st.builds(j.GetStateKeys, st.one_of(st.none(), st.lists(numbers, max_size=3).map(tuple))),
    st.builds(j.GetPromise, numbers),
    st.builds(j.PeekPromise, numbers),
    st.builds(j.CompletePromise, numbers, results),
    st.builds(j.Attach, invocation_ids),
    st.builds(j.Cancel, invocation_ids),
    st.builds(j.Completion, numbers, results),
    st.builds(j.Signal, st.one_of(numbers, texts), results),
)
leaves = st.one_of(st.builds(aw.OnCommand, numbers), st.builds(aw.OnAwakeable, numbers))
trees = st.recursive(
    leaves,
    lambda inner: st.builds(
        aw.Group, st.sampled_from(aw.Combinator), st.lists(inner, min_size=1, max_size=3).map(tuple)
    ),
    max_leaves=6,
)


@given(entries)
def test_an_entry_is_read_as_it_was_written(entry: j.Entry) -> None:
    assert j.decode(j.encode(entry)) == entry


@given(st.binary(max_size=60))
def test_bytes_that_are_no_entry_are_refused_or_read(junk: bytes) -> None:
    try:
        entry = j.decode(junk)
    except FrameError:
        return
    assert j.decode(j.encode(entry)) == entry


@given(trees, st.dictionaries(leaves, results, max_size=5))
def test_an_await_tree_means_the_same_after_a_trip(tree: aw.Awaiting, known: dict[aw.Leaf, j.Result]) -> None:
    assert aw.settled(aw.decode(aw.encode(tree)), known.get) == aw.settled(tree, known.get)


@pytest.mark.parametrize("junk", [b"", b"\xff", b"\x08\x07\x12\x01\x01"])
def test_a_tree_that_awaits_nothing_or_is_none_is_refused(junk: bytes) -> None:
    with pytest.raises(FrameError):
        aw.decode(junk)


def test_frames_come_back_in_order() -> None:
    sent: list[fr.EndpointFrame] = [
        pb.Delivered(invocation_id=b"i" * 16, epoch=1),
        pb.Command(invocation_id=b"i" * 16, epoch=1, entry=j.encode(j.Run("x"))),
        pb.Ended(invocation_id=b"i" * 16, epoch=1),
    ]
    assert fr.decode_endpoint_batch(fr.encode_endpoint_batch(sent)) == sent


@pytest.mark.parametrize("junk", [b"\xff\xff", pb.RuntimeBatch(frames=[pb.RuntimeFrame()]).to_binary()])
def test_a_batch_that_is_none_is_refused(junk: bytes) -> None:
    with pytest.raises(FrameError):
        fr.decode_runtime_batch(junk)


@given(invocation_ids, numbers)
def test_ids_are_read_as_they_were_written(invocation_id: bytes, number: int) -> None:
    assert ids.parse_invocation_id(ids.invocation_id_text(invocation_id)) == invocation_id
    assert ids.parse_awakeable_id(ids.awakeable_id_text(invocation_id, number)) == (invocation_id, number)


@pytest.mark.parametrize(
    "text",
    ["", "inv_", "inv_zz", "inv_" + "0" * 25, "inv_" + "0" * 27, "inv_" + "w" * 26, "INV_" + "0" * 26, "x" * 30],
)
def test_text_that_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(IdError, match="is not an invocation id"):
        ids.parse_invocation_id(text)


def test_derived_ids_depend_on_every_part() -> None:
    derived = {
        ids.workflow_invocation_id("s", "k"),
        ids.workflow_invocation_id("sk", ""),
        ids.idempotent_invocation_id("s", "h", None, "k"),
        ids.idempotent_invocation_id("s", "h", "", "k"),
        ids.idempotent_invocation_id("s", "h", "k", ""),
        ids.child_invocation_id(b"p" * 16, 1),
        ids.child_invocation_id(b"p" * 16, 2),
    }
    assert len(derived) == 7


def _handler(request: object, field: str) -> HandlerDescriptor[Any, Any]:
    cls = type(request)
    return HandlerDescriptor("s", "H", "h", HandlerMode.EXCLUSIVE, cls, cls, field)


# Messages that have such fields: a text, an integer with presence, an integer without.
@pytest.mark.parametrize(
    ("request_", "field", "key"),
    [
        (Target(key="a"), "key", "a"),
        (RejectAwakeableRequest(code=7), "code", "7"),
        (RejectAwakeableRequest(code=0), "code", "0"),
        (Status(code=-3), "code", "-3"),
    ],
)
def test_a_key_has_one_canonical_form(request_: object, field: str, key: str) -> None:
    assert _handler(request_, field).key_of(request_) == key


@pytest.mark.parametrize(
    ("request_", "field"),
    [(Target(key=""), "key"), (Target(), "key"), (Status(code=0), "code"), (RejectAwakeableRequest(), "code")],
)
def test_a_request_without_its_key_is_refused(request_: object, field: str) -> None:
    handler = _handler(request_, field)
    with pytest.raises(TerminalError, match=f"needs a key: set {field}") as caught:
        handler.key_of(request_)
    assert caught.value.code is StatusCode.INVALID_ARGUMENT
