"""What the options of a contract come to in a runtime with defaults and bounds of its own."""

from __future__ import annotations

import pytest
from restate_protocol.contract.model import Defaults
from restate_runtime.core.records import Deployment
from restate_runtime.core.target import Target
from restate_runtime.deployments.bounds import Bounds
from restate_runtime.deployments.registry import Loaded, Registry

from tests.runtime.engine.descriptors import bench_descriptor_set
from tests.runtime.engine.harness import SERVICES

DAY_MS = 86_400_000


def registered(defaults: Defaults, bounds: Bounds) -> tuple[Registry, Loaded]:
    registry = Registry(defaults, bounds)
    loaded = registry.read(Deployment("dep_1", "", "", "", tuple(SERVICES), 0, 1), bench_descriptor_set())
    registry.add(loaded)
    return registry, loaded


def target(registry: Registry, service: str, handler: str) -> Target:
    found = registry.resolve(f"bench.v1.{service}", handler, None)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("defaults", "bounds", "plain_ms", "kept_ms", "flow_ms"),
    [
        (Defaults(), Bounds(), (DAY_MS, DAY_MS), (20_000, 5_000), DAY_MS),
        (Defaults(journal_retention_ms=300), Bounds(), (300, 300), (20_000, 5_000), DAY_MS),
        (Defaults(), Bounds(journal_retention_ms=1_000), (1_000, 1_000), (20_000, 1_000), DAY_MS),
        (Defaults(journal_retention_ms=120), Bounds(60, 60, 30), (60, 60), (60, 60), 30),
        (Defaults(), Bounds(0, 0, 0), (0, 0), (0, 0), 0),
    ],
)
def test_a_handler_wins_over_the_defaults_and_the_bounds_over_both(
    defaults: Defaults, bounds: Bounds, plain_ms: tuple[int, int], kept_ms: tuple[int, int], flow_ms: int
) -> None:
    registry, _ = registered(defaults, bounds)
    for service, handler, key, (all_ms, journal_ms) in (
        ("Plain", "Do", None, plain_ms),
        ("Tuned", "Kept", "i", kept_ms),
    ):
        found = target(registry, service, handler)
        assert (found.retention_ms(key), found.whole_ms(found.retention_ms(key))) == (all_ms, journal_ms)
    assert target(registry, "Flow", "Run").retention_ms(None) == flow_ms


def test_what_is_cut_is_told() -> None:
    _, loaded = registered(Defaults(journal_retention_ms=1_000), Bounds(journal_retention_ms=2_000))
    assert loaded.cuts == ("journal_retention of bench.v1.Tuned/Kept is cut from 5000 to 2000 ms",)


def test_nothing_is_cut_unless_the_operator_says_so() -> None:
    assert registered(Defaults(), Bounds())[1].cuts == ()
