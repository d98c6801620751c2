"""Values of many types: what a journal gives back is what went in, or they are refused when they are written."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, NotRequired, TypedDict, TypeVar
from uuid import UUID

import pytest
from pydantic import BaseModel, Field
from restate_protocol.errors import TerminalError
from restate_protocol.journal import BYTES, JSON, Value, Void
from restate_protocol.status import StatusCode
from restate_sdk import values
from restate_sdk.values import Unwritable, encode_as, encode_by, expected

from .gen.shop.v1.shop_pb import Address

T = TypeVar("T")


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Shape(enum.Enum):
    SQUARE = (4, 4)


@dataclass(frozen=True)
class Point:
    x: int
    y: int = 0


@dataclass
class Line:
    start: Point
    end: Point
    at: datetime
    length: int = dataclasses.field(init=False, default=0)

    def __post_init__(self) -> None:
        self.length = abs(self.end.x - self.start.x)


@dataclass
class Tree:
    name: str
    children: list[Tree] = dataclasses.field(default_factory=list)


@dataclass
class Box(Generic[T]):
    value: Any


class Pair(NamedTuple):
    left: Point
    right: Decimal


class Movie(TypedDict):
    name: str
    at: NotRequired[date]


class Item(BaseModel):
    sku: str
    price: Decimal
    tags: set[str] = Field(default_factory=set, alias="tagNames")


class Page(BaseModel, Generic[T]):
    items: list[T]


@dataclass
class Other:
    x: int
    y: int = 0


class Foreign:
    pass


Id = NewType("Id", int)
NOON = datetime(2024, 5, 6, 12, 0, 0, 1, tzinfo=UTC)
HOUSE = UUID(int=7)

SAME: list[tuple[Any, Any, Any]] = [
    (int, 5, 5),
    (float, 1.5, 1.5),
    (None, None, None),
    (list[int], [1, 2], [1, 2]),
    (dict[str, list[int]], {"a": [1]}, {"a": [1]}),
    (Literal["a", "b"], "a", "a"),
    (Id, Id(3), 3),
    (Annotated[int, "positive"], 3, 3),
    (int | None, None, None),
    (Point, Point(1, 2), {"x": 1, "y": 2}),
    (Point | None, Point(1), {"x": 1, "y": 0}),
    (Point | None, None, None),
    (Point | str, "text", "text"),
    (
        Line,
        Line(Point(1), Point(4), NOON),
        {"start": {"x": 1, "y": 0}, "end": {"x": 4, "y": 0}, "at": "2024-05-06T12:00:00.000001+00:00"},
    ),
    (
        Tree,
        Tree("a", [Tree("b")]),
        {"name": "a", "children": [{"name": "b", "children": []}]},
    ),
    (Box[int], Box(5), {"value": 5}),
    (Pair, Pair(Point(1), Decimal("1.10")), {"left": {"x": 1, "y": 0}, "right": "1.10"}),
    (Movie, {"name": "m", "at": date(2024, 1, 2)}, {"name": "m", "at": "2024-01-02"}),
    (Movie, {"name": "m"}, {"name": "m"}),
    (list[Point], [Point(1)], [{"x": 1, "y": 0}]),
    (Sequence[Point], [Point(1)], [{"x": 1, "y": 0}]),
    (tuple[int, Point], (1, Point(2)), [1, {"x": 2, "y": 0}]),
    (tuple[Point, ...], (Point(1),), [{"x": 1, "y": 0}]),
    (tuple[()], (), []),
    (tuple, (1, "a"), [1, "a"]),
    (set[str], {"b", "a"}, ["a", "b"]),
    (frozenset[int], frozenset({2, 1}), [1, 2]),
    (dict[int, Point], {7: Point(1)}, {"7": {"x": 1, "y": 0}}),
    (dict[Color, int], {Color.RED: 1}, {"red": 1}),
    (Mapping[str, Color], {"a": Color.BLUE}, {"a": "blue"}),
    (Color, Color.RED, "red"),
    (Shape, Shape.SQUARE, "SQUARE"),
    (datetime, NOON, "2024-05-06T12:00:00.000001+00:00"),
    (date | datetime, NOON, "2024-05-06T12:00:00.000001+00:00"),
    (date, date(2024, 1, 2), "2024-01-02"),
    (time, time(1, 2), "01:02:00"),
    (timedelta, timedelta(days=1, microseconds=-1), "86399999999us"),
    (Decimal, Decimal("0.10"), "0.10"),
    (UUID, HOUSE, "00000000-0000-0000-0000-000000000007"),
    (list[bytes], [b"\x00"], ["AA=="]),
    (list[Address], [Address(street="s")], [{"street": "s"}]),
    (Item, Item(sku="a", price=Decimal("1.5"), tagNames={"x"}), {"sku": "a", "price": "1.5", "tagNames": ["x"]}),
    (list[Item], [Item(sku="a", price=Decimal(1))], [{"sku": "a", "price": "1", "tagNames": []}]),
    (Item | Point, Point(1), {"x": 1, "y": 0}),
    (Point | Item | None, Item(sku="a", price=Decimal(1)), {"sku": "a", "price": "1", "tagNames": []}),
    (Page[Point], Page[Point](items=[Point(1)]), {"items": [{"x": 1, "y": 0}]}),
    (dict[str, Point | None], {"a": None, "b": Point(1)}, {"a": None, "b": {"x": 1, "y": 0}}),
]


@pytest.mark.parametrize(("annotation", "value", "as_json"), SAME)
def test_a_value_comes_back_equal_and_of_its_type(annotation: Any, value: Any, as_json: Any) -> None:
    written, back = encode_as(value, expected(annotation))
    assert (written.type, json.loads(written.data)) == (JSON, as_json)
    read = values.read(written, annotation, "it")
    assert read == value == back
    assert type(read) is type(value) is type(back)


@pytest.mark.parametrize(
    ("annotation", "value", "tag"),
    [
        (bytes, b"x", BYTES),
        (bytes | None, b"x", BYTES),
        (Address, Address(street="s"), "shop.v1.Address"),
        (Address | None, Address(street="s"), "shop.v1.Address"),
        (Address | None, None, JSON),
        (Address | Point, Point(1), JSON),
        (Address | bytes | Point, b"x", BYTES),
    ],
)
def test_messages_and_bytes_keep_their_tag(annotation: Any, value: Any, tag: str) -> None:
    written, back = encode_as(value, expected(annotation))
    assert written.type == tag
    assert values.read(written, annotation, "it") == value == back


REFUSED: list[tuple[Any, Any, str]] = [
    (Foreign, Foreign(), "Foreign is none of the types that can be journaled"),
    (list[Foreign], [Foreign()], "or pass serde="),
    (Point, 5, "cannot be JSON"),
    (Point, Other(1), "changes when it goes through JSON"),
    (Point | Other, Other(1), "Two members of a union may look alike"),
    (Point | str, 5, "none of the types that the annotation names"),
    (float, float("nan"), "Out of range float"),
    (Box[int], Box(float("nan")), "Out of range float"),
    (Box[int], Box((1, 2)), "changes when it goes through JSON"),
    (tuple[int, int], (1, 2, 3), "cannot be JSON"),
    (list[Point], (Point(1),), "holds a tuple in place of a list"),
    (Movie, {"title": "m"}, "its keys are not those of Movie"),
    (Address, b"x", "application/octet-stream, and shop.v1.Address is announced"),
    (Address, Point(1), "Point, and shop.v1.Address is announced"),
    (int, Address(street="s"), "shop.v1.Address, and application/json is announced"),
    (None, Point(1), "neither a message, nor bytes, nor JSON"),
]


@pytest.mark.parametrize(("annotation", "value", "says"), REFUSED)
def test_what_would_come_back_as_something_else_is_refused(annotation: Any, value: Any, says: str) -> None:
    with pytest.raises(Unwritable) as caught:
        encode_as(value, expected(annotation))
    assert says in str(caught.value)


@pytest.mark.parametrize("value", [Point(1), Item(sku="a", price=Decimal(1)), Address(street="s"), Color.RED])
def test_a_value_that_nothing_knows_how_to_read_back_is_refused(value: Any) -> None:
    with pytest.raises(Unwritable, match="nothing says how to read it back: annotate"):
        encode_as(value, None)
    assert values.read(values.encode(value)[0], type(value), "it") == value


def test_a_type_that_cannot_be_found_is_named() -> None:
    local = dataclasses.make_dataclass("Local", [("x", "Nowhere")])
    with pytest.raises(Unwritable, match=r"a type that Local names cannot be found: name 'Nowhere'"):
        encode_as(local(1), expected(local))


@pytest.mark.parametrize(
    ("annotation", "recorded", "value"),
    [
        (Point, {"x": 1}, Point(1)),  # a field with a default was added
        (Point, {"x": 1, "z": 5}, Point(1)),  # a field was removed
        (Movie, {"name": "m", "year": 5}, {"name": "m", "year": 5}),
        (Point | None, {"x": 1, "z": 5}, Point(1)),
    ],
)
def test_types_may_grow_and_shrink_while_values_are_in_journals(annotation: Any, recorded: Any, value: Any) -> None:
    assert values.read(Value(json.dumps(recorded).encode(), JSON), annotation, "it") == value


@pytest.mark.parametrize(
    ("annotation", "data"),
    [
        (Point, b"[]"),
        (Point, b"{}"),
        (Movie, b"{}"),
        (Point | Item, b'"text"'),
        (UUID, b"5"),
        (Item, b'{"sku": 5}'),
        (tuple[int, int], b"[1]"),
        (Address, b'{"streets": 5}'),
        (int, b"not json"),
    ],
)
def test_what_comes_from_outside_may_be_no_such_value(annotation: Any, data: bytes) -> None:
    with pytest.raises(TerminalError, match="the value is not a") as caught:
        values.read(Value(data, JSON), annotation, "the value")
    assert caught.value.code == StatusCode.INVALID_ARGUMENT


def test_nothing_is_none() -> None:
    assert values.read(Void(), Point, "it") is None


class Upside:
    """A serde that turns text around."""

    tag = "application/x-upside"

    def dumps(self, value: str, /) -> bytes:
        return value[::-1].encode()

    def loads(self, data: bytes, /) -> str:
        return data.decode()[::-1]


class TestSerde:
    def test_its_bytes_and_tag_are_journaled(self) -> None:
        written, back = encode_by(Upside(), "abc")
        assert (written, back) == (Value(b"cba", "application/x-upside"), "abc")
        assert values.read(written, None, "it", Upside()) == "abc"

    @pytest.mark.parametrize("tag", ["", BYTES])
    def test_bytes_from_outside_may_have_no_tag(self, tag: str) -> None:
        assert values.read(Value(b"cba", tag), None, "it", Upside()) == "abc"

    @pytest.mark.parametrize("value", [Value(b"cba", JSON), Value(b"\xff", Upside.tag)])
    def test_other_values_are_refused(self, value: Value) -> None:
        with pytest.raises(TerminalError, match="the value is not a application/x-upside"):
            values.read(value, None, "the value", Upside())

    def test_its_own_errors_are_told(self) -> None:
        with pytest.raises(Unwritable, match=r"the serde of application/x-upside failed on a int: TypeError"):
            encode_by(Upside(), 5)
