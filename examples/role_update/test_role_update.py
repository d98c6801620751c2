"""The role update in real processes: an endpoint that is killed in the middle repeats at most the step under way."""

from __future__ import annotations

import asyncio
import importlib
import json
from typing import TYPE_CHECKING, Any

import pytest
import restate_client

from examples.conftest import until

if TYPE_CHECKING:
    from examples.conftest import Example

pytestmark = pytest.mark.e2e

PERMISSIONS = ["read", "write", "delete"]


@pytest.fixture
def messages(example: Example) -> Any:
    return importlib.import_module("gen.role_update.v1.role_update_pb")


@pytest.fixture
def gen(messages: Any) -> Any:
    return importlib.import_module("gen.role_update.v1.role_update_restate")


async def until_it_is_stuck(example: Example, steps: list[str]) -> None:
    """Returns once the effects of these steps are there, and the journal has the results of all but the last."""
    await asyncio.to_thread(until, lambda: example.effects() == steps, f"the effects {steps}")
    [invocation] = json.loads(await asyncio.to_thread(example.cli, "invocations", "list", "--json"))
    recorded = ["input", *["run", "completion"] * (len(steps) - 1), "run"]
    await asyncio.to_thread(example.until_journaled, invocation["id"], *recorded)


async def test_an_update_is_finished_although_its_endpoint_is_killed(example: Example, gen: Any, messages: Any) -> None:
    example.start_runtime()
    endpoint = example.start_endpoint(EXAMPLE_PAUSE_AT="permission ada write")
    example.register()
    update = messages.ApplyRoleUpdateRequest(user_id="ada", role="editor", permissions=PERMISSIONS)
    async with restate_client.connect(example.ingress) as restate:
        apply = gen.RoleUpdateClient(restate).apply_role_update
        call = asyncio.create_task(apply(update, idempotency_key="1"))
        await until_it_is_stuck(example, ["role ada editor", "permission ada read", "permission ada write"])
        assert not call.done(), call
        endpoint.kill()
        await asyncio.to_thread(example.start_endpoint)
        assert (await call).applied

        expected = ["role ada editor", "permission ada read"]
        # Killed after the effect, before the runtime knew of it: this step alone runs again.
        expected += ["permission ada write", "permission ada write"]
        expected += ["permission ada delete"]
        assert example.effects() == expected

        assert (await apply(update, idempotency_key="1")).applied
        assert example.effects() == expected, "the same key again does nothing"


def test_every_call_of_the_readme_works(example: Example) -> None:
    example.start_runtime()
    example.start_endpoint()
    example.register()
    assert example.client("ada", "editor", "read", "write") == ["applied"]
    assert example.client("ada", "editor", "read", "write") == ["applied"]
    assert example.client("bob", "forbidden", "read") == ["refused"]
    assert example.effects() == ["role ada editor", "permission ada read", "permission ada write"]
    request: dict[str, object] = {"userId": "eve", "role": "editor", "permissions": ["read"]}
    assert example.curl("role_update.v1.RoleUpdate/ApplyRoleUpdate", request) == {"applied": True}
