"""The admin server of the admin tests, for the command line."""

from __future__ import annotations

from tests.runtime.admin.conftest import deployment, descriptor_set, no_environment, rig

__all__ = ["deployment", "descriptor_set", "no_environment", "rig"]
