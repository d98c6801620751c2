"""Building endpoints, and importing the package: mistakes are found at once, and nothing is loaded early."""

from __future__ import annotations

import subprocess
import sys

import pytest
import restate_sdk
from restate_sdk import Endpoint, EndpointError
from restate_sdk.stub import Handlers

from .gen.shop.v1.shop_pb import PayRequest, PayResponse
from .gen.shop.v1.shop_restate import CheckoutContext, CheckoutHandlers
from .handlers import Cart, Checkout, Order


async def body(_: CheckoutContext) -> None:
    return None


class NotAsync(CheckoutHandlers):
    def pay(self, ctx: CheckoutContext, request: PayRequest, /) -> PayResponse:  # type: ignore[override]
        return PayResponse()


class Nothing(Handlers):
    pass


@pytest.mark.parametrize(
    ("handlers", "says"),
    [
        ((), "at least one service"),
        ((Checkout,), r"Checkout is a class; give the endpoint an instance: Checkout\(\)"),
        ((Checkout(body), Checkout(body)), "shop.v1.Checkout is given to the endpoint twice"),
        ((object(),), "object implements no service: derive it from a generated class"),
        ((Nothing(),), "Nothing implements no service"),
        ((NotAsync(),), "NotAsync.pay must be `async def`"),
    ],
)
def test_a_mistake_is_an_error_that_says_what_to_do(handlers: tuple[Handlers, ...], says: str) -> None:
    with pytest.raises(EndpointError, match=says):
        Endpoint(*handlers)


def test_a_class_with_a_missing_handler_cannot_be_instantiated() -> None:
    with pytest.raises(TypeError, match="abstract"):
        CheckoutHandlers()  # type: ignore[abstract]


def test_an_endpoint_names_its_services() -> None:
    endpoint = Endpoint(Order(), Cart())
    assert endpoint.services == ["shop.v1.Cart", "shop.v1.Order"]
    assert repr(endpoint) == "Endpoint(shop.v1.Cart, shop.v1.Order)"


def test_every_public_name_exists_and_no_other_does() -> None:
    for name in restate_sdk.__all__:
        assert getattr(restate_sdk, name) is not None
    assert dir(restate_sdk) == sorted(restate_sdk.__all__)
    with pytest.raises(AttributeError, match="no attribute 'missing'"):
        restate_sdk.missing  # noqa: B018


def loaded_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


def test_importing_the_package_loads_nothing() -> None:
    loaded = loaded_after("import restate_sdk")
    assert not {name for name in loaded if name.startswith(("restate_sdk.", "grpc", "asyncio", "protobuf"))}


def test_the_machine_loads_no_io() -> None:
    before = loaded_after("import restate_protocol.frames, restate_protocol.awaiting, restate_protocol.ids")
    loaded = loaded_after("import restate_sdk.vm.machine") - before
    assert not loaded & {"asyncio", "grpc", "time", "random", "logging", "socket", "restate_sdk.context"}


def test_handlers_and_contexts_need_no_grpc() -> None:
    assert "grpc" not in loaded_after("import restate_sdk.stub, restate_sdk.testing")
