"""Which handlers may be called with GET: those that their contract says have no side effects."""

from __future__ import annotations

from protobuf import DescMethod
from protobuf.wkt.google.protobuf.descriptor_pb import MethodOptions

from .admission import Door


def is_safe(method: DescMethod) -> bool:
    """Whether a method has `option idempotency_level = NO_SIDE_EFFECTS`."""
    return method.idempotency == MethodOptions.IdempotencyLevel.NO_SIDE_EFFECTS


def door_is_safe(door: Door) -> bool:
    """Whether the contract says so of the handler behind a door."""
    service = door.schema.registry.service(door.service)
    return service is not None and any(is_safe(one) for one in service.methods if one.name == door.handler)
