"""The durable-execution runtime. Importing the package loads nothing; start at `server.py`."""
