"""The verification in real processes: all of them die while it waits for the click; the secret stays the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from examples.conftest import Example

pytestmark = pytest.mark.e2e


def test_the_secret_of_a_mail_is_right_although_all_processes_died_before_the_click(example: Example) -> None:
    runtime, endpoint = example.start()
    request: dict[str, object] = {"id": "v-1", "email": "ada@example.com"}
    verification = example.send("verification.v1.Verification/Run", request)
    mail = example.until_effect("mail v-1 ada@example.com ")
    example.until_journaled(verification, "run", "completion", "run", "completion", "get_promise")

    runtime.kill()
    endpoint.kill()
    example.start_endpoint()
    example.start_runtime()

    waiting = example.begin("verify", "v-1", "ada@example.com")
    assert waiting.line("PREVIOUSLY_") == "ACCEPTED"
    assert example.client("click", "v-1", mail.rpartition(" ")[2]) == []
    assert waiting.line("verified") == ""
    assert example.effects() == [mail], "one mail, one secret"

    # A click may even come first: the promise keeps it.
    assert example.client("click", "v-2", "guessed") == []
    assert example.client("verify", "v-2", "eve@example.com") == ["ACCEPTED", "another secret"]
