"""A client that knows nothing but an address: it asks the server what there is, through gRPC server reflection.

It needs grpcio-reflection and no generated code. A method is `package.Service/Method`.
"""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

TIMEOUT_S = 30


def services(channel: grpc.Channel) -> list[str]:
    """The full names of all services that the server lists."""
    return sorted(ProtoReflectionDescriptorDatabase(channel).get_services())


def describe(channel: grpc.Channel, method: str) -> str:
    """A method with its messages, in the words of a .proto."""
    found = _method(channel, method)
    rpc = f"rpc {found.name}({found.input_type.full_name}) returns ({found.output_type.full_name});"
    return "\n".join([rpc, _message(found.input_type), _message(found.output_type)])


def call(channel: grpc.Channel, method: str, request: str) -> str:
    """Calls a method with a request in JSON; gives the response in JSON."""
    found = _method(channel, method)
    stub: Any = channel.unary_unary(
        f"/{method}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(found.output_type).FromString,
    )
    message = json_format.Parse(request, GetMessageClass(found.input_type)())
    return json_format.MessageToJson(stub(message, timeout=TIMEOUT_S), indent=None)


def _method(channel: grpc.Channel, method: str) -> MethodDescriptor:
    pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
    service, _, name = method.partition("/")
    return pool.FindServiceByName(service).methods_by_name[name]


def _message(message: Descriptor) -> str:
    fields = " ".join(f"{_type(field)} {field.name} = {field.number};" for field in message.fields)
    return f"message {message.full_name} {{ {fields} }}"


def _type(field: FieldDescriptor) -> str:
    if field.message_type is not None:
        return field.message_type.full_name
    kind: Any = field.type
    return FieldDescriptorProto.Type.Name(kind).removeprefix("TYPE_").lower()
