"""The table of README.md: what passed, by case and setting. Made from the reports of a whole run.

`make conformance` runs every case in every setting and writes it; see `conftest`. A cell says:
`ok`, all tests of the case passed in this setting; `FAIL`, one did not; `-`, the case makes no sense in this setting,
or does not apply at all, and the last column says why; `not yet`, with what is missing.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from .catalogue import CASES, NOT_APPLICABLE, NOT_YET
from .settings import NAMES, SETTINGS

README = Path(__file__).parent / "README.md"
#: Cases that have no world run against a runtime with real ports: this is the setting they count for.
PORTS = "sockets"
BEGIN = "<!-- the table: written by `make conformance` -->\n"


@dataclass(slots=True)
class Results:
    """What became of each case in each setting.

    Args:
        passed: whether all tests of a case and setting passed.
        reasons: why a case is not run in some settings.
    """

    passed: dict[tuple[str, str], bool] = field(default_factory=lambda: defaultdict(lambda: True))
    reasons: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def add(self, case: str, setting: str, *, passed: bool) -> None:
        """One test is over."""
        self.passed[case, setting] = self.passed[case, setting] and passed

    def cell(self, case: str, setting: str) -> str:
        """What the table says of a case in a setting."""
        if case in NOT_YET:
            return "not yet"
        if (case, setting) not in self.passed:
            return "-"
        return "ok" if self.passed[case, setting] else "FAIL"

    def note(self, case: str) -> str:
        """The last column."""
        if case in NOT_YET or case in NOT_APPLICABLE:
            return NOT_YET.get(case) or NOT_APPLICABLE[case]
        if set(NAMES) - {setting for one, setting in self.passed if one == case} == set(NAMES) - {PORTS}:
            return "about the ports: run against a whole runtime"
        return "; ".join(sorted(self.reasons[case]))


def markdown(results: Results, before: dict[str, str]) -> str:
    """The table, with the settings explained above it.

    Args:
        results: of this run.
        before: rows by case, for the cases that this run had no results for.
    """
    lines = [f"- **{one.name}**: {one.meaning}" for one in SETTINGS]
    lines += ["", f"| case | about | {' | '.join(NAMES)} | why not |", "|---" * (len(NAMES) + 3) + "|"]
    ran = {case for case, _ in results.passed}
    for case, about in CASES.items():
        cells = " | ".join(results.cell(case, name) for name in NAMES)
        row = f"| {case} | {about} | {cells} | {results.note(case)} |"
        lines.append(row if case in ran else before.get(case, row))
    return "\n".join(lines) + "\n"


def write(results: Results) -> None:
    """Replaces the table in README.md; after a run of some cases, their rows."""
    above = README.read_text().partition(BEGIN)[0]
    README.write_text(above + BEGIN + "\n" + markdown(results, rows_in_readme()))


def rows_in_readme() -> dict[str, str]:
    """The rows of the table in README.md, by case."""
    lines = README.read_text().partition(BEGIN)[2].splitlines()
    rows = {line.split("|")[1].strip(): line for line in lines if line.startswith("| ")}
    rows.pop("case", None)
    return rows


def ids_in_readme() -> list[str]:
    """The cases that the table in README.md has."""
    return list(rows_in_readme())
