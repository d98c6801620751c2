"""A stand-in for the systems that hold roles and permissions.

With EXAMPLE_LOG set, each effect is a line in that file. With EXAMPLE_PAUSE_AT set to such a line, the system does not
answer after that effect: the step stays under way, and this process can be killed in the middle of a handler.
"""

import os
import threading


def apply_user_role(user_id: str, role: str) -> bool:
    """Gives the user the role; False where the user may not have it. Doing it twice changes nothing."""
    if role == "forbidden":
        return False
    _effect(f"role {user_id} {role}")
    return True


def apply_permission(user_id: str, permission: str) -> None:
    """Gives the user the permission. Doing it twice changes nothing."""
    _effect(f"permission {user_id} {permission}")


def _effect(line: str) -> None:
    path = os.environ.get("EXAMPLE_LOG")
    if path is None:
        return
    with open(path, "a") as file:
        file.write(line + "\n")
    if os.environ.get("EXAMPLE_PAUSE_AT") == line:
        threading.Event().wait()
