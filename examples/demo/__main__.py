"""`python -m examples.demo`: runs all examples, calls them in every way, kills processes, and checks what it tells.

Exit codes: 0 everything is as told; 1 something is not; 130 and 143 it was interrupted. Every process that it started
ends with it.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path

from . import calls, crashes
from .checks import DemoError
from .processes import Place
from .system import System
from .terminal import say

#: After this many seconds the demo gives up, whatever it waits for.
LIMIT_S = 150
SHOWN_ERRORS = 40


def tell(system: System) -> None:
    """The whole story."""
    calls.generate(system)
    runtime, app = calls.start(system, crashes.STUCK)
    calls.call_in_every_way(system)
    payment = calls.pay(system)
    reminder = crashes.kill_the_runtime(system, runtime)
    update = crashes.kill_the_service(system, app)
    # Asked while the reminder sleeps: it is done anyway.
    done = [system.evidence(payment), system.evidence(update.id)]
    crashes.wait_for_the_reminder(system)
    done.append(system.evidence(reminder.id))
    crashes.check_survived(update, done[1])
    crashes.check_survived(reminder, done[2])
    crashes.count(system)
    crashes.trace(system, update.id, done)
    say("Done: all of it is so. Each folder of examples/ is an application to begin with.")


def give_up(*_: object) -> None:
    raise DemoError(f"it took longer than {LIMIT_S} s")


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(LIMIT_S)
    # Everything is on this machine: no proxy is to see it.
    os.environ |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    with tempfile.TemporaryDirectory(prefix="restate-demo-") as folder:
        place = Place(Path(folder), calls.EXAMPLES)
        try:
            tell(System(place))
        except DemoError as error:
            errors = "\n".join(place.errors().splitlines()[-SHOWN_ERRORS:])
            print(f"{errors}\nerror: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
        finally:
            signal.alarm(0)
            place.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
