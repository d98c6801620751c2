"""A stand-in for a printer of vouchers.

With EXAMPLE_LOG set, each effect is a line in that file. With EXAMPLE_PAUSE_AT set to such a line, the printer does not
answer after that effect: the step stays under way, and the handler can be interrupted in its middle.
"""

import os
import threading


def print_voucher(product: str, reservation_id: str) -> str:
    """Prints the voucher; gives its number. The reservation's id makes it safe to ask twice."""
    _effect(f"voucher {product} {reservation_id}")
    return f"{product}/{reservation_id}"


def _effect(line: str) -> None:
    path = os.environ.get("EXAMPLE_LOG")
    if path is None:
        return
    with open(path, "a") as file:
        file.write(line + "\n")
    if os.environ.get("EXAMPLE_PAUSE_AT") == line:
        threading.Event().wait()
