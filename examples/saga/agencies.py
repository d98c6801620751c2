"""Stand-ins for the agencies that sell parts of a trip.

With EXAMPLE_LOG set, each effect is a line in that file. With EXAMPLE_PAUSE_AT set to such a line, the agency does not
answer after that effect: the step stays under way, and this process can be killed in the middle of a handler.
"""

import os
import threading

#: What cannot be had.
SOLD_OUT = {"balloon"}


def reserve(trip_id: str, part: str) -> str:
    """Reserves a part; gives the reservation's number, "" where it cannot be had. Doing it twice changes nothing."""
    _effect(f"reserve {trip_id} {part}")
    return "" if part in SOLD_OUT else f"{part}/{trip_id}"


def cancel(trip_id: str, part: str) -> None:
    """Cancels what was reserved, if anything was. Doing it twice changes nothing."""
    _effect(f"cancel {trip_id} {part}")


def _effect(line: str) -> None:
    path = os.environ.get("EXAMPLE_LOG")
    if path is None:
        return
    with open(path, "a") as file:
        file.write(line + "\n")
    if os.environ.get("EXAMPLE_PAUSE_AT") == line:
        threading.Event().wait()
