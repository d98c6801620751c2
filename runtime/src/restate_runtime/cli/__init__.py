"""The commands: `restate-runtime` (runtime.py) runs, `restate-cli` (operator.py) operates."""
