"""Where journals live: one contract (`base`), a memory store (the oracle), and SQLite."""
