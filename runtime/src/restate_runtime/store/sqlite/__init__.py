"""The store in one SQLite file. `SqliteStore` is all that others use."""

from .store import SqliteStore as SqliteStore

__all__ = ["SqliteStore"]
