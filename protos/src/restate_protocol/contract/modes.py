"""Which handler runs how: service, exclusive, shared or run."""

from __future__ import annotations

from protobuf import DescMethod, DescService
from protobuf.wkt.google.protobuf.descriptor_pb import MethodOptions

from restate_protocol.gen.restate.v1.options_pb import HandlerOptions, ext_handler
from restate_protocol.services import HandlerMode, ServiceKind

from .reading import HANDLER_OPTION, Reading

_SHARED = (*HANDLER_OPTION, 1)
_RUN = (*HANDLER_OPTION, 2)
_IDEMPOTENCY_LEVEL = (4, 34)
_READS_ONLY = MethodOptions.IdempotencyLevel.NO_SIDE_EFFECTS


def options_of(method: DescMethod) -> HandlerOptions:
    """What a method says about itself; empty when it says nothing."""
    options = method.proto.options
    return (options[ext_handler] if options is not None else None) or HandlerOptions()


def has_no_side_effects(method: DescMethod) -> bool:
    """Whether a method says that calling it twice does no harm."""
    return method.idempotency == _READS_ONLY


def read_modes(reading: Reading, service: DescService, kind: ServiceKind) -> list[HandlerMode]:
    """The mode of each method, in order."""
    match kind:
        case ServiceKind.SERVICE:
            return [_plain(reading, method) for method in service.methods]
        case ServiceKind.VIRTUAL_OBJECT:
            return [_of_object(reading, method) for method in service.methods]
        case ServiceKind.WORKFLOW:
            return _of_workflow(reading, service)


def _plain(reading: Reading, method: DescMethod) -> HandlerMode:
    if options_of(method).shared:
        text = f"`shared` on {method.name}, but {method.parent.type_name} is a plain service"
        mend = "Remove it, or give the service `kind: VIRTUAL_OBJECT`."
        reading.problem(method, text, mend, *_SHARED)
    _refuse_run(reading, method)
    return HandlerMode.SERVICE


def _of_object(reading: Reading, method: DescMethod) -> HandlerMode:
    options = options_of(method)
    _refuse_run(reading, method)
    reads_only = has_no_side_effects(method)
    if reads_only and options.has_field("shared") and not options.shared:
        text = f"{method.name} says `shared = false` and `idempotency_level = NO_SIDE_EFFECTS`, which means shared"
        reading.problem(method, text, "Remove one of them.", *_SHARED)
    return HandlerMode.SHARED if options.shared or reads_only else HandlerMode.EXCLUSIVE


def _refuse_run(reading: Reading, method: DescMethod) -> None:
    if options_of(method).run:
        text = f"`run` on {method.name}, but {method.parent.type_name} is not a workflow"
        reading.problem(method, text, "Remove it, or give the service `kind: WORKFLOW`.", *_RUN)


def _of_workflow(reading: Reading, service: DescService) -> list[HandlerMode]:
    marked = [method for method in service.methods if options_of(method).run]
    named = [one for one in service.methods if one.name == "Run" and not options_of(one).has_field("run")]
    runs = marked or named
    if not runs:
        mend = "Name one rpc Run, or mark it with `option (restate.v1.handler).run = true`."
        reading.problem(service, f"the workflow {service.type_name} has no run handler", mend)
    for extra in runs[1:]:
        text = f"the workflow {service.type_name} has two run handlers, {runs[0].name} and {extra.name}"
        reading.problem(extra, text, "Keep `run` on one of them.", *_RUN)
    return [_in_workflow(reading, method, is_run=method in runs) for method in service.methods]


def _in_workflow(reading: Reading, method: DescMethod, *, is_run: bool) -> HandlerMode:
    options = options_of(method)
    if not is_run:
        if options.has_field("shared") and not options.shared:
            text = f"{method.name} says `shared = false`, but only the run handler of a workflow is not shared"
            reading.problem(method, text, "Remove it.", *_SHARED)
        return HandlerMode.SHARED
    if options.shared:
        text = f"{method.name} is the run handler of {method.parent.type_name} and cannot be shared"
        reading.problem(method, text, "Remove `shared`.", *_SHARED)
    if has_no_side_effects(method):
        text = f"{method.name} is the run handler of {method.parent.type_name} and has side effects"
        reading.problem(method, text, "Remove `idempotency_level = NO_SIDE_EFFECTS`.", *_IDEMPOTENCY_LEVEL)
    return HandlerMode.RUN
