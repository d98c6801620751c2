"""Deployments: who serves what, and the sessions that take attempts there."""
