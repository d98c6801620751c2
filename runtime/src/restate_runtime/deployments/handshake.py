"""The first words of a session, from the runtime's side: hello, and the manifest where it is not known.

Decides nothing about registration; gives back who is on the other side.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from restate_protocol import frames as fr
from restate_protocol import ids
from restate_protocol.errors import FrameError
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_protocol.status import StatusCode

from .errors import DeploymentError

# What this runtime can do beyond version 1. An endpoint that needs more is refused.
CAPABILITIES: tuple[str, ...] = ()
VERSION = "restate-grpc-runtime/0.1.0"

F = TypeVar("F", pb.EndpointHello, pb.Manifest)

Write = Callable[[bytes], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class ManifestOf:
    """What an endpoint serves."""

    version_label: str
    services: tuple[str, ...]
    descriptor_set: bytes

    @property
    def descriptor_hash(self) -> str:
        return hashlib.sha256(self.descriptor_set).hexdigest()


async def greet(write: Write, messages: AsyncIterator[bytes], max_value_bytes: int) -> pb.EndpointHello:
    """Says hello and waits for the endpoint's.

    Raises:
        DeploymentError: the endpoint speaks another version, needs what is not there, or no sense at all.
    """
    await write(
        fr.encode_runtime_batch(
            [
                pb.RuntimeHello(
                    protocol_min=fr.PROTOCOL_MIN,
                    protocol_max=fr.PROTOCOL_MAX,
                    version=VERSION,
                    capabilities=list(CAPABILITIES),
                    max_value_bytes=max_value_bytes,
                )
            ]
        )
    )
    hello = await _next(messages, pb.EndpointHello)
    problem = _unfit(hello)
    if problem is not None:
        refused = pb.Refused(code=StatusCode.FAILED_PRECONDITION, message=problem)
        await write(fr.encode_runtime_batch([refused]))
        raise DeploymentError(problem)
    return hello


async def describe(write: Write, messages: AsyncIterator[bytes], hello: pb.EndpointHello) -> ManifestOf:
    """Asks for the manifest.

    Raises:
        DeploymentError: it does not fit the id that the endpoint gave.
    """
    await write(fr.encode_runtime_batch([pb.Describe()]))
    manifest = await _next(messages, pb.Manifest)
    given = ManifestOf(manifest.version_label, tuple(manifest.services), manifest.descriptor_set)
    derived = ids.deployment_id_text(given.version_label, list(given.services), given.descriptor_set)
    if derived != hello.deployment_id:
        message = f"the endpoint says it is {hello.deployment_id}, but its manifest is that of {derived}"
        raise DeploymentError(message, StatusCode.INVALID_ARGUMENT)
    return given


async def _next(messages: AsyncIterator[bytes], wanted: type[F]) -> F:
    async for data in messages:
        try:
            frames = fr.decode_endpoint_batch(data)
        except FrameError as error:
            raise DeploymentError(f"the endpoint does not speak the session protocol: {error}") from error
        if not frames:
            continue
        if isinstance(frames[0], pb.Refused):
            raise DeploymentError(f"the endpoint refused: {frames[0].message}")
        frame = frames[0]
        if len(frames) != 1 or not isinstance(frame, wanted):
            raise DeploymentError(f"the endpoint sent {type(frame).__name__} instead of {wanted.__name__}")
        return frame
    raise DeploymentError("the endpoint closed the session before it said hello", StatusCode.UNAVAILABLE)


def _unfit(hello: pb.EndpointHello) -> str | None:
    if hello.protocol_max < fr.PROTOCOL_MIN or hello.protocol_min > fr.PROTOCOL_MAX:
        return (
            f"the endpoint ({hello.version}) speaks versions {hello.protocol_min} to {hello.protocol_max} of the "
            f"session protocol, this runtime {fr.PROTOCOL_MIN} to {fr.PROTOCOL_MAX}: upgrade the older of the two"
        )
    unknown = [one for one in hello.capabilities if one not in CAPABILITIES]
    if unknown:
        return f"the endpoint ({hello.version}) needs what this runtime does not have: {', '.join(unknown)}"
    if hello.credits < 1:
        return "the endpoint gives no credits, so it can be sent nothing"
    return None
