"""What of a field's protovalidate rules JSON Schema can say: lengths, bounds, patterns, counts, required.

Rules that it cannot say are left out, so that a schema never refuses what the ingress takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from protobuf import DescField
from restate_protocol.gen.buf.validate.validate_pb import FieldRules, Ignore, ext_field

Node = dict[str, Any]

#: Rules of texts that JSON Schema has as formats, under its names.
_FORMATS = {"email": "email", "uuid": "uuid", "uri": "uri", "hostname": "hostname", "ipv4": "ipv4", "ipv6": "ipv6"}

#: What protovalidate's regular expressions have and JSON Schema's do not, or have otherwise.
_FOREIGN = re.compile(r"\(\?|\\[AzZQECpP]|\[\[:")

_NUMBERS = frozenset(("float", "double", "int32", "uint32", "sint32", "fixed32", "sfixed32"))


def rules_of(field: DescField) -> FieldRules | None:
    """The rules of a field, where it has some that always hold."""
    options = field.proto.options
    rules = None if options is None else options[ext_field]
    return rules if rules is not None and rules.ignore not in (Ignore.ALWAYS, Ignore.IF_ZERO_VALUE) else None


def constrained(rules: FieldRules, node: Node) -> Node:
    """The schema of a value with what its rules add to it."""
    if rules.type is None:
        return node
    kind, of_kind = rules.type.field, rules.type.value
    if kind in _NUMBERS:
        return {**node, **_bounds(of_kind)}
    return {**node, **_READERS[kind](of_kind, node)} if kind in _READERS else node


def _bounds(rules: Any) -> Node:
    """Bounds of a number; 64-bit integers are texts, which have none."""
    low, high = rules.greater_than, rules.less_than
    if low is not None and high is not None and low.value > high.value:
        return {}  # protovalidate means what is outside of them
    found: Node = {}
    if low is not None:
        found["minimum" if low.field == "gte" else "exclusiveMinimum"] = low.value
    if high is not None:
        found["maximum" if high.field == "lte" else "exclusiveMaximum"] = high.value
    return found


def _text(rules: Any, node: Node) -> Node:
    found = _given(rules, {"min_len": "minLength", "max_len": "maxLength"})
    if rules.has_field("len"):
        found.update(minLength=rules.len, maxLength=rules.len)
    if rules.pattern and not _FOREIGN.search(rules.pattern):
        found["pattern"] = rules.pattern
    well_known = rules.well_known
    if well_known is not None and well_known.field in _FORMATS and well_known.value:
        found["format"] = _FORMATS[well_known.field]
    return found


def _list(rules: Any, node: Node) -> Node:
    found = _given(rules, {"min_items": "minItems", "max_items": "maxItems"})
    if rules.unique:
        found["uniqueItems"] = True
    if rules.items is not None and rules.items.ignore == Ignore.UNSPECIFIED:
        found["items"] = constrained(rules.items, node["items"])
    return found


def _map(rules: Any, node: Node) -> Node:
    return _given(rules, {"min_pairs": "minProperties", "max_pairs": "maxProperties"})


def _given(rules: Any, names: dict[str, str]) -> Node:
    return {name: getattr(rules, rule) for rule, name in names.items() if rules.has_field(rule)}


_READERS: dict[str, Callable[[Any, Node], Node]] = {"string": _text, "repeated": _list, "map": _map}
