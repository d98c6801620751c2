"""Stand-ins for the payment provider and the mail service.

With EXAMPLE_LOG set, each effect is a line in that file. With EXAMPLE_PAUSE_AT set to the beginning of such a line, the
provider does not answer after that effect: the step stays under way, and this process can be killed in the middle of a
handler.
"""

import os
import threading

#: Cards without money.
EMPTY = {"0000"}


def charge(payment_id: str, card: str, amount: int) -> bool:
    """Charges the card; False where it is declined. The payment's id makes it safe to ask twice."""
    if card in EMPTY:
        return False
    _effect(f"charge {card} {amount} {payment_id}")
    return True


def mail_tickets(user: str, tickets: list[str]) -> None:
    """Mails the tickets to the user."""
    _effect(f"mail {user} {','.join(tickets)}")


def _effect(line: str) -> None:
    path = os.environ.get("EXAMPLE_LOG")
    if path is None:
        return
    with open(path, "a") as file:
        file.write(line + "\n")
    pause_at = os.environ.get("EXAMPLE_PAUSE_AT")
    if pause_at and line.startswith(pause_at):
        threading.Event().wait()
