"""Importing the client loads little: generated code imports it, and callers need no handler SDK."""

from __future__ import annotations

import subprocess
import sys

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
    assert not loaded_by("from restate_client import connect") & {"restate_sdk", "restate_runtime", "google.protobuf"}


def test_every_public_name_is_there() -> None:
    for name in restate_client.__all__:
        assert getattr(restate_client, name) is not None
    assert sorted(restate_client.__all__) == dir(restate_client)
