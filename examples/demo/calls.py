"""The first half of the demo: from the contract to calls by every kind of client, and a workflow with its webhook."""

from __future__ import annotations

import json

import grpc

from . import reflection
from .checks import check_effects, expect, under_way
from .processes import Process, program
from .system import System
from .terminal import say, show, show_command

EXAMPLES = ("greeter", "role_update", "payment", "reminder")
GREET = "greeter.v1.Greeter/Greet"
SERVICES = ("greeter.v1.Greeter", "payment.v1.Payment", "reminder.v1.Reminder", "role_update.v1.RoleUpdate")
HELLO = {"name": "Ada", "greeting": "Hello"}
PAYMENT = {"id": "pay-1", "account": "DE02", "amount": 1000, "email": "ada@example.com"}
PAID = ["charge pay-1 DE02 1000", "notify pay-1 ada@example.com"]


def generate(system: System) -> None:
    say("1. Contracts are plain .proto files. Generate messages, typed clients and handlers from them.")
    command = ("restate-codegen", "generate", "protos", "--out", "gen")
    system.place.run_side_by_side((name, *command) for name in EXAMPLES)


def start(system: System, stuck: str) -> tuple[Process, Process]:
    """Starts everything; gives the runtime and the app of the role update, whose step `stuck` will not end."""
    say("2. Start the services and the runtime (its journal is one SQLite file), and register the services.")
    pause = {"role_update": {"EXAMPLE_PAUSE_AT": stuck}}
    apps = {name: system.start_app(name, **pause.get(name, {})) for name in EXAMPLES}
    runtime = system.start_runtime()
    for name, app in apps.items():
        system.app_is_ready(name, app)
    system.register()
    return runtime, apps["role_update"]


def call_in_every_way(system: System) -> None:
    """Four greetings by four kinds of clients; the object counts them all."""
    say("3. Call the greeter: (a) with the generated client, typed.")
    expect("the greeting", system.place.run("greeter", "python", "client.py", "Ada"), "Hi Ada for the 1-th time.\n1\n")
    say("   (b) with a plain gRPC stub: no SDK, no client library.")
    plain = system.place.run("greeter", "python", "plain_client.py", "Ada")
    expect("the greeting", plain, "Hello Ada for the 2-th time.\n")
    say("   (c) knowing only the address: the runtime describes every service by gRPC reflection.")
    look_around(system)
    answer = json.loads(call_by_reflection(system, program("buf")))
    expect("the greeting", answer, {"message": "Hello Ada for the 3-th time."})
    say("   (d) with JSON over HTTP.")
    answer = system.post("", GREET, HELLO)
    expect("the greeting", answer, {"message": "Hello Ada for the 4-th time."})


def look_around(system: System) -> None:
    """Lists what there is and describes one method, by the reflection protocol itself."""
    with grpc.insecure_channel(system.ingress) as channel:
        services = reflection.services(channel)
        described = reflection.describe(channel, GREET)
    show("\n".join([*services, "", described]))
    expect("services of the examples that are not listed", set(SERVICES) - set(services), set())
    rpc = "rpc Greet(greeter.v1.GreetRequest) returns (greeter.v1.GreetResponse);"
    expect("the description of the method", described.splitlines()[0], rpc)


def call_by_reflection(system: System, buf: str | None) -> str:
    """Calls a method with JSON: `buf curl` does it where there is a buf, else the demo does it itself."""
    data = json.dumps(HELLO)
    if buf is not None:
        url = f"http://{system.ingress}/{GREET}"
        return system.place.run("", "buf", "curl", "--protocol", "grpc", "--http2-prior-knowledge", "-d", data, url)
    show_command("", [GREET, data])
    with grpc.insecure_channel(system.ingress) as channel:
        answer = reflection.call(channel, GREET, data)
    show(answer)
    return answer


def pay(system: System) -> str:
    """A payment from its start over its webhook to its end; gives its invocation."""
    say("4. A workflow: the payment charges, and waits for the provider's webhook for as long as it takes.")
    payment = system.send("payment", "payment.v1.Payment/Run", PAYMENT)
    waits = ["get_promise payment_success"]
    system.until("the payment waits", lambda: system.journal(payment), lambda entries: under_way(entries) == waits)
    show("its journal says that it waits: get_promise payment_success")
    expect("effects before the webhook", system.place.effects("payment"), PAID[:1])
    system.post("payment", "payment.v1.Payment/PaymentWebhook", {"id": "pay-1", "account": "DE02"})
    system.post("payment", "restate.ingress.v1.Ingress/Attach", {"invocationId": payment})
    answer = system.post("payment", "payment.v1.Payment/Status", {"id": "pay-1"})
    expect("the payment's status", answer, {"status": "User notified of payment success"})
    check_effects(system.place.effects("payment"), PAID)
    return payment
