"""Calls the greeter through the runtime: `python client.py Ada`."""

import asyncio
import os
import sys

import restate_client
from gen.greeter.v1.greeter_pb import CountRequest, GreetRequest
from gen.greeter.v1.greeter_restate import GreeterClient

INGRESS = os.environ.get("RESTATE_INGRESS", "localhost:8080")


async def main(name: str) -> None:
    async with restate_client.connect(INGRESS) as restate:
        greeter = GreeterClient(restate)
        reply = await greeter.greet(GreetRequest(name=name, greeting="Hi"))
        print(reply.message)
        print((await greeter.count(CountRequest(name=name))).count)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
