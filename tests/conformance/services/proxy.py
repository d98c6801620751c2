"""Proxy (§26.1): calls what it is told to, by names and bytes.

Generated clients are typed, so names are looked up in their descriptors; which clients there are is an argument.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from conformance_gen.conformance.v1.proxy_pb import (
    ManyCallsRequest,
    ManyCallsResponse,
    OneWayCallResponse,
    ProxyRequest,
    ProxyResponse,
)
from conformance_gen.conformance.v1.proxy_restate import ProxyContext, ProxyHandlers
from restate_client.stub import Client
from restate_protocol.services import HandlerDescriptor, ServiceDescriptor


class Proxy(ProxyHandlers):
    """Args: the clients it may use, by their services."""

    def __init__(self, *known: tuple[ServiceDescriptor, type[Client[Any]]]) -> None:
        self._known = {service.name: (service, client) for service, client in known}

    async def call(self, ctx: ProxyContext, request: ProxyRequest) -> ProxyResponse:
        return ProxyResponse(message=(await self._call(ctx, request)).to_binary())

    async def one_way_call(self, ctx: ProxyContext, request: ProxyRequest) -> OneWayCallResponse:
        handle = await self._send(ctx, request)
        return OneWayCallResponse(invocation_id=handle.invocation_id)

    async def many_calls(self, ctx: ProxyContext, request: ManyCallsRequest) -> ManyCallsResponse:
        calls = []
        for one in request.calls:
            future = self._send(ctx, one.request) if one.one_way else self._call(ctx, one.request)
            if one.await_at_the_end:
                calls.append(future)
        return ManyCallsResponse(messages=[(await call).to_binary() for call in calls])

    def _call(self, ctx: ProxyContext, request: ProxyRequest) -> Any:
        method, message = self._method(ctx, request)
        return method(message, idempotency_key=request.idempotency_key or None)

    def _send(self, ctx: ProxyContext, request: ProxyRequest) -> Any:
        method, message = self._method(ctx, request)
        delay = timedelta(milliseconds=request.delay_ms) if request.delay_ms else None
        return method.send(message, delay=delay, idempotency_key=request.idempotency_key or None)

    def _method(self, ctx: ProxyContext, request: ProxyRequest) -> tuple[Any, Any]:
        service, client = self._known[request.service]
        handler: HandlerDescriptor[Any, Any] | None = service.handler(request.handler)
        assert handler is not None, request.handler
        return getattr(client(ctx), handler.python_name), handler.request.from_binary(request.message)
