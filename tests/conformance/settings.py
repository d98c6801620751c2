"""The settings that cases run in: the same case, the same answer, whatever the runtime is made of.

`QUICK` says which settings each area has in `make test`, after the suites of the catalogue (§0.2); `make conformance`
runs every case in every setting. `only` and `never` narrow that for one case, and say why.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from restate_runtime.testing import Overrides

F = TypeVar("F", bound=Callable[..., Any])

_AT_ONCE = timedelta()


@dataclass(frozen=True, slots=True)
class Setting:
    """What the runtime of a case is made of.

    Args:
        name: short, for ids of tests and the table.
        meaning: for the table.
        suspend: the inactivity timeout is 0: every await that is not ready suspends, and replays.
        lazy: state is read on demand.
        timers: how many timers are in memory.
        sockets: sessions and calls cross sockets.
        sqlite: the store is a file.
    """

    name: str
    meaning: str
    suspend: bool = False
    lazy: bool = False
    timers: int = 10_000
    sockets: bool = False
    sqlite: bool = False

    @property
    def overrides(self) -> Overrides:
        """What all handlers get."""
        return Overrides(inactivity_timeout=_AT_ONCE if self.suspend else None, lazy_state=self.lazy or None)


SETTINGS = (
    Setting("default", "handlers in process, the memory store"),
    Setting("suspend", "inactivity timeout 0: every await suspends and replays", suspend=True),
    Setting("lazy", "state is read on demand", lazy=True),
    Setting("lazy-suspend", "both of these", lazy=True, suspend=True),
    Setting("timers", "one timer in memory", timers=1),
    Setting("sockets", "handlers and callers over real sockets", sockets=True),
    Setting("sqlite", "the SQLite store", sqlite=True),
    Setting("all", "all of these at once", suspend=True, lazy=True, timers=1, sockets=True, sqlite=True),
)
NAMES = tuple(setting.name for setting in SETTINGS)
BY_NAME = {setting.name: setting for setting in SETTINGS}

#: Settings of `make test` besides the default one, by the area of the catalogue.
QUICK: dict[str, tuple[str, ...]] = {
    "CALL": ("suspend", "sockets"),
    "ORD": ("sqlite",),
    "STATE": ("suspend", "lazy", "lazy-suspend"),
    "TIMER": ("suspend", "timers"),
    "AWK": ("suspend",),
    "SIG": ("suspend",),
    "WF": ("suspend", "sqlite"),
    "CANCEL": ("suspend", "sqlite"),
    "IDEM": ("sqlite",),
    "RUN": ("suspend", "sockets"),
    "ERR": ("suspend", "sockets"),
    "NDET": ("suspend",),
    "COMB": ("suspend",),
    "RET": ("sqlite",),
    "UPG": ("suspend",),
    "PAUSE": ("suspend", "sqlite"),
    "PERSIST": NAMES,
}


def everything() -> bool:
    """Whether every setting is asked for, and not only the quick ones."""
    return os.environ.get("CONFORMANCE") == "all"


def only(*names: str, because: str) -> Callable[[F], F]:
    """The case makes sense in these settings only."""
    return _narrow({name: because for name in NAMES if name not in names})


def never(*names: str, because: str) -> Callable[[F], F]:
    """The case makes no sense in these settings."""
    return _narrow(dict.fromkeys(names, because))


def _narrow(not_in: dict[str, str]) -> Callable[[F], F]:
    def mark(function: F) -> F:
        setattr(function, "not_in", {**not_in_of(function), **not_in})  # noqa: B010 - functions have no such attribute
        return function

    return mark


def not_in_of(function: Callable[..., Any]) -> dict[str, str]:
    """The settings that a case makes no sense in, each with the reason."""
    found: dict[str, str] = getattr(function, "not_in", {})
    return found


def settings_of(area: str, function: Callable[..., Any]) -> list[Setting]:
    """The settings to run a case in."""
    wanted = NAMES if everything() else ("default", *QUICK.get(area, ()))
    allowed = [name for name in NAMES if name not in not_in_of(function)]
    chosen = [name for name in allowed if name in wanted] or allowed[:1]
    return [BY_NAME[name] for name in chosen]
