"""A stand-in for the bank.

With EXAMPLE_LOG set, each effect is a line in that file. With EXAMPLE_PAUSE_AT set to such a line, the bank does not
answer after that effect: the step stays under way, and this process can be killed in the middle of a handler.
"""

import os
import threading


def wire_funds(payment_id: str, account: str, amount: int) -> None:
    """Takes the amount from the account. The payment's id makes it safe to ask twice."""
    _effect(f"wire {payment_id} {account} {amount}")


def refund(payment_id: str, account: str, amount: int) -> None:
    """Gives it back. The payment's id makes it safe to ask twice."""
    _effect(f"refund {payment_id} {account} {amount}")


def _effect(line: str) -> None:
    path = os.environ.get("EXAMPLE_LOG")
    if path is None:
        return
    with open(path, "a") as file:
        file.write(line + "\n")
    if os.environ.get("EXAMPLE_PAUSE_AT") == line:
        threading.Event().wait()
