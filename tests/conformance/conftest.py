"""A world for each case, in each of its settings; and the table of what passed, when asked for (see `table`)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from . import stubs as stubs  # first: services and cases import what it generates
from .catalogue import ids_of
from .settings import BY_NAME, settings_of
from .world import World


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
