"""The reservation in real processes: the runtime dies under the caller, who asks again and has reserved once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from examples.conftest import Example

pytestmark = pytest.mark.e2e


def test_asking_again_after_a_crash_is_the_same_reservation(example: Example) -> None:
    runtime, endpoint = example.start(EXAMPLE_PAUSE_AT="voucher tea res-1")
    assert example.curl("reservation.v1.Products/Restock", {"product": "tea", "count": 2}) == {"count": 2}
    # A runtime that comes back has the address that it had.
    example.keep_addresses()
    caller = example.begin("tea", "res-1")
    example.until_effect("voucher tea res-1")

    runtime.kill()
    endpoint.kill()
    example.start_runtime()
    example.start_endpoint()

    assert caller.line("tea/") == "res-1"
    assert example.client("tea", "res-1") == ["tea/res-1"], "the same reservation, for as long as its result is kept"
    assert example.curl("reservation.v1.Products/Count", {"product": "tea"}) == {"count": 1}

    assert example.client("tea", "res-2") == ["tea/res-2"]
    assert example.client("tea", "res-3") == ["out of stock: tea"]
