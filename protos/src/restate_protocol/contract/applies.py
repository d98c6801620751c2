"""Options that mean nothing where they are written. Silence would be read as consent, so they are problems."""

from __future__ import annotations

from protobuf import DescMethod, DescService

from restate_protocol.gen.restate.v1.options_pb import HandlerOptions, ServiceOptions
from restate_protocol.services import HandlerMode, ServiceKind

from .knobs import has
from .reading import HANDLER_OPTION, SERVICE_OPTION, Reading

_KEYED = "Remove it, or give the service `kind: VIRTUAL_OBJECT` or `kind: WORKFLOW`."
_WORKFLOW = "Remove it, or give the service `kind: WORKFLOW`."


def check_service_applies(reading: Reading, desc: DescService, options: ServiceOptions, kind: ServiceKind) -> None:
    """Options of a service that its kind has no use for."""
    if kind is ServiceKind.SERVICE:
        for name, number in (("state", 2), ("lazy_state", 12)):
            _service_option(reading, desc, options, name, number, "a plain service", _KEYED)
    if kind is not ServiceKind.WORKFLOW:
        for name, number in (("promises", 3), ("workflow_retention", 10)):
            _service_option(reading, desc, options, name, number, "not a workflow", _WORKFLOW)


def check_handler_applies(reading: Reading, method: DescMethod, options: HandlerOptions, mode: HandlerMode) -> None:
    """Options of a handler that its mode has no use for."""
    if mode is HandlerMode.RUN:
        what = "a run handler, deduped by its key"
        _handler_option(reading, method, options, "idempotency_retention", 9, what, "Use `workflow_retention`.")
    else:
        what = "not the run handler of a workflow"
        _handler_option(reading, method, options, "workflow_retention", 10, what, "Remove it.")
    if mode is HandlerMode.SERVICE:
        _handler_option(reading, method, options, "lazy_state", 12, "a handler of a plain service", "Remove it.")


def _service_option(
    reading: Reading, desc: DescService, options: ServiceOptions, name: str, number: int, what: str, mend: str
) -> None:
    if _written(options, name):
        reading.problem(desc, f"`{name}` on {desc.type_name}, which is {what}", mend, *SERVICE_OPTION, number)


def _handler_option(
    reading: Reading, method: DescMethod, options: HandlerOptions, name: str, number: int, what: str, mend: str
) -> None:
    if _written(options, name):
        reading.problem(method, f"`{name}` on {method.name}, which is {what}", mend, *HANDLER_OPTION, number)


def _written(options: ServiceOptions | HandlerOptions, name: str) -> bool:
    """Text has no presence in these options: empty is as good as absent."""
    value = getattr(options, name)
    return bool(value) if isinstance(value, str) else has(options, name)
