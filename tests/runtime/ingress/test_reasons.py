"""The table of errors in the documents is that of the program."""

from __future__ import annotations

import re
from pathlib import Path

from restate_protocol.status import StatusCode
from restate_runtime.ingress import reasons
from restate_runtime.ingress.connect import http_status
from restate_runtime.ingress.errors import refusal
from restate_runtime.ingress.reasons import Reason

PAGE = Path(__file__).parents[3] / "docs/reference/errors.md"
#: What HTTP alone says; each has its status where it is raised.
HTTP_ONLY = {Reason.HTTP_METHOD: 405, Reason.CONTENT_TYPE: 415}


def _rows() -> dict[str, tuple[str, str]]:
    found = re.findall(r"^\| `(\w+)` \| (\w*) ?\| (\d*) ?\|", PAGE.read_text(), re.MULTILINE)
    return {reason: (code, status) for reason, code, status in found}


def test_every_reason_is_in_the_reference_and_nothing_else() -> None:
    assert sorted(_rows()) == sorted(reason.value for reason in Reason)


def test_the_reference_has_the_http_status_of_each() -> None:
    for reason, (code, status) in _rows().items():
        if not code:
            continue
        answer = refusal(StatusCode[code], "", Reason(reason))
        assert HTTP_ONLY.get(Reason(reason), http_status(answer)) == int(status), reason


def test_the_reference_has_the_code_of_each_that_a_code_means() -> None:
    rows = _rows()
    for code in StatusCode:
        reason = reasons.reason_of(code)
        if reason is not Reason.OTHER:
            assert rows[reason.value][0] == code.name
