"""Submits a report, now or in some seconds, and fetches its result: from this process or another one, whenever.

python client.py submit q3 sales costs
python client.py submit-in 10 q4 sales
python client.py result q3 sales costs
"""

import asyncio
import os
import sys
from datetime import timedelta

import restate_client
from gen.async_task.v1.reports_pb import CreateRequest, Report
from gen.async_task.v1.reports_restate import ReportsClient

INGRESS = os.environ.get("RESTATE_INGRESS", "localhost:8080")


async def submit(request: CreateRequest, delay: timedelta | None = None) -> restate_client.SendHandle[Report]:
    """Returns as soon as the task is durable. The report id is the idempotency key: asking again is the same task."""
    async with restate_client.connect(INGRESS) as restate:
        return await ReportsClient(restate).create.send(request, delay=delay)


async def result(request: CreateRequest) -> Report:
    """Attaches to the task and waits for its result."""
    async with restate_client.connect(INGRESS) as restate:
        handle = await ReportsClient(restate).create.send(request)
        return await handle.attach()


async def main(what: str, *arguments: str) -> None:
    match what, *arguments:
        case "submit", report_id, *sections:
            handle = await submit(CreateRequest(report_id=report_id, sections=sections))
            print(handle.status.name, handle.invocation_id)
        case "submit-in", seconds, report_id, *sections:
            delay = timedelta(seconds=float(seconds))
            handle = await submit(CreateRequest(report_id=report_id, sections=sections), delay)
            print(handle.status.name, handle.invocation_id)
        case "result", report_id, *sections:
            print((await result(CreateRequest(report_id=report_id, sections=sections))).text)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
