"""The fields of a request that mean something to the runtime: the key and the idempotency key."""

from __future__ import annotations

from protobuf import DescField, DescMessage, DescMethod, ScalarType

from restate_protocol.gen.restate.v1.options_pb import FieldOptions, ext_field

from .model import KeyField
from .reading import FIELD_OPTION, Reading
from .shapes import INTEGERS, has_presence, oneof_of, scalar_of, type_text

_KEY = (*FIELD_OPTION, 1)
_IDEMPOTENCY_KEY = (*FIELD_OPTION, 2)
_INPUT_TYPE = (2,)


def read_key(reading: Reading, method: DescMethod) -> KeyField | None:
    """The key of a keyed handler's request; None after noting a problem."""
    fields = [field for field in method.input.fields if _options(field).key]
    if not fields:
        _no_key(reading, method)
        return None
    for extra in fields[1:]:
        text = f"{method.input.type_name} has two keys, `{fields[0].name}` and `{extra.name}`"
        reading.problem(extra, text, "Keep one of them.", *_KEY)
    return _key_field(reading, fields[0])


def read_idempotency_key(reading: Reading, message: DescMessage) -> str | None:
    """Name of the request field that dedupes calls, if there is one."""
    fields = [field for field in message.fields if _options(field).idempotency_key]
    for extra in fields[1:]:
        text = f"{message.type_name} has two idempotency keys, `{fields[0].name}` and `{extra.name}`"
        reading.problem(extra, text, "Keep one of them.", *_IDEMPOTENCY_KEY)
    for field in fields[:1]:
        _check_idempotency_key(reading, field)
    return fields[0].name if fields else None


def _options(field: DescField) -> FieldOptions:
    options = field.proto.options
    return (options[ext_field] if options is not None else None) or FieldOptions()


def _no_key(reading: Reading, method: DescMethod) -> None:
    request = method.input
    text = f"{request.type_name} has no key, but {method.parent.type_name} needs one in every request"
    if reading.is_users(request):
        mend = "Mark the string or integer field that is the key with [(restate.v1.field).key = true]."
        reading.problem(request, text, mend)
    else:
        mend = "Take a request message of your own, with a field marked [(restate.v1.field).key = true]."
        reading.problem(method, text, mend, *_INPUT_TYPE)


def _key_field(reading: Reading, field: DescField) -> KeyField | None:
    scalar = scalar_of(field)
    if oneof := oneof_of(field):
        text = f"the key `{field.name}` of {field.parent.type_name} is in the oneof `{oneof.name}`"
        reading.problem(field, text, "Move it out of the oneof.", *_KEY)
        return None
    if scalar is not ScalarType.STRING and scalar not in INTEGERS:
        text = f"the key `{field.name}` of {field.parent.type_name} has the type {type_text(field)}"
        reading.problem(field, text, "Use one string or integer field.", *_KEY)
        return None
    kind: type[str] | type[int] = str if scalar is ScalarType.STRING else int
    return KeyField(field.name, field.number, kind, optional=has_presence(field))


def _check_idempotency_key(reading: Reading, field: DescField) -> None:
    what = f"the idempotency key `{field.name}` of {field.parent.type_name}"
    if oneof := oneof_of(field):
        text = f"{what} is in the oneof `{oneof.name}`"
        reading.problem(field, text, "Move it out of the oneof.", *_IDEMPOTENCY_KEY)
    elif scalar_of(field) is not ScalarType.STRING:
        reading.problem(field, f"{what} has the type {type_text(field)}", "Use one string field.", *_IDEMPOTENCY_KEY)
    elif _options(field).key:
        text = f"{what} is also its key"
        reading.problem(field, text, "Two calls with one key are two calls: use another field.", *_IDEMPOTENCY_KEY)
