"""Asks to be reminded, and waits for it: `python client.py tea 'the tea is ready' 5`, the last in seconds."""

import asyncio
import os
import sys
from datetime import timedelta

import restate_client
from gen.reminder.v1.reminder_pb import RemindRequest
from gen.reminder.v1.reminder_restate import ReminderClient
from protobuf.wkt import Duration

INGRESS = os.environ.get("RESTATE_INGRESS", "localhost:8080")


async def main(reminder_id: str, text: str, seconds: str) -> None:
    after = Duration.from_timedelta(timedelta(seconds=float(seconds)))
    async with restate_client.connect(INGRESS) as restate:
        # The contract makes the id the idempotency key: run this again, and it waits for the same reminder.
        handle = await ReminderClient(restate).remind.send(RemindRequest(id=reminder_id, text=text, after=after))
        print(handle.status.name, handle.invocation_id, flush=True)
        print((await handle.attach()).message)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
