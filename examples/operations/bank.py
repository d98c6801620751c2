"""Stand-ins for a bank and a bureau. With EXAMPLE_LOG set, each effect is a line in that file."""

import os
from collections import Counter
from datetime import timedelta

from restate_sdk import RetryableError

_times: Counter[str] = Counter()


def charge(payment_id: str, card: str, amount: int) -> str:
    """Charges the card; gives the receipt. The payment's id makes it safe to ask twice.

    Raises:
        ConnectionError: the bank cannot be reached, the first two times where the card is flaky.
    """
    _effect(f"charge {card} {amount} {payment_id}", card)
    if card == "flaky" and _times[card] < 3:
        raise ConnectionError("the bank cannot be reached")
    return f"receipt for {amount}"


def notify(how: str, text: str) -> None:
    """Tells the customer."""
    _effect(f"{how} {text}", text)


def haggle(supplier: str) -> str:
    """Talks about the price; asking again gets the same."""
    _effect(f"haggle with {supplier}", supplier)
    return f"{supplier}, cheaper"


def look_up(what: str) -> str:
    """What the bureau knows: good, bad or unknown.

    Raises:
        RetryableError: it has not opened, the first time where it is asked for what is early.
    """
    _effect(f"look up {what}", what)
    if what == "early" and _times[what] < 2:
        raise RetryableError("the bureau has not opened", retry_after=timedelta(milliseconds=20))
    return {"rotten": "bad", "nothing": "unknown"}.get(what, "good")


def _effect(line: str, of: str) -> None:
    _times[of] += 1
    path = os.environ.get("EXAMPLE_LOG")
    if path is not None:
        with open(path, "a") as file:
            file.write(line + "\n")
