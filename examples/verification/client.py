"""Starts a verification and waits for it: `python client.py verify v-1 ada@example.com`.

Clicks the link of the mail: `python client.py click v-1 SECRET`.
"""

import asyncio
import os
import sys

import restate_client
from gen.verification.v1.verification_pb import ClickRequest, VerifyRequest
from gen.verification.v1.verification_restate import VerificationClient

INGRESS = os.environ.get("RESTATE_INGRESS", "localhost:8080")


async def verify(verification_id: str, email: str) -> None:
    async with restate_client.connect(INGRESS) as restate:
        # The workflow's key dedupes: whoever starts it again gets the one that is there.
        handle = await VerificationClient(restate).run.send(VerifyRequest(id=verification_id, email=email))
        print(handle.status.name, flush=True)
        print("verified" if (await handle.attach()).verified else "another secret")


async def click(verification_id: str, secret: str) -> None:
    async with restate_client.connect(INGRESS) as restate:
        await VerificationClient(restate).click(ClickRequest(id=verification_id, secret=secret))


if __name__ == "__main__":
    command, first, second = sys.argv[1:]
    asyncio.run(verify(first, second) if command == "verify" else click(first, second))
