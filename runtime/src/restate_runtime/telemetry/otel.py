"""Our spans as OpenTelemetry's, ids unchanged, and their export over OTLP.

The SDK's tracer makes ids of its own, so its ReadableSpan is built directly. The resource of a span is the service
it belongs to: a backend then shows which service each part of a trace was in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from opentelemetry import trace as api
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace.status import Status, StatusCode

from restate_runtime.core.spans import Link, Span, SpanKind

_SCOPE = InstrumentationScope("restate_runtime")
_KINDS = {
    SpanKind.INTERNAL: api.SpanKind.INTERNAL,
    SpanKind.SERVER: api.SpanKind.SERVER,
    SpanKind.CLIENT: api.SpanKind.CLIENT,
    SpanKind.PRODUCER: api.SpanKind.PRODUCER,
}


def readable(span: Span) -> ReadableSpan:
    """The same span in OpenTelemetry's terms. It must have ended."""
    if span.end_ms is None:
        raise ValueError(f"the span {span.name!r} has not ended")
    return ReadableSpan(
        name=span.name,
        context=_context(span.trace_id, span.span_id),
        parent=_context(span.trace_id, span.parent_id) if span.parent_id else None,
        resource=_resource(str(span.attributes.get("rpc.service", "restate"))),
        attributes=dict(span.attributes),
        links=[_link(link) for link in span.links],
        kind=_KINDS[span.kind],
        status=Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.UNSET),
        start_time=span.start_ms * 1_000_000,
        end_time=span.end_ms * 1_000_000,
        instrumentation_scope=_SCOPE,
    )


def _context(trace_id: str, span_id: str) -> api.SpanContext:
    return api.SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=api.TraceFlags(1))


def _link(link: Link) -> api.Link:
    return api.Link(_context(link.trace_id, link.span_id))


@lru_cache(maxsize=1_000)
def _resource(service: str) -> Resource:
    # merge: what OTEL_RESOURCE_ATTRIBUTES says stays, but the name is the service's.
    return Resource.create().merge(Resource({"service.name": service}))


class OtlpTarget:
    """Sends spans to a collector.

    Args:
        endpoint: host:port, or with http:// or https:// before it.
        exporter: instead of the one for the endpoint.
    """

    def __init__(self, endpoint: str, exporter: SpanExporter | None = None) -> None:
        self.endpoint = endpoint
        insecure = not endpoint.startswith("https://")
        self._exporter = exporter or OTLPSpanExporter(endpoint=endpoint, insecure=insecure)
        # Exporting blocks, and retries inside; one thread keeps batches in order.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="otlp")

    async def export(self, spans: Sequence[Span]) -> bool:
        """Sends spans; False where the collector does not take them."""
        batch = [readable(span) for span in spans]
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._exporter.export, batch) is SpanExportResult.SUCCESS

    async def close(self) -> None:
        """Ends the connection; an export under way is given up."""
        await asyncio.to_thread(self._exporter.shutdown)
        self._thread.shutdown(wait=True)
