"""A stand-in for the mail service. With EXAMPLE_LOG set, each effect is a line in that file."""

import os


def send_email(verification_id: str, email: str, secret: str) -> None:
    """Mails the link. The id makes it safe to ask twice."""
    _effect(f"mail {verification_id} {email} {secret}")


def _effect(line: str) -> None:
    path = os.environ.get("EXAMPLE_LOG")
    if path is not None:
        with open(path, "a") as file:
            file.write(line + "\n")
