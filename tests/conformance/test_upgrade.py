"""§17: new versions of the code beside old ones."""

from __future__ import annotations

from typing import Any

import pytest
from restate_protocol.errors import RestateError

from .generated import LabClient, LabObjectClient, LabRequest
from .services.lab import Lab, LabObject
from .world import World


class VersionedService:
    """VersionedService of §26.2."""

    def __init__(self, version: str) -> None:
        self._version = version

    async def get_version(self, ctx: Any, request: LabRequest) -> object:
        return self._version

    async def suspended(self, ctx: Any, request: LabRequest) -> object:
        """Says its version, waits for an awakeable, and says its version again."""
        awakeable = ctx.awakeable(str)
        ctx.state.note.set(awakeable.id)
        results = [self._version, await awakeable, self._version]
        ctx.state.items.set(results)
        return results

    async def awakeable(self, ctx: Any, request: LabRequest) -> object:
        return await ctx.state.note.get()

    def handlers(self) -> LabObject:
        return LabObject(do=self.suspended, once=self.get_version, look=self.awakeable)


async def test_UPG_01_new_invocations_go_to_the_newest_deployment(world: World) -> None:
    await world.start(VersionedService("v1").handlers(), version="1")
    client, key = LabObjectClient(world.caller), world.key()
    assert (await client.once(LabRequest(key=key))).text == "v1"
    await world.deploy(VersionedService("v2").handlers(), version="2")
    assert (await client.once(LabRequest(key=key))).text == "v2"


async def test_UPG_02_an_invocation_in_flight_stays_with_its_deployment(world: World) -> None:
    await world.start(VersionedService("v1").handlers(), version="1")
    client, key = LabObjectClient(world.caller), world.key()
    sent = await client.do.send(LabRequest(key=key))

    async def there() -> str:
        return str((await client.look(LabRequest(key=key))).text)

    id_ = await world.until(there, "the awakeable")
    await world.deploy(VersionedService("v2").handlers(), version="2")
    await world.caller.resolve_awakeable(str(id_), "unlocked")
    assert list((await sent.attach()).items) == ["v1", "unlocked", "v1"]
    assert (await client.once(LabRequest(key=key))).text == "v2"


async def test_UPG_04_an_endpoint_that_is_known_is_not_registered_again(world: World) -> None:
    await world.start(VersionedService("v1").handlers(), version="1")
    client, key = LabObjectClient(world.caller), world.key()
    await world.env.disconnect()
    await world.env.connect()
    assert (await client.once(LabRequest(key=key))).text == "v1"


async def test_UPG_04_a_deployment_without_a_service_leaves_the_service_where_it_was(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        return "lab"

    await world.start(VersionedService("v1").handlers(), version="1")
    await world.deploy(Lab(body), version="2")
    assert (await LabObjectClient(world.caller).once(LabRequest(key="k"))).text == "v1"
    assert (await LabClient(world.caller).do(LabRequest())).text == "lab"


@pytest.mark.parametrize("restarted", [False, True])
async def test_UPG_13_what_waits_for_its_deployment_is_not_given_to_another(world: World, restarted: bool) -> None:
    await world.start(VersionedService("v1").handlers(), version="1", skip_time=False)
    client, key = LabObjectClient(world.caller), world.key()
    sent = await client.do.send(LabRequest(key=key))

    async def there() -> str:
        return str((await client.look(LabRequest(key=key))).text)

    id_ = await world.until(there, "the awakeable")
    pinned = (await world.invocation(sent.invocation_id)).deployment_id
    await world.env.disconnect(pinned)
    await world.deploy(VersionedService("v2").handlers(), version="2")
    await world.caller.resolve_awakeable(str(id_), "unlocked")
    await world.pass_time(seconds=5)
    assert await sent.output() is None
    if restarted:
        await world.env.restart()
    else:
        await world.env.connect()
    await world.pass_time(seconds=5)
    assert list((await sent.attach()).items) == ["v1", "unlocked", "v1"]


async def test_UPG_16_a_mended_version_takes_over_what_the_operator_gives_it(world: World) -> None:
    async def old(ctx: Any, request: LabRequest) -> object:
        await ctx.run("step", _step)
        raise ValueError("broken")

    async def new(ctx: Any, request: LabRequest) -> object:
        return f"{await ctx.run('step', _step)} and mended"

    await world.start(Lab(old), version="1", skip_time=False)
    sent = await LabClient(world.caller).pause_after_two.send(LabRequest())
    await world.pass_time(seconds=1)
    assert await world.status(sent.invocation_id) == "paused"
    deployment = await world.deploy(Lab(new), version="2")
    await world.env.admin.resume(sent.invocation_id, deployment_id=deployment)
    assert (await sent.attach()).text == "recorded and mended"


async def _step() -> str:
    return "recorded"


async def test_UPG_16_a_deployment_that_does_not_serve_it_is_refused(world: World) -> None:
    async def broken(ctx: Any, request: LabRequest) -> object:
        raise ValueError("broken")

    await world.start(Lab(broken), version="1", skip_time=False)
    sent = await LabClient(world.caller).pause_after_two.send(LabRequest())
    await world.pass_time(seconds=1)
    other = await world.deploy(VersionedService("v2").handlers(), version="2")
    with pytest.raises(RestateError):
        await world.env.admin.resume(sent.invocation_id, deployment_id=other)
    assert await world.status(sent.invocation_id) == "paused"
