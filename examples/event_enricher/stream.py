"""A stand-in for the stream that enriched events go to. With EXAMPLE_LOG set, each event is a line in that file."""

import os


def emit(event_id: str, user_id: str, name: str, features: list[str]) -> None:
    """Emits an event. Readers of the stream know by its id one that comes twice."""
    path = os.environ.get("EXAMPLE_LOG")
    if path is not None:
        with open(path, "a") as file:
            file.write(f"{event_id} {user_id} {name} {','.join(features)}\n")
