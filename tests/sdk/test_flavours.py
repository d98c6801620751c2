"""The same handlers with messages of the other library: betterproto2 instead of protobuf-py."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from restate_protocol import journal as j

from .handlers import ADD
from .runtime import FakeRuntime

PROTOS = Path(__file__).parent / "protos"
PACKAGE = "shop_of_betterproto"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The generated module, with betterproto's messages."""
    root = tmp_path_factory.mktemp("betterproto")
    generate = Path(sys.executable).with_name("restate-codegen")
    command = [str(generate), "generate", str(PROTOS), "--out", str(root / PACKAGE)]
    subprocess.run([*command, "--messages", "betterproto"], check=True, capture_output=True)
    sys.path.insert(0, str(root))
    yield importlib.import_module(f"{PACKAGE}.shop.v1.shop_restate")
    sys.path.remove(str(root))


async def test_state_runs_calls_and_typed_errors_work(shop: Any) -> None:
    pb = importlib.import_module(f"{PACKAGE}.shop.v1.shop_pb")

    async def find(street: str) -> Any:
        return pb.Address(street=street)

    class Cart(shop.CartHandlers):  # type: ignore[misc]
        async def add(self, ctx: Any, request: Any, /) -> Any:
            place = await ctx.run("find", find, "x", returns=pb.Address)
            ctx.state.address.set(place)
            ctx.state.total.set(await ctx.state.total.get() + 5)
            try:
                await shop.CartClient(ctx).add(pb.AddRequest(cart_id=8))
            except shop.SoldOutError as error:
                item = error.detail.item
            seen = [(await ctx.state.address.get()).street, str(await ctx.state.total.get()), item]
            return pb.AddResponse(items=[*seen, str(await ctx.state.note.get()), *await ctx.state_keys()])

        async def look(self, ctx: Any, request: Any, /) -> Any:
            return pb.LookResponse()

    def answers(entry: j.Command) -> j.Result | None:
        sold_out = j.Failure(9, "no", "shop.v1.SoldOut", bytes(pb.SoldOut(item="shoe")))
        return sold_out if isinstance(entry, j.Call) else None

    async with FakeRuntime(Cart(), inactivity_ms=0) as runtime:
        state = {2: bytes(pb.CartState(total=1))}
        one = await runtime.run(ADD, pb.AddRequest(cart_id=7), key="7", state=state, answers=answers)
    assert one.failures == []
    assert isinstance(one.output, j.Value)
    assert pb.AddResponse.parse(one.output.data).items == ["x", "6", "shoe", "None", "total", "address"]
