"""Calls the greeter through the runtime: `python client.py Ada`."""

import asyncio
import sys

import restate_client
from gen.greeter.v1.greeter_pb import CountRequest, GreetRequest
from gen.greeter.v1.greeter_restate import GreeterClient


async def main(name: str, address: str = "localhost:8080") -> None:
    async with restate_client.connect(address) as restate:
        greeter = GreeterClient(restate)
        reply = await greeter.greet(GreetRequest(name=name, greeting="Hi"))
        print(reply.message)
        print((await greeter.count(CountRequest(name=name))).count)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
