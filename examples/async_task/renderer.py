"""A stand-in for something slow.

With EXAMPLE_LOG set, each effect is a line in that file. With EXAMPLE_PAUSE_AT set to such a line, the renderer does
not answer after that effect: the step stays under way, and this process can be killed in the middle of a handler.
"""

import os
import threading


def render(report_id: str, section: str) -> str:
    """Renders a section. Rendering it again gives the same."""
    _effect(f"render {report_id} {section}")
    return f"{section} of {report_id}"


def _effect(line: str) -> None:
    path = os.environ.get("EXAMPLE_LOG")
    if path is None:
        return
    with open(path, "a") as file:
        file.write(line + "\n")
    if os.environ.get("EXAMPLE_PAUSE_AT") == line:
        threading.Event().wait()
