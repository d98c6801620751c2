"""Messages that options name by text: state, promises, errors. They need no import, but must be in the input."""

from __future__ import annotations

from protobuf import DescField, DescMessage, DescMethod, DescService

from .model import Field
from .reading import HANDLER_OPTION, SERVICE_OPTION, Reading
from .shapes import has_presence, is_required, type_text

_STATE = (*SERVICE_OPTION, 2)
_PROMISES = (*SERVICE_OPTION, 3)
_ERRORS = (*HANDLER_OPTION, 4)

_EXAMPLES = {"state": "shop.v1.CartState", "promises": "shop.v1.CheckoutPromises", "errors": "shop.v1.SoldOut"}


def read_state(reading: Reading, service: DescService, name: str) -> DescMessage | None:
    """The state message; None after noting a problem."""
    return _entries(reading, service, "state", name, _STATE)


def read_promises(reading: Reading, service: DescService, name: str) -> DescMessage | None:
    """The promises message; None after noting a problem."""
    return _entries(reading, service, "promises", name, _PROMISES)


def read_errors(reading: Reading, method: DescMethod, names: list[str]) -> tuple[str, ...]:
    """Full names of the error messages that are right."""
    for index, name in enumerate(names):
        option = (*_ERRORS, index)
        _named(reading, method, "errors", name, option)
        if name in names[:index]:
            reading.problem(method, f"`errors` names {name} twice", "Name it once.", *option)
    return tuple(names)


def fields_of(message: DescMessage | None) -> tuple[Field, ...]:
    """The entries a state or promises message declares."""
    return tuple(map(_field, message.fields)) if message is not None else ()


def _field(field: DescField) -> Field:
    return Field(field.name, field.number, type_text(field), default=not has_presence(field))


def _entries(
    reading: Reading, service: DescService, what: str, name: str, option: tuple[int, ...]
) -> DescMessage | None:
    message = _named(reading, service, what, name, option)
    if message is None:
        return None
    for oneof in message.oneofs:
        text = f"{name} is a `{what}` message but has the oneof `{oneof.name}`"
        mend = "Each field is an entry of its own: take it out of the oneof, or put the oneof into a message field."
        reading.problem(oneof.fields[0], text, mend)
    for field in filter(is_required, message.fields):
        text = f"{name} is a `{what}` message but its field `{field.name}` is required"
        reading.problem(field, text, "Each field is an entry of its own: make it optional.")
    return message


def _named(
    reading: Reading, element: DescService | DescMethod, what: str, name: str, option: tuple[int, ...]
) -> DescMessage | None:
    message = reading.registry.message(name)
    if message is None:
        reading.problem(element, *_not_found(reading, what, name), *option)
    elif not reading.is_users(message):
        text = f"`{what}` names {name}, which is in {message.file.name} and not in a file of yours"
        mend = "Define a message of your own that has it as a field, or add that file to the input."
        reading.problem(element, text, mend, *option)
        return None
    return message


def _not_found(reading: Reading, what: str, name: str) -> tuple[str, str]:
    text = f'`{what}` names "{name}"'
    bare = name.removeprefix(".")
    if bare != name and reading.registry.message(bare) is not None:
        return f"{text}, with a leading dot", f'Write "{bare}".'
    if reading.registry.enum(name) is not None:
        return f"{text}, which is an enum", "Name a message."
    if reading.registry.service(name) is not None:
        return f"{text}, which is a service", "Name a message."
    return f"{text}, which is no message in the input", _did_you_mean(reading, what, bare)


def _did_you_mean(reading: Reading, what: str, name: str) -> str:
    last = name.rpartition(".")[2]
    found = [one.type_name for one in reading.registry if isinstance(one, DescMessage) and one.name == last]
    users = sorted(found)
    return f'Write its full name: "{users[0]}".' if users else f"Give its full name, such as {_EXAMPLES[what]}."
