"""The demo as a process: it tells its story to the end, and cleans up when it is interrupted or something is not so."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.demo import calls, system
from examples.demo.processes import Place
from examples.demo.system import System

ROOT = Path(__file__).parent.parent
DEMO = [sys.executable, "-m", "examples.demo"]
WRONG = """
import sys
from examples.demo import __main__ as demo
from examples.demo.checks import expect
demo.tell = lambda system: expect("the answer", 41, 42)
sys.exit(demo.main())
"""


@pytest.fixture
def greeter(tmp_path: Path) -> Iterator[System]:
    """The greeter alone, registered with a runtime."""
    place = Place(tmp_path, ("greeter",))
    one = System(place)
    place.run("greeter", "restate-codegen", "generate", "protos", "--out", "gen")
    app = one.start_app("greeter")
    one.start_runtime()
    one.app_is_ready("greeter", app)
    one.register()
    yield one
    place.stop()


@pytest.mark.e2e
@pytest.mark.timeout(200)
def test_the_demo_tells_its_story_to_the_end() -> None:
    done = subprocess.run(DEMO, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for line in (
        "Hello Ada for the 4-th time.",
        "its journal says that it waits: get_promise payment_success",
        "recorded: run note; under way: sleep until it is due",
        "recorded: run apply role, run apply read; under way: run apply write",
        "1 x  deliver tea the tea is ready",
        "2 x  permission ada write   <- under way when killed",
        "├─ attempt 2 ",
        "└─ run apply delete ",
        "Done: all of it is so.",
    ):
        assert line in done.stdout


def _heed_interrupts() -> None:
    """A program that is started in the background of a script inherits that SIGINT is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.e2e
@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_demo_ends_what_it_started(stop: signal.Signals, code: int) -> None:
    demo = subprocess.Popen(
        DEMO, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=_heed_interrupts
    )
    assert demo.stdout is not None
    ready = next(line for line in demo.stdout if line.lstrip().startswith("ready "))
    demo.send_signal(stop)
    _, errors = demo.communicate()
    assert demo.returncode == code, errors
    for address in (pair.partition("=")[2] for pair in ready.split()[1:]):
        host, _, port = address.rpartition(":")
        with socket.socket() as client:
            assert client.connect_ex((host, int(port))) != 0, f"something still listens at {address}"


def test_the_demo_fails_where_something_is_not_so() -> None:
    done = subprocess.run([sys.executable, "-c", WRONG], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "error: the answer: expected 42, found 41" in done.stderr


@pytest.mark.e2e
def test_the_demo_needs_neither_buf_nor_curl(greeter: System, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = calls.call_by_reflection(greeter, None)
    assert json.loads(answer) == {"message": "Hello Ada for the 1-th time."}
    monkeypatch.setattr(system, "program", lambda name: None)
    assert greeter.post("", calls.GREET, calls.HELLO) == {"message": "Hello Ada for the 2-th time."}
    assert greeter.send("", calls.GREET, calls.HELLO).startswith("inv_")
