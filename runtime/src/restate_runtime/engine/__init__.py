"""The shell around the core: decide, commit, act. The only place where time passes for invocations."""
