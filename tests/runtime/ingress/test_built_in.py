"""Health and reflection: they follow registrations while they run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2 as pb
from protobuf.wkt import FileDescriptorProto, FileDescriptorSet
from restate_runtime.deployments.schema import Schema
from restate_runtime.ingress.admission import Admission, Limits
from restate_runtime.ingress.grpc import GrpcIngress
from restate_runtime.ingress.waiting import Waiting

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN

LATE = """
    syntax = "proto3"; package late.v1;
    service Late { rpc Go(Nothing) returns (Nothing); }
    message Nothing {}
"""


@pytest.fixture
async def ingress(routes: Any, engine: Any) -> AsyncIterator[tuple[GrpcIngress, grpc.aio.Channel]]:
    ingress = GrpcIngress(Admission(routes, Limits()), engine, Waiting())
    port = await ingress.start("127.0.0.1", 0)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield ingress, channel
    await ingress.stop(0)


@pytest.fixture
def channel(ingress: tuple[GrpcIngress, grpc.aio.Channel]) -> grpc.aio.Channel:
    return ingress[1]


async def test_the_runtime_and_each_service_are_serving(channel: grpc.aio.Channel) -> None:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    for service in ("", "shop.v1.Cart"):
        assert (await stub.Check(health_pb2.HealthCheckRequest(service=service))).status == SERVING
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Check(health_pb2.HealthCheckRequest(service="late.v1.Late"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_health_follows_registration_and_shutdown(
    ingress: tuple[GrpcIngress, grpc.aio.Channel], routes: Any, compile_protos: Any
) -> None:
    stub: Any = health_pb2_grpc.HealthStub(ingress[1])
    watch = stub.Watch(health_pb2.HealthCheckRequest(service="late.v1.Late"))
    assert (await watch.read()).status == SERVICE_UNKNOWN
    routes.register(compile_protos({"late.proto": LATE}))
    assert (await watch.read()).status == SERVING
    await ingress[0]._health.drain()
    assert (await watch.read()).status == NOT_SERVING
    watch.cancel()


class Asker:
    """One reflection stream."""

    def __init__(self, channel: grpc.aio.Channel, version: str) -> None:
        method: Any = channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=pb.ServerReflectionRequest.SerializeToString,
            response_deserializer=pb.ServerReflectionResponse.FromString,
        )
        self._call = method()

    async def ask(self, **question: Any) -> Any:
        await self._call.write(pb.ServerReflectionRequest(host="h", **question))
        answer = await self._call.read()
        assert answer.valid_host == "h"
        return answer


@pytest.fixture(params=["v1", "v1alpha"])
def asker(channel: grpc.aio.Channel, request: pytest.FixtureRequest) -> Asker:
    return Asker(channel, request.param)


def names_of(answer: Any) -> list[str]:
    files = answer.file_descriptor_response.file_descriptor_proto
    return [FileDescriptorProto.from_binary(data).name for data in files]


async def test_services_are_listed_and_the_list_is_live(asker: Asker, routes: Any, compile_protos: Any) -> None:
    async def listed() -> list[str]:
        return [one.name for one in (await asker.ask(list_services="*")).list_services_response.service]

    assert await listed() == [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "restate.ingress.v1.Ingress",
        "shop.v1.Cart",
        "shop.v1.Checkout",
        "shop.v1.Counter",
        "shop.v1.Echo",
    ]
    routes.register(compile_protos({"late.proto": LATE}))
    assert "late.v1.Late" in await listed()


async def test_every_listed_service_can_be_described(asker: Asker) -> None:
    listed = (await asker.ask(list_services="*")).list_services_response.service
    sent: dict[str, bytes] = {}
    for one in listed:
        answer = await asker.ask(file_containing_symbol=one.name)
        for data in answer.file_descriptor_response.file_descriptor_proto:
            sent[FileDescriptorProto.from_binary(data).name] = data
    files = [FileDescriptorProto.from_binary(data) for data in sent.values()]
    schema = Schema(FileDescriptorSet(file=files).to_binary())
    assert all(schema.registry.service(one.name) for one in listed)


async def test_a_symbol_gives_its_file_first_and_each_file_once(asker: Asker) -> None:
    first = names_of(await asker.ask(file_containing_symbol="shop.v1.Cart.AddTicket"))
    assert first[0] == "shop/v1/shop.proto"
    assert {"restate/v1/options.proto", "google/protobuf/any.proto", "buf/validate/validate.proto"} <= set(first)
    assert names_of(await asker.ask(file_containing_symbol="shop.v1.Ticket")) == ["shop/v1/shop.proto"]


async def test_files_and_extensions_are_found(asker: Asker) -> None:
    assert names_of(await asker.ask(file_by_filename="google/protobuf/any.proto")) == ["google/protobuf/any.proto"]
    options = "google.protobuf.ServiceOptions"
    wanted = pb.ExtensionRequest(containing_type=options, extension_number=52720)
    assert names_of(await asker.ask(file_containing_extension=wanted))[0] == "restate/v1/options.proto"
    numbers = (await asker.ask(all_extension_numbers_of_type=options)).all_extension_numbers_response
    assert (numbers.base_type_name, list(numbers.extension_number)) == (options, [52720])


@pytest.mark.parametrize(
    "question",
    [
        {"file_by_filename": "nope.proto"},
        {"file_containing_symbol": "nope.v1.Nope"},
        {"file_containing_extension": pb.ExtensionRequest(containing_type="nope", extension_number=1)},
        {"all_extension_numbers_of_type": "nope"},
    ],
)
async def test_what_is_not_there_is_not_found_and_the_stream_goes_on(asker: Asker, question: dict[str, Any]) -> None:
    assert (await asker.ask(**question)).error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
    assert (await asker.ask()).error_response.error_code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


async def test_a_symbol_is_answered_by_the_deployment_of_its_service(
    asker: Asker, routes: Any, compile_protos: Any
) -> None:
    newer = LATE.replace("message Nothing {}", "message Nothing { string added = 1; }")
    routes.register(compile_protos({"late.proto": LATE}))
    routes.register(compile_protos({"late.proto": newer}))
    answer = await asker.ask(file_containing_symbol="late.v1.Late")
    file = FileDescriptorProto.from_binary(answer.file_descriptor_response.file_descriptor_proto[0])
    assert [one.name for one in file.message_type[0].field] == ["added"]
