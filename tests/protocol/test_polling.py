"""The choice of how gRPC waits for sockets: made once, and not against the user's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from restate_protocol.polling import POLLERS, VARIABLE, prefer_pollers


def test_the_pollers_are_chosen_where_nothing_is_said() -> None:
    environ: dict[str, str] = {}
    prefer_pollers(environ)
    assert environ == {VARIABLE: POLLERS}


def test_what_the_user_says_stands() -> None:
    environ = {VARIABLE: ""}
    prefer_pollers(environ)
    assert environ == {VARIABLE: ""}


# Ends the process at the first import of gRPC, and tells what was chosen by then.
WATCH = """
import os, sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "grpc":
            print("chosen:", os.environ.get("GRPC_EXPERIMENTS"), flush=True)
            os._exit(0)

sys.meta_path.insert(0, Watch())
"""
RUNTIME = """
from restate_runtime.cli.runtime import main
sys.argv = ["restate-runtime", "start", "--db", "journal.db"]
main()
"""
ENDPOINT = """
from tests.sdk.handlers import Checkout
from restate_sdk import Endpoint
Endpoint(Checkout(None)).serve(port=0)
"""


@pytest.mark.parametrize("program", [RUNTIME, ENDPOINT], ids=["runtime", "endpoint"])
def test_our_programs_choose_before_grpc_is_imported(program: str, tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if name != VARIABLE}
    environ["PYTHONPATH"] = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", WATCH + program]
    ended = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert ended.stdout == f"chosen: {POLLERS}\n", ended.stderr
