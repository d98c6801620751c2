"""§13: combinators, in the order of the journal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import restate_sdk
from protobuf import Oneof
from restate_sdk import TerminalError, first_success, gather, race

from .generated import (
    Awaitable as Awaits,
)
from .generated import (
    Awaitables,
    AwakeableOrTimeout,
    CommandInterpreterClient,
    CompleteRequest,
    InterpreterCommand,
    InterpretRequest,
    LabClient,
    LabRequest,
    ToolRequest,
    ToolsClient,
)
from .services.commands import CommandInterpreter
from .services.lab import Lab
from .services.tools import Tools
from .world import World

Body = Callable[[Any, LabRequest], Awaitable[Any]]


def command(kind: str, *awaitables: Any) -> InterpreterCommand:
    """await_…(awaitables)."""
    return InterpreterCommand(kind=Oneof(kind, Awaitables(of=list(awaitables))))


def awaits(kind: str, value: Any) -> Awaits:
    """One awaitable: awaits("sleep_ms", 100)."""
    return Awaits(kind=Oneof(kind, value))


def signals(*names: str) -> list[Any]:
    return [awaits("create_signal", name) for name in names]


async def interpreted(world: World, command: InterpreterCommand, *told: tuple[str, str]) -> str:
    """The result of a command, once its signals were sent: ("sig0", "value") or ("sig0", "!reason")."""
    await world.start(CommandInterpreter(), Tools())
    client, key = CommandInterpreterClient(world.caller), world.key()
    sent = await client.interpret.send(InterpretRequest(key=key, commands=[command]))
    for name, text in told:
        await tell(world, sent, name, text)
    text = str((await sent.attach()).text)
    assert list((await client.get_results(CompleteRequest(key=key))).results) == [text]
    return text


async def tell(world: World, sent: Any, name: str, text: str) -> None:
    """Sends a signal from outside, or has a handler reject it: "!reason"."""
    if text.startswith("!"):
        request = ToolRequest(invocation_id=sent.invocation_id, signal=name, text=text[1:])
        await ToolsClient(world.caller).reject_signal(request)
    else:
        await sent.signal(name, text)


async def test_COMB_01_a_sleep_wins_over_an_awakeable(world: World) -> None:
    awaited = [awaits("create_awakeable", "awk1"), awaits("sleep_ms", 100)]
    await world.start(CommandInterpreter())
    request = InterpretRequest(key=world.key(), commands=[command("await_first_completed", *awaited)])
    assert (await CommandInterpreterClient(world.caller).interpret(request)).text == "sleep"


async def test_COMB_02_an_awakeable_that_nobody_resolves_times_out(world: World) -> None:
    await world.start(CommandInterpreter())
    awaited = AwakeableOrTimeout(awakeable="should-timeout-awk", timeout_ms=100)
    request = InterpretRequest(
        key=world.key(), commands=[InterpreterCommand(kind=Oneof("await_awakeable_or_timeout", awaited))]
    )
    with pytest.raises(TerminalError, match="await-timeout"):
        await CommandInterpreterClient(world.caller).interpret(request)


async def test_COMB_03_awakeables_are_resolved_in_any_order(world: World) -> None:
    await world.start(CommandInterpreter())
    client, key = CommandInterpreterClient(world.caller), world.key()
    awaited = [awaits("create_awakeable", name) for name in ("a", "b")]
    sent = await client.interpret.send(InterpretRequest(key=key, commands=[command("await_all_succeeded", *awaited)]))
    for name, value in (("b", "2"), ("a", "1")):

        async def there(name: str = name) -> bool:
            return bool((await client.has_awakeable(CompleteRequest(key=key, awakeable=name))).has)

        await world.until(there, name)
        await client.resolve_awakeable(CompleteRequest(key=key, awakeable=name, value=value))
    assert (await sent.attach()).text == "1|2"


async def test_COMB_04_the_first_success_wins_over_failures(world: World) -> None:
    tree = command("await_first_succeeded", *signals("sig0", "sig1", "sig2"))
    told = (("sig0", "!fail0"), ("sig2", "!fail2"), ("sig1", "success1"))
    assert await interpreted(world, tree, *told) == "success1"


async def test_COMB_05_all_succeed(world: World) -> None:
    tree = command("await_all_succeeded", *signals("sig0", "sig1", "sig2"))
    assert await interpreted(world, tree, *((f"sig{n}", f"val{n}") for n in range(3))) == "val0|val1|val2"


async def test_COMB_06_all_are_settled(world: World) -> None:
    tree = command("await_all_completed", *signals("sig0", "sig1", "sig2"))
    told = (("sig0", "val0"), ("sig1", "!err1"), ("sig2", "val2"))
    assert await interpreted(world, tree, *told) == "ok:val0|err:err1|ok:val2"


async def test_COMB_07_the_first_completed_wins(world: World) -> None:
    tree = command("await_first_completed", *signals("sig0", "sig1", "sig2"))
    assert await interpreted(world, tree, ("sig1", "first")) == "first"


async def test_COMB_08_a_run_wins_over_a_signal(world: World) -> None:
    tree = command("await_first_completed", *signals("sig"), awaits("run_returns", "runval"))
    assert await interpreted(world, tree) == "runval"


async def test_COMB_09_a_failed_run_is_passed_over(world: World) -> None:
    tree = command("await_first_succeeded", awaits("run_throws", "fail"), *signals("sig"))
    assert await interpreted(world, tree, ("sig", "sigval")) == "sigval"


async def test_COMB_10_a_run_and_a_signal(world: World) -> None:
    tree = command("await_all_succeeded", awaits("run_returns", "runval"), *signals("sig"))
    assert await interpreted(world, tree, ("sig", "sigval")) == "runval|sigval"


async def test_COMB_11_a_run_a_signal_and_a_run_that_fails(world: World) -> None:
    tree = command(
        "await_all_completed", awaits("run_returns", "runval"), *signals("sig"), awaits("run_throws", "fail")
    )
    assert await interpreted(world, tree, ("sig", "sigval")) == "ok:runval|ok:sigval|err:fail"


async def test_COMB_12_all_succeeded_fails_at_once_though_others_are_open(world: World) -> None:
    tree = command("await_all_succeeded", *signals("never", "sig1", "never too"))
    with pytest.raises(TerminalError, match="err1"):
        await interpreted(world, tree, ("sig1", "!err1"))


async def test_COMB_13_the_first_success_of_failures_only_is_a_terminal_error(world: World) -> None:
    tree = command("await_first_succeeded", *signals("sig0", "sig1"))
    with pytest.raises(TerminalError, match="err"):
        await interpreted(world, tree, ("sig1", "!err1"), ("sig0", "!err0"))


async def test_COMB_14_a_race_whose_winner_failed_fails(world: World) -> None:
    tree = command("await_first_completed", *signals("sig0", "sig1"))
    with pytest.raises(TerminalError, match="err1"):
        await interpreted(world, tree, ("sig1", "!err1"))


async def raced(world: World, body: Body, *order: int) -> list[str]:
    """What a body gives that gets names of awakeables p1, p2, …, resolved in this order with "from-p<n>"."""
    ids: list[str] = []

    async def note(found: list[str]) -> None:
        ids[:] = found

    async def noted(ctx: Any, request: LabRequest) -> object:
        promised = [ctx.awakeable(str) for _ in range(3)]
        await ctx.run("note", note, [one.id for one in promised])
        return await body(promised, request)

    await world.start(Lab(noted))
    sent = await LabClient(world.caller).do.send(LabRequest())
    await world.env.settle()
    for number in order:
        await world.caller.resolve_awakeable(ids[number - 1], f"from-p{number}")
    return list((await sent.attach()).items)


@pytest.mark.parametrize(("order", "expected"), [((1,), ["from-p1", "from-p1"]), ((2, 3), ["from-p2", "from-p3"])])
async def test_COMB_16_two_races_share_a_future(world: World, order: tuple[int, ...], expected: list[str]) -> None:
    async def body(p: Any, request: LabRequest) -> object:
        return await gather(race(p[0], p[1]), race(p[0], p[2]), return_exceptions=True)

    assert await raced(world, body, *order) == expected


async def test_COMB_20_results_come_in_the_order_of_the_journal(world: World) -> None:
    async def body(p: Any, request: LabRequest) -> object:
        return [f"{index}:{value}" async for index, value in restate_sdk.as_completed(*p)]

    assert await raced(world, body, 3, 1, 2) == ["2:from-p3", "0:from-p1", "1:from-p2"]


async def test_COMB_21_the_first_of_nothing_is_an_error(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        found = []
        for combine in (race, first_success):
            try:
                await combine()
            except (TypeError, ValueError) as error:
                found.append(type(error).__name__)
        return [*found, len(await gather())]

    await world.start(Lab(body))
    assert (await LabClient(world.caller).do(LabRequest())).items[-1] == "0"


@pytest.mark.parametrize("order", [(1, 2, 3), (2, 1, 3), (3, 2, 1)])
async def test_COMB_30_the_journal_decides_a_race_and_not_the_index(world: World, order: tuple[int, ...]) -> None:
    async def body(p: Any, request: LabRequest) -> object:
        return [await race(*p), *await gather(*p)]

    assert (await raced(world, body, *order))[0] == f"from-p{order[0]}"


async def test_COMB_32_what_comes_later_is_there_for_the_next_await(world: World) -> None:
    async def body(p: Any, request: LabRequest) -> object:
        return [await race(p[0], p[1]), *await gather(p[0], p[2])]

    assert await raced(world, body, 2, 1, 3) == ["from-p2", "from-p1", "from-p3"]


@pytest.mark.parametrize(("order", "expected"), [((3, 2), ["from-p2", "from-p3"]), ((2,), ["from-p2", "from-p2"])])
async def test_COMB_34_to_35_nested_races_share_a_winner(
    world: World, order: tuple[int, ...], expected: list[str]
) -> None:
    async def body(p: Any, request: LabRequest) -> object:
        return await gather(race(p[0], p[1]), race(p[2], p[1]))

    assert await raced(world, body, *order) == expected


async def test_COMB_36_what_is_there_already_is_not_waited_for_again(world: World) -> None:
    async def body(p: Any, request: LabRequest) -> object:
        return [await p[1], *await gather(p[0], p[1])]

    assert await raced(world, body, 2, 1) == ["from-p2", "from-p1", "from-p2"]


async def test_COMB_37_the_first_success_of_nested_groups(world: World) -> None:
    async def body(p: Any, request: LabRequest) -> object:
        first = await first_success(gather(p[0], p[1]), race(p[2], p[1]))
        return [first] if isinstance(first, str) else list(first)

    assert await raced(world, body, 2) == ["from-p2"]


#: Trees over four signals A to D; what is told; and after each, whether the invocation still waits.
TREES: dict[str, tuple[Callable[..., Any], list[str], list[bool]]] = {
    "COMB-38": (lambda a, b, c, d: gather(race(a, b), race(c, d)), ["!B"], [False]),
    "COMB-40": (lambda a, b, c, d: gather(gather(a, b), gather(c, d)), ["B", "A", "C", "D"], [True, True, True, False]),
    "COMB-50": (lambda a, b, c, d: gather(race(a, b), race(c, d)), ["B", "C"], [True, False]),
    "COMB-51": (lambda a, b, c, d: gather(race(a, b), race(c, d)), ["!B"], [False]),
    "COMB-52": (lambda a, b, c, d: race(gather(a, b), gather(c, d)), ["A", "C", "B"], [True, True, False]),
    "COMB-53": (lambda a, b, c, d: first_success(gather(a, b), gather(c, d)), ["!A", "C", "D"], [True, True, False]),
    "COMB-57": (
        lambda a, b, c, _: gather(race(a), race(b), race(c), return_exceptions=True),
        ["!C", "A", "B"],
        [True, True, False],
    ),
}


async def told_tree(world: World, case: str) -> None:
    """Tells the signals of a tree one after the other, and looks whether the invocation goes on waiting."""
    build, told, waits = TREES[case]

    async def body(ctx: Any, request: LabRequest) -> object:
        try:
            await build(*(ctx.signal(name, str) for name in "ABCD"))
        except TerminalError:
            return "failed"
        return "done"

    await world.start(Lab(body), Tools(), skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest())
    await world.until_waits(sent.invocation_id)
    for name, still in zip(told, waits, strict=True):
        await tell(world, sent, name.lstrip("!"), "!no" if name.startswith("!") else name)
        await world.env.settle()
        assert (await world.status(sent.invocation_id) != "completed") is still, name


async def test_COMB_38_a_failed_race_ends_the_gather(world: World) -> None:
    await told_tree(world, "COMB-38")


async def test_COMB_40_a_gather_of_gathers_waits_for_all(world: World) -> None:
    await told_tree(world, "COMB-40")


async def test_COMB_50_a_gather_of_races_goes_on_waiting_for_the_other_race(world: World) -> None:
    await told_tree(world, "COMB-50")


async def test_COMB_51_a_gather_of_races_ends_with_the_first_failure(world: World) -> None:
    await told_tree(world, "COMB-51")


async def test_COMB_52_a_race_of_gathers_ends_with_the_first_whole_one(world: World) -> None:
    await told_tree(world, "COMB-52")


async def test_COMB_53_the_first_success_of_gathers_goes_on_after_a_failure(world: World) -> None:
    await told_tree(world, "COMB-53")


async def test_COMB_57_all_settled_waits_for_all_though_one_failed(world: World) -> None:
    await told_tree(world, "COMB-57")


async def test_COMB_43_what_is_awaited_shrinks_with_what_comes(world: World) -> None:
    async def body(p: Any, request: LabRequest) -> object:
        return await gather(*p)

    assert await raced(world, body, 1, 2, 3) == ["from-p1", "from-p2", "from-p3"]


async def test_COMB_45_what_came_before_the_await_needs_no_wait(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        early = ctx.signal("early", str)
        await ctx.signal("go", str)
        return await early

    await world.start(Lab(body))
    sent = await LabClient(world.caller).do.send(LabRequest())
    for name in ("early", "go"):
        await sent.signal(name, name)
    assert (await sent.attach()).text == "early"
