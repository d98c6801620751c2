"""A stand-in for the systems that hold roles and permissions.

With EXAMPLE_LOG set, each effect is a line in that file. With EXAMPLE_CRASH set to such a line, this process is
killed (-9) right after that effect, the first time it happens: before the runtime learns that it did.
"""

import os
import signal
from pathlib import Path


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
    log = Path(path)
    first_time = not log.exists() or line not in log.read_text().splitlines()
    with log.open("a") as file:
        file.write(line + "\n")
    if first_time and os.environ.get("EXAMPLE_CRASH") == line:
        os.kill(os.getpid(), signal.SIGKILL)
