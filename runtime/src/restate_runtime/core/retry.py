"""When a failed attempt is tried again. Pure arithmetic on a policy; the policy itself is in the contract."""

from __future__ import annotations

from restate_protocol.contract.model import RetryPolicy


def next_delay_ms(policy: RetryPolicy, failures: int) -> int:
    """Milliseconds to wait after the given number of failed attempts in a row (1 or more)."""
    if failures < 1:
        raise ValueError("there is nothing to retry before the first failure")
    try:
        delay = policy.initial_ms * policy.factor ** (failures - 1)
    except OverflowError:
        return policy.max_ms
    return policy.max_ms if delay >= policy.max_ms else int(delay)


def exhausted(policy: RetryPolicy, failures: int) -> bool:
    """Whether that many failed attempts in a row are all the policy allows."""
    return failures >= policy.max_attempts
