"""Stand-ins for the payment provider and the mail service. With EXAMPLE_LOG set, each effect is a line in that file."""

import os


def charge(payment_id: str, account: str, amount: int) -> None:
    """Asks the provider to charge the account. The payment id makes it safe to ask twice."""
    _effect(f"charge {payment_id} {account} {amount}")


def send_success_notification(payment_id: str, email: str) -> None:
    """Mails the user that the payment went through."""
    _effect(f"notify {payment_id} {email}")


def _effect(line: str) -> None:
    path = os.environ.get("EXAMPLE_LOG")
    if path is not None:
        with open(path, "a") as file:
            file.write(line + "\n")
