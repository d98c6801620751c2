"""What a JSON text gives twice under two names: a field as `user_id` and as `userId`, or two fields of one oneof.

Refused, as a name given twice is: parsers keep the last in silence. A text is walked only where it may hold such a
pair; looking for that costs a search for each field of the message that has two names or is in a oneof.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from protobuf import DescField, DescFieldValueList, DescFieldValueMap, DescFieldValueMessage, DescMessage, Registry

_WELL_KNOWN = "google.protobuf."
_ANY = "google.protobuf.Any"
_TYPE = "@type"


class TwoNames(ValueError):
    """An object has a field under both its names.

    Args:
        path: from the top of the message (`items[0].user_id`).
        field: the field's name in the contract.
        json_name: its other name.
    """

    def __init__(self, path: str, field: str, json_name: str) -> None:
        super().__init__(f"it is there twice, as {field} and as {json_name}")
        self.path = path


class TwoOfOneof(TwoNames):
    """An object has two fields of one oneof, which holds one.

    Args:
        path: of the second field, from the top of the message.
        first, second: their names in the contract.
        oneof: its name.
    """

    def __init__(self, path: str, first: str, second: str, oneof: str) -> None:
        ValueError.__init__(self, f"{first} and {second} are both there; the oneof {oneof} holds one of them")
        self.path = path


def refuse_two_names(desc: DescMessage, text: str | bytes, value: Any, registry: Registry | None = None) -> None:
    """Looks for a field under both its names, and for two fields of one oneof.

    Args:
        desc: the message.
        text: its JSON.
        value: the same, parsed.
        registry: where messages within an Any are looked up.

    Raises:
        TwoNames: there is one.
    """
    hints = _hints(desc)
    found = (
        any(hint in text for hint in hints[1]) if isinstance(text, bytes) else any(hint in text for hint in hints[0])
    )
    if hints[0] and found:
        _walk(desc, value, "", registry)


@lru_cache(maxsize=4096)
def _hints(desc: DescMessage) -> tuple[tuple[str, ...], tuple[bytes, ...]]:
    """What a text with such a pair contains, as text and as bytes; nothing where no message has fields of two names."""
    names: set[str] = set()
    seen: set[str] = set()
    todo = [desc]
    while todo:
        one = todo.pop()
        if one.type_name in seen:
            continue
        seen.add(one.type_name)
        if one.type_name == _ANY:
            names.add(_TYPE)
        if not one.type_name.startswith(_WELL_KNOWN):
            names |= {field.name for field in one.fields if field.name != field.json_name}
            others = [field for oneof in one.oneofs for field in oneof.fields[1:]]
            names |= {name for field in others for name in (field.name, field.json_name)}
            todo += [inner for field in one.fields if (inner := _message_of(field)) is not None]
    hints = (*sorted(names), "\\u") if names else ()  # names may be escaped
    return hints, tuple(hint.encode() for hint in hints)


def _walk(desc: DescMessage, value: Any, path: str, registry: Registry | None) -> None:
    if not isinstance(value, dict):
        return
    if desc.type_name == _ANY:
        inner = registry.message(str(value.get(_TYPE, "")).rpartition("/")[2]) if registry is not None else None
        if inner is not None and inner.type_name != _ANY:
            _walk(inner, value, path, registry)
        return
    if desc.type_name.startswith(_WELL_KNOWN):
        return
    _refuse_two_of_oneof(desc, value, path)
    for field in desc.fields:
        place = f"{path}.{field.name}" if path else field.name
        if field.name != field.json_name and field.name in value and field.json_name in value:
            raise TwoNames(place, field.name, field.json_name)
        inner = _message_of(field)
        if inner is not None:
            for below, member in _members(field, value.get(field.json_name, value.get(field.name)), place):
                _walk(inner, member, below, registry)


def _refuse_two_of_oneof(desc: DescMessage, value: dict[str, Any], path: str) -> None:
    for oneof in desc.oneofs:
        # null is as good as absent.
        given = [one for one in oneof.fields if value.get(one.json_name, value.get(one.name)) is not None]
        if len(given) > 1:
            first, second = given[0].name, given[1].name
            raise TwoOfOneof(f"{path}.{second}" if path else second, first, second, oneof.name)


def _message_of(field: DescField) -> DescMessage | None:
    """The message in a field, in its elements, or in its values."""
    match field.value:
        case DescFieldValueMessage(message=inner):
            return inner
        case DescFieldValueList(element=DescMessage() as inner) | DescFieldValueMap(value=DescMessage() as inner):
            return inner
    return None


def _members(field: DescField, value: Any, place: str) -> Iterator[tuple[str, Any]]:
    match field.value:
        case DescFieldValueList() if isinstance(value, list):
            yield from ((f"{place}[{index}]", item) for index, item in enumerate(value))
        case DescFieldValueMap() if isinstance(value, dict):
            yield from ((f'{place}["{key}"]', item) for key, item in value.items())
        case DescFieldValueMessage():
            yield place, value
