"""When a failed attempt is tried again. Pure arithmetic on a policy; the policy itself is in the contract."""

from __future__ import annotations

from restate_protocol.contract.model import RetryPolicy


def next_delay_ms(policy: RetryPolicy, failures: int) -> int:
    """Milliseconds to wait after the given number of failed attempts in a row (1 or more)."""
    if failures < 1:
        raise ValueError("there is nothing to retry before the first failure")
    delay = float(policy.initial_ms)
    for _ in range(failures - 1):
        delay *= policy.factor
        if delay >= policy.max_ms:
            return policy.max_ms
    return min(int(delay), policy.max_ms)


def exhausted(policy: RetryPolicy, failures: int) -> bool:
    """Whether that many failed attempts in a row are all the policy allows."""
    return failures >= policy.max_attempts
