"""Server reflection, v1 and v1alpha, over what is registered at the moment of each question.

The two versions are equal on the wire. Files come from the stored descriptor sets, so that `grpcurl` and `buf curl`
see the user's contract with its options; where two deployments define a file differently, the newest
deployment of the service that is asked for answers.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterator
from typing import Any

import grpc
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2 as pb
from protobuf import DescFile
from protobuf.wkt import FileDescriptorProto, FileDescriptorSet
from restate_protocol.gen.google.rpc import error_details_pb, status_pb
from restate_protocol.gen.restate.ingress.v1 import ingress_pb

from ..deployments.schema import Schema
from . import control, health
from .admission import Routes

V1 = "grpc.reflection.v1.ServerReflection"
V1ALPHA = "grpc.reflection.v1alpha.ServerReflection"
_BUILT_IN = (control.SERVICE, health.SERVICE, V1, V1ALPHA)

_NOT_FOUND = grpc.StatusCode.NOT_FOUND.value[0]


class Reflection:
    """Answers questions about names.

    Args:
        routes: whose services are listed.
    """

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._built_in = Schema(_built_in_set())

    def handler(self) -> grpc.GenericRpcHandler:
        """Serves both versions."""
        method = grpc.stream_stream_rpc_method_handler(
            self.answers,
            request_deserializer=pb.ServerReflectionRequest.FromString,
            response_serializer=pb.ServerReflectionResponse.SerializeToString,
        )
        return _Methods({f"/{name}/ServerReflectionInfo": method for name in (V1, V1ALPHA)})

    async def answers(
        self, questions: AsyncIterable[pb.ServerReflectionRequest], _context: object
    ) -> AsyncIterator[pb.ServerReflectionResponse]:
        """One answer for each question of a stream. A file is sent once."""
        sent: set[bytes] = set()
        async for question in questions:
            answer = self._answer(question, sent)
            answer.valid_host = question.host
            answer.original_request.CopyFrom(question)
            yield answer

    def _answer(self, question: pb.ServerReflectionRequest, sent: set[bytes]) -> pb.ServerReflectionResponse:
        match question.WhichOneof("message_request"):
            case "list_services":
                return self._list()
            case "file_by_filename":
                return self._file(question.file_by_filename, sent)
            case "file_containing_symbol":
                return self._symbol(question.file_containing_symbol, sent)
            case "file_containing_extension":
                wanted = question.file_containing_extension
                return self._extension(wanted.containing_type, wanted.extension_number, sent)
            case "all_extension_numbers_of_type":
                return self._numbers(question.all_extension_numbers_of_type)
            case _:
                return _error(grpc.StatusCode.INVALID_ARGUMENT.value[0], "the question is empty or unknown")

    def _list(self) -> pb.ServerReflectionResponse:
        names = sorted({*self._routes.services(), *_BUILT_IN})
        services = [pb.ServiceResponse(name=name) for name in names]
        return pb.ServerReflectionResponse(list_services_response=pb.ListServiceResponse(service=services))

    def _file(self, name: str, sent: set[bytes]) -> pb.ServerReflectionResponse:
        found = next((file for schema in self._schemas() if (file := schema.file(name))), None)
        return _files(found, sent) if found else _error(_NOT_FOUND, f"no file {name}")

    def _symbol(self, symbol: str, sent: set[bytes]) -> pb.ServerReflectionResponse:
        found = next((file for schema in self._schemas(symbol) if (file := schema.file_of(symbol))), None)
        return _files(found, sent) if found else _error(_NOT_FOUND, f"no symbol {symbol}")

    def _extension(self, type_name: str, number: int, sent: set[bytes]) -> pb.ServerReflectionResponse:
        for schema in self._schemas():
            found = schema.registry.extension_for(type_name, number)
            if found is not None:
                return _files(found.file, sent)
        return _error(_NOT_FOUND, f"no extension {number} of {type_name}")

    def _numbers(self, type_name: str) -> pb.ServerReflectionResponse:
        known = [schema.registry for schema in self._schemas() if schema.registry.message(type_name)]
        if not known:
            return _error(_NOT_FOUND, f"no message {type_name}")
        numbers = sorted({one.number for registry in known for one in registry.extensions_for(type_name)})
        return pb.ServerReflectionResponse(
            all_extension_numbers_response=pb.ExtensionNumberResponse(
                base_type_name=type_name, extension_number=numbers
            )
        )

    def _schemas(self, symbol: str = "") -> Iterator[Schema]:
        """Every schema once: first that of the service a symbol names, last our own."""
        services = self._routes.services()
        first = [name for name in services if symbol == name or symbol.startswith(name + ".")]
        seen: set[int] = set()
        for name in (*first, *services):
            schema = self._routes.schema(name)
            if schema is not None and id(schema) not in seen:
                seen.add(id(schema))
                yield schema
        yield self._built_in


class _Methods(grpc.GenericRpcHandler):
    """Methods by path."""

    def __init__(self, methods: dict[str, grpc.RpcMethodHandler[Any, Any]]) -> None:
        self._methods = methods

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        return self._methods.get(handler_call_details.method)


def _files(wanted: DescFile, sent: set[bytes]) -> pb.ServerReflectionResponse:
    """The file first, then its imports; without imports that this stream has had already."""
    first = wanted.proto.to_binary()
    data = [first]
    for file in _imports(wanted, set()):
        encoded = file.proto.to_binary()
        if encoded not in sent:
            data.append(encoded)
    sent.update(data)
    return pb.ServerReflectionResponse(file_descriptor_response=pb.FileDescriptorResponse(file_descriptor_proto=data))


def _imports(file: DescFile, seen: set[str]) -> Iterator[DescFile]:
    for one in file.dependencies:
        if one.name not in seen:
            seen.add(one.name)
            yield one
            yield from _imports(one, seen)


def _error(code: int, message: str) -> pb.ServerReflectionResponse:
    return pb.ServerReflectionResponse(error_response=pb.ErrorResponse(error_code=code, error_message=message))


def _built_in_set() -> bytes:
    """The files of the services that every runtime has."""
    alpha = FileDescriptorProto.from_binary(pb.DESCRIPTOR.serialized_pb)
    checks = FileDescriptorProto.from_binary(health_pb2.DESCRIPTOR.serialized_pb)
    # With the messages of error details, so that tools which ask for them can show them.
    known = [ingress_pb.desc(), status_pb.desc(), error_details_pb.desc()]
    ours = {file.name: file.proto for one in known for file in (one, *_imports(one, set()))}
    return FileDescriptorSet(file=[*ours.values(), checks, alpha, _as_v1(alpha)]).to_binary()


def _as_v1(alpha: FileDescriptorProto) -> FileDescriptorProto:
    """The file of v1, which the library does not carry: the same but for the package."""
    v1 = FileDescriptorProto.from_binary(alpha.to_binary())
    v1.name, v1.package = "grpc/reflection/v1/reflection.proto", "grpc.reflection.v1"
    for message in v1.message_type:
        for field in message.field:
            field.type_name = _renamed(field.type_name)
    for method in v1.service[0].method:
        method.input_type, method.output_type = _renamed(method.input_type), _renamed(method.output_type)
    return v1


def _renamed(type_name: str) -> str:
    return type_name.replace(".v1alpha.", ".v1.", 1)
