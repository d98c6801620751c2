"""Stand-ins for a notebook and the post. With EXAMPLE_LOG set, each effect is a line in that file."""

import os


def note(reminder_id: str, text: str) -> None:
    """Writes the reminder down, for people to see what is to come."""
    _effect(f"note {reminder_id} {text}")


def deliver(reminder_id: str, text: str) -> str:
    """Delivers the reminder; gives the message. The id makes it safe to ask twice."""
    _effect(f"deliver {reminder_id} {text}")
    return f"Do not forget: {text}"


def _effect(line: str) -> None:
    path = os.environ.get("EXAMPLE_LOG")
    if path is not None:
        with open(path, "a") as file:
            file.write(line + "\n")
