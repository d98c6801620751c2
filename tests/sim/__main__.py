"""`make sim`: as many seeds as asked for. Ends with 1 at the first that fails, and says how to see it again."""

from __future__ import annotations

import argparse
import sys
import time

from .explore import explore

#: The seeds below this one are those of `make test`.
FIRST = 1_000_000
CHUNK = 50


def main() -> int:
    """Runs, and tells how far it is."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="how many seeds to run")
    parser.add_argument("--first", type=int, default=FIRST, help="the first of them")
    parser.add_argument("--seed", type=int, help="run only this one")
    options = parser.parse_args()
    if options.seed is not None:
        options.first, options.seeds = options.seed, 1
    began = time.monotonic()
    for first in range(options.first, options.first + options.seeds, CHUNK):
        last = min(first + CHUNK, options.first + options.seeds)
        found = explore(range(first, last))
        if found is not None:
            print(f"\n{found}")
            return 1
        done = last - options.first
        print(f"\r{done:,} of {options.seeds:,} seeds, {time.monotonic() - began:.0f} s", end="", flush=True)
    print("\nnothing found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
