"""Importing the client loads little: generated code imports it, and callers need no handler SDK."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata

import restate_client


def loaded_by(statement: str) -> set[str]:
    program = f"import sys; {statement}; print(*sys.modules)"
    return set(
        subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    )


def test_the_package_loads_nothing_by_itself() -> None:
    assert not loaded_by("import restate_client") & {"grpc", "protobuf", "asyncio", "restate_client.connection"}


def test_generated_code_loads_neither_grpc_nor_the_sdk() -> None:
    assert not loaded_by("import restate_client.stub") & {"grpc", "asyncio", "restate_sdk", "restate_client.connection"}


def test_a_connection_loads_no_sdk_and_no_runtime() -> None:
    program = "from restate_client import connect, sync; connect(); sync.connect()"
    assert not loaded_by(program) & {"restate_sdk", "restate_runtime", "google.protobuf"}


def test_the_client_needs_grpc_and_the_protocol_package_and_nothing_else() -> None:
    needed = metadata.requires("restate-grpc-client") or []
    always = [one for one in needed if "extra ==" not in one]
    assert sorted(re.split(r"[^\w-]", one)[0] for one in always) == ["grpcio", "restate-grpc-protocol"]


def test_every_public_name_is_there() -> None:
    for name in restate_client.__all__:
        assert getattr(restate_client, name) is not None
    assert sorted(restate_client.__all__) == dir(restate_client)
