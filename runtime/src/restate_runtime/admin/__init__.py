"""The admin API: what operators ask of a runtime. Start at `service.py`."""
