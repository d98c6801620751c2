"""The demo: the main job in real processes, narrated and checked. Run it with `python -m examples.demo`."""
