"""Why a JSON text is not a message, and where: for error messages only.

The parser names a field's type but not its place. Here the text is walked again, one member at a time, until the
smallest part that fails is found. Nothing here runs for a text that is fine, except `too_deep`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from protobuf import (
    DescField,
    DescFieldValueList,
    DescFieldValueMap,
    DescFieldValueMessage,
    DescMessage,
    Registry,
    message_from_json_value,
)

#: Levels of brackets in a JSON payload. A message may nest 100 levels; a list or map between doubles that.
MAX_JSON_DEPTH = 512

#: Longer texts are not walked: finding the place would cost many times the parsing.
MAX_LOCATED_CHARACTERS = 65_536

# An unclosed string runs to the end: a match never fails once begun, so the scan is linear.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong and where.

    Args:
        path: from the top of the message (`items[0].count`).
        message: what is wrong, for people.
        unknown: it is a name that the message does not have.
    """

    path: str
    message: str
    unknown: bool = False


def too_deep(text: str | bytes) -> bool:
    """Whether the brackets of a text nest deeper than MAX_JSON_DEPTH, or might: up to half of that always passes."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if data.count(b"[") + data.count(b"{") <= MAX_JSON_DEPTH:
        return False
    # Each round takes away the innermost pairs; it may take a list and the object around it at once.
    brackets = _STRING.sub(b"", data).translate(None, _NO_BRACKETS)
    for _ in range(MAX_JSON_DEPTH // 2):
        fewer = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if fewer == brackets:
            break
        brackets = fewer
    return brackets.count(b"[") + brackets.count(b"{") > MAX_JSON_DEPTH


def locate(desc: DescMessage, text: str | bytes, registry: Registry) -> Problem | None:
    """The smallest part of a JSON text that is wrong; None where it cannot be told."""
    if len(text) > MAX_LOCATED_CHARACTERS:
        return None
    try:
        return _Walk(registry).message(desc, json.loads(text), "")
    except (ValueError, RecursionError):
        return None


@dataclass(frozen=True, slots=True)
class _Walk:
    registry: Registry

    def message(self, desc: DescMessage, value: Any, path: str) -> Problem | None:
        """The first problem in a message."""
        if not isinstance(value, dict) or desc.type_name.startswith("google.protobuf."):
            return self._try(desc, value, path)
        fields = {name: field for field in desc.fields for name in (field.name, field.json_name)}
        for name, member in value.items():
            found = self._member(desc, fields.get(name), name, member, path)
            if found is not None:
                return found
        return self._try(desc, value, path)

    def _member(self, desc: DescMessage, field: DescField | None, name: str, value: Any, path: str) -> Problem | None:
        place = f"{path}.{name}" if path else name
        if field is None:
            unknown = Problem(place, f"{desc.type_name} has no such field", unknown=True)
            return None if name.startswith("[") else unknown
        found = self._try(desc, {name: value}, place)
        if found is None:
            return None
        return self._inside(field, value, place) or found

    def _inside(self, field: DescField, value: Any, place: str) -> Problem | None:
        """The problem within the value of a field that failed."""
        match field.value:
            case DescFieldValueMessage(message=inner) if value is not None:
                return self.message(inner, value, place)
            case DescFieldValueList() if isinstance(value, list):
                return self._first(field, [(f"{place}[{index}]", item, [item]) for index, item in enumerate(value)])
            case DescFieldValueMap() if isinstance(value, dict):
                items = [(f"{place}[{json.dumps(key)}]", item, {key: item}) for key, item in value.items()]
                return self._first(field, items)
        return None

    def _first(self, field: DescField, items: list[tuple[str, Any, Any]]) -> Problem | None:
        """The first element of a list or map that fails by itself."""
        element = getattr(field.value, "element", None) or getattr(field.value, "value", None)
        for place, item, alone in items:
            found = self._try(field.parent, {field.json_name: alone}, place)
            if found is not None:
                inner = self.message(element, item, place) if isinstance(element, DescMessage) else None
                return inner or found
        return None

    def _try(self, desc: DescMessage, value: Any, path: str) -> Problem | None:
        try:
            message_from_json_value(desc.type, value, registry=self.registry)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            return Problem(path, _without_field(str(error)))
        return None


def _without_field(message: str) -> str:
    """The parser's words, without its name of the field: the path says it better."""
    return re.sub(r" for field [\w.]+$", "", message)
