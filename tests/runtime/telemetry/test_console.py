"""What a developer sees on the terminal."""

from __future__ import annotations

from restate_protocol.ids import invocation_id_text
from restate_runtime.core.decision import Report
from restate_runtime.core.records import Status
from restate_runtime.telemetry import console
from restate_runtime.telemetry.console import ConsoleTraces

from tests.runtime.telemetry.conftest import World


async def printed(world: World, *reports: Report) -> list[str]:
    lines: list[str] = []
    shown = ConsoleTraces(world.store, world.traces, lines.append)
    for report in reports:
        shown.report(report)
    shown.start()
    await shown.stop()
    return [line for text in lines for line in text.splitlines()]


async def test_a_completed_invocation_is_a_tree(world: World) -> None:
    one = await world.put(1)
    await world.complete(one)
    assert await printed(world, Report("suspended", one.id), Report("completed", one.id)) == [
        f"shop.v1.Cart/Add      1.0s  {invocation_id_text(one.id)}",
        "├─ attempt 1         500ms  suspended",
        "├─ run charge          1ms",
        "└─ sleep             997ms",
    ]


async def test_what_was_called_is_shown_with_its_caller_only(world: World) -> None:
    one = await world.put(1, parent_id=bytes(16), parent_command=1, reply=True)
    await world.complete(one)
    assert await printed(world, Report("completed", one.id), Report("completed", bytes(16))) == []


async def test_a_pause_says_why_and_how_to_go_on(world: World) -> None:
    one = await world.put(1, status=Status.PAUSED)
    text = invocation_id_text(one.id)
    lines = await printed(world, Report("attempt_failed", one.id, "boom"), Report("paused", one.id, "boom"))
    assert lines[0] == f"↻ shop.v1.Cart/ada/Add {text} attempt 1 failed: boom"
    assert lines[1] == f"‖ shop.v1.Cart/ada/Add {text} paused: boom"
    assert lines[-1] == f"  go on with: restate-cli invocations resume {text}"


async def test_a_report_of_many_lines_is_told_once(world: World) -> None:
    one = await world.put(1, status=Status.PAUSED)
    report = "journal mismatch at command 1\n  recorded  attempted"
    lines = await printed(world, Report("attempt_failed", one.id, report), Report("paused", one.id, report))
    assert [index for index, line in enumerate(lines) if "recorded" in line] == [1]
    assert any(line.endswith("paused: journal mismatch at command 1") for line in lines)


async def test_a_run_that_is_tried_again_is_told_at_once(world: World) -> None:
    one = await world.put(1)
    lines = await printed(world, Report("run_failed", one.id, "provider is down"))
    text = invocation_id_text(one.id)
    assert lines == [f"↻ shop.v1.Cart/ada/Add {text} a run failed and is tried again: provider is down"]


async def test_too_many_at_once_are_counted(world: World) -> None:
    reports = [Report("completed", bytes(16))] * (console.QUEUE_LIMIT + 3)
    assert await printed(world, *reports) == ["… 3 reports not shown: too many at once"]
