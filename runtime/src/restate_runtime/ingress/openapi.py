"""GET /openapi.json: what can be called over HTTP with JSON, generated from the stored descriptors.

One document holds every public handler of the newest deployments and the unary methods of restate.ingress.v1.Ingress.
Invariant: it is made anew after a registration, never before, and equal contracts give equal bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable
from urllib.parse import parse_qs

from protobuf import DescMethod
from restate_protocol.contract.model import Handler
from restate_protocol.gen.restate.ingress.v1 import ingress_pb
from restate_protocol.services import HandlerMode
from restate_protocol.status import StatusCode

from ..deployments.schema import Schema
from . import control
from .admission import IDEMPOTENCY_KEY, INVOCATION_ID, STATUS, Routes
from .control import ControlMethod
from .errors import SOURCE
from .http_message import JSON_TYPE, HttpProblem, Reply, reply
from .openapi_parts import CALL_PARAMETERS, ERROR, HEADERS, PARAMETERS, QUERY_PARAMETERS, SCHEMAS
from .openapi_schemas import REF, Node, Schemas, described
from .reasons import Reason
from .safe_methods import is_safe

_ABOUT = (
    "Durable handlers, called with JSON. Binary messages (application/proto) and gRPC-Web are served under the same "
    "paths. Requests are ProtoJSON: fields that a message does not have are refused."
)


class OpenApi:
    """The document, kept until the contracts change.

    Args:
        routes: whose services are described.
        control_methods: the rpcs of restate.ingress.v1.Ingress that are served, by path.
    """

    def __init__(self, routes: Routes, control_methods: dict[str, ControlMethod]) -> None:
        self._routes = routes
        self._control = control_methods
        self._kept: dict[str, tuple[bytes, bytes]] = {}
        routes.on_change(self._kept.clear)

    def reply(self, query: bytes, known: bytes) -> Reply:
        """The answer to a GET.

        Args:
            query: `service=package.Service` for the document of one service.
            known: the `if-none-match` of the request.

        Raises:
            HttpProblem: 404, there is no such service.
        """
        service = parse_qs(query.decode("latin-1")).get("service", [""])[-1]
        body, tag = self._document(service)
        headers = [(b"etag", tag), (b"cache-control", b"no-cache")]
        if tag in [one.strip().removeprefix(b"W/") for one in known.split(b",")]:
            return Reply(304, headers, b"")
        return reply(body, JSON_TYPE, headers)

    def _document(self, service: str) -> tuple[bytes, bytes]:
        """The text and its tag."""
        found = self._kept.get(service)
        if found is None:
            self._check_known(service)
            text = json.dumps(self.document(service), ensure_ascii=False, separators=(",", ":")).encode()
            found = self._kept[service] = text, b'"' + hashlib.sha256(text).hexdigest()[:32].encode() + b'"'
        return found

    def _check_known(self, service: str) -> None:
        if service and service != control.SERVICE and service not in self._routes.services():
            raise HttpProblem(
                404, StatusCode.UNIMPLEMENTED, f"no deployment serves {service}", (), Reason.UNKNOWN_SERVICE
            )

    def document(self, service: str = "") -> Node:
        """The document as a value.

        Args:
            service: the full name of the only service to describe; empty for all.
        """
        names = [service] if service else sorted([*self._routes.services(), control.SERVICE])
        suffixed: set[str] = set()
        while True:
            drawing = _Drawing(suffixed)
            for name in names:
                self._add(drawing, name)
            clash = drawing.clash()
            if clash is None:
                return drawing.document()
            suffixed.add(clash)

    def _add(self, drawing: _Drawing, name: str) -> None:
        schema = self._routes.schema(name)
        desc = None if schema is None else schema.registry.service(name)
        if desc is None:
            drawing.add_control(self._control)
            return
        drawing.add_tag(name, described(desc))
        for method in desc.methods:
            route = self._routes.route(name, method.name)
            if route is not None and not route.handler.private:
                drawing.add_handler(name, route.handler, method, route.schema)


class _Drawing:
    """A document as it grows.

    Two deployments may define one name differently. The schemas of each descriptor set are a group of their own;
    where two groups clash, the names of one get a suffix.

    Args:
        suffixed: the groups, by the hash of their descriptors, whose names have a suffix.
    """

    def __init__(self, suffixed: Collection[str]) -> None:
        self._suffixed = suffixed
        self._paths: Node = {}
        self._tags: list[Node] = []
        self._groups: dict[str, Schemas] = {}

    def add_tag(self, name: str, about: Node) -> None:
        """One service."""
        self._tags.append({"name": name, **{key: value for key, value in about.items() if key == "description"}})

    def add_handler(self, service: str, handler: Handler, method: DescMethod, schema: Schema) -> None:
        """One handler."""
        group = self._group(schema.descriptor_set)
        names = [one for one in CALL_PARAMETERS if one != IDEMPOTENCY_KEY or handler.mode is not HandlerMode.RUN]
        operation = _operation(method, group, names)
        errors = [schema.registry.message(name) for name in handler.errors]
        if errors:
            operation["x-restate-errors"] = [group.ref(message) for message in errors if message is not None]
        key = None if handler.key is None else handler.key.name
        json_key = next((field.json_name for field in method.input.fields if field.name == key), None)
        self._add(f"/{service}/{handler.name}", method, group, operation, json_key)

    def add_control(self, methods: dict[str, ControlMethod]) -> None:
        """restate.ingress.v1.Ingress."""
        group = self._group(b"")
        desc = next(one for one in ingress_pb.desc().services if one.type_name == control.SERVICE)
        for method in desc.methods:
            path = f"/{control.SERVICE}/{method.name}"
            if path in methods:
                self._add(path, method, group, _operation(method, group, ("connect-timeout-ms",)), None)
        self.add_tag(control.SERVICE, {"description": "What callers need besides calling handlers."})

    def clash(self) -> str | None:
        """A group that means something else by a name than a group before it."""
        merged: Node = {}
        for digest, schemas in self._groups.items():
            if any(merged.get(name, node) != node for name, node in schemas.found.items()):
                return digest
            merged.update(schemas.found)
        return None

    def _group(self, descriptor_set: bytes) -> Schemas:
        digest = hashlib.sha256(descriptor_set).hexdigest()[:8]
        if digest not in self._groups:
            self._groups[digest] = Schemas(f"_{digest}" if digest in self._suffixed else "")
        return self._groups[digest]

    def _add(self, path: str, method: DescMethod, group: Schemas, operation: Node, key: str | None) -> None:
        request = group.ref(method.input)
        if key is not None:
            # Beside the reference, and not around it: generators read that best.
            request = {**request, "required": [key]}
        content = {"application/json": {"schema": request}}
        self._paths[path] = {"post": {**operation, "requestBody": {"required": True, "content": content}}}
        if is_safe(method):
            query = [_parameter(name) for name in QUERY_PARAMETERS]
            names = {"operationId": operation["operationId"] + ".get", "parameters": [*query, *operation["parameters"]]}
            self._paths[path]["get"] = {**operation, **names}

    def document(self) -> Node:
        """The whole."""
        schemas = {name: node for group in self._groups.values() for name, node in sorted(group.found.items())}
        components = {"schemas": {**SCHEMAS, **schemas}, "headers": HEADERS, "parameters": PARAMETERS}
        contents = {"tags": self._tags, "paths": self._paths, "components": components}
        version = hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()[:12]
        info = {"title": "Services of a Restate runtime", "version": version, "description": _ABOUT}
        return {"openapi": "3.1.0", "info": info, "servers": [{"url": "/"}], **contents}


def _operation(method: DescMethod, group: Schemas, parameters: Iterable[str]) -> Node:
    service = method.parent.type_name
    names = (INVOCATION_ID, STATUS) if service != control.SERVICE else ()
    found: Node = {
        "operationId": f"{service}.{method.name}",
        "tags": [service],
        "summary": f"{service}/{method.name}",
        **described(method),
        "parameters": [_parameter(name) for name in parameters],
        "responses": {
            "200": _response("The response message.", group.ref(method.output), names),
            "default": _response("What went wrong.", {"$ref": REF + ERROR}, (SOURCE, *names)),
        },
    }
    return found


def _response(description: str, schema: Node, headers: Iterable[str]) -> Node:
    told = {name: {"$ref": f"#/components/headers/{name}"} for name in headers}
    node: Node = {"description": description, "content": {"application/json": {"schema": schema}}}
    return {**node, "headers": told} if told else node


def _parameter(name: str) -> Node:
    return {"$ref": f"#/components/parameters/{name}"}
