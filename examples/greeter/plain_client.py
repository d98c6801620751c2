"""Calls the greeter with nothing but gRPC, neither SDK nor client library: `python plain_client.py Ada`.

Durable all the same: the runtime serves the contract itself.
"""

import os
import sys

import grpc
from gen.greeter.v1.greeter_pb import GreetRequest, GreetResponse

INGRESS = os.environ.get("RESTATE_INGRESS", "localhost:8080")


def main(name: str) -> None:
    with grpc.insecure_channel(INGRESS) as channel:
        greet = channel.unary_unary(
            "/greeter.v1.Greeter/Greet",
            request_serializer=GreetRequest.to_binary,
            response_deserializer=GreetResponse.from_binary,
        )
        print(greet(GreetRequest(name=name, greeting="Hello"), timeout=30).message)


if __name__ == "__main__":
    main(*sys.argv[1:])
