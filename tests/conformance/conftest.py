"""A world for each case, in each of its settings; and the table of what passed, when asked for (see `table`)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from . import stubs as stubs  # first: services and cases import what it generates
from .catalogue import ids_of
from .settings import BY_NAME, everything, not_in_of, settings_of
from .table import PORTS, Results, write
from .world import World

_NODE = re.compile(r"tests/conformance/.*::(test_\w+)(?:\[(.*)\])?$")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each case in its settings."""
    ids = ids_of(metafunc.function.__name__)
    if ids and "world" in metafunc.fixturenames:
        area = ids[0].partition("-")[0]
        names = [setting.name for setting in settings_of(area, metafunc.function)]
        metafunc.parametrize("world", names, indirect=True)


@pytest.fixture
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """Nothing runs yet; whatever is started is stopped at the end."""
    async with AsyncExitStack() as stack:
        yield World(BY_NAME[request.param], tmp_path, stack)


def pytest_configure(config: pytest.Config) -> None:
    """Collects results for the table, in the process that sees all reports."""
    if everything() and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Reporter(), "conformance-table")


def _setting_of(parameters: str) -> str:
    """The setting that the id of a test begins with."""
    begins = [name for name in BY_NAME if f"{parameters}-".startswith(f"{name}-")]
    return max(begins, key=len, default=PORTS)


class _Reporter:
    """Hears of every test, and writes the table at the end."""

    def __init__(self) -> None:
        self._results = Results()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One phase of a test is over."""
        found = _NODE.search(report.nodeid)
        if found is None or (report.when != "call" and report.passed):
            return
        function, settings = found.groups()
        setting = _setting_of(settings or "")
        for case in ids_of(function):
            self._results.add(case, setting, passed=report.passed)
            for reason in report.user_properties:
                self._results.reasons[case].add(str(reason[1]))

    def pytest_sessionfinish(self) -> None:
        """Every test is over."""
        write(self._results)


@pytest.fixture(autouse=True)
def reasons(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> None:
    """Tells the table why a case is not run in every setting."""
    for reason in set(not_in_of(request.function).values()):
        record_property("why not", reason)
